/* SPDX-License-Identifier: BSD-2-Clause */
/* Certificates field by field, and what OpenSSL's own verification says to them. */
#include "support.h"

#include <string.h>

#include <openssl/x509v3.h>

#include <estc/cert.h>
#include <estc/csr.h>
#include <estc/key.h>

#include "base/cleanup_ossl.h"
#include "est-registrar/mint.h"

#define NOW INT64_C(1800000000)
#define NEVER INT64_C(253402300799)

static X509_NAME *name_of(const char *text) {
    X509_NAME *name = NULL;
    assert_int_equal(estc_subject_parse(text, &name, NULL), 0);
    return name;
}

static X509 *mint(const char *subject, struct mint_spec spec) {
    _cleanup(x509_name_freep) X509_NAME *name = name_of(subject);
    struct estc_error err = {0};
    X509 *cert = NULL;
    spec.subject = name;
    if (!spec.not_after) {
        spec.not_before = NOW;
        spec.not_after = NOW + 1000;
    }
    if (mint_certificate(&spec, &cert, &err))
        fail_msg("%s", err.text);
    return cert;
}

static GENERAL_NAMES *names_of(const char *text) {
    GENERAL_NAMES *names = GENERAL_NAMES_new();
    GENERAL_NAME *name = NULL;
    assert_int_equal(estc_san_parse(text, &name, NULL), 0);
    assert_true(sk_GENERAL_NAME_push(names, name) > 0);
    return names;
}

static bool critical(const X509 *cert, int nid) {
    int at = X509_get_ext_by_NID(cert, nid, -1);
    assert_true(at >= 0);
    assert_int_equal(X509_get_ext_by_NID(cert, nid, at), -1); /* once */
    return X509_EXTENSION_get_critical(X509_get_ext(cert, at)) != 0;
}

static void a_leaf_is_a_leaf(void **state) {
    EVP_PKEY *key = *state;
    _cleanup(x509_freep) X509 *ca =
        mint("CN=ca", (struct mint_spec){.key = key, .signer = key, .ca = true, .path_length = 0});
    _cleanup(pkey_freep) EVP_PKEY *own = support_key();
    _cleanup(general_names_freep) GENERAL_NAMES *names = names_of("DNS:gw");
    _cleanup(x509_freep) X509 *cert =
        mint("CN=gw",
             (struct mint_spec){
                 .key = own, .issuer = ca, .signer = key, .usages = "clientAuth", .names = names});
    assert_int_equal(X509_get_version(cert), X509_VERSION_3);
    assert_true(critical(cert, NID_basic_constraints));
    assert_true(critical(cert, NID_key_usage));
    assert_false(critical(cert, NID_subject_alt_name));
    assert_false(critical(cert, NID_ext_key_usage));
    assert_int_equal(X509_check_ca(cert), 0);
    assert_int_equal(X509_get_key_usage(cert), KU_DIGITAL_SIGNATURE);
    assert_int_equal(X509_get_extended_key_usage(cert), XKU_SSL_CLIENT);
    assert_int_equal(
        ASN1_OCTET_STRING_cmp(X509_get0_authority_key_id(cert), X509_get0_subject_key_id(ca)), 0);
    assert_int_equal(X509_NAME_cmp(X509_get_issuer_name(cert), X509_get_subject_name(ca)), 0);
    assert_int_equal(X509_verify(cert, key), 1);
    assert_true(estc_cert_has_key(cert, own));
    assert_int_equal(X509_get_ext_count(cert), 6);
    /* A second opinion on every field at once. */
    _cleanup(x509_store_freep) X509_STORE *store = X509_STORE_new();
    _cleanup(x509_store_ctx_freep) X509_STORE_CTX *ctx = X509_STORE_CTX_new();
    X509_STORE_add_cert(store, ca);
    X509_STORE_set_flags(store, X509_V_FLAG_X509_STRICT | X509_V_FLAG_CHECK_SS_SIGNATURE);
    assert_true(X509_STORE_CTX_init(ctx, store, cert, NULL));
    X509_STORE_CTX_set_time(ctx, 0, NOW + 1);
    assert_int_equal(X509_verify_cert(ctx), 1);
}

static void without_a_subject_the_names_are_critical(void **state) {
    EVP_PKEY *key = *state;
    _cleanup(general_names_freep) GENERAL_NAMES *names = names_of("IP:192.0.2.1");
    _cleanup(x509_freep) X509 *cert =
        mint("", (struct mint_spec){.key = key, .signer = key, .names = names});
    assert_true(critical(cert, NID_subject_alt_name));
    assert_int_equal(X509_get_extended_key_usage(cert), UINT32_MAX); /* none asked for */
}

static void a_ca_says_how_deep(void **state) {
    EVP_PKEY *key = *state;
    static const int lengths[] = {-1, 0, 3};
    for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
        _cleanup(x509_freep) X509 *ca = mint(
            "CN=ca",
            (struct mint_spec){.key = key, .signer = key, .ca = true, .path_length = lengths[i]});
        assert_int_equal(X509_check_ca(ca), 1);
        assert_int_equal(X509_get_pathlen(ca), lengths[i]);
        assert_int_equal(X509_get_key_usage(ca), KU_KEY_CERT_SIGN | KU_CRL_SIGN);
        assert_true(estc_cert_is_self_signed(ca));
    }
}

static void the_signature_is_as_strong_as_the_key(void **state) {
    (void)state;
    static const struct {
        enum estc_key_type type;
        int digest;
        uint32_t usage;
    } rows[] = {
        {ESTC_KEY_P256, NID_sha256, KU_DIGITAL_SIGNATURE},
        {ESTC_KEY_P384, NID_sha384, KU_DIGITAL_SIGNATURE},
        {ESTC_KEY_RSA2048, NID_sha256, KU_DIGITAL_SIGNATURE | KU_KEY_ENCIPHERMENT},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        _cleanup(pkey_freep) EVP_PKEY *key = NULL;
        int digest = 0;
        assert_int_equal(estc_key_generate(rows[i].type, &key, NULL), 0);
        _cleanup(x509_freep) X509 *cert =
            mint("CN=x", (struct mint_spec){.key = key, .signer = key});
        assert_int_equal(X509_get_signature_info(cert, &digest, NULL, NULL, NULL), 1);
        assert_int_equal(digest, rows[i].digest);
        assert_int_equal(X509_get_key_usage(cert), rows[i].usage);
    }
}

static void dates_are_to_the_second(void **state) {
    EVP_PKEY *key = *state;
    /* Either side of 2050, where the type changes (RFC 5280, 4.1.2.5), and the very end. */
    static const int64_t dates[][2] = {{0, 1}, {NOW, 2524607999}, {2524608000, NEVER}};
    for (size_t i = 0; i < sizeof(dates) / sizeof(dates[0]); i++) {
        _cleanup(x509_freep) X509 *cert = mint(
            "CN=x",
            (struct mint_spec){
                .key = key, .signer = key, .not_before = dates[i][0], .not_after = dates[i][1]});
        _cleanup(estc_cert_facts_clear) struct estc_cert_facts facts = {0};
        assert_int_equal(estc_cert_facts_get(cert, &facts, NULL), 0);
        assert_int_equal(facts.not_before, dates[i][0]);
        assert_int_equal(facts.not_after, dates[i][1]);
        int type = ASN1_STRING_type(X509_get0_notAfter(cert));
        assert_int_equal(type, dates[i][1] < 2524608000 ? V_ASN1_UTCTIME : V_ASN1_GENERALIZEDTIME);
    }
}

/* 128 random bits: positive, at most 17 bytes, each bit up about half of the time, none twice. */
static void serial_numbers_are_random(void **state) {
    EVP_PKEY *key = *state;
    enum { N = 256, BITS = 128 };
    unsigned ups[BITS] = {0};
    BIGNUM *seen[N] = {0};
    for (int i = 0; i < N; i++) {
        _cleanup(x509_freep) X509 *cert =
            mint("CN=x", (struct mint_spec){.key = key, .signer = key});
        const ASN1_INTEGER *serial = X509_get0_serialNumber(cert);
        seen[i] = ASN1_INTEGER_to_BN(serial, NULL);
        assert_false(BN_is_negative(seen[i]) || BN_is_zero(seen[i]));
        assert_true(BN_num_bits(seen[i]) <= BITS);
        for (int bit = 0; bit < BITS; bit++)
            ups[bit] += (unsigned)BN_is_bit_set(seen[i], bit);
        for (int k = 0; k < i; k++)
            assert_int_not_equal(BN_cmp(seen[i], seen[k]), 0);
    }
    for (int bit = 0; bit < BITS; bit++) /* eight standard deviations */
        assert_in_range(ups[bit], N / 4, N * 3 / 4);
    for (int i = 0; i < N; i++)
        BN_free(seen[i]);
}

static void a_signer_of_another_kind_is_refused(void **state) {
    EVP_PKEY *key = *state;
    _cleanup(pkey_freep) EVP_PKEY *ed25519 = EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
    _cleanup(x509_name_freep) X509_NAME *name = name_of("CN=x");
    const struct mint_spec spec = {
        .subject = name, .key = key, .signer = ed25519, .not_after = NOW};
    X509 *cert = NULL;
    struct estc_error err = {0};
    assert_int_equal(mint_certificate(&spec, &cert, &err), ESTC_E_CREDENTIAL);
    assert_null(cert);
    const struct mint_spec odd = {
        .subject = name, .key = key, .signer = key, .not_after = NOW, .usages = "no such usage"};
    assert_true(mint_certificate(&odd, &cert, &err) < 0);
    assert_null(cert);
}

static int setup(void **state) {
    *state = support_key();
    return 0;
}

static int teardown(void **state) {
    EVP_PKEY_free(*state);
    return 0;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_leaf_is_a_leaf),
        cmocka_unit_test(without_a_subject_the_names_are_critical),
        cmocka_unit_test(a_ca_says_how_deep),
        cmocka_unit_test(the_signature_is_as_strong_as_the_key),
        cmocka_unit_test(dates_are_to_the_second),
        cmocka_unit_test(serial_numbers_are_random),
        cmocka_unit_test(a_signer_of_another_kind_is_refused),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
