/* SPDX-License-Identifier: BSD-2-Clause */
#include "support.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>

#include <estc/key.h>

static const char *const names[ESTC_KEY_TYPE_MAX_] = {"p256", "p384", "rsa2048", "rsa3072",
                                                      "rsa4096"};

static void names_go_both_ways(void **state) {
    (void)state;
    for (int i = 0; i < ESTC_KEY_TYPE_MAX_; i++) {
        enum estc_key_type type;
        assert_string_equal(estc_key_type_name((enum estc_key_type)i), names[i]);
        assert_int_equal(estc_key_type_parse(names[i], &type), 0);
        assert_int_equal(type, i);
    }
    static const char *const wrong[] = {"", "P256", "p256 ", "rsa1024", "ed25519", "p-256"};
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        enum estc_key_type type = ESTC_KEY_RSA3072;
        assert_int_equal(estc_key_type_parse(wrong[i], &type), -EINVAL);
        assert_int_equal(type, ESTC_KEY_RSA3072);
    }
    assert_string_equal(estc_key_type_name((enum estc_key_type)99), "other");
    EVP_PKEY *key = NULL;
    assert_int_equal(estc_key_generate((enum estc_key_type)99, &key, NULL), -EINVAL);
    assert_null(key);
}

static void pem_of(const EVP_PKEY *key, struct estc_buf *pem) {
    struct estc_error err = {0};
    if (estc_key_to_pem(key, pem, &err))
        fail_msg("%s", err.text);
}

static void each_type_survives_pem(void **state) {
    (void)state;
    for (int i = 0; i < ESTC_KEY_TYPE_MAX_; i++) {
        EVP_PKEY *key = NULL, *back = NULL;
        struct estc_buf pem = {0};
        enum estc_key_type type;
        assert_int_equal(estc_key_generate((enum estc_key_type)i, &key, NULL), 0);
        assert_int_equal(estc_key_type_of(key, &type), 0);
        assert_int_equal(type, i);
        pem_of(key, &pem);
        assert_int_equal(strncmp((char *)pem.data, "-----BEGIN PRIVATE KEY-----\n", 28), 0);
        assert_int_equal(estc_key_from_pem(pem.data, pem.len, &back, NULL), 0);
        assert_int_equal(EVP_PKEY_eq(key, back), 1);
        estc_buf_clear(&pem);
        EVP_PKEY_free(key);
        EVP_PKEY_free(back);
    }
}

static void assert_unusable(const char *pem, size_t len, const char *reason) {
    EVP_PKEY *key = NULL;
    struct estc_error err = {0};
    assert_int_equal(estc_key_from_pem(pem, len, &key, &err), ESTC_E_CREDENTIAL);
    assert_null(key);
    if (!strstr(err.text, reason))
        fail_msg("'%s' is not in: %s", reason, err.text);
    assert_int_equal(ERR_peek_error(), 0);
}

/* The text of a memory BIO, which is freed. */
static struct estc_buf drain(BIO *mem) {
    struct estc_buf out = {0};
    char *data = NULL;
    long len = BIO_get_mem_data(mem, &data);
    assert_int_equal(estc_buf_append(&out, data, (size_t)len), 0);
    BIO_free(mem);
    return out;
}

static void reads_the_old_forms(void **state) {
    (void)state;
    for (int i = 0; i < 2; i++) {
        EVP_PKEY *key = NULL, *back = NULL;
        assert_int_equal(estc_key_generate(i ? ESTC_KEY_RSA2048 : ESTC_KEY_P384, &key, NULL), 0);
        BIO *mem = BIO_new(BIO_s_mem());
        if (i == 0) /* what "openssl ecparam -genkey" puts before the key */
            BIO_puts(mem, "-----BEGIN EC PARAMETERS-----\nBgUrgQQAIg==\n-----END EC PARAMETERS-----"
                          "\n");
        assert_true(PEM_write_bio_PrivateKey_traditional(mem, key, NULL, NULL, 0, NULL, NULL));
        struct estc_buf pem = drain(mem);
        assert_non_null(strstr((char *)pem.data, i ? "BEGIN RSA PRIVATE" : "BEGIN EC PRIVATE"));
        assert_int_equal(estc_key_from_pem(pem.data, pem.len, &back, NULL), 0);
        assert_int_equal(EVP_PKEY_eq(key, back), 1);
        estc_buf_clear(&pem);
        EVP_PKEY_free(key);
        EVP_PKEY_free(back);
    }
}

/* Nobody is there to type a passphrase; a prompt on a terminal would hang a daemon. */
static void refuses_encrypted_keys(void **state) {
    (void)state;
    EVP_PKEY *key = support_key();
    BIO *mem = BIO_new(BIO_s_mem());
    assert_true(
        PEM_write_bio_PKCS8PrivateKey(mem, key, EVP_aes_256_cbc(), "secret", 6, NULL, NULL));
    struct estc_buf pem = drain(mem);
    assert_unusable((char *)pem.data, pem.len, "encrypted");
    estc_buf_clear(&pem);
    mem = BIO_new(BIO_s_mem());
    assert_true(PEM_write_bio_PrivateKey_traditional(
        mem, key, EVP_aes_256_cbc(), (const unsigned char *)"secret", 6, NULL, NULL));
    pem = drain(mem);
    assert_unusable((char *)pem.data, pem.len, "encrypted");
    estc_buf_clear(&pem);
    EVP_PKEY_free(key);
}

static void refuses_other_types(void **state) {
    (void)state;
    EVP_PKEY *keys[] = {EVP_PKEY_Q_keygen(NULL, NULL, "ED25519"), EVP_RSA_gen(1024),
                        EVP_RSA_gen(2560), EVP_EC_gen("secp521r1"), EVP_EC_gen("secp256k1")};
    for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
        enum estc_key_type type = ESTC_KEY_P256;
        struct estc_buf pem = {0};
        assert_non_null(keys[i]);
        assert_int_equal(estc_key_type_of(keys[i], &type), -EINVAL);
        pem_of(keys[i], &pem);
        assert_unusable((char *)pem.data, pem.len, "not supported");
        estc_buf_clear(&pem);
        EVP_PKEY_free(keys[i]);
    }
}

/* P-256 with its parameters spelt out: the same curve today, anything tomorrow. */
static void refuses_explicit_curve_parameters(void **state) {
    (void)state;
    EVP_PKEY *key = support_key();
    assert_true(EVP_PKEY_set_utf8_string_param(key, OSSL_PKEY_PARAM_EC_ENCODING, "explicit"));
    struct estc_buf pem = {0};
    pem_of(key, &pem);
    assert_unusable((char *)pem.data, pem.len, "not supported");
    estc_buf_clear(&pem);
    EVP_PKEY_free(key);
}

static void refuses_what_is_no_private_key(void **state) {
    (void)state;
    EVP_PKEY *key = support_key();
    BIO *mem = BIO_new(BIO_s_mem());
    assert_true(PEM_write_bio_PUBKEY(mem, key));
    struct estc_buf pem = drain(mem);
    assert_unusable((char *)pem.data, pem.len, "no usable private key");
    assert_unusable("", 0, "no usable private key");
    assert_unusable("garbage", 7, "no usable private key");
    assert_unusable("-----BEGIN PRIVATE KEY-----\n", 28, "no usable private key");
    assert_unusable("", (size_t)1 << 32, "too large");
    estc_buf_clear(&pem);
    EVP_PKEY_free(key);
}

static void survives_truncation_and_mutation(void **state) {
    (void)state;
    EVP_PKEY *key = support_key();
    struct estc_buf pem = {0};
    pem_of(key, &pem);
    for (size_t len = 0; len + 2 < pem.len; len++)
        assert_unusable((char *)pem.data, len, "");
    for (size_t at = 0; at < pem.len; at++)
        for (int bit = 0; bit < 8; bit += 3) {
            EVP_PKEY *back = NULL;
            pem.data[at] ^= (unsigned char)(1 << bit);
            int rc = estc_key_from_pem(pem.data, pem.len, &back, NULL);
            assert_int_equal(rc == 0, back != NULL);
            assert_true(rc == 0 || rc == ESTC_E_CREDENTIAL);
            pem.data[at] ^= (unsigned char)(1 << bit);
            EVP_PKEY_free(back);
        }
    estc_buf_clear(&pem);
    EVP_PKEY_free(key);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_go_both_ways),
        cmocka_unit_test(each_type_survives_pem),
        cmocka_unit_test(reads_the_old_forms),
        cmocka_unit_test(refuses_encrypted_keys),
        cmocka_unit_test(refuses_other_types),
        cmocka_unit_test(refuses_explicit_curve_parameters),
        cmocka_unit_test(refuses_what_is_no_private_key),
        cmocka_unit_test(survives_truncation_and_mutation),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
