/* SPDX-License-Identifier: BSD-2-Clause */
/* Certificates in PEM, and small questions about one. What they say in words is in facts.c. */
#include <estc/cert.h>

#include <errno.h>
#include <limits.h>

#include <openssl/err.h>
#include <openssl/pem.h>

#include "base/cleanup_ossl.h"
#include "pkix/cert.h"
#include "pkix/ossl.h"

/* The next certificate of a PEM text. 0 with *out NULL at the end. Blocks of other kinds, a key for
 * instance, are passed over. */
static int pem_next(BIO *mem, X509 **out, struct estc_error *err) {
    unsigned char *der = NULL;
    long len = 0;
    if (!PEM_bytes_read_bio(&der, &len, NULL, PEM_STRING_X509, mem, NULL, NULL)) {
        if (ERR_GET_REASON(ERR_peek_last_error()) != PEM_R_NO_START_LINE)
            return ossl_error(err, ESTC_E_CREDENTIAL, "a certificate's PEM block is broken");
        ossl_forget();
        *out = NULL;
        return 0;
    }
    const unsigned char *p = der;
    _cleanup(x509_freep) X509 *cert = d2i_X509(NULL, &p, len);
    bool whole = cert && p == der + len;
    OPENSSL_free(der);
    if (!whole)
        return ossl_error(err, ESTC_E_CREDENTIAL, "a PEM block holds no well-formed certificate");
    *out = TAKE(cert);
    return 0;
}

int estc_certs_from_pem(const void *pem, size_t len, STACK_OF(X509) * *out,
                        struct estc_error *err) {
    if (len > INT_MAX)
        return estc_error_set(err, ESTC_E_CREDENTIAL, "the certificate file is too large");
    _cleanup(bio_freep) BIO *mem = BIO_new_mem_buf(pem, (int)len);
    _cleanup(sk_x509_freep) STACK_OF(X509) *list = sk_X509_new_null();
    if (!mem || !list)
        return ossl_error(err, -ENOMEM, "out of memory");
    for (;;) {
        _cleanup(x509_freep) X509 *cert = NULL;
        int rc = pem_next(mem, &cert, err);
        if (rc)
            return rc;
        if (!cert)
            break;
        if (sk_X509_num(list) >= ESTC_CERT_LIST_MAX)
            return estc_error_set(err, ESTC_E_CREDENTIAL,
                                  "more than %d certificates in one file: split it",
                                  ESTC_CERT_LIST_MAX);
        if (!sk_X509_push(list, cert))
            return ossl_error(err, -ENOMEM, "out of memory");
        cert = NULL;
    }
    if (sk_X509_num(list) == 0)
        return estc_error_set(err, ESTC_E_CREDENTIAL,
                              "no certificate in it: expected PEM with BEGIN CERTIFICATE");
    *out = TAKE(list);
    return 0;
}

int estc_cert_to_pem(const X509 *cert, struct estc_buf *out, struct estc_error *err) {
    _cleanup(bio_freep) BIO *mem = BIO_new(BIO_s_mem());
    if (!mem || !PEM_write_bio_X509(mem, cert))
        return ossl_error(err, -ENOMEM, "cannot write a certificate as PEM");
    return ossl_append(mem, out, err);
}

int estc_certs_to_pem(const STACK_OF(X509) * certs, struct estc_buf *out, struct estc_error *err) {
    _cleanup(bio_freep) BIO *mem = BIO_new(BIO_s_mem());
    bool written = mem != NULL;
    for (int i = 0; written && i < sk_X509_num(certs); i++)
        written = PEM_write_bio_X509(mem, sk_X509_value(certs, i)) > 0;
    if (!written)
        return ossl_error(err, -ENOMEM, "cannot write certificates as PEM");
    return ossl_append(mem, out, err);
}

bool estc_cert_has_key(const X509 *cert, const EVP_PKEY *key) {
    const EVP_PKEY *own = X509_get0_pubkey(cert);
    bool same = own && EVP_PKEY_eq(own, key) == 1;
    ossl_forget();
    return same;
}

bool estc_cert_is_self_signed(X509 *cert) {
    bool self = X509_self_signed(cert, 1) == 1;
    ossl_forget();
    return self;
}

/* By difference to 1970, since there may be no timegm() and time_t may end in 2038. */
int cert_time(const ASN1_TIME *time, int64_t *out) {
    int days = 0, seconds = 0;
    ASN1_TIME *epoch = ASN1_TIME_set(NULL, 0);
    int ok = epoch && ASN1_TIME_check(time) && ASN1_TIME_diff(&days, &seconds, epoch, time);
    ASN1_TIME_free(epoch);
    ossl_forget();
    if (!ok)
        return -EINVAL;
    *out = (int64_t)days * 86400 + seconds;
    return 0;
}

int estc_cert_decode(const void *der, size_t len, X509 **out, struct estc_error *err) {
    const unsigned char *p = der;
    _cleanup(x509_freep) X509 *cert =
        len > 0 && len <= INT_MAX ? d2i_X509(NULL, &p, (long)len) : NULL;
    if (!cert)
        return ossl_error(err, ESTC_E_MALFORMED, "certificate: not X.509 in DER");
    if (p != (const unsigned char *)der + len)
        return estc_error_set(err, ESTC_E_MALFORMED, "certificate: bytes left over behind it");
    *out = TAKE(cert);
    return 0;
}
