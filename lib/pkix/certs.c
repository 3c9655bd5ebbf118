/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The certs-only message: a SignedData (RFC 5652 section 5.1) that signs nothing and serves as a
 * bag of certificates. Nothing in it is trusted; order means nothing.
 */
#include <estc/certs.h>

#include <errno.h>
#include <limits.h>

#include <openssl/pkcs7.h>

#include <estc/cert.h>

#include "base/cleanup_ossl.h"
#include "pkix/ossl.h"

/* NULL for the shape of RFC 7030 section 4.1.3, else what is wrong with it. Version and
 * digestAlgorithms are not looked at: nothing depends on them, and senders differ. */
static const char *shape_fault(const PKCS7 *p7) {
    if (!PKCS7_type_is_signed(p7) || !p7->d.sign || !p7->d.sign->contents)
        return "it is not SignedData";
    const PKCS7 *contents = p7->d.sign->contents;
    if (!PKCS7_type_is_data(contents))
        return "its content type is not id-data";
    if (contents->d.data)
        return "it has content";
    if (sk_PKCS7_SIGNER_INFO_num(p7->d.sign->signer_info) > 0)
        return "it has signers";
    if (sk_X509_num(p7->d.sign->cert) > ESTC_CERT_LIST_MAX)
        return "it has too many certificates";
    return NULL;
}

int estc_certs_decode(const void *der, size_t len, STACK_OF(X509) * *out, struct estc_error *err) {
    const unsigned char *p = der;
    if (len == 0 || len > INT_MAX)
        return estc_error_set(err, ESTC_E_MALFORMED, "certs-only message: %s",
                              len ? "too large" : "empty");
    _cleanup(pkcs7_freep) PKCS7 *p7 = d2i_PKCS7(NULL, &p, (long)len);
    if (!p7)
        return ossl_error(err, ESTC_E_MALFORMED, "certs-only message: not PKCS#7");
    ossl_forget();
    if (p != (const unsigned char *)der + len)
        return estc_error_set(err, ESTC_E_MALFORMED,
                              "certs-only message: bytes left over behind it");
    const char *fault = shape_fault(p7);
    if (fault)
        return estc_error_set(err, ESTC_E_MALFORMED, "certs-only message: %s", fault);
    STACK_OF(X509) *list = TAKE(p7->d.sign->cert);
    if (!list)
        list = sk_X509_new_null();
    if (!list)
        return ossl_error(err, -ENOMEM, "out of memory");
    *out = list;
    return 0;
}

/* A SignedData with nothing in it. Its id-data has no content, so PKCS7_content_new(), which
 * would make an empty one, is of no use. */
static PKCS7 *new_bag(void) {
    _cleanup(pkcs7_freep) PKCS7 *p7 = PKCS7_new();
    if (!p7 || !PKCS7_set_type(p7, NID_pkcs7_signed)) /* version 1, empty sets */
        return NULL;
    p7->d.sign->contents->type = OBJ_nid2obj(NID_pkcs7_data);
    return TAKE(p7);
}

int estc_certs_encode(const STACK_OF(X509) * certs, struct estc_buf *out, struct estc_error *err) {
    _cleanup(pkcs7_freep) PKCS7 *p7 = new_bag();
    bool ok = p7 != NULL;
    for (int i = 0; ok && i < sk_X509_num(certs); i++)
        ok = PKCS7_add_certificate(p7, sk_X509_value(certs, i));
    unsigned char *der = NULL;
    int len = ok ? i2d_PKCS7(p7, &der) : -1;
    if (len < 0)
        return ossl_error(err, -ENOMEM, "cannot encode a certs-only message");
    int rc = estc_buf_append(out, der, (size_t)len);
    OPENSSL_free(der);
    return rc ? estc_error_set(err, rc, "out of memory") : 0;
}
