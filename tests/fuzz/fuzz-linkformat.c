/* SPDX-License-Identifier: BSD-2-Clause */
/* Link format: the filter gives only links that the reader reads. */
#include "fuzz.h"

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
    return 0;
}
