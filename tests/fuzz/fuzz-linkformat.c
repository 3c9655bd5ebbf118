/* SPDX-License-Identifier: BSD-2-Clause */
/* Link format: the filter gives only links that the reader reads, and from both the same offers. */
#include "fuzz.h"

#include <estc/discovery.h>

#include "est/linkformat.h"

#include "base/cleanup.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len) {
    _cleanup(estc_buf_clear) struct estc_buf out = {0};
    struct linkformat_link link;
    if (linkformat_filter(data, len, "rt=ace.est*", &out))
        return 0;
    struct linkformat_reader reader = linkformat_read(out.data, out.len);
    int rc;
    while ((rc = linkformat_next(&reader, &link)) == 1) {
        struct span rt = linkformat_param(&link, "rt");
        FUZZ_CHECK(linkformat_matches(&link, "rt=ace.est*") && rt.at);
        while (linkformat_word(&rt).at)
            continue;
    }
    FUZZ_CHECK(rc == 0);
    struct estc_offers all = {0}, some = {0};
    if (estc_offers_read(data, len, &all, NULL) == 0) {
        FUZZ_CHECK(estc_offers_read(out.data, out.len, &some, NULL) == 0);
        FUZZ_CHECK(all.n == some.n && all.ignored == some.ignored);
    }
    estc_offers_clear(&all);
    estc_offers_clear(&some);
    return 0;
}
