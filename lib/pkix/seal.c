/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a request says about the sealing of the key that a server is to make for it (RFC 7030
 * section 4.4.1): the attributes SMIMECapabilities, DecryptKeyIdentifier and
 * AsymmetricDecryptKeyIdentifier, written and read, and which means are fit for it. Encrypts
 * nothing; keypackage.c does.
 */
#include "pkix/seal.h"

#include <errno.h>
#include <string.h>

#include <openssl/objects.h>
#include <openssl/x509v3.h>

#include <estc/key.h>

#include "base/cleanup_ossl.h"
#include "pkix/csr.h"
#include "pkix/ossl.h"

#define OID_DECRYPT_KEY_ID "1.2.840.113549.1.9.16.2.37"
#define OID_ASYMMETRIC_DECRYPT_KEY_ID "1.2.840.113549.1.9.16.2.54"

static const struct {
    int nid;
    unsigned capability;
} algorithms[] = {
    {NID_aes_128_cbc, SEAL_AES128_CBC},
    {NID_aes_256_cbc, SEAL_AES256_CBC},
    {NID_id_aes128_wrap, SEAL_AES128_WRAP},
    {NID_id_aes256_wrap, SEAL_AES256_WRAP},
    {NID_rsaesOaep, SEAL_RSA_OAEP},
    {NID_rsaEncryption, SEAL_RSA},
    {NID_dhSinglePass_stdDH_sha256kdf_scheme, SEAL_ECDH_SHA256},
};
#define ALGORITHMS (sizeof(algorithms) / sizeof(algorithms[0]))

static void algors_free(X509_ALGORS *list) {
    sk_X509_ALGOR_pop_free(list, X509_ALGOR_free);
}
CLEANUP_DEFINE(X509_ALGORS *, algors_freep, algors_free);
CLEANUP_DEFINE(X509_ALGOR *, algor_freep, X509_ALGOR_free);

/* --- the means --- */

static bool secret_fits(const struct estc_seal *seal) {
    return seal->secret_len == 16 || seal->secret_len == 32;
}

static const char *cert_fault(X509 *cert, const EVP_PKEY *key) {
    const EVP_PKEY *public = X509_get0_pubkey(cert);
    enum estc_key_type type;
    if (!public || estc_key_type_of(public, &type))
        return "its key is none of p256, p384, rsa2048, rsa3072, rsa4096";
    bool rsa = EVP_PKEY_is_a(public, "RSA");
    if (!(X509_get_key_usage(cert) & (rsa ? KU_KEY_ENCIPHERMENT : KU_KEY_AGREEMENT)))
        return rsa ? "its key usage lacks keyEncipherment" : "its key usage lacks keyAgreement";
    if (key && EVP_PKEY_eq(public, key) != 1)
        return "the private key is not its own";
    if (key && !X509_get0_subject_key_id(cert)) /* by which whoever opens is asked for */
        return "it has no subject key identifier";
    return NULL;
}

int estc_seal_check(const struct estc_seal *seal, struct estc_error *err) {
    if (!seal->secret == !seal->cert)
        return estc_error_set(err, ESTC_E_CREDENTIAL,
                              "sealing takes a secret key or a certificate, one of them");
    if (seal->secret && !secret_fits(seal))
        return estc_error_set(err, ESTC_E_CREDENTIAL,
                              "a secret for sealing has %zu bytes: make it 16 or 32",
                              seal->secret_len);
    if (seal->secret && (seal->id_len == 0 || seal->id_len > ESTC_SEAL_ID_MAX))
        return estc_error_set(err, ESTC_E_CREDENTIAL,
                              "the name of a secret for sealing has %zu bytes: make it 1 to %d",
                              seal->id_len, ESTC_SEAL_ID_MAX);
    const char *fault = seal->cert ? cert_fault(seal->cert, seal->key) : NULL;
    return fault ? ossl_error(err, ESTC_E_CREDENTIAL, "certificate for sealing: %s", fault) : 0;
}

/* --- writing --- */

static unsigned capabilities_of(const struct estc_seal *seal) {
    if (seal->secret)
        return SEAL_AES128_CBC | SEAL_AES256_CBC |
               (seal->secret_len == 16 ? SEAL_AES128_WRAP : SEAL_AES256_WRAP);
    if (EVP_PKEY_is_a(X509_get0_pubkey(seal->cert), "RSA"))
        return SEAL_AES128_CBC | SEAL_AES256_CBC | SEAL_RSA_OAEP | SEAL_RSA;
    return SEAL_AES128_CBC | SEAL_AES256_CBC | SEAL_AES128_WRAP | SEAL_AES256_WRAP |
           SEAL_ECDH_SHA256;
}

/* Key agreement has its wrap as a parameter (RFC 5753 section 7.2), here the one that every
 * receiver has; the other is listed beside it. */
static bool set_algor(X509_ALGOR *algor, int nid) {
    if (nid == NID_rsaEncryption)
        return X509_ALGOR_set0(algor, OBJ_nid2obj(nid), V_ASN1_NULL, NULL);
    if (nid != NID_dhSinglePass_stdDH_sha256kdf_scheme)
        return X509_ALGOR_set0(algor, OBJ_nid2obj(nid), V_ASN1_UNDEF, NULL);
    _cleanup(algor_freep) X509_ALGOR *wrap = X509_ALGOR_new();
    ASN1_STRING *der = ASN1_STRING_new();
    bool ok =
        wrap && der && X509_ALGOR_set0(wrap, OBJ_nid2obj(NID_id_aes128_wrap), V_ASN1_UNDEF, NULL);
    if (ok) {
        unsigned char *data = NULL;
        int len = i2d_X509_ALGOR(wrap, &data);
        ok = len > 0 && ASN1_STRING_set(der, data, len);
        OPENSSL_free(data);
    }
    if (ok && X509_ALGOR_set0(algor, OBJ_nid2obj(nid), V_ASN1_SEQUENCE, der))
        return true;
    ASN1_STRING_free(der);
    return false;
}

static X509_ALGORS *list_capabilities(unsigned capabilities) {
    _cleanup(algors_freep) X509_ALGORS *list = sk_X509_ALGOR_new_null();
    for (size_t i = 0; list && i < ALGORITHMS; i++) {
        if (!(capabilities & algorithms[i].capability))
            continue;
        _cleanup(algor_freep) X509_ALGOR *algor = X509_ALGOR_new();
        if (!algor || !set_algor(algor, algorithms[i].nid) || !sk_X509_ALGOR_push(list, algor))
            return NULL;
        algor = NULL;
    }
    return TAKE(list);
}

static bool add_capabilities(X509_REQ *csr, unsigned capabilities) {
    unsigned char *der = NULL;
    _cleanup(algors_freep) X509_ALGORS *list = list_capabilities(capabilities);
    int len = list ? i2d_X509_ALGORS(list, &der) : -1;
    bool ok =
        len > 0 && X509_REQ_add1_attr_by_NID(csr, NID_SMIMECapabilities, V_ASN1_SEQUENCE, der, len);
    OPENSSL_free(der);
    return ok;
}

static bool add_identifier(X509_REQ *csr, const char *dotted, const unsigned char *id, size_t len) {
    _cleanup(object_freep) ASN1_OBJECT *oid = OBJ_txt2obj(dotted, 1);
    return oid && X509_REQ_add1_attr_by_OBJ(csr, oid, V_ASN1_OCTET_STRING, id, (int)len);
}

int seal_wish_add(X509_REQ *csr, const struct estc_seal *seal, struct estc_error *err) {
    int rc = estc_seal_check(seal, err);
    if (rc)
        return rc;
    const ASN1_OCTET_STRING *ski = seal->cert ? X509_get0_subject_key_id(seal->cert) : NULL;
    bool ok = add_capabilities(csr, capabilities_of(seal));
    if (ok && ski)
        ok = add_identifier(csr, OID_ASYMMETRIC_DECRYPT_KEY_ID, ASN1_STRING_get0_data(ski),
                            (size_t)ASN1_STRING_length(ski));
    else if (ok)
        ok = add_identifier(csr, OID_DECRYPT_KEY_ID, seal->id, seal->id_len);
    return ok ? 0 : ossl_error(err, -ENOMEM, "cannot build a certification request");
}

/* --- reading --- */

static int malformed(struct estc_error *err, const char *why) {
    return ossl_error(err, ESTC_E_MALFORMED, "certification request: %s", why);
}

/* What is not known here is passed over: it is a list of what would be welcome. */
static unsigned capability_of(const X509_ALGOR *algor) {
    const ASN1_OBJECT *oid = NULL;
    X509_ALGOR_get0(&oid, NULL, NULL, algor);
    int nid = OBJ_obj2nid(oid);
    for (size_t i = 0; i < ALGORITHMS; i++)
        if (algorithms[i].nid == nid)
            return algorithms[i].capability;
    return 0;
}

/* The wrap that stands as a parameter of a key agreement is listed by that. */
static unsigned parameter_of(const X509_ALGOR *algor) {
    int type = V_ASN1_UNDEF;
    const void *value = NULL;
    X509_ALGOR_get0(NULL, &type, &value, algor);
    if (type != V_ASN1_SEQUENCE || capability_of(algor) != SEAL_ECDH_SHA256)
        return 0;
    const unsigned char *p = ASN1_STRING_get0_data(value);
    _cleanup(algor_freep) X509_ALGOR *wrap = d2i_X509_ALGOR(NULL, &p, ASN1_STRING_length(value));
    return wrap ? capability_of(wrap) & (SEAL_AES128_WRAP | SEAL_AES256_WRAP) : 0;
}

/* *listed: whether the attribute is there at all. */
static int get_capabilities(const X509_REQ *csr, unsigned *out, bool *listed,
                            struct estc_error *err) {
    const ASN1_TYPE *value;
    if (csr_attribute(csr, OBJ_nid2obj(NID_SMIMECapabilities), &value) ||
        (value && value->type != V_ASN1_SEQUENCE))
        return malformed(err, "SMIMECapabilities is broken or doubled");
    *listed = value != NULL;
    *out = 0;
    if (!value)
        return 0;
    _cleanup(algors_freep) X509_ALGORS *list =
        ASN1_TYPE_unpack_sequence(ASN1_ITEM_rptr(X509_ALGORS), value);
    if (!list)
        return malformed(err, "SMIMECapabilities is broken or doubled");
    for (int i = 0; i < sk_X509_ALGOR_num(list); i++) {
        const X509_ALGOR *algor = sk_X509_ALGOR_value(list, i);
        *out |= capability_of(algor) | parameter_of(algor);
    }
    ossl_forget();
    return 0;
}

static int get_identifier(const X509_REQ *csr, const char *dotted, enum estc_seal_kind kind,
                          struct estc_seal_wish *wish, struct estc_error *err) {
    const ASN1_TYPE *value;
    _cleanup(object_freep) ASN1_OBJECT *oid = OBJ_txt2obj(dotted, 1);
    if (!oid)
        return ossl_error(err, -ENOMEM, "out of memory");
    if (csr_attribute(csr, oid, &value) || (value && value->type != V_ASN1_OCTET_STRING))
        return malformed(err, "the identifier of a key to encrypt with is broken or doubled");
    if (!value)
        return 0;
    int len = ASN1_STRING_length(value->value.octet_string);
    if (wish->kind != ESTC_SEAL_NONE)
        return malformed(err, "it names two kinds of keys to encrypt with");
    if (len < 1 || len > SEAL_WISH_ID_MAX)
        return malformed(err, "the identifier of a key to encrypt with has no usable length");
    wish->kind = kind;
    int rc =
        estc_buf_append(&wish->id, ASN1_STRING_get0_data(value->value.octet_string), (size_t)len);
    return rc ? estc_error_set(err, rc, "out of memory") : 0;
}

void estc_seal_wish_clear(struct estc_seal_wish *wish) {
    estc_buf_clear(&wish->id);
    *wish = (struct estc_seal_wish){0};
}

int estc_seal_wish_get(const X509_REQ *csr, struct estc_seal_wish *out, struct estc_error *err) {
    _cleanup(estc_seal_wish_clear) struct estc_seal_wish wish = {0};
    bool listed = false;
    int rc = get_identifier(csr, OID_DECRYPT_KEY_ID, ESTC_SEAL_SECRET, &wish, err);
    if (!rc)
        rc = get_identifier(csr, OID_ASYMMETRIC_DECRYPT_KEY_ID, ESTC_SEAL_CERT, &wish, err);
    if (!rc)
        rc = get_capabilities(csr, &wish.capabilities, &listed, err);
    if (!rc && wish.kind != ESTC_SEAL_NONE && !listed)
        rc = malformed(err, "it names a key to encrypt with, and no SMIMECapabilities beside it");
    if (rc)
        return rc;
    *out = wish;
    wish = (struct estc_seal_wish){0};
    return 0;
}

/* --- whom it means --- */

static bool names_by_serial(const struct estc_buf *id, X509 *cert) {
    PKCS7_ISSUER_AND_SERIAL pair = {.issuer = X509_get_issuer_name(cert),
                                    .serial = X509_get_serialNumber(cert)};
    unsigned char *der = NULL;
    int len = i2d_PKCS7_ISSUER_AND_SERIAL(&pair, &der);
    bool same = len > 0 && (size_t)len == id->len && memcmp(der, id->data, id->len) == 0;
    OPENSSL_free(der);
    return same;
}

bool estc_seal_wish_names(const struct estc_seal_wish *wish, X509 *cert) {
    if (wish->kind != ESTC_SEAL_CERT)
        return false;
    const ASN1_OCTET_STRING *ski = X509_get0_subject_key_id(cert);
    if (ski && (size_t)ASN1_STRING_length(ski) == wish->id.len &&
        memcmp(ASN1_STRING_get0_data(ski), wish->id.data, wish->id.len) == 0)
        return true;
    return names_by_serial(&wish->id, cert);
}
