/* SPDX-License-Identifier: BSD-2-Clause */
/* The certs-only message: what is decoded is encoded and decoded again as the same certificates. */
#include "fuzz.h"

#include <estc/cert.h>
#include <estc/certs.h>

#include "base/cleanup_ossl.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len) {
    _cleanup(sk_x509_freep) STACK_OF(X509) *certs = NULL, *again = NULL;
    struct estc_error err;
    if (estc_certs_decode(data, len, &certs, &err))
        return 0;
    _cleanup(estc_buf_clear) struct estc_buf der = {0};
    FUZZ_CHECK(sk_X509_num(certs) <= ESTC_CERT_LIST_MAX);
    FUZZ_CHECK(estc_certs_encode(certs, &der, &err) == 0);
    FUZZ_CHECK(estc_certs_decode(der.data, der.len, &again, &err) == 0);
    FUZZ_CHECK(sk_X509_num(again) == sk_X509_num(certs));
    for (int i = 0; i < sk_X509_num(certs); i++) {
        _cleanup(estc_cert_facts_clear) struct estc_cert_facts facts = {0};
        FUZZ_CHECK(X509_cmp(sk_X509_value(certs, i), sk_X509_value(again, i)) == 0);
        (void)estc_cert_facts_get(sk_X509_value(certs, i), &facts, &err);
    }
    return 0;
}
