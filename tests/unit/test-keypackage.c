/* SPDX-License-Identifier: BSD-2-Clause */
/* Keys are sealed by what the client has listed, and by nothing else. */
#include "keypackage_fixture.h"

/* --- the two kinds --- */

static void k13_sealed_with_a_secret(void **state) {
    (void)state;
    for (size_t len = 16; len <= 32; len += 16) {
        struct estc_seal seal = by_secret(len);
        _cleanup(estc_buf_clear) struct estc_buf sealed = sealed_for(&seal);
        assert_opens(&sealed, &seal);
        assert_printed(&sealed,
                       (const char *const[]){"pkcs7-envelopedData", "d.kekri", "version: 4",
                                             "6b 65 6b 2d 37", "pkcs7-signedData",
                                             len == 16 ? "id-aes128-wrap" : "id-aes256-wrap",
                                             len == 16 ? "aes-128-cbc" : "aes-256-cbc", NULL});
    }
}

static void k14_sealed_for_a_certificate(void **state) {
    (void)state;
    static const struct {
        enum estc_key_type type;
        const char *usage, *parts[4];
    } kinds[] = {
        {ESTC_KEY_P256, "keyAgreement", {"d.kari", "sha256kdf", "aes-128-cbc"}},
        {ESTC_KEY_P384, "keyAgreement", {"d.kari", "sha256kdf", "aes-256-cbc"}},
        {ESTC_KEY_RSA2048, "keyEncipherment", {"d.ktri", "rsaesOaep", "aes-128-cbc"}},
        {ESTC_KEY_P256, NULL, {"d.kari"}}, /* unrestricted */
    };
    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        _cleanup(pkey_freep) EVP_PKEY *key = NULL;
        _cleanup(x509_freep) X509 *cert = recipient(kinds[i].type, kinds[i].usage, &key);
        struct estc_seal own = {.cert = cert, .key = key}, theirs = {.cert = cert};
        _cleanup(estc_seal_wish_clear) struct estc_seal_wish wish = wish_of(&own);
        assert_int_equal(wish.kind, ESTC_SEAL_CERT);
        assert_true(estc_seal_wish_names(&wish, cert));
        assert_false(estc_seal_wish_names(&wish, all.server));
        _cleanup(estc_buf_clear) struct estc_buf sealed = seal_as(&theirs, &wish);
        assert_opens(&sealed, &own);
        assert_printed(&sealed, kinds[i].parts);
    }
}

/* A certificate that is for signing only must not be encrypted to. */
static void k14_key_usage_binds(void **state) {
    (void)state;
    static const enum estc_key_type types[] = {ESTC_KEY_P256, ESTC_KEY_RSA2048};
    for (size_t i = 0; i < 2; i++) {
        _cleanup(pkey_freep) EVP_PKEY *key = NULL;
        _cleanup(x509_freep) X509 *cert = recipient(types[i], "digitalSignature", &key);
        struct estc_seal seal = {.cert = cert, .key = key};
        struct estc_error err = {0};
        assert_int_equal(estc_seal_check(&seal, &err), ESTC_E_CREDENTIAL);
        assert_non_null(strstr(err.text, "key usage lacks"));
        struct estc_seal_wish wish = {.kind = ESTC_SEAL_CERT, .capabilities = ~0u};
        struct estc_buf out = {0};
        assert_int_equal(estc_keypackage_seal(all.key, &wish, &seal, &all.signer, &out, &err),
                         ESTC_E_CREDENTIAL);
        assert_null(out.data);
    }
}

static void k14_found_by_issuer_and_serial(void **state) {
    (void)state;
    PKCS7_ISSUER_AND_SERIAL pair = {.issuer = X509_get_issuer_name(all.server),
                                    .serial = X509_get_serialNumber(all.server)};
    unsigned char *der = NULL;
    int len = i2d_PKCS7_ISSUER_AND_SERIAL(&pair, &der);
    struct estc_seal_wish wish = {.kind = ESTC_SEAL_CERT};
    assert_int_equal(estc_buf_append(&wish.id, der, (size_t)len), 0);
    OPENSSL_free(der);
    assert_true(estc_seal_wish_names(&wish, all.server));
    assert_false(estc_seal_wish_names(&wish, all.ca));
    wish.kind = ESTC_SEAL_SECRET;
    assert_false(estc_seal_wish_names(&wish, all.server));
    estc_seal_wish_clear(&wish);
}

/* --- only what the client has listed --- */

static void k12_capabilities_bind(void **state) {
    (void)state;
    _cleanup(pkey_freep) EVP_PKEY *rsa_key = NULL, *ec_key = NULL;
    _cleanup(x509_freep) X509 *rsa = recipient(ESTC_KEY_RSA2048, NULL, &rsa_key);
    _cleanup(x509_freep) X509 *ec = recipient(ESTC_KEY_P256, NULL, &ec_key);
    struct estc_seal secret16 = by_secret(16), secret32 = by_secret(32);
    struct estc_seal for_rsa = {.cert = rsa, .key = rsa_key}, for_ec = {.cert = ec, .key = ec_key};
    const struct {
        const struct estc_seal *seal;
        unsigned listed;
        const char *parts[4]; /* none: refused */
    } cases[] = {
        {&secret16, SEAL_AES128_WRAP, {"id-aes128-wrap", "aes-128-cbc"}},
        {&secret16, SEAL_AES128_WRAP | SEAL_AES256_CBC, {"id-aes128-wrap", "aes-256-cbc"}},
        {&secret16, SEAL_AES256_WRAP | SEAL_AES128_CBC, {NULL}},
        {&secret32, SEAL_AES128_WRAP | SEAL_AES256_CBC, {NULL}},
        {&secret32, SEAL_RSA | SEAL_RSA_OAEP | SEAL_ECDH_SHA256, {NULL}},
        {&secret32, 0, {NULL}},
        {&for_rsa, SEAL_RSA, {"d.ktri", "rsaEncryption", "aes-128-cbc"}},
        {&for_rsa, SEAL_RSA | SEAL_RSA_OAEP | SEAL_AES256_CBC, {"rsaesOaep", "aes-256-cbc"}},
        {&for_rsa, SEAL_ECDH_SHA256 | SEAL_AES128_WRAP | SEAL_AES128_CBC, {NULL}},
        {&for_ec, SEAL_ECDH_SHA256 | SEAL_AES128_WRAP, {"id-aes128-wrap", "aes-128-cbc"}},
        {&for_ec, SEAL_ECDH_SHA256 | SEAL_AES256_WRAP, {"id-aes256-wrap", "aes-256-cbc"}},
        {&for_ec, SEAL_ECDH_SHA256, {NULL}},
        {&for_ec, SEAL_AES128_WRAP | SEAL_AES128_CBC, {NULL}},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct estc_seal_wish wish = {.kind = ESTC_SEAL_CERT, .capabilities = cases[i].listed};
        if (cases[i].parts[0]) {
            _cleanup(estc_buf_clear) struct estc_buf sealed = seal_as(cases[i].seal, &wish);
            assert_printed(&sealed, cases[i].parts);
            assert_opens(&sealed, cases[i].seal);
            continue;
        }
        struct estc_buf out = {0};
        struct estc_error err = {0};
        assert_int_equal(
            estc_keypackage_seal(all.key, &wish, cases[i].seal, &all.signer, &out, &err),
            ESTC_E_REJECTED);
        assert_null(out.data);
        assert_non_null(strstr(err.text, "SMIMECapabilities"));
    }
}

/* The second of the same type becomes a second value: OpenSSL adds no attribute twice. */
static void add_attribute(X509_REQ *csr, const char *oid, int type, const char *value, int len) {
    ASN1_OBJECT *object = OBJ_txt2obj(oid, 1);
    ASN1_STRING *string = ASN1_STRING_type_new(type); /* so that it may be empty */
    assert_true(ASN1_STRING_set(string, value, len));
    int at = X509_REQ_get_attr_by_OBJ(csr, object, -1);
    if (at >= 0)
        assert_true(X509_ATTRIBUTE_set1_data(X509_REQ_get_attr(csr, at), type, string, -1));
    else
        assert_true(
            X509_REQ_add1_attr_by_OBJ(csr, object, type, (const unsigned char *)string, -1));
    ASN1_STRING_free(string);
    ASN1_OBJECT_free(object);
}

#define CAPABILITIES "1.2.840.113549.1.9.15"
#define SECRET_ID "1.2.840.113549.1.9.16.2.37"
#define CERT_ID "1.2.840.113549.1.9.16.2.54"
#define WRAP128 "\x30\x0d\x30\x0b\x06\x09\x60\x86\x48\x01\x65\x03\x04\x01\x05"

static void k07_k12_wishes(void **state) {
    (void)state;
    static const struct {
        struct {
            const char *oid;
            int type;
            const char *value;
            int len;
        } attributes[3];
        int rc, kind;
    } cases[] = {
        {{{NULL}}, 0, ESTC_SEAL_NONE},
        {{{CAPABILITIES, V_ASN1_SEQUENCE, WRAP128, 15}}, 0, ESTC_SEAL_NONE},
        {{{CAPABILITIES, V_ASN1_SEQUENCE, WRAP128, 15}, {SECRET_ID, V_ASN1_OCTET_STRING, "k", 1}},
         0,
         ESTC_SEAL_SECRET},
        {{{CERT_ID, V_ASN1_OCTET_STRING, "k", 1}, {CAPABILITIES, V_ASN1_SEQUENCE, WRAP128, 15}},
         0,
         ESTC_SEAL_CERT},
        {{{SECRET_ID, V_ASN1_OCTET_STRING, "k", 1}}, ESTC_E_MALFORMED, 0},
        {{{CERT_ID, V_ASN1_OCTET_STRING, "k", 1}}, ESTC_E_MALFORMED, 0},
        {{{SECRET_ID, V_ASN1_OCTET_STRING, "k", 1},
          {CERT_ID, V_ASN1_OCTET_STRING, "k", 1},
          {CAPABILITIES, V_ASN1_SEQUENCE, WRAP128, 15}},
         ESTC_E_MALFORMED,
         0},
        {{{SECRET_ID, V_ASN1_OCTET_STRING, "k", 1},
          {SECRET_ID, V_ASN1_OCTET_STRING, "l", 1},
          {CAPABILITIES, V_ASN1_SEQUENCE, WRAP128, 15}},
         ESTC_E_MALFORMED,
         0},
        {{{SECRET_ID, V_ASN1_UTF8STRING, "k", 1}, {CAPABILITIES, V_ASN1_SEQUENCE, WRAP128, 15}},
         ESTC_E_MALFORMED,
         0},
        {{{SECRET_ID, V_ASN1_OCTET_STRING, "", 0}, {CAPABILITIES, V_ASN1_SEQUENCE, WRAP128, 15}},
         ESTC_E_MALFORMED,
         0},
        {{{SECRET_ID, V_ASN1_OCTET_STRING, "k", 1},
          {CAPABILITIES, V_ASN1_SEQUENCE, "\x30\x02\x04\x00", 4}},
         ESTC_E_MALFORMED,
         0},
        {{{CAPABILITIES, V_ASN1_OCTET_STRING, WRAP128, 15}}, ESTC_E_MALFORMED, 0},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        _cleanup(x509_req_freep) X509_REQ *csr = X509_REQ_new();
        for (size_t j = 0; j < 3 && cases[i].attributes[j].oid; j++)
            add_attribute(csr, cases[i].attributes[j].oid, cases[i].attributes[j].type,
                          cases[i].attributes[j].value, cases[i].attributes[j].len);
        struct estc_seal_wish wish = {0};
        assert_int_equal(estc_seal_wish_get(csr, &wish, NULL), cases[i].rc);
        assert_int_equal((int)wish.kind, cases[i].kind);
        if (wish.kind != ESTC_SEAL_NONE) {
            assert_int_equal(wish.capabilities, SEAL_AES128_WRAP);
            assert_int_equal(wish.id.len, 1);
            assert_memory_equal(wish.id.data, "k", 1);
        }
        estc_seal_wish_clear(&wish);
        assert_int_equal(ERR_peek_error(), 0);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(k13_sealed_with_a_secret),
        cmocka_unit_test(k14_sealed_for_a_certificate),
        cmocka_unit_test(k14_key_usage_binds),
        cmocka_unit_test(k14_found_by_issuer_and_serial),
        cmocka_unit_test(k12_capabilities_bind),
        cmocka_unit_test(k07_k12_wishes),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
