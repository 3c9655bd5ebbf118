/* SPDX-License-Identifier: BSD-2-Clause */
#include "support.h"

#include <stdlib.h>
#include <string.h>

#include <openssl/err.h>
#include <openssl/pem.h>

#include <estc/cert.h>
#include <estc/csr.h>
#include <estc/key.h>

#include "base/cleanup_ossl.h"
#include "base/text.h"

static X509 *vector_cert(const char *name) {
    struct estc_buf der = support_vector(name);
    const unsigned char *p = der.data;
    X509 *cert = d2i_X509(NULL, &p, (long)der.len);
    assert_non_null(cert);
    estc_buf_clear(&der);
    return cert;
}

static X509 *named_cert(const char *subject) {
    _cleanup(pkey_freep) EVP_PKEY *key = support_key();
    return support_cert(key, &(struct support_cert_spec){.subject = subject});
}

static void pem_keeps_order(void **state) {
    (void)state;
    STACK_OF(X509) *list = sk_X509_new_null();
    static const char *const names[] = {"CN=b", "CN=a", "CN=c"};
    for (size_t i = 0; i < 3; i++)
        sk_X509_push(list, named_cert(names[i]));
    struct estc_buf pem = {0}, one = {0};
    assert_int_equal(estc_certs_to_pem(list, &pem, NULL), 0);
    assert_int_equal(estc_cert_to_pem(sk_X509_value(list, 0), &one, NULL), 0);
    assert_memory_equal(pem.data, one.data, one.len);
    STACK_OF(X509) *back = NULL;
    assert_int_equal(estc_certs_from_pem(pem.data, pem.len, &back, NULL), 0);
    assert_int_equal(sk_X509_num(back), 3);
    for (int i = 0; i < 3; i++)
        assert_int_equal(X509_cmp(sk_X509_value(list, i), sk_X509_value(back, i)), 0);
    sk_X509_pop_free(back, X509_free);
    sk_X509_pop_free(list, X509_free);
    estc_buf_clear(&pem);
    estc_buf_clear(&one);
}

static void pem_passes_over_text_and_keys(void **state) {
    (void)state;
    _cleanup(pkey_freep) EVP_PKEY *key = support_key();
    _cleanup(x509_freep) X509 *cert =
        support_cert(key, &(struct support_cert_spec){.subject = "CN=x"});
    struct estc_buf pem = {0};
    assert_int_equal(estc_buf_append(&pem, "subject=CN = x\n", 15), 0);
    assert_int_equal(estc_key_to_pem(key, &pem, NULL), 0);
    assert_int_equal(estc_cert_to_pem(cert, &pem, NULL), 0);
    assert_int_equal(estc_buf_append(&pem, "\n# the end\n", 11), 0);
    _cleanup(sk_x509_freep) STACK_OF(X509) *back = NULL;
    assert_int_equal(estc_certs_from_pem(pem.data, pem.len, &back, NULL), 0);
    assert_int_equal(sk_X509_num(back), 1);
    estc_buf_clear(&pem);
}

static void assert_bad_pem(const void *pem, size_t len, const char *reason) {
    STACK_OF(X509) *list = NULL;
    struct estc_error err = {0};
    assert_int_equal(estc_certs_from_pem(pem, len, &list, &err), ESTC_E_CREDENTIAL);
    assert_null(list);
    if (!strstr(err.text, reason))
        fail_msg("'%s' is not in: %s", reason, err.text);
    assert_int_equal(ERR_peek_error(), 0);
}

static void refuses_broken_pem(void **state) {
    (void)state;
    _cleanup(x509_freep) X509 *cert = named_cert("CN=x");
    struct estc_buf pem = {0};
    assert_bad_pem("", 0, "no certificate");
    assert_bad_pem("hello\n", 6, "no certificate");
    assert_bad_pem("", (size_t)1 << 32, "too large");
    assert_int_equal(estc_cert_to_pem(cert, &pem, NULL), 0);
    assert_bad_pem(pem.data, pem.len - 10, "broken");
    /* A good one first does not excuse a broken one behind it. */
    assert_int_equal(estc_cert_to_pem(cert, &pem, NULL), 0);
    assert_bad_pem(pem.data, pem.len - 10, "broken");
    pem.data[pem.len - 100] = '!';
    assert_bad_pem(pem.data, pem.len, "broken");
    estc_buf_clear(&pem);

    static const char nonsense[] = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    assert_bad_pem(nonsense, sizeof(nonsense) - 1, "well-formed");

    /* Bytes behind the certificate, in one block. */
    unsigned char *der = NULL;
    int len = i2d_X509(cert, &der);
    unsigned char *longer = malloc((size_t)len + 1);
    memcpy(longer, der, (size_t)len);
    longer[len] = 0;
    _cleanup(bio_freep) BIO *mem = BIO_new(BIO_s_mem());
    PEM_write_bio(mem, "CERTIFICATE", "", longer, len + 1);
    char *text = NULL;
    long text_len = BIO_get_mem_data(mem, &text);
    assert_bad_pem(text, (size_t)text_len, "well-formed");
    free(longer);
    OPENSSL_free(der);
}

static void bounds_the_number_of_certificates(void **state) {
    (void)state;
    _cleanup(x509_freep) X509 *cert = named_cert("CN=x");
    struct estc_buf pem = {0};
    for (int i = 0; i < ESTC_CERT_LIST_MAX; i++)
        assert_int_equal(estc_cert_to_pem(cert, &pem, NULL), 0);
    STACK_OF(X509) *list = NULL;
    assert_int_equal(estc_certs_from_pem(pem.data, pem.len, &list, NULL), 0);
    assert_int_equal(sk_X509_num(list), ESTC_CERT_LIST_MAX);
    sk_X509_pop_free(list, X509_free);
    assert_int_equal(estc_cert_to_pem(cert, &pem, NULL), 0);
    assert_bad_pem(pem.data, pem.len, "more than 64");
    estc_buf_clear(&pem);
}

static void tells_the_facts_of_the_rfcs_examples(void **state) {
    (void)state;
    _cleanup(x509_freep) X509 *root = vector_cert("9148-A1-crts-response.287.crt.der");
    _cleanup(x509_freep) X509 *leaf = vector_cert("9148-A2-sen-response.287.crt.der");
    struct estc_cert_facts f = {0};
    assert_int_equal(estc_cert_facts_get(root, &f, NULL), 0);
    assert_string_equal(f.subject, "CN=Root CA,OU=certification,O=Example Inc,L=LA,ST=CA,C=US");
    assert_string_equal(f.issuer, f.subject);
    assert_string_equal(f.serial, "0B8BB0FE604F6A1E");
    assert_string_equal(f.key_type, "p256");
    assert_string_equal(f.sha256,
                        "65CE66FB2410FA735A1037F5133B4B209507D29993406D4B18CFF3CEF6B27E98");
    assert_string_equal(f.key_sha256,
                        "4228BE545ECFE45EC56924ACEE91F446C7F08FF970A34D6F6E8521B15FDD4B7D");
    assert_true(f.not_before == 1548934023);
    assert_true(f.not_after == 2179654023);
    assert_true(f.is_ca);
    assert_int_equal(text_list_len(f.sans), 1);
    assert_string_equal(f.sans[0], "email:certify@example.com");
    assert_true(estc_cert_is_self_signed(root));
    estc_cert_facts_clear(&f);

    assert_int_equal(estc_cert_facts_get(leaf, &f, NULL), 0);
    assert_string_equal(f.subject, "serialNumber=Wt1234,OU=IoT,O=example Inc,L=LA,ST=CA,C=US");
    assert_string_equal(f.issuer, "CN=802.1AR CA,OU=certification,O=Example Inc,ST=CA,C=US");
    assert_true(f.not_after == 253402300799);
    assert_false(f.is_ca);
    assert_true(f.has_client_auth); /* no extended key usage in it */
    assert_string_equal(f.sans[0], "other:1.3.6.1.5.5.7.8.4");
    assert_null(f.sans[1]);
    assert_false(estc_cert_is_self_signed(leaf));
    estc_cert_facts_clear(&f);
    assert_null(f.subject);
    estc_cert_facts_clear(&f);
    estc_cert_facts_clear(NULL);
}

static void client_use_follows_the_extended_key_usage(void **state) {
    (void)state;
    static const struct {
        const char *eku;
        bool client;
    } cases[] = {
        {NULL, true},
        {"clientAuth", true},
        {"serverAuth,clientAuth", true},
        {"anyExtendedKeyUsage", true},
        {"serverAuth", false},
        {"1.3.6.1.5.5.7.3.28", false},
    };
    _cleanup(pkey_freep) EVP_PKEY *key = support_key();
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        _cleanup(x509_freep) X509 *cert =
            support_cert(key, &(struct support_cert_spec){.subject = "CN=x", .eku = cases[i].eku});
        struct estc_cert_facts f = {0};
        assert_int_equal(estc_cert_facts_get(cert, &f, NULL), 0);
        assert_int_equal(f.has_client_auth, cases[i].client);
        assert_null(f.sans[0]);
        estc_cert_facts_clear(&f);
    }
}

static void names_other_keys_other(void **state) {
    (void)state;
    _cleanup(pkey_freep) EVP_PKEY *key = EVP_EC_gen("secp521r1");
    _cleanup(x509_freep) X509 *cert =
        support_cert(key, &(struct support_cert_spec){.subject = "CN=x"});
    struct estc_cert_facts f = {0};
    assert_int_equal(estc_cert_facts_get(cert, &f, NULL), 0);
    assert_string_equal(f.key_type, "other");
    estc_cert_facts_clear(&f);
}

static void many_and_long_names_are_bounded(void **state) {
    (void)state;
    char uri[1100] = "URI:x:";
    memset(uri + 6, 'y', 1000);
    uri[1006] = '\0';
    const char *sans[301] = {0};
    for (int i = 0; i < 300; i++)
        sans[i] = i ? "DNS:a.example" : uri;
    _cleanup(pkey_freep) EVP_PKEY *key = support_key();
    _cleanup(x509_freep) X509 *cert =
        support_cert(key, &(struct support_cert_spec){.subject = "CN=x", .sans = sans});
    struct estc_cert_facts f = {0};
    assert_int_equal(estc_cert_facts_get(cert, &f, NULL), 0);
    assert_int_equal(text_list_len(f.sans), 128);
    assert_string_equal(f.sans[0], uri);
    estc_cert_facts_clear(&f);
}

static void compares_public_keys(void **state) {
    (void)state;
    _cleanup(pkey_freep) EVP_PKEY *key = support_key(), *other = support_key();
    _cleanup(x509_freep) X509 *cert =
        support_cert(key, &(struct support_cert_spec){.subject = "CN=x"});
    assert_true(estc_cert_has_key(cert, key));
    assert_false(estc_cert_has_key(cert, other));
    _cleanup(pkey_freep) EVP_PKEY *rsa = EVP_RSA_gen(2048);
    assert_false(estc_cert_has_key(cert, rsa));
    assert_int_equal(ERR_peek_error(), 0);
}

static void self_signed_means_signed_by_its_own_key(void **state) {
    (void)state;
    _cleanup(pkey_freep) EVP_PKEY *key = support_key(), *other = support_key();
    _cleanup(x509_freep) X509 *cert =
        support_cert(key, &(struct support_cert_spec){.subject = "CN=x", .ca = 1});
    assert_true(estc_cert_is_self_signed(cert));
    /* The same name as its issuer, but another's signature: a key change makes such ones. */
    _cleanup(x509_freep) X509 *issuer =
        support_cert(other, &(struct support_cert_spec){.subject = "CN=x", .ca = 1});
    _cleanup(x509_freep) X509 *rolled =
        support_cert(key, &(struct support_cert_spec){
                              .subject = "CN=x", .ca = 1, .issuer = issuer, .issuer_key = other});
    assert_false(estc_cert_is_self_signed(rolled));
    assert_int_equal(ERR_peek_error(), 0);
}

static void assert_clean(const char *text) {
    assert_non_null(text);
    char *again = strdup(text);
    text_clean_in_place(again);
    assert_string_equal(again, text);
    free(again);
}

/* Whatever is left of a certificate after a flipped byte, its facts are harmless text. */
static void facts_survive_every_flipped_byte(void **state) {
    (void)state;
    static const char *const vectors[] = {"9148-A1-crts-response.287.crt.der",
                                          "9148-A2-sen-response.287.crt.der"};
    static const unsigned char masks[] = {0x01, 0x20, 0x80, 0xff};
    int seen = 0;
    for (size_t v = 0; v < 2; v++) {
        struct estc_buf der = support_vector(vectors[v]);
        for (size_t at = 0; at < der.len; at++)
            for (size_t m = 0; m < sizeof(masks); m++) {
                der.data[at] ^= masks[m];
                const unsigned char *p = der.data;
                _cleanup(x509_freep) X509 *cert = d2i_X509(NULL, &p, (long)der.len);
                ERR_clear_error();
                der.data[at] ^= masks[m];
                struct estc_cert_facts f = {0};
                if (!cert || estc_cert_facts_get(cert, &f, NULL))
                    continue;
                seen++;
                assert_clean(f.subject);
                assert_clean(f.issuer);
                assert_clean(f.serial);
                for (size_t i = 0; f.sans[i]; i++)
                    assert_clean(f.sans[i]);
                estc_cert_facts_clear(&f);
            }
        estc_buf_clear(&der);
    }
    assert_true(seen > 1000); /* most bytes are content, not structure */
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pem_keeps_order),
        cmocka_unit_test(pem_passes_over_text_and_keys),
        cmocka_unit_test(refuses_broken_pem),
        cmocka_unit_test(bounds_the_number_of_certificates),
        cmocka_unit_test(tells_the_facts_of_the_rfcs_examples),
        cmocka_unit_test(client_use_follows_the_extended_key_usage),
        cmocka_unit_test(names_other_keys_other),
        cmocka_unit_test(many_and_long_names_are_bounded),
        cmocka_unit_test(compares_public_keys),
        cmocka_unit_test(self_signed_means_signed_by_its_own_key),
        cmocka_unit_test(facts_survive_every_flipped_byte),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
