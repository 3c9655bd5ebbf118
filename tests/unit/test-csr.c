/* SPDX-License-Identifier: BSD-2-Clause */
/* Certification requests as we make them. */
#include <errno.h>
#include <string.h>

#include <openssl/x509v3.h>

#include <estc/key.h>

#include "csr_fixture.h"
#include "pkix/csr.h"

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
        cmocka_unit_test(p05_challenge_extensions_and_digest),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
