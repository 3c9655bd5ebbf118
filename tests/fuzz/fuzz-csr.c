/* SPDX-License-Identifier: BSD-2-Clause */
/* PKCS#10, and the questions that a server has about one. */
#include "fuzz.h"

#include <estc/csr.h>
#include <estc/server.h>

#include "base/cleanup_ossl.h"
#include "pkix/csr.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len) {
    _cleanup(x509_req_freep) X509_REQ *csr = NULL;
    struct estc_error err;
    if (estc_csr_parse(data, len, &csr, &err))
        return 0;
    _cleanup(extensions_freep) STACK_OF(X509_EXTENSION) *asked = NULL;
    FUZZ_CHECK(csr_extensions(csr, &asked, &err) == 0);
    FUZZ_CHECK(X509_REQ_verify(csr, X509_REQ_get0_pubkey(csr)) == 1);
    (void)csr_has_challenge(csr);
    _cleanup(x509_name_freep) X509_NAME *subject = NULL;
    _cleanup(general_names_freep) GENERAL_NAMES *sans = NULL;
    if (estc_csr_new_names(csr, &subject, &sans, &err))
        FUZZ_CHECK(!subject && !sans);
    else
        FUZZ_CHECK(!sans || (subject && sk_GENERAL_NAME_num(sans) > 0));
    return 0;
}
