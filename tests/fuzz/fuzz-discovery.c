/* SPDX-License-Identifier: BSD-2-Clause */
/* Links of EST: what is offered has a path, and no more places than are bounded. */
#include "fuzz.h"

#include <estc/discovery.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len) {
    struct estc_offers offers = {0};
    if (estc_offers_read(data, len, &offers, NULL))
        return 0;
    FUZZ_CHECK(offers.n <= 64);
    for (size_t i = 0; i < offers.n; i++) {
        const struct estc_offer *offer = &offers.items[i];
        FUZZ_CHECK(offer->root[0] == '/' && (offer->host != NULL) == (offer->port != 0));
        FUZZ_CHECK(estc_label_check(offer->label, NULL) == 0);
    }
    estc_offers_clear(&offers);
    return 0;
}
