/* SPDX-License-Identifier: BSD-2-Clause */
/* URLs of the configuration and of discovery; labels. */
#include "fuzz.h"

#include <string.h>

#include <estc/op.h>
#include <estc/url.h>

#include "base/cleanup.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len) {
    _cleanup(freep) char *text = strndup((const char *)data, len);
    struct estc_url url = {0};
    FUZZ_CHECK(text);
    if (estc_url_parse(text, &url, NULL) == 0) {
        FUZZ_CHECK(url.port > 0 && url.host[0] && url.root[0] == '/');
        FUZZ_CHECK(!strstr(url.root, "/../") && url.root[strlen(url.root) - 1] != '/');
        estc_url_clear(&url);
    }
    if (estc_label_check(text, NULL) == 0)
        FUZZ_CHECK(!strchr(text, '/') && strlen(text) < 256);
    return 0;
}
