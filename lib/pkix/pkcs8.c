/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * PKCS#8 as RFC 5958 has it. OpenSSL's own reader knows version 0 alone, hence the template here;
 * the private octets in it are OpenSSL's to understand. Every copy of them that is made here is
 * wiped. Owns nothing between calls.
 */
#include "pkix/pkcs8.h"

#include <errno.h>
#include <limits.h>
#include <stdbool.h>
#include <string.h>

#include <openssl/asn1t.h>
#include <openssl/x509.h>

#include <estc/key.h>
#include <estc/keypackage.h>

#include "base/cleanup_ossl.h"
#include "pkix/ossl.h"

/* OneAsymmetricKey. */
typedef struct {
    ASN1_INTEGER *version;
    X509_ALGOR *algorithm;
    ASN1_OCTET_STRING *private_key;
    STACK_OF(X509_ATTRIBUTE) * attributes;
    ASN1_BIT_STRING *public_key;
} ASYMMETRIC_KEY;

/* clang-format off */
ASN1_SEQUENCE(ASYMMETRIC_KEY) = {
    ASN1_SIMPLE(ASYMMETRIC_KEY, version, ASN1_INTEGER),
    ASN1_SIMPLE(ASYMMETRIC_KEY, algorithm, X509_ALGOR),
    ASN1_SIMPLE(ASYMMETRIC_KEY, private_key, ASN1_OCTET_STRING),
    ASN1_IMP_SET_OF_OPT(ASYMMETRIC_KEY, attributes, X509_ATTRIBUTE, 0),
    ASN1_IMP_OPT(ASYMMETRIC_KEY, public_key, ASN1_BIT_STRING, 1),
} static_ASN1_SEQUENCE_END(ASYMMETRIC_KEY)

/* AsymmetricKeyPackage. */
typedef OPENSSL_STACK PACKAGE;
ASN1_ITEM_TEMPLATE(PACKAGE) =
    ASN1_EX_TEMPLATE_TYPE(ASN1_TFLG_SEQUENCE_OF, 0, PACKAGE, ASYMMETRIC_KEY)
static_ASN1_ITEM_TEMPLATE_END(PACKAGE)
    /* clang-format on */

    static void asymmetric_key_free(ASYMMETRIC_KEY * info) {
    ossl_wipe(info->private_key);
    ASN1_item_free((ASN1_VALUE *)info, ASN1_ITEM_rptr(ASYMMETRIC_KEY));
}

static void package_free(PACKAGE *package) {
    for (int i = 0; i < OPENSSL_sk_num(package); i++)
        ossl_wipe(((ASYMMETRIC_KEY *)OPENSSL_sk_value(package, i))->private_key);
    ASN1_item_free((ASN1_VALUE *)package, ASN1_ITEM_rptr(PACKAGE));
}

CLEANUP_DEFINE(ASYMMETRIC_KEY *, asymmetric_key_freep, asymmetric_key_free);
CLEANUP_DEFINE(PACKAGE *, package_freep, package_free);
CLEANUP_DEFINE(PKCS8_PRIV_KEY_INFO *, pkcs8_freep, PKCS8_PRIV_KEY_INFO_free);

static int malformed(struct estc_error *err, const char *why) {
    return ossl_error(err, ESTC_E_MALFORMED, "private key of the server: %s", why);
}

/* --- reading --- */

/* The private half, by OpenSSL, which reads version 0 without a public half. Changes info. */
static EVP_PKEY *read_private(ASYMMETRIC_KEY *info) {
    ASN1_BIT_STRING *public_key = TAKE(info->public_key);
    unsigned char *der = NULL;
    int len = ASN1_INTEGER_set(info->version, 0)
                  ? ASN1_item_i2d((ASN1_VALUE *)info, &der, ASN1_ITEM_rptr(ASYMMETRIC_KEY))
                  : -1;
    info->public_key = public_key;
    const unsigned char *p = der;
    _cleanup(pkcs8_freep) PKCS8_PRIV_KEY_INFO *p8 =
        len > 0 ? d2i_PKCS8_PRIV_KEY_INFO(NULL, &p, len) : NULL;
    OPENSSL_clear_free(der, len > 0 ? (size_t)len : 0);
    return p8 ? EVP_PKCS82PKEY(p8) : NULL;
}

/* Whether the public half that came along is that of the key. */
static bool has_public(EVP_PKEY *key, const ASN1_BIT_STRING *claimed) {
    unsigned char *own = NULL;
    int len = i2d_PublicKey(key, &own);
    bool same = len > 0 && len == ASN1_STRING_length(claimed) &&
                memcmp(own, ASN1_STRING_get0_data(claimed), (size_t)len) == 0;
    OPENSSL_free(own);
    return same;
}

static bool halves_fit(EVP_PKEY *key) {
    _cleanup(pkey_ctx_freep) EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new(key, NULL);
    return ctx && EVP_PKEY_pairwise_check(ctx) == 1;
}

static int read_key(ASYMMETRIC_KEY *info, EVP_PKEY **out, struct estc_error *err) {
    int64_t version = -1;
    if (!ASN1_INTEGER_get_int64(&version, info->version) || version < 0 || version > 1)
        return malformed(err, "its version is neither 0 nor 1");
    if (version == 0 && info->public_key)
        return malformed(err, "version 0 has no public key");
    _cleanup(pkey_freep) EVP_PKEY *key = read_private(info);
    enum estc_key_type type;
    if (!key)
        return malformed(err, "it cannot be decoded");
    if (estc_key_type_of(key, &type))
        return malformed(err, "it is none of p256, p384, rsa2048, rsa3072, rsa4096");
    if (!halves_fit(key) || (info->public_key && !has_public(key, info->public_key)))
        return malformed(err, "its public half is not that of the private one");
    ossl_forget();
    *out = TAKE(key);
    return 0;
}

int estc_pkcs8_decode(const void *der, size_t len, EVP_PKEY **out, struct estc_error *err) {
    const unsigned char *p = der;
    if (len == 0 || len > INT_MAX)
        return malformed(err, len ? "too large" : "empty");
    _cleanup(asymmetric_key_freep) ASYMMETRIC_KEY *info =
        (ASYMMETRIC_KEY *)ASN1_item_d2i(NULL, &p, (long)len, ASN1_ITEM_rptr(ASYMMETRIC_KEY));
    if (!info)
        return malformed(err, "not PKCS#8");
    if (p != (const unsigned char *)der + len)
        return malformed(err, "bytes left over behind it");
    return read_key(info, out, err);
}

int pkcs8_package_decode(const unsigned char *der, size_t len, EVP_PKEY **out,
                         struct estc_error *err) {
    const unsigned char *p = der;
    if (len == 0 || len > INT_MAX)
        return malformed(err, len ? "too large" : "empty");
    _cleanup(package_freep) PACKAGE *package =
        (PACKAGE *)ASN1_item_d2i(NULL, &p, (long)len, ASN1_ITEM_rptr(PACKAGE));
    if (!package)
        return malformed(err, "not AsymmetricKeyPackage");
    if (p != der + len)
        return malformed(err, "bytes left over behind it");
    if (OPENSSL_sk_num(package) != 1)
        return malformed(err, "more or fewer than one key in the package");
    return read_key(OPENSSL_sk_value(package, 0), out, err);
}

/* --- writing --- */

int estc_pkcs8_encode(const EVP_PKEY *key, struct estc_buf *out, struct estc_error *err) {
    unsigned char *der = NULL;
    _cleanup(pkcs8_freep) PKCS8_PRIV_KEY_INFO *p8 = EVP_PKEY2PKCS8(key);
    int len = p8 ? i2d_PKCS8_PRIV_KEY_INFO(p8, &der) : -1;
    if (len <= 0)
        return ossl_error(err, -EINVAL, "cannot write the private key as PKCS#8");
    int rc = estc_buf_append(out, der, (size_t)len);
    OPENSSL_clear_free(der, (size_t)len);
    return rc ? estc_error_set(err, rc, "out of memory") : 0;
}

int pkcs8_package_encode(const EVP_PKEY *key, struct estc_buf *out, struct estc_error *err) {
    _cleanup(estc_buf_clear) struct estc_buf one = {0};
    int rc = estc_pkcs8_encode(key, &one, err);
    if (rc)
        return rc;
    unsigned char head[16], *end = head;
    ASN1_put_object(&end, 1, (int)one.len, V_ASN1_SEQUENCE, V_ASN1_UNIVERSAL);
    rc = estc_buf_append(out, head, (size_t)(end - head));
    if (!rc)
        rc = estc_buf_append(out, one.data, one.len);
    return rc ? estc_error_set(err, rc, "out of memory") : 0;
}
