/* SPDX-License-Identifier: BSD-2-Clause */
/* Private keys on their way, bare and sealed. The seals are ours, so that bytes which are nearly
 * right get past the envelope. */
#include "fuzz.h"

#include <estc/csr.h>
#include <estc/keypackage.h>

#include "base/cleanup_ossl.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len) {
    static const unsigned char secret[16] = "0123456789abcde";
    static const unsigned char id[] = {'k', '1'};
    const struct estc_seal seal = {
        .secret = secret, .secret_len = sizeof(secret), .id = id, .id_len = sizeof(id)};
    _cleanup(pkey_freep) EVP_PKEY *bare = NULL, *sealed = NULL;
    struct estc_error err;
    if (estc_pkcs8_decode(data, len, &bare, &err) == 0) {
        _cleanup(estc_buf_clear) struct estc_buf der = {0};
        _cleanup(pkey_freep) EVP_PKEY *again = NULL;
        FUZZ_CHECK(estc_pkcs8_encode(bare, &der, &err) == 0);
        FUZZ_CHECK(estc_pkcs8_decode(der.data, der.len, &again, &err) == 0);
        FUZZ_CHECK(EVP_PKEY_eq(bare, again) == 1);
    }
    const struct estc_opener opener = {.seal = &seal, .now = 1700000000};
    (void)estc_keypackage_open(data, len, &opener, &sealed, &err);
    _cleanup(x509_req_freep) X509_REQ *csr = NULL;
    const unsigned char *p = data;
    struct estc_seal_wish wish = {0};
    csr = d2i_X509_REQ(NULL, &p, (long)len);
    if (csr && estc_seal_wish_get(csr, &wish, &err) == 0)
        estc_seal_wish_clear(&wish);
    return 0;
}
