/* SPDX-License-Identifier: BSD-2-Clause */
#include "support.h"

#include <stdio.h>
#include <string.h>

#include <openssl/err.h>
#include <openssl/pkcs7.h>

#include <estc/cert.h>
#include <estc/certs.h>

#include "base/cleanup_ossl.h"

static const char *const vectors[] = {
    "9148-A1-crts-response.p7.der",
    "9148-A2-sen-response.p7.der",
    "9148-B1-crts-full-639.from-draft12.p7.der",
    "7030-A1-cacerts-response.p7.der",
    "7030-A3-simpleenroll-response.p7.der",
};
#define VECTORS (sizeof(vectors) / sizeof(vectors[0]))

static STACK_OF(X509) * decode(const void *der, size_t len) {
    STACK_OF(X509) *list = NULL;
    struct estc_error err = {0};
    if (estc_certs_decode(der, len, &list, &err))
        fail_msg("%s", err.text);
    return list;
}

static void assert_malformed(const void *der, size_t len, const char *reason) {
    STACK_OF(X509) *list = NULL;
    struct estc_error err = {0};
    assert_int_equal(estc_certs_decode(der, len, &list, &err), ESTC_E_MALFORMED);
    assert_null(list);
    if (!strstr(err.text, reason))
        fail_msg("'%s' is not in: %s", reason, err.text);
    assert_int_equal(ERR_peek_error(), 0);
}

static void decodes_the_examples_of_the_rfcs(void **state) {
    (void)state;
    static const int counts[VECTORS] = {1, 1, 1, 4, 1};
    for (size_t i = 0; i < VECTORS; i++) {
        struct estc_buf der = support_vector(vectors[i]);
        _cleanup(sk_x509_freep) STACK_OF(X509) *list = decode(der.data, der.len);
        assert_int_equal(sk_X509_num(list), counts[i]);
        estc_buf_clear(&der);
    }
    static const char *const single[] = {"9148-A1-crts-response", "9148-A2-sen-response"};
    for (size_t i = 0; i < 2; i++) {
        char name[64];
        snprintf(name, sizeof(name), "%s.p7.der", single[i]);
        struct estc_buf bag = support_vector(name);
        snprintf(name, sizeof(name), "%s.287.crt.der", single[i]);
        struct estc_buf cert = support_vector(name);
        _cleanup(sk_x509_freep) STACK_OF(X509) *list = decode(bag.data, bag.len);
        unsigned char *der = NULL;
        int len = i2d_X509(sk_X509_value(list, 0), &der);
        assert_int_equal(len, cert.len);
        assert_memory_equal(der, cert.data, cert.len);
        OPENSSL_free(der);
        estc_buf_clear(&bag);
        estc_buf_clear(&cert);
    }
}

/* The example of RFC 9148 A.1 less its empty crls field, which is nobody's need: two bytes fewer,
 * in the lengths of the three structures around it as well. */
static void c02_certs_only_shape(void **state) {
    (void)state;
    struct estc_buf example = support_vector("9148-A1-crts-response.p7.der");
    struct estc_buf ours = {0};
    _cleanup(sk_x509_freep) STACK_OF(X509) *list = decode(example.data, example.len);
    assert_int_equal(estc_certs_encode(list, &ours, NULL), 0);
    assert_memory_equal(example.data + example.len - 4, "\xa1\x00\x31\x00", 4);
    memmove(example.data + example.len - 4, example.data + example.len - 2, 2);
    example.len -= 2;
    static const size_t length_bytes[] = {3, 18, 22};
    for (size_t i = 0; i < 3; i++)
        example.data[length_bytes[i]] -= 2;
    assert_int_equal(ours.len, example.len);
    assert_memory_equal(ours.data, example.data, ours.len);
    estc_buf_clear(&ours);
    estc_buf_clear(&example);
}

static void order_and_content_survive(void **state) {
    (void)state;
    struct estc_buf example = support_vector("7030-A1-cacerts-response.p7.der");
    struct estc_buf ours = {0};
    _cleanup(sk_x509_freep) STACK_OF(X509) *list = decode(example.data, example.len);
    assert_int_equal(estc_buf_append(&ours, "before", 6), 0); /* encoding appends */
    assert_int_equal(estc_certs_encode(list, &ours, NULL), 0);
    assert_memory_equal(ours.data, "before", 6);
    _cleanup(sk_x509_freep) STACK_OF(X509) *again = decode(ours.data + 6, ours.len - 6);
    assert_int_equal(sk_X509_num(again), sk_X509_num(list));
    for (int i = 0; i < sk_X509_num(list); i++)
        assert_int_equal(X509_cmp(sk_X509_value(list, i), sk_X509_value(again, i)), 0);
    estc_buf_clear(&ours);
    estc_buf_clear(&example);
}

static void a_bag_may_be_empty(void **state) {
    (void)state;
    _cleanup(sk_x509_freep) STACK_OF(X509) *none = sk_X509_new_null();
    struct estc_buf ours = {0};
    assert_int_equal(estc_certs_encode(none, &ours, NULL), 0);
    _cleanup(sk_x509_freep) STACK_OF(X509) *list = decode(ours.data, ours.len);
    assert_non_null(list);
    assert_int_equal(sk_X509_num(list), 0);
    estc_buf_clear(&ours);
}

/* Indefinite lengths everywhere, as older CMS encoders stream it. */
static void c03_takes_ber(void **state) {
    (void)state;
    static const unsigned char head[] = {0x30, 0x80, 0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d,
                                         0x01, 0x07, 0x02, 0xa0, 0x80, 0x30, 0x80, 0x02, 0x01, 0x01,
                                         0x31, 0x00, 0x30, 0x80, 0x06, 0x09, 0x2a, 0x86, 0x48, 0x86,
                                         0xf7, 0x0d, 0x01, 0x07, 0x01, 0x00, 0x00, 0xa0, 0x80};
    static const unsigned char tail[] = {0, 0, 0x31, 0, 0, 0, 0, 0, 0, 0};
    struct estc_buf cert = support_vector("9148-A1-crts-response.287.crt.der");
    struct estc_buf ber = {0};
    estc_buf_append(&ber, head, sizeof(head));
    estc_buf_append(&ber, cert.data, cert.len);
    estc_buf_append(&ber, cert.data, cert.len);
    estc_buf_append(&ber, tail, sizeof(tail));
    _cleanup(sk_x509_freep) STACK_OF(X509) *list = decode(ber.data, ber.len);
    assert_int_equal(sk_X509_num(list), 2);
    assert_malformed(ber.data, ber.len - 2, "not PKCS#7");
    estc_buf_clear(&ber);
    estc_buf_clear(&cert);
}

/* A PKCS7 structure as DER, which frees it. */
static struct estc_buf der_of(PKCS7 *p7) {
    struct estc_buf out = {0};
    unsigned char *der = NULL;
    int len = i2d_PKCS7(p7, &der);
    assert_true(len > 0);
    assert_int_equal(estc_buf_append(&out, der, (size_t)len), 0);
    OPENSSL_free(der);
    PKCS7_free(p7);
    return out;
}

static PKCS7 *signed_data(void) {
    PKCS7 *p7 = PKCS7_new();
    assert_true(PKCS7_set_type(p7, NID_pkcs7_signed));
    p7->d.sign->contents->type = OBJ_nid2obj(NID_pkcs7_data);
    return p7;
}

static void c03_passes_over_crls(void **state) {
    (void)state;
    _cleanup(pkey_freep) EVP_PKEY *key = support_key();
    _cleanup(x509_freep) X509 *ca =
        support_cert(key, &(struct support_cert_spec){.subject = "CN=ca", .ca = 1});
    X509_CRL *crl = X509_CRL_new();
    ASN1_TIME *now = ASN1_TIME_set(NULL, 1700000000);
    assert_true(X509_CRL_set_version(crl, 1) && X509_CRL_set1_lastUpdate(crl, now) &&
                X509_CRL_set1_nextUpdate(crl, now) &&
                X509_CRL_set_issuer_name(crl, X509_get_subject_name(ca)) &&
                X509_CRL_sign(crl, key, EVP_sha256()));
    PKCS7 *p7 = signed_data();
    assert_true(PKCS7_add_certificate(p7, ca) && PKCS7_add_crl(p7, crl));
    struct estc_buf der = der_of(p7);
    _cleanup(sk_x509_freep) STACK_OF(X509) *list = decode(der.data, der.len);
    assert_int_equal(sk_X509_num(list), 1);
    estc_buf_clear(&der);
    ASN1_TIME_free(now);
    X509_CRL_free(crl);
}

static void refuses_other_shapes(void **state) {
    (void)state;
    _cleanup(pkey_freep) EVP_PKEY *key = support_key();
    _cleanup(x509_freep) X509 *cert =
        support_cert(key, &(struct support_cert_spec){.subject = "CN=signer"});

    /* Signed, with content. */
    BIO *content = BIO_new_mem_buf("content", 7);
    struct estc_buf der = der_of(PKCS7_sign(cert, key, NULL, content, PKCS7_BINARY));
    assert_malformed(der.data, der.len, "content");
    estc_buf_clear(&der);
    BIO_free(content);
    /* Signed, detached. */
    content = BIO_new_mem_buf("content", 7);
    der = der_of(PKCS7_sign(cert, key, NULL, content, PKCS7_BINARY | PKCS7_DETACHED));
    assert_malformed(der.data, der.len, "signers");
    estc_buf_clear(&der);
    BIO_free(content);
    /* Content and no signers. */
    PKCS7 *p7 = PKCS7_new();
    assert_true(PKCS7_set_type(p7, NID_pkcs7_signed) && PKCS7_content_new(p7, NID_pkcs7_data));
    der = der_of(p7);
    assert_malformed(der.data, der.len, "content");
    estc_buf_clear(&der);
    /* A content type other than id-data. */
    p7 = signed_data();
    p7->d.sign->contents->type = OBJ_nid2obj(NID_id_smime_ct_TSTInfo);
    der = der_of(p7);
    assert_malformed(der.data, der.len, "id-data");
    estc_buf_clear(&der);
    /* Not SignedData. */
    p7 = PKCS7_new();
    assert_true(PKCS7_set_type(p7, NID_pkcs7_data));
    der = der_of(p7);
    assert_malformed(der.data, der.len, "not SignedData");
    estc_buf_clear(&der);
    /* SignedData that is not there. */
    static const unsigned char hollow[] = {0x30, 0x0b, 0x06, 0x09, 0x2a, 0x86, 0x48,
                                           0x86, 0xf7, 0x0d, 0x01, 0x07, 0x02};
    assert_malformed(hollow, sizeof(hollow), "not SignedData");
    /* Other DER, and none. */
    der = support_vector("9148-A1-crts-response.287.crt.der");
    assert_malformed(der.data, der.len, "not PKCS#7");
    estc_buf_clear(&der);
    assert_malformed("<html>", 6, "not PKCS#7");
    assert_malformed("", 0, "empty");
    assert_malformed(NULL, 0, "empty");
    assert_malformed("", (size_t)1 << 40, "too large");
}

static void bounds_the_number_of_certificates(void **state) {
    (void)state;
    _cleanup(pkey_freep) EVP_PKEY *key = support_key();
    _cleanup(x509_freep) X509 *cert =
        support_cert(key, &(struct support_cert_spec){.subject = "CN=x"});
    for (int count = ESTC_CERT_LIST_MAX; count <= ESTC_CERT_LIST_MAX + 1; count++) {
        STACK_OF(X509) *many = sk_X509_new_null();
        for (int i = 0; i < count; i++)
            sk_X509_push(many, cert);
        struct estc_buf der = {0};
        assert_int_equal(estc_certs_encode(many, &der, NULL), 0);
        if (count <= ESTC_CERT_LIST_MAX) {
            _cleanup(sk_x509_freep) STACK_OF(X509) *list = decode(der.data, der.len);
            assert_int_equal(sk_X509_num(list), count);
        } else {
            assert_malformed(der.data, der.len, "too many");
        }
        estc_buf_clear(&der);
        sk_X509_free(many);
    }
}

static void refuses_every_truncation_and_addition(void **state) {
    (void)state;
    for (size_t i = 0; i < VECTORS; i++) {
        struct estc_buf der = support_vector(vectors[i]);
        for (size_t len = 0; len < der.len; len++)
            assert_malformed(der.data, len, "");
        estc_buf_append(&der, "", 1);
        assert_malformed(der.data, der.len, "left over");
        estc_buf_clear(&der);
    }
}

static void survives_every_flipped_byte(void **state) {
    (void)state;
    static const unsigned char masks[] = {0xff, 0x01, 0x80};
    for (size_t i = 0; i < VECTORS; i++) {
        struct estc_buf der = support_vector(vectors[i]);
        for (size_t at = 0; at < der.len; at++)
            for (size_t m = 0; m < (der.len < 1000 ? sizeof(masks) : 1); m++) {
                STACK_OF(X509) *list = NULL;
                der.data[at] ^= masks[m];
                int rc = estc_certs_decode(der.data, der.len, &list, NULL);
                der.data[at] ^= masks[m];
                assert_true(rc == 0 || rc == ESTC_E_MALFORMED);
                assert_int_equal(rc == 0, list != NULL);
                sk_X509_pop_free(list, X509_free);
            }
        estc_buf_clear(&der);
    }
    assert_int_equal(ERR_peek_error(), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(decodes_the_examples_of_the_rfcs),
        cmocka_unit_test(c02_certs_only_shape),
        cmocka_unit_test(order_and_content_survive),
        cmocka_unit_test(a_bag_may_be_empty),
        cmocka_unit_test(c03_takes_ber),
        cmocka_unit_test(c03_passes_over_crls),
        cmocka_unit_test(refuses_other_shapes),
        cmocka_unit_test(bounds_the_number_of_certificates),
        cmocka_unit_test(refuses_every_truncation_and_addition),
        cmocka_unit_test(survives_every_flipped_byte),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
