/* SPDX-License-Identifier: BSD-2-Clause */
/* Certification requests of others: what is read, and what is refused. */
#include <string.h>

#include <openssl/x509v3.h>

#include <estc/key.h>

#include "csr_fixture.h"
#include "pkix/csr.h"

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

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(e01_reads_the_examples_of_the_rfcs),
        cmocka_unit_test(e04_refuses_a_signature_of_another_key),
        cmocka_unit_test(refuses_other_keys_and_versions),
        cmocka_unit_test(refuses_extensions_asked_for_twice),
        cmocka_unit_test(refuses_ber_and_rubbish),
        cmocka_unit_test(survives_truncation_and_mutation),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
