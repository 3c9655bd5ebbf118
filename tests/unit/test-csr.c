/* SPDX-License-Identifier: BSD-2-Clause */
#include "support.h"

#include <errno.h>
#include <string.h>

#include <openssl/err.h>
#include <openssl/x509v3.h>

#include <estc/csr.h>
#include <estc/key.h>

#include "base/cleanup_ossl.h"
#include "pkix/csr.h"

static struct estc_buf build(EVP_PKEY *key, const struct estc_csr_spec *spec) {
    struct estc_buf der = {0};
    struct estc_error err = {0};
    if (estc_csr_build(key, spec, &der, &err))
        fail_msg("%s", err.text);
    return der;
}

static X509_REQ *parse(const struct estc_buf *der) {
    X509_REQ *req = NULL;
    struct estc_error err = {0};
    if (estc_csr_parse(der->data, der->len, &req, &err))
        fail_msg("%s", err.text);
    return req;
}

static void assert_malformed(const void *der, size_t len, const char *reason) {
    X509_REQ *req = NULL;
    struct estc_error err = {0};
    assert_int_equal(estc_csr_parse(der, len, &req, &err), ESTC_E_MALFORMED);
    assert_null(req);
    if (!strstr(err.text, reason))
        fail_msg("'%s' is not in: %s", reason, err.text);
    assert_int_equal(ERR_peek_error(), 0);
}

/* A request as DER, which frees it. */
static struct estc_buf der_of(X509_REQ *req) {
    struct estc_buf out = {0};
    unsigned char *der = NULL;
    int len = i2d_X509_REQ(req, &der);
    assert_true(len > 0);
    assert_int_equal(estc_buf_append(&out, der, (size_t)len), 0);
    OPENSSL_free(der);
    X509_REQ_free(req);
    return out;
}

static void e03_made_requests_are_read_back(void **state) {
    (void)state;
    static const struct {
        enum estc_key_type type;
        int signature;
    } cases[] = {
        {ESTC_KEY_P256, NID_ecdsa_with_SHA256},
        {ESTC_KEY_P384, NID_ecdsa_with_SHA384},
        {ESTC_KEY_RSA2048, NID_sha256WithRSAEncryption},
    };
    static const char *const sans[] = {"DNS:gw.example", "IP:192.0.2.1", NULL};
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        _cleanup(pkey_freep) EVP_PKEY *key = NULL;
        assert_int_equal(estc_key_generate(cases[i].type, &key, NULL), 0);
        struct estc_buf der =
            build(key, &(struct estc_csr_spec){.subject = "CN=gw,O=x", .sans = sans});
        _cleanup(x509_req_freep) X509_REQ *req = parse(&der);
        assert_int_equal(X509_REQ_get_version(req), 0);
        assert_int_equal(X509_REQ_get_signature_nid(req), cases[i].signature);
        assert_int_equal(EVP_PKEY_eq(X509_REQ_get0_pubkey(req), key), 1);
        assert_int_equal(X509_NAME_entry_count(X509_REQ_get_subject_name(req)), 2);
        _cleanup(extensions_freep) STACK_OF(X509_EXTENSION) *exts = NULL;
        assert_int_equal(csr_extensions(req, &exts, NULL), 0);
        assert_int_equal(sk_X509_EXTENSION_num(exts), 1);
        int critical = -1;
        _cleanup(general_names_freep) GENERAL_NAMES *names =
            X509V3_get_d2i(exts, NID_subject_alt_name, &critical, NULL);
        assert_int_equal(sk_GENERAL_NAME_num(names), 2);
        assert_int_equal(critical, 0);
        estc_buf_clear(&der);
    }
}

/* RFC 2986 section 4.1: attributes is not OPTIONAL, so an empty set is written as A0 00. */
static void e02_empty_attributes_are_present(void **state) {
    (void)state;
    for (int i = 0; i < 2; i++) {
        _cleanup(pkey_freep) EVP_PKEY *key = NULL;
        assert_int_equal(estc_key_generate(i ? ESTC_KEY_RSA2048 : ESTC_KEY_P256, &key, NULL), 0);
        struct estc_buf der = build(key, &(struct estc_csr_spec){.subject = "CN=x"});
        _cleanup(x509_req_freep) X509_REQ *req = parse(&der);
        unsigned char *tbs = NULL;
        int len = i2d_re_X509_REQ_tbs(req, &tbs);
        assert_true(len > 2);
        assert_memory_equal(tbs + len - 2, "\xa0\x00", 2);
        /* ... and so do the bytes that go out: what is signed ends where the algorithm begins. */
        assert_non_null(memmem(der.data, der.len, tbs, (size_t)len));
        OPENSSL_free(tbs);
        estc_buf_clear(&der);
    }
}

static void san_is_critical_without_a_subject(void **state) {
    (void)state;
    static const char *const sans[] = {"URI:urn:dev:mac:0024befffe804ff1", NULL};
    _cleanup(pkey_freep) EVP_PKEY *key = support_key();
    for (int i = 0; i < 2; i++) {
        struct estc_buf der =
            build(key, &(struct estc_csr_spec){.subject = i ? "" : NULL, .sans = sans});
        _cleanup(x509_req_freep) X509_REQ *req = parse(&der);
        assert_int_equal(X509_NAME_entry_count(X509_REQ_get_subject_name(req)), 0);
        _cleanup(extensions_freep) STACK_OF(X509_EXTENSION) *exts = NULL;
        assert_int_equal(csr_extensions(req, &exts, NULL), 0);
        assert_int_equal(X509_EXTENSION_get_critical(sk_X509_EXTENSION_value(exts, 0)), 1);
        estc_buf_clear(&der);
    }
}

static void assert_same_names(const X509_REQ *req, const X509 *cert) {
    const unsigned char *a = NULL, *b = NULL;
    size_t a_len = 0, b_len = 0;
    assert_true(X509_NAME_get0_der(X509_REQ_get_subject_name(req), &a, &a_len));
    assert_true(X509_NAME_get0_der(X509_get_subject_name(cert), &b, &b_len));
    assert_int_equal(a_len, b_len);
    assert_memory_equal(a, b, a_len);
    _cleanup(extensions_freep) STACK_OF(X509_EXTENSION) *exts = NULL;
    assert_int_equal(csr_extensions(req, &exts, NULL), 0);
    int at = X509_get_ext_by_NID(cert, NID_subject_alt_name, -1);
    assert_int_equal(sk_X509_EXTENSION_num(exts), at >= 0 ? 1 : 0);
    if (at < 0)
        return;
    unsigned char *mine = NULL, *its = NULL;
    int mine_len = i2d_X509_EXTENSION(sk_X509_EXTENSION_value(exts, 0), &mine);
    int its_len = i2d_X509_EXTENSION(X509_get_ext(cert, at), &its);
    assert_int_equal(mine_len, its_len);
    assert_memory_equal(mine, its, (size_t)its_len);
    OPENSSL_free(mine);
    OPENSSL_free(its);
}

/* The certificate of RFC 9148 A.2 has string types, and an otherName, that no text of ours makes.
 */
static void e08_renewal_copies_names_der_for_der(void **state) {
    (void)state;
    _cleanup(pkey_freep) EVP_PKEY *key = support_key();
    static const char *const vectors[] = {"9148-A2-sen-response.287.crt.der",
                                          "9148-A1-crts-response.287.crt.der"};
    for (size_t i = 0; i < 2; i++) {
        struct estc_buf vector = support_vector(vectors[i]);
        const unsigned char *p = vector.data;
        _cleanup(x509_freep) X509 *cert = d2i_X509(NULL, &p, (long)vector.len);
        struct estc_buf der =
            build(key, &(struct estc_csr_spec){.subject = "CN=ignored", .renew = cert});
        _cleanup(x509_req_freep) X509_REQ *req = parse(&der);
        assert_same_names(req, cert);
        estc_buf_clear(&der);
        estc_buf_clear(&vector);
    }
    /* Critical stays critical, and no subjectAltName stays none. */
    static const char *const sans[] = {"DNS:gw.example", NULL};
    for (int i = 0; i < 2; i++) {
        _cleanup(x509_freep) X509 *cert = support_cert(
            key, &(struct support_cert_spec){.subject = "CN=a", .sans = i ? sans : NULL});
        int at = X509_get_ext_by_NID(cert, NID_subject_alt_name, -1);
        if (at >= 0)
            X509_EXTENSION_set_critical(X509_get_ext(cert, at), 1);
        struct estc_buf der = build(key, &(struct estc_csr_spec){.renew = cert});
        _cleanup(x509_req_freep) X509_REQ *req = parse(&der);
        assert_same_names(req, cert);
        estc_buf_clear(&der);
    }
}

static void renewal_refuses_two_sans(void **state) {
    (void)state;
    static const char *const sans[] = {"DNS:gw.example", NULL};
    _cleanup(pkey_freep) EVP_PKEY *key = support_key();
    _cleanup(x509_freep) X509 *cert =
        support_cert(key, &(struct support_cert_spec){.subject = "CN=a", .sans = sans});
    int at = X509_get_ext_by_NID(cert, NID_subject_alt_name, -1);
    assert_true(X509_add_ext(cert, X509_get_ext(cert, at), -1));
    struct estc_buf der = {0};
    assert_int_equal(estc_csr_build(key, &(struct estc_csr_spec){.renew = cert}, &der, NULL),
                     ESTC_E_CREDENTIAL);
    assert_null(der.data);
}

static void bad_specs_give_nothing(void **state) {
    (void)state;
    _cleanup(pkey_freep) EVP_PKEY *key = support_key();
    _cleanup(pkey_freep) EVP_PKEY *odd = EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
    static const char *const sans[] = {"DNS:ok.example", "DNS:not ok", NULL};
    struct estc_buf der = {0};
    struct estc_error err = {0};
    assert_int_equal(estc_csr_build(key, &(struct estc_csr_spec){.subject = "gw"}, &der, &err),
                     ESTC_E_CONFIG);
    assert_int_equal(estc_csr_build(key, &(struct estc_csr_spec){.sans = sans}, &der, &err),
                     ESTC_E_CONFIG);
    assert_non_null(strstr(err.text, "DNS:not ok"));
    assert_int_equal(estc_csr_build(odd, &(struct estc_csr_spec){0}, &der, &err),
                     ESTC_E_CREDENTIAL);
    assert_null(der.data);
    /* A public key alone signs nothing. */
    unsigned char *spki = NULL;
    int len = i2d_PUBKEY(key, &spki);
    const unsigned char *p = spki;
    _cleanup(pkey_freep) EVP_PKEY *public_half = d2i_PUBKEY(NULL, &p, len);
    OPENSSL_free(spki);
    assert_int_equal(estc_csr_build(public_half, &(struct estc_csr_spec){0}, &der, &err),
                     ESTC_E_CREDENTIAL);
    assert_int_equal(ERR_peek_error(), 0);
}

static void e01_reads_the_examples_of_the_rfcs(void **state) {
    (void)state;
    static const char *const vectors[] = {"9148-A2-sen-request.p10.der",
                                          "7030-A3-simpleenroll-request.p10.der"};
    for (size_t i = 0; i < 2; i++) {
        struct estc_buf der = support_vector(vectors[i]);
        _cleanup(x509_req_freep) X509_REQ *req = parse(&der);
        assert_true(X509_REQ_get_attr_count(req) >= 1);
        assert_true(X509_REQ_get_attr_by_NID(req, NID_pkcs9_challengePassword, -1) >= 0);
        _cleanup(extensions_freep) STACK_OF(X509_EXTENSION) *exts = NULL;
        assert_int_equal(csr_extensions(req, &exts, NULL), 0);
        assert_int_equal(sk_X509_EXTENSION_num(exts), i == 0 ? 1 : 0);
        estc_buf_clear(&der);
    }
}

static X509_REQ *plain_request(EVP_PKEY *key) {
    X509_REQ *req = X509_REQ_new();
    assert_true(req && X509_REQ_set_pubkey(req, key));
    return req;
}

static void e04_refuses_a_signature_of_another_key(void **state) {
    (void)state;
    _cleanup(pkey_freep) EVP_PKEY *key = support_key(), *other = support_key();
    X509_REQ *req = plain_request(key);
    assert_true(X509_REQ_sign(req, other, EVP_sha256()));
    struct estc_buf der = der_of(req);
    assert_malformed(der.data, der.len, "signature");
    estc_buf_clear(&der);
    der = build(key, &(struct estc_csr_spec){.subject = "CN=x"});
    der.data[der.len - 1] ^= 1;
    assert_malformed(der.data, der.len, "signature");
    estc_buf_clear(&der);
}

static void refuses_other_keys_and_versions(void **state) {
    (void)state;
    EVP_PKEY *keys[] = {EVP_PKEY_Q_keygen(NULL, NULL, "ED25519"), EVP_RSA_gen(1024),
                        EVP_EC_gen("secp224r1")};
    for (size_t i = 0; i < 3; i++) {
        X509_REQ *req = plain_request(keys[i]);
        assert_true(X509_REQ_sign(req, keys[i], i == 0 ? NULL : EVP_sha256()));
        struct estc_buf der = der_of(req);
        assert_malformed(der.data, der.len, "its key is none of");
        estc_buf_clear(&der);
        EVP_PKEY_free(keys[i]);
    }
    _cleanup(pkey_freep) EVP_PKEY *key = support_key();
    X509_REQ *req = plain_request(key);
    assert_true(X509_REQ_set_version(req, 2) && X509_REQ_sign(req, key, EVP_sha256()));
    struct estc_buf der = der_of(req);
    assert_malformed(der.data, der.len, "version 1");
    estc_buf_clear(&der);
}

static STACK_OF(X509_EXTENSION) * one_san(const char *text) {
    GENERAL_NAME *name = NULL;
    assert_int_equal(estc_san_parse(text, &name, NULL), 0);
    _cleanup(general_names_freep) GENERAL_NAMES *names = GENERAL_NAMES_new();
    sk_GENERAL_NAME_push(names, name);
    STACK_OF(X509_EXTENSION) *list = sk_X509_EXTENSION_new_null();
    sk_X509_EXTENSION_push(list, X509V3_EXT_i2d(NID_subject_alt_name, 0, names));
    return list;
}

/* A policy that reads one and a CA that reads the other would issue what nobody allowed. */
static void refuses_extensions_asked_for_twice(void **state) {
    (void)state;
    _cleanup(pkey_freep) EVP_PKEY *key = support_key();
    for (int i = 0; i < 4; i++) {
        _cleanup(extensions_freep) STACK_OF(X509_EXTENSION) *good = one_san("DNS:good.example");
        _cleanup(extensions_freep) STACK_OF(X509_EXTENSION) *evil = one_san("DNS:evil.example");
        X509_REQ *req = plain_request(key);
        switch (i) {
        case 0: /* two attributes */
            assert_true(X509_REQ_add_extensions(req, good) &&
                        X509_REQ_add_extensions_nid(req, evil, NID_pkcs9_extCertAttributes));
            assert_true(
                X509_ATTRIBUTE_set1_object(X509_REQ_get_attr(req, 1), OBJ_nid2obj(NID_ext_req)));
            break;
        case 1: /* one extension twice */
            sk_X509_EXTENSION_push(good, sk_X509_EXTENSION_shift(evil));
            assert_true(X509_REQ_add_extensions(req, good));
            break;
        case 2: /* the other OID */
            assert_true(X509_REQ_add_extensions_nid(req, evil, NID_ms_ext_req));
            break;
        default: /* no extensions at all in the attribute */
            assert_true(X509_REQ_add1_attr_by_NID(req, NID_ext_req, V_ASN1_UTF8STRING,
                                                  (const unsigned char *)"x", 1));
            break;
        }
        assert_true(X509_REQ_sign(req, key, EVP_sha256()));
        struct estc_buf der = der_of(req);
        assert_malformed(der.data, der.len, "broken or doubled");
        estc_buf_clear(&der);
    }
}

static void refuses_ber_and_rubbish(void **state) {
    (void)state;
    struct estc_buf der = support_vector("9148-A2-sen-request.p10.der");
    /* 30 82 .. .. becomes 30 83 00 .. ..: a length that DER writes shorter. */
    struct estc_buf ber = {0};
    estc_buf_append(&ber, "\x30\x83\x00", 3);
    estc_buf_append(&ber, der.data + 2, der.len - 2);
    assert_malformed(ber.data, ber.len, "in DER");
    estc_buf_clear(&ber);
    estc_buf_append(&der, "\0", 1);
    assert_malformed(der.data, der.len, "left over");
    estc_buf_clear(&der);
    assert_malformed("", 0, "empty");
    assert_malformed(NULL, 0, "empty");
    assert_malformed("-----BEGIN CERTIFICATE REQUEST-----", 35, "not PKCS#10");
    assert_malformed("", (size_t)1 << 40, "too large");
    der = support_vector("9148-A1-crts-response.p7.der");
    assert_malformed(der.data, der.len, "not PKCS#10");
    estc_buf_clear(&der);
}

static void assert_refused_or_same(const struct estc_buf *der, X509_REQ *good) {
    _cleanup(x509_req_freep) X509_REQ *req = NULL;
    int rc = estc_csr_parse(der->data, der->len, &req, NULL);
    assert_int_equal(rc, req ? 0 : ESTC_E_MALFORMED);
    if (!req)
        return;
    unsigned char *a = NULL, *b = NULL;
    int a_len = i2d_re_X509_REQ_tbs(req, &a), b_len = i2d_re_X509_REQ_tbs(good, &b);
    assert_int_equal(a_len, b_len);
    assert_memory_equal(a, b, (size_t)a_len);
    OPENSSL_free(a);
    OPENSSL_free(b);
}

static void survives_truncation_and_mutation(void **state) {
    (void)state;
    static const char *const vectors[] = {"9148-A2-sen-request.p10.der",
                                          "7030-A3-simpleenroll-request.p10.der"};
    for (size_t i = 0; i < 2; i++) {
        struct estc_buf der = support_vector(vectors[i]);
        for (size_t len = 0; len < der.len; len++)
            assert_malformed(der.data, len, "");
        /* Each bit is signed, or is the signature, or is structure; but for the parameters of an
         * RSA signature's algorithm, which OpenSSL does not look at. */
        _cleanup(x509_req_freep) X509_REQ *good = parse(&der);
        for (size_t at = 0; at < der.len; at++)
            for (int bit = 0; bit < 8; bit += i == 0 ? 3 : 7) {
                der.data[at] ^= (unsigned char)(1 << bit);
                assert_refused_or_same(&der, good);
                der.data[at] ^= (unsigned char)(1 << bit);
            }
        estc_buf_clear(&der);
    }
}

/* One extensionRequest with everything in it, and the attributes beside it. */
static void p05_challenge_extensions_and_digest(void **state) {
    (void)state;
    static const char *const sans[] = {"DNS:gw.example", NULL};
    EVP_PKEY *key = support_key();
    STACK_OF(X509_EXTENSION) *more = sk_X509_EXTENSION_new_null();
    sk_X509_EXTENSION_push(more,
                           X509V3_EXT_conf_nid(NULL, NULL, NID_key_usage, "digitalSignature"));
    const struct estc_csr_spec spec = {
        .subject = "CN=gw",
        .sans = sans,
        .challenge = "//79NDU2Nzg5YWJj",
        .digest = EVP_sha512(),
        .extensions = more,
    };
    struct estc_buf der = build(key, &spec);
    _cleanup(x509_req_freep) X509_REQ *req = parse(&der);
    _cleanup(extensions_freep) STACK_OF(X509_EXTENSION) *asked = NULL;
    assert_int_equal(csr_extensions(req, &asked, NULL), 0);
    assert_int_equal(sk_X509_EXTENSION_num(asked), 2);
    assert_true(X509v3_get_ext_by_NID(asked, NID_key_usage, -1) >= 0);
    assert_int_equal(X509_REQ_get_signature_nid(req), NID_ecdsa_with_SHA512);
    assert_true(csr_has_challenge(req));
    X509_ATTRIBUTE *a =
        X509_REQ_get_attr(req, X509_REQ_get_attr_by_NID(req, NID_pkcs9_challengePassword, -1));
    const ASN1_TYPE *value = X509_ATTRIBUTE_get0_type(a, 0);
    assert_int_equal(X509_ATTRIBUTE_count(a), 1);
    assert_int_equal(value->type, V_ASN1_PRINTABLESTRING);
    assert_int_equal(value->value.printablestring->length, 16);
    estc_buf_clear(&der);

    char long_text[257];
    memset(long_text, 'A', 256);
    long_text[256] = 0;
    const char *const unfit[] = {"", long_text};
    for (size_t i = 0; i < 2; i++)
        assert_int_equal(
            estc_csr_build(key, &(struct estc_csr_spec){.challenge = unfit[i]}, &der, NULL),
            -EINVAL);
    sk_X509_EXTENSION_pop_free(more, X509_EXTENSION_free);
    EVP_PKEY_free(key);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(e03_made_requests_are_read_back),
        cmocka_unit_test(e02_empty_attributes_are_present),
        cmocka_unit_test(san_is_critical_without_a_subject),
        cmocka_unit_test(e08_renewal_copies_names_der_for_der),
        cmocka_unit_test(renewal_refuses_two_sans),
        cmocka_unit_test(bad_specs_give_nothing),
        cmocka_unit_test(e01_reads_the_examples_of_the_rfcs),
        cmocka_unit_test(e04_refuses_a_signature_of_another_key),
        cmocka_unit_test(refuses_other_keys_and_versions),
        cmocka_unit_test(refuses_extensions_asked_for_twice),
        cmocka_unit_test(refuses_ber_and_rubbish),
        cmocka_unit_test(survives_truncation_and_mutation),
        cmocka_unit_test(p05_challenge_extensions_and_digest),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
