/* SPDX-License-Identifier: BSD-2-Clause */
/* /skg and /skc as the client sees them: what is asked, and what is taken for an answer. */
#include "canned.h"

#include <errno.h>
#include <time.h>

#include <estc/cert.h>
#include <estc/keypackage.h>

#include "base/cleanup_ossl.h"
#include "est/multipart.h"

/* The key that a server makes, its certificate, and both in their content formats. */
static struct {
    EVP_PKEY *key;
    X509 *cert;
    struct estc_buf pkcs8, sealed, bag, der;
    struct estc_seal seal;
    struct estc_trust *trust;
    struct estc_opener opener;
} made;

static const unsigned char secret[16] = "0123456789abcde";

static int set_up(void **state) {
    int rc = canned_setup(state);
    made.key = support_key();
    made.cert = support_cert(made.key, &(struct support_cert_spec){.subject = "CN=gw",
                                                                   .issuer = enrolment.ca,
                                                                   .issuer_key = enrolment.ca_key});
    bag_of(&made.bag, made.cert, NULL);
    unsigned char *der = NULL;
    int len = i2d_X509(made.cert, &der);
    assert_int_equal(estc_buf_append(&made.der, der, (size_t)len), 0);
    OPENSSL_free(der);
    assert_int_equal(estc_pkcs8_encode(made.key, &made.pkcs8, NULL), 0);
    made.seal = (struct estc_seal){.secret = secret,
                                   .secret_len = sizeof(secret),
                                   .id = (const unsigned char *)"kek",
                                   .id_len = 3};
    assert_int_equal(estc_trust_new(&made.trust, NULL), 0);
    assert_int_equal(estc_trust_add(made.trust, enrolment.ca, NULL), 0);
    made.opener = (struct estc_opener){.seal = &made.seal, .trust = made.trust, .now = time(NULL)};
    const struct estc_seal_wish wish = {.kind = ESTC_SEAL_SECRET, .capabilities = ~0u};
    const struct estc_signer signer = {.cert = enrolment.ca, .key = enrolment.ca_key};
    assert_int_equal(estc_keypackage_seal(made.key, &wish, &made.seal, &signer, &made.sealed, NULL),
                     0);
    return rc;
}

static int tear_down(void **state) {
    EVP_PKEY_free(made.key);
    X509_free(made.cert);
    estc_trust_free(made.trust);
    estc_buf_clear(&made.pkcs8);
    estc_buf_clear(&made.sealed);
    estc_buf_clear(&made.bag);
    estc_buf_clear(&made.der);
    return canned_teardown(state);
}

/* Two parts in one answer. */
static struct estc_buf pair(int first_format, const struct estc_buf *first, int second_format,
                            const struct estc_buf *second) {
    struct estc_buf out = {0};
    const struct multipart m = {.part = {{first_format, *first}, {second_format, *second}}};
    assert_int_equal(multipart_encode(&m, &out, NULL), 0);
    return out;
}

/* Asks for a key and gets this answer. */
static int ask(struct canned *c, enum estc_op op, const struct estc_opener *opener,
               struct estc_server_key *out, struct estc_error *err) {
    struct estc_client *client = client_of(c, NULL, NULL);
    struct estc_wait wait = estc_wait_in(1000);
    int64_t retry_after = 0;
    int rc = estc_client_server_key(client, op, enrolment.csr.data, enrolment.csr.len, opener,
                                    &wait, out, &retry_after, err);
    estc_client_free(client);
    assert_int_equal(ERR_peek_error(), 0);
    return rc;
}

static void assert_pair(enum estc_op op, const struct estc_opener *opener,
                        const struct estc_buf *answer) {
    struct canned c = canned(204, ESTC_FORMAT_MULTIPART, answer->data, answer->len);
    _cleanup(estc_server_key_clear) struct estc_server_key got = {0};
    struct estc_error err = {0};
    if (ask(&c, op, opener, &got, &err))
        fail_msg("%s", err.text);
    assert_int_equal(EVP_PKEY_eq(got.key, made.key), 1);
    assert_int_equal(X509_cmp(got.cert, made.cert), 0);
}

static void assert_fails(enum estc_op op, const struct estc_opener *opener,
                         const struct estc_buf *answer, int code, const char *reason) {
    struct canned c = canned(204, ESTC_FORMAT_MULTIPART, answer->data, answer->len);
    struct estc_server_key got = {0};
    struct estc_error err = {0};
    int rc = ask(&c, op, opener, &got, &err);
    assert_null(got.key);
    assert_null(got.cert);
    if (rc != code || !strstr(err.text, reason))
        fail_msg("%d, '%s' is not %d, %s", code, reason, rc, err.text);
}

static void f04_asks_as_it_should(void **state) {
    (void)state;
    static const struct {
        enum estc_op op;
        const char *path;
        int format;
    } cases[] = {{ESTC_OP_SKG, "/.well-known/est/skg", 281},
                 {ESTC_OP_SKC, "/.well-known/est/skc", 287}};
    for (size_t i = 0; i < 2; i++) {
        _cleanup(estc_buf_clear) struct estc_buf answer =
            pair(284, &made.pkcs8, cases[i].format, i ? &made.der : &made.bag);
        struct canned c = canned(204, ESTC_FORMAT_MULTIPART, answer.data, answer.len);
        _cleanup(estc_server_key_clear) struct estc_server_key got = {0};
        assert_int_equal(ask(&c, cases[i].op, NULL, &got, NULL), 0);
        assert_string_equal(c.path, cases[i].path);
        assert_int_equal(c.asked.method, ESTC_POST);
        assert_int_equal(c.asked.content_format, 286);
        assert_int_equal(c.asked.accept, 62);
        assert_int_equal(c.asked.payload_len, enrolment.csr.len);
    }
}

static void k04_k08_both_orders_and_a_single_certificate_in_skg(void **state) {
    (void)state;
    const struct {
        enum estc_op op;
        int format;
        const struct estc_buf *cert;
    } good[] = {{ESTC_OP_SKG, 281, &made.bag},
                {ESTC_OP_SKG, 287, &made.der},
                {ESTC_OP_SKC, 287, &made.der}};
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        _cleanup(estc_buf_clear) struct estc_buf key_first =
            pair(284, &made.pkcs8, good[i].format, good[i].cert);
        assert_pair(good[i].op, NULL, &key_first);
        _cleanup(estc_buf_clear) struct estc_buf cert_first =
            pair(good[i].format, good[i].cert, 284, &made.pkcs8);
        assert_pair(good[i].op, NULL, &cert_first);
        _cleanup(estc_buf_clear) struct estc_buf sealed =
            pair(280, &made.sealed, good[i].format, good[i].cert);
        assert_pair(good[i].op, &made.opener, &sealed);
    }
}

static void k04_k08_wrong_parts(void **state) {
    (void)state;
    const struct {
        enum estc_op op;
        int first, second;
    } bad[] = {
        {ESTC_OP_SKC, 284, 281}, {ESTC_OP_SKG, 284, 284}, {ESTC_OP_SKG, 281, 287},
        {ESTC_OP_SKG, 284, 286}, {ESTC_OP_SKG, 0, 281},   {ESTC_OP_SKC, 280, 284},
    };
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        _cleanup(estc_buf_clear) struct estc_buf answer =
            pair(bad[i].first, &made.pkcs8, bad[i].second, &made.bag);
        assert_fails(bad[i].op, NULL, &answer, ESTC_E_PROTOCOL, "content formats");
    }
}

/* What is inside of the parts has to be what the part says. */
static void f09_k02_parts_that_are_something_else(void **state) {
    (void)state;
    static const struct estc_buf none = {0};
    struct estc_buf two = {0}, empty = {0};
    bag_of(&two, made.cert, enrolment.ca);
    bag_of(&empty, NULL, NULL);
    const struct {
        int format;
        const struct estc_buf *key, *cert;
        int code;
        const char *reason;
    } bad[] = {
        {281, &made.pkcs8, &made.der, ESTC_E_MALFORMED, "certs-only"},
        {287, &made.pkcs8, &made.bag, ESTC_E_MALFORMED, "certificate"},
        {281, &made.bag, &made.bag, ESTC_E_MALFORMED, "private key"},
        {281, &none, &made.bag, ESTC_E_MALFORMED, "private key"},
        {281, &made.pkcs8, &none, ESTC_E_MALFORMED, "certs-only"},
        {287, &made.pkcs8, &none, ESTC_E_MALFORMED, "certificate"},
        {281, &made.pkcs8, &two, ESTC_E_PROTOCOL, "2 certificates"},
        {281, &made.pkcs8, &empty, ESTC_E_PROTOCOL, "0 certificates"},
    };
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        _cleanup(estc_buf_clear) struct estc_buf answer =
            pair(284, bad[i].key, bad[i].format, bad[i].cert);
        assert_fails(ESTC_OP_SKG, NULL, &answer, bad[i].code, bad[i].reason);
    }
    estc_buf_clear(&two);
    estc_buf_clear(&empty);
}

static void k05_answers_that_are_no_pair(void **state) {
    (void)state;
    static const char *const names[] = {
        "neg-multipart-huge-length.cbor", "neg-multipart-null-key.cbor",
        "neg-multipart-odd-count.cbor",   "neg-multipart-residual-byte.cbor",
        "neg-multipart-text-string.cbor", "neg-multipart-truncated.cbor",
    };
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        _cleanup(estc_buf_clear) struct estc_buf answer = support_vector(names[i]);
        assert_fails(ESTC_OP_SKG, NULL, &answer, ESTC_E_MALFORMED, "multipart");
    }
    assert_fails(ESTC_OP_SKG, NULL, &made.pkcs8, ESTC_E_MALFORMED, "multipart");
}

static void k11_sealed_as_asked_or_not_at_all(void **state) {
    (void)state;
    _cleanup(estc_buf_clear) struct estc_buf bare = pair(284, &made.pkcs8, 281, &made.bag);
    assert_fails(ESTC_OP_SKG, &made.opener, &bare, ESTC_E_PROTOCOL, "unencrypted");
    _cleanup(estc_buf_clear) struct estc_buf sealed = pair(280, &made.sealed, 281, &made.bag);
    assert_fails(ESTC_OP_SKG, NULL, &sealed, ESTC_E_PROTOCOL, "not asked for");
}

static void k17_key_and_certificate_belong_together(void **state) {
    (void)state;
    _cleanup(pkey_freep) EVP_PKEY *other = support_key();
    _cleanup(estc_buf_clear) struct estc_buf pkcs8 = {0};
    assert_int_equal(estc_pkcs8_encode(other, &pkcs8, NULL), 0);
    _cleanup(estc_buf_clear) struct estc_buf answer = pair(284, &pkcs8, 281, &made.bag);
    assert_fails(ESTC_OP_SKG, NULL, &answer, ESTC_E_MISMATCH, "not one for the key");
}

static void k17_the_key_of_the_request_is_no_answer(void **state) {
    (void)state;
    _cleanup(estc_buf_clear) struct estc_buf pkcs8 = {0};
    assert_int_equal(estc_pkcs8_encode(enrolment.key, &pkcs8, NULL), 0);
    _cleanup(estc_buf_clear) struct estc_buf answer = pair(284, &pkcs8, 281, &enrolment.answer);
    assert_fails(ESTC_OP_SKG, NULL, &answer, ESTC_E_MISMATCH, "no key of its own");
}

static void f10_other_formats_and_codes(void **state) {
    (void)state;
    _cleanup(estc_buf_clear) struct estc_buf answer = pair(284, &made.pkcs8, 281, &made.bag);
    static const struct {
        unsigned code;
        int format, rc;
    } cases[] = {
        {204, ESTC_FORMAT_CERTS_ONLY, ESTC_E_PROTOCOL}, {204, ESTC_FORMAT_PKCS8, ESTC_E_PROTOCOL},
        {201, ESTC_FORMAT_MULTIPART, ESTC_E_PROTOCOL},  {403, ESTC_FORMAT_NONE, ESTC_E_REJECTED},
        {404, ESTC_FORMAT_NONE, ESTC_E_REJECTED},       {503, ESTC_FORMAT_NONE, ESTC_E_PENDING},
        {500, ESTC_FORMAT_NONE, ESTC_E_SERVER},         {204, ESTC_FORMAT_NONE, 0},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct canned c = canned(cases[i].code, cases[i].format, answer.data, answer.len);
        _cleanup(estc_server_key_clear) struct estc_server_key got = {0};
        assert_int_equal(ask(&c, ESTC_OP_SKG, NULL, &got, NULL), cases[i].rc);
    }
    struct canned c = canned(204, ESTC_FORMAT_MULTIPART, answer.data, answer.len);
    _cleanup(estc_server_key_clear) struct estc_server_key got = {0};
    assert_int_equal(ask(&c, ESTC_OP_SEN, NULL, &got, NULL), -EINVAL);
    assert_int_equal(c.requests, 0);
}

/* A request that asks for a seal carries the attributes of RFC 7030 section 4.4.1. */
static void k07_k12_request_for_a_sealed_key(void **state) {
    (void)state;
    struct estc_buf der = {0};
    const struct estc_csr_spec spec = {.subject = "CN=gw", .seal = &made.seal};
    assert_int_equal(estc_csr_build(enrolment.key, &spec, &der, NULL), 0);
    _cleanup(x509_req_freep) X509_REQ *csr = NULL;
    assert_int_equal(estc_csr_parse(der.data, der.len, &csr, NULL), 0);
    _cleanup(estc_seal_wish_clear) struct estc_seal_wish wish = {0};
    assert_int_equal(estc_seal_wish_get(csr, &wish, NULL), 0);
    assert_int_equal(wish.kind, ESTC_SEAL_SECRET);
    assert_int_equal(wish.id.len, 3);
    assert_memory_equal(wish.id.data, "kek", 3);
    assert_true(wish.capabilities != 0);
    estc_buf_clear(&der);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(f04_asks_as_it_should),
        cmocka_unit_test(k04_k08_both_orders_and_a_single_certificate_in_skg),
        cmocka_unit_test(k04_k08_wrong_parts),
        cmocka_unit_test(f09_k02_parts_that_are_something_else),
        cmocka_unit_test(k05_answers_that_are_no_pair),
        cmocka_unit_test(k11_sealed_as_asked_or_not_at_all),
        cmocka_unit_test(k17_key_and_certificate_belong_together),
        cmocka_unit_test(k17_the_key_of_the_request_is_no_answer),
        cmocka_unit_test(f10_other_formats_and_codes),
        cmocka_unit_test(k07_k12_request_for_a_sealed_key),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
