/* SPDX-License-Identifier: BSD-2-Clause */
/* Names as people write them: what is taken can be shown again, and is taken again. */
#include "fuzz.h"

#include <string.h>

#include <estc/cert.h>
#include <estc/csr.h>

#include "base/cleanup_ossl.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len) {
    _cleanup(freep) char *text = strndup((const char *)data, len);
    _cleanup(x509_name_freep) X509_NAME *name = NULL;
    _cleanup(general_name_freep) GENERAL_NAME *san = NULL;
    struct estc_error err;
    FUZZ_CHECK(text);
    if (estc_subject_parse(text, &name, &err) == 0) {
        _cleanup(freep) char *shown = estc_name_text(name);
        FUZZ_CHECK(shown);
    }
    (void)estc_san_parse(text, &san, &err);
    return 0;
}
