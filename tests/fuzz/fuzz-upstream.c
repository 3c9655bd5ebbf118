/* SPDX-License-Identifier: BSD-2-Clause */
/* Answers of an EST server over HTTPS: a Content-Type in the first line, the body behind it. */
#include "fuzz.h"

#include <string.h>

#include "base/cleanup_ossl.h"
#include "est-registrar/upstream_translate.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len) {
    const uint8_t *nl = memchr(data, '\n', len);
    size_t type_len = nl ? (size_t)(nl - data) : 0;
    _cleanup(freep) char *type = strndup((const char *)data, type_len);
    size_t skip = nl ? type_len + 1 : 0;
    const struct translate_body body = {.type = type, .data = data + skip, .len = len - skip};
    (void)translate_retry_after(type, 0);
    for (int sealed = 0; sealed < 2; sealed++) {
        _cleanup(estc_buf_clear) struct estc_buf key = {0};
        _cleanup(x509_freep) X509 *cert = NULL;
        if (translate_generated(&body, sealed, &key, &cert, NULL) == 0)
            FUZZ_CHECK(cert && key.len > 0 && key.len < len);
    }
    _cleanup(x509_freep) X509 *issued = NULL;
    _cleanup(estc_buf_clear) struct estc_buf attrs = {0};
    if (translate_issued(&body, &issued, NULL) == 0)
        FUZZ_CHECK(issued);
    if (translate_csrattrs(&body, &attrs, NULL) == 0)
        FUZZ_CHECK(attrs.len < len);
    return 0;
}
