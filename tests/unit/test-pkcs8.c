/* SPDX-License-Identifier: BSD-2-Clause */
#include "support.h"

#include <stdlib.h>
#include <string.h>

#include <openssl/err.h>

#include <estc/cert.h>
#include <estc/certs.h>
#include <estc/key.h>
#include <estc/keypackage.h>

#include "base/cleanup_ossl.h"

static EVP_PKEY *decode(const void *der, size_t len) {
    EVP_PKEY *key = NULL;
    struct estc_error err = {0};
    if (estc_pkcs8_decode(der, len, &key, &err))
        fail_msg("%s", err.text);
    return key;
}

static void assert_malformed(const struct estc_buf *der, const char *reason) {
    EVP_PKEY *key = NULL;
    struct estc_error err = {0};
    assert_int_equal(estc_pkcs8_decode(der->data, der->len, &key, &err), ESTC_E_MALFORMED);
    assert_null(key);
    if (!strstr(err.text, reason))
        fail_msg("'%s' is not in: %s", reason, err.text);
    assert_int_equal(ERR_peek_error(), 0);
}

/* Appends one element. */
static void put(struct estc_buf *out, int constructed, int tag, int class, const void *content,
                size_t len) {
    unsigned char head[16], *end = head;
    ASN1_put_object(&end, constructed, (int)len, tag, class);
    assert_int_equal(estc_buf_append(out, head, (size_t)(end - head)), 0);
    assert_int_equal(estc_buf_append(out, content, len), 0);
}

/* What stands behind the version in the PKCS#8 of a key. */
static struct estc_buf body_of(const EVP_PKEY *key) {
    struct estc_buf der = {0}, body = {0};
    assert_int_equal(estc_pkcs8_encode(key, &der, NULL), 0);
    const unsigned char *p = der.data;
    long len = 0;
    int tag = 0, class = 0;
    ASN1_get_object(&p, &len, &tag, &class, (long)der.len);
    assert_memory_equal(p, "\x02\x01\x00", 3);
    assert_int_equal(estc_buf_append(&body, p + 3, (size_t)len - 3), 0);
    estc_buf_clear(&der);
    return body;
}

/* OneAsymmetricKey of key with this version and, when given, the public half of another. */
static struct estc_buf one_asymmetric_key(const EVP_PKEY *key, const char *version,
                                          const EVP_PKEY *public) {
    struct estc_buf content = {0}, der = {0}, body = body_of(key);
    assert_int_equal(estc_buf_append(&content, version, 3), 0);
    assert_int_equal(estc_buf_append(&content, body.data, body.len), 0);
    if (public) {
        struct estc_buf bits = {0};
        unsigned char *point = NULL;
        int len = i2d_PublicKey(public, &point);
        assert_true(len > 0);
        assert_int_equal(estc_buf_append(&bits, "", 1), 0); /* no unused bits */
        assert_int_equal(estc_buf_append(&bits, point, (size_t)len), 0);
        put(&content, 0, 1, V_ASN1_CONTEXT_SPECIFIC, bits.data, bits.len);
        OPENSSL_free(point);
        estc_buf_clear(&bits);
    }
    put(&der, 1, V_ASN1_SEQUENCE, V_ASN1_UNIVERSAL, content.data, content.len);
    estc_buf_clear(&content);
    estc_buf_clear(&body);
    return der;
}

/* The keys of the RFCs are those of the certificates beside them; ours is the same DER again. */
static void k09_k10_examples_of_the_rfcs(void **state) {
    (void)state;
    static const char *const examples[][2] = {
        {"9148-A3-skg-response.part-284.der", "9148-A3-skg-response.part-281.der"},
        {"7030-A4-serverkeygen-response.part-pkcs8.der",
         "7030-A4-serverkeygen-response.part-certs.p7.der"},
    };
    for (size_t i = 0; i < 2; i++) {
        _cleanup(estc_buf_clear) struct estc_buf der = support_vector(examples[i][0]);
        _cleanup(estc_buf_clear) struct estc_buf bag = support_vector(examples[i][1]);
        _cleanup(sk_x509_freep) STACK_OF(X509) *certs = NULL;
        _cleanup(pkey_freep) EVP_PKEY *key = decode(der.data, der.len);
        assert_int_equal(estc_certs_decode(bag.data, bag.len, &certs, NULL), 0);
        assert_true(estc_cert_has_key(sk_X509_value(certs, 0), key));
        _cleanup(estc_buf_clear) struct estc_buf again = {0};
        assert_int_equal(estc_pkcs8_encode(key, &again, NULL), 0);
        assert_int_equal(again.len, der.len);
        assert_memory_equal(again.data, der.data, der.len);
    }
}

static void k10_every_type_there_and_back(void **state) {
    (void)state;
    for (int type = 0; type < ESTC_KEY_TYPE_MAX_; type++) {
        if (type == ESTC_KEY_RSA3072 || type == ESTC_KEY_RSA4096)
            continue; /* slow to make, and nothing that RSA2048 does not show */
        _cleanup(pkey_freep) EVP_PKEY *key = NULL;
        assert_int_equal(estc_key_generate((enum estc_key_type)type, &key, NULL), 0);
        _cleanup(estc_buf_clear) struct estc_buf der = {0};
        assert_int_equal(estc_pkcs8_encode(key, &der, NULL), 0);
        _cleanup(pkey_freep) EVP_PKEY *back = decode(der.data, der.len);
        assert_int_equal(EVP_PKEY_eq(key, back), 1);
    }
}

static void k10_versions_and_public_keys(void **state) {
    (void)state;
    _cleanup(pkey_freep) EVP_PKEY *key = support_key();
    _cleanup(pkey_freep) EVP_PKEY *other = support_key();
    _cleanup(estc_buf_clear) struct estc_buf second = one_asymmetric_key(key, "\x02\x01\x01", key);
    _cleanup(pkey_freep) EVP_PKEY *back = decode(second.data, second.len);
    assert_int_equal(EVP_PKEY_eq(key, back), 1);
    _cleanup(estc_buf_clear) struct estc_buf plain = one_asymmetric_key(key, "\x02\x01\x01", NULL);
    _cleanup(pkey_freep) EVP_PKEY *bare = decode(plain.data, plain.len);
    assert_int_equal(EVP_PKEY_eq(key, bare), 1);

    static const struct {
        const char *version;
        int public; /* 0: none, 1: its own, 2: another's */
        const char *reason;
    } bad[] = {
        {"\x02\x01\x01", 2, "public half"},
        {"\x02\x01\x00", 1, "version 0 has no public key"},
        {"\x02\x01\x02", 0, "version"},
        {"\x02\x01\xff", 0, "version"},
    };
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        const EVP_PKEY *public = bad[i].public == 0 ? NULL : bad[i].public == 1 ? key : other;
        _cleanup(estc_buf_clear) struct estc_buf der =
            one_asymmetric_key(key, bad[i].version, public);
        assert_malformed(&der, bad[i].reason);
    }
}

/* Lengths without an end, and octets in pieces. */
static void k10_reads_ber(void **state) {
    (void)state;
    _cleanup(estc_buf_clear) struct estc_buf der =
        support_vector("9148-A3-skg-response.part-284.der");
    static const size_t octets_at = 3 + 3 + 21; /* head, version, algorithm */
    assert_int_equal(der.data[octets_at], 0x04);
    size_t octets = der.len - octets_at - 2;
    _cleanup(estc_buf_clear) struct estc_buf ber = {0};
    const unsigned char *inner = der.data + octets_at + 2;
    assert_int_equal(estc_buf_append(&ber, "\x30\x80", 2), 0);
    assert_int_equal(estc_buf_append(&ber, der.data + 3, octets_at - 3), 0);
    assert_int_equal(estc_buf_append(&ber, "\x24\x80", 2), 0);
    put(&ber, 0, V_ASN1_OCTET_STRING, V_ASN1_UNIVERSAL, inner, 10);
    put(&ber, 0, V_ASN1_OCTET_STRING, V_ASN1_UNIVERSAL, inner + 10, octets - 10);
    assert_int_equal(estc_buf_append(&ber, "\0\0\0\0", 4), 0);
    _cleanup(pkey_freep) EVP_PKEY *key = decode(ber.data, ber.len);
    _cleanup(pkey_freep) EVP_PKEY *same = decode(der.data, der.len);
    assert_int_equal(EVP_PKEY_eq(key, same), 1);
}

/* The public point inside the private octets may be another one's: only the pair is a key. */
static void k17_halves_of_different_keys(void **state) {
    (void)state;
    _cleanup(estc_buf_clear) struct estc_buf der =
        support_vector("9148-A3-skg-response.part-284.der");
    _cleanup(pkey_freep) EVP_PKEY *other = support_key();
    unsigned char *point = NULL;
    int len = i2d_PublicKey(other, &point);
    assert_int_equal(len, 65);
    memcpy(der.data + der.len - 65, point, 65);
    OPENSSL_free(point);
    assert_malformed(&der, "public half");
}

static void k10_foreign_things_are_refused(void **state) {
    (void)state;
    struct estc_buf empty = {0};
    assert_malformed(&empty, "empty");
    _cleanup(estc_buf_clear) struct estc_buf cert =
        support_vector("9148-A3-skg-response.part-287.crt.der");
    assert_malformed(&cert, "not PKCS#8");
    _cleanup(estc_buf_clear) struct estc_buf der =
        support_vector("9148-A3-skg-response.part-284.der");
    assert_int_equal(estc_buf_append(&der, "", 1), 0);
    assert_malformed(&der, "left over");
    _cleanup(pkey_freep) EVP_PKEY *ed25519 = EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
    _cleanup(estc_buf_clear) struct estc_buf foreign = {0};
    assert_int_equal(estc_pkcs8_encode(ed25519, &foreign, NULL), 0);
    assert_malformed(&foreign, "none of p256");
}

/* In memory of exactly the size, so that a sanitizer sees a byte too far. */
static void z01_cut_and_changed_anywhere(void **state) {
    (void)state;
    _cleanup(estc_buf_clear) struct estc_buf der =
        support_vector("9148-A3-skg-response.part-284.der");
    for (size_t len = 0; len < der.len; len++) {
        struct estc_buf cut = {.data = malloc(len ? len : 1), .len = len};
        memcpy(cut.data, der.data, len);
        assert_malformed(&cut, "");
        free(cut.data);
    }
    _cleanup(pkey_freep) EVP_PKEY *key = decode(der.data, der.len);
    for (size_t i = 0; i < der.len * 8; i++) {
        der.data[i / 8] ^= (unsigned char)(1u << i % 8);
        _cleanup(pkey_freep) EVP_PKEY *changed = NULL;
        int rc = estc_pkcs8_decode(der.data, der.len, &changed, NULL);
        assert_true(rc == 0 || rc == ESTC_E_MALFORMED);
        assert_true((rc == 0) == (changed != NULL));
        assert_true(rc || EVP_PKEY_eq(changed, key) == 1); /* or the halves would not fit */
        der.data[i / 8] ^= (unsigned char)(1u << i % 8);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(k09_k10_examples_of_the_rfcs),
        cmocka_unit_test(k10_every_type_there_and_back),
        cmocka_unit_test(k10_versions_and_public_keys),
        cmocka_unit_test(k10_reads_ber),
        cmocka_unit_test(k17_halves_of_different_keys),
        cmocka_unit_test(k10_foreign_things_are_refused),
        cmocka_unit_test(z01_cut_and_changed_anywhere),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
