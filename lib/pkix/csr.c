/* SPDX-License-Identifier: BSD-2-Clause */
/* PKCS#10 requests (RFC 2986), made for a key and read from a peer. Owns nothing between calls. */
#include <estc/csr.h>

#include <errno.h>
#include <limits.h>
#include <string.h>

#include <openssl/x509v3.h>

#include <estc/key.h>

#include "base/cleanup_ossl.h"
#include "pkix/csr.h"
#include "pkix/newnames.h"
#include "pkix/ossl.h"
#include "pkix/seal.h"

#define CSR_CHALLENGE_MAX 255 /* RFC 2985 section 5.4.1 */

static int csr_fail(struct estc_error *err) {
    return ossl_error(err, -ENOMEM, "cannot build a certification request");
}

/* Takes a copy of the extension into what is asked for. */
static int csr_add_extension(STACK_OF(X509_EXTENSION) * asked, const X509_EXTENSION *ext,
                             struct estc_error *err) {
    _cleanup(extension_freep) X509_EXTENSION *copy = X509_EXTENSION_dup(ext);
    if (!copy || !sk_X509_EXTENSION_push(asked, copy))
        return csr_fail(err);
    copy = NULL;
    return 0;
}

/* The names that are given, the subject ready-made or out of text. */
static int csr_given_names(const struct estc_csr_spec *spec, X509_NAME **subject,
                           GENERAL_NAMES **sans, struct estc_error *err) {
    _cleanup(x509_name_freep) X509_NAME *name = NULL;
    _cleanup(general_names_freep) GENERAL_NAMES *names = GENERAL_NAMES_new();
    int rc = 0;
    if (spec->name)
        name = X509_NAME_dup(spec->name);
    else
        rc = estc_subject_parse(spec->subject ? spec->subject : "", &name, err);
    if (rc || !name || !names)
        return rc ? rc : csr_fail(err);
    for (size_t i = 0; spec->sans && spec->sans[i]; i++) {
        _cleanup(general_name_freep) GENERAL_NAME *san = NULL;
        rc = estc_san_parse(spec->sans[i], &san, err);
        if (rc)
            return rc;
        if (!sk_GENERAL_NAME_push(names, san))
            return csr_fail(err);
        san = NULL;
    }
    *subject = TAKE(name);
    *sans = TAKE(names);
    return 0;
}

static int csr_put_names(X509_REQ *req, STACK_OF(X509_EXTENSION) * asked,
                         const struct estc_csr_spec *spec, struct estc_error *err) {
    _cleanup(x509_name_freep) X509_NAME *subject = NULL;
    _cleanup(general_names_freep) GENERAL_NAMES *sans = NULL;
    int rc = csr_given_names(spec, &subject, &sans, err);
    if (rc)
        return rc;
    if (!X509_REQ_set_subject_name(req, subject))
        return csr_fail(err);
    if (sk_GENERAL_NAME_num(sans) == 0)
        return 0;
    /* Critical when there is no subject beside it (RFC 5280 section 4.2.1.6). */
    int critical = X509_NAME_entry_count(subject) == 0;
    _cleanup(extension_freep) X509_EXTENSION *ext =
        X509V3_EXT_i2d(NID_subject_alt_name, critical, sans);
    return ext ? csr_add_extension(asked, ext, err) : csr_fail(err);
}

/* The names that are given do not stand in the request, but are asked for beside those of the
 * certificate (RFC 7030 section 4.2.2). A subjectAltName among the extensions is one of them. */
static int csr_ask_new_names(X509_REQ *req, const struct estc_csr_spec *spec,
                             struct estc_error *err) {
    _cleanup(x509_name_freep) X509_NAME *subject = NULL;
    _cleanup(general_names_freep) GENERAL_NAMES *sans = NULL;
    int rc = csr_given_names(spec, &subject, &sans, err);
    if (rc)
        return rc;
    _cleanup(general_names_freep) GENERAL_NAMES *others =
        X509V3_get_d2i(spec->extensions, NID_subject_alt_name, NULL, NULL);
    return newnames_add(req, subject, others ? others : sans, err);
}

/* The same names as the certificate has, DER for DER (RFC 7030 section 4.2.2): OpenSSL keeps the
 * encoding of a name and of an extension's value as they were read. */
static int csr_names_from_cert(X509_REQ *req, STACK_OF(X509_EXTENSION) * asked, const X509 *cert,
                               struct estc_error *err) {
    if (!X509_REQ_set_subject_name(req, X509_get_subject_name(cert)))
        return csr_fail(err);
    int at = X509_get_ext_by_NID(cert, NID_subject_alt_name, -1);
    if (at < 0)
        return 0;
    if (X509_get_ext_by_NID(cert, NID_subject_alt_name, at) >= 0)
        return estc_error_set(err, ESTC_E_CREDENTIAL,
                              "the certificate to renew has subjectAltName twice: enroll anew");
    return csr_add_extension(asked, X509_get_ext(cert, at), err);
}

/* All extensions asked for stand in one attribute (RFC 5272 section 3.1, RFC 2985 section 5.4.2).
 */
static int csr_fill_extensions(X509_REQ *req, const struct estc_csr_spec *spec,
                               struct estc_error *err) {
    _cleanup(extensions_freep) STACK_OF(X509_EXTENSION) *asked = sk_X509_EXTENSION_new_null();
    if (!asked)
        return csr_fail(err);
    int rc = spec->renew ? csr_names_from_cert(req, asked, spec->renew, err)
                         : csr_put_names(req, asked, spec, err);
    int apart = spec->renew && spec->rename
                    ? X509v3_get_ext_by_NID(spec->extensions, NID_subject_alt_name, -1)
                    : -1;
    for (int i = 0; !rc && i < sk_X509_EXTENSION_num(spec->extensions); i++)
        if (i != apart)
            rc = csr_add_extension(asked, sk_X509_EXTENSION_value(spec->extensions, i), err);
    if (!rc && sk_X509_EXTENSION_num(asked) > 0 && !X509_REQ_add_extensions(req, asked))
        rc = csr_fail(err);
    return rc;
}

static int csr_fill_attributes(X509_REQ *req, const struct estc_csr_spec *spec,
                               struct estc_error *err) {
    const char *text = spec->challenge;
    if (text && (strlen(text) == 0 || strlen(text) > CSR_CHALLENGE_MAX))
        return estc_error_set(err, -EINVAL, "a challengePassword has 1 to %d bytes",
                              CSR_CHALLENGE_MAX);
    /* PrintableString (RFC 2985 section 5.4.1), which holds all of base64. */
    if (text && !X509_REQ_add1_attr_by_NID(req, NID_pkcs9_challengePassword, V_ASN1_PRINTABLESTRING,
                                           (const unsigned char *)text, (int)strlen(text)))
        return csr_fail(err);
    for (int i = 0; i < sk_X509_ATTRIBUTE_num(spec->attributes); i++)
        if (!X509_REQ_add1_attr(req, sk_X509_ATTRIBUTE_value(spec->attributes, i)))
            return csr_fail(err);
    int rc = spec->seal ? seal_wish_add(req, spec->seal, err) : 0;
    return !rc && spec->renew && spec->rename ? csr_ask_new_names(req, spec, err) : rc;
}

int estc_csr_build(EVP_PKEY *key, const struct estc_csr_spec *spec, struct estc_buf *out,
                   struct estc_error *err) {
    enum estc_key_type type;
    if (estc_key_type_of(key, &type))
        return estc_error_set(err, ESTC_E_CREDENTIAL, "the key is of a type that is not supported");
    _cleanup(x509_req_freep) X509_REQ *req = X509_REQ_new(); /* version 0, attributes empty */
    if (!req || !X509_REQ_set_pubkey(req, key))
        return csr_fail(err);
    int rc = csr_fill_extensions(req, spec, err);
    if (!rc)
        rc = csr_fill_attributes(req, spec, err);
    if (rc)
        return rc;
    const EVP_MD *digest = spec->digest            ? spec->digest
                           : type == ESTC_KEY_P384 ? EVP_sha384()
                                                   : EVP_sha256();
    if (!X509_REQ_sign(req, key, digest))
        return ossl_error(err, ESTC_E_CREDENTIAL, "the key cannot sign a certification request");
    unsigned char *der = NULL;
    int len = i2d_X509_REQ(req, &der);
    if (len < 0)
        return csr_fail(err);
    rc = estc_buf_append(out, der, (size_t)len);
    OPENSSL_free(der);
    return rc ? estc_error_set(err, rc, "out of memory") : 0;
}

/* Whether der is how we would write the request. What is signed is compared as it came, since
 * OpenSSL keeps it; so this is about the outer structure, and small encoders that order attributes
 * in their own way still pass. */
static bool csr_is_der(X509_REQ *req, const unsigned char *der, size_t len) {
    unsigned char *again = NULL;
    int again_len = i2d_X509_REQ(req, &again);
    bool same = again_len > 0 && (size_t)again_len == len && memcmp(again, der, len) == 0;
    OPENSSL_free(again);
    return same;
}

int csr_attribute(const X509_REQ *req, const ASN1_OBJECT *type, const ASN1_TYPE **out) {
    int at = X509_REQ_get_attr_by_OBJ(req, type, -1);
    if (at < 0) {
        *out = NULL;
        return 0;
    }
    X509_ATTRIBUTE *attribute = X509_REQ_get_attr(req, at);
    const ASN1_TYPE *value =
        X509_ATTRIBUTE_count(attribute) == 1 ? X509_ATTRIBUTE_get0_type(attribute, 0) : NULL;
    if (!value || X509_REQ_get_attr_by_OBJ(req, type, at) >= 0)
        return -EINVAL;
    *out = value;
    return 0;
}

static int csr_bad_extensions(struct estc_error *err) {
    return ossl_error(err, ESTC_E_MALFORMED,
                      "certification request: the extensions asked for are broken or doubled");
}

int csr_extensions(const X509_REQ *req, STACK_OF(X509_EXTENSION) * *out, struct estc_error *err) {
    const ASN1_TYPE *value = NULL;
    /* Microsoft's old OID for the same, which OpenSSL reads as well. */
    if (csr_attribute(req, OBJ_nid2obj(NID_ext_req), &value) ||
        X509_REQ_get_attr_by_NID(req, NID_ms_ext_req, -1) >= 0 ||
        (value && value->type != V_ASN1_SEQUENCE))
        return csr_bad_extensions(err);
    _cleanup(extensions_freep) STACK_OF(X509_EXTENSION) *list =
        value ? ASN1_TYPE_unpack_sequence(ASN1_ITEM_rptr(X509_EXTENSIONS), value)
              : sk_X509_EXTENSION_new_null();
    if (!list)
        return value ? csr_bad_extensions(err) : ossl_error(err, -ENOMEM, "out of memory");
    for (int i = 0; i < sk_X509_EXTENSION_num(list); i++) {
        const ASN1_OBJECT *oid = X509_EXTENSION_get_object(sk_X509_EXTENSION_value(list, i));
        if (X509v3_get_ext_by_OBJ(list, oid, i) >= 0)
            return csr_bad_extensions(err);
    }
    *out = TAKE(list);
    return 0;
}

bool csr_has_challenge(const X509_REQ *req) {
    return X509_REQ_get_attr_by_NID(req, NID_pkcs9_challengePassword, -1) >= 0;
}

int csr_read(const void *der, size_t len, X509_REQ **out, struct estc_error *err) {
    const unsigned char *p = der;
    if (len == 0 || len > INT_MAX)
        return estc_error_set(err, ESTC_E_MALFORMED, "certification request: %s",
                              len ? "too large" : "empty");
    _cleanup(x509_req_freep) X509_REQ *req = d2i_X509_REQ(NULL, &p, (long)len);
    if (!req)
        return ossl_error(err, ESTC_E_MALFORMED, "certification request: not PKCS#10 in DER");
    if (p != (const unsigned char *)der + len)
        return estc_error_set(err, ESTC_E_MALFORMED,
                              "certification request: bytes left over behind it");
    if (X509_REQ_get_version(req) != X509_REQ_VERSION_1 || !csr_is_der(req, der, len))
        return ossl_error(err, ESTC_E_MALFORMED,
                          "certification request: not version 1 of PKCS#10 in DER");
    ossl_forget();
    _cleanup(extensions_freep) STACK_OF(X509_EXTENSION) *asked = NULL;
    int rc = csr_extensions(req, &asked, err);
    if (rc)
        return rc;
    *out = TAKE(req);
    return 0;
}

int estc_csr_parse(const void *der, size_t len, X509_REQ **out, struct estc_error *err) {
    _cleanup(x509_req_freep) X509_REQ *req = NULL;
    int rc = csr_read(der, len, &req, err);
    if (rc)
        return rc;
    EVP_PKEY *key = X509_REQ_get0_pubkey(req);
    enum estc_key_type type;
    if (!key || estc_key_type_of(key, &type))
        return ossl_error(err, ESTC_E_MALFORMED,
                          "certification request: its key is none of p256, p384, rsa2048, "
                          "rsa3072, rsa4096");
    if (X509_REQ_verify(req, key) != 1)
        return ossl_error(err, ESTC_E_MALFORMED,
                          "certification request: its signature is not that of its key");
    ossl_forget();
    *out = TAKE(req);
    return 0;
}
