/* SPDX-License-Identifier: BSD-2-Clause */
/* The conversation: what is asked, and what is taken for an answer. */
#include "canned.h"

#include <errno.h>

static void f03_enroll_asks_as_it_should(void **state) {
    (void)state;
    static const struct {
        enum estc_op op;
        const char *path;
    } cases[] = {{ESTC_OP_SEN, "/.well-known/est/sen"}, {ESTC_OP_SREN, "/.well-known/est/sren"}};
    for (size_t i = 0; i < 2; i++) {
        struct canned c =
            canned(204, ESTC_FORMAT_CERTS_ONLY, enrolment.answer.data, enrolment.answer.len);
        X509 *issued = NULL;
        int64_t retry_after = 42;
        assert_int_equal(enroll(&c, cases[i].op, &issued, &retry_after, NULL), 0);
        assert_int_equal(X509_cmp(issued, enrolment.cert), 0);
        assert_int_equal(retry_after, 42);
        assert_int_equal(c.requests, 1);
        assert_string_equal(c.path, cases[i].path);
        assert_int_equal(c.asked.method, ESTC_POST);
        assert_int_equal(c.asked.content_format, 286);
        assert_int_equal(c.asked.accept, 281);
        assert_int_equal(c.asked.payload_len, enrolment.csr.len);
        X509_free(issued);
    }
}

static void f02_cacerts_asks_as_it_should(void **state) {
    (void)state;
    struct estc_buf vector = support_vector("7030-A1-cacerts-response.p7.der");
    struct canned c = canned(205, ESTC_FORMAT_CERTS_ONLY, vector.data, vector.len);
    struct estc_client *client = client_of(&c, "/est", "plant-7");
    struct estc_wait wait = estc_wait_in(1000);
    STACK_OF(X509) *certs = NULL;
    assert_int_equal(estc_client_cacerts(client, &wait, &certs, NULL), 0);
    assert_int_equal(sk_X509_num(certs), 4);
    assert_string_equal(c.path, "/est/plant-7/crts");
    assert_int_equal(c.asked.method, ESTC_GET);
    assert_int_equal(c.asked.content_format, ESTC_FORMAT_NONE);
    assert_int_equal(c.asked.accept, 281);
    assert_int_equal(c.asked.payload_len, 0);
    sk_X509_pop_free(certs, X509_free);
    estc_client_free(client);
    estc_buf_clear(&vector);
}

static void connects_and_forwards_what_the_transport_says(void **state) {
    (void)state;
    static const int codes[] = {ESTC_E_UNREACHABLE,
                                ESTC_E_TIMEOUT,
                                ESTC_E_UNTRUSTED,
                                ESTC_E_REJECTED,
                                ESTC_E_CANCELLED,
                                ESTC_E_TOO_LARGE,
                                -EIO};
    struct estc_wait wait = estc_wait_in(1000);
    for (size_t i = 0; i < sizeof(codes) / sizeof(codes[0]); i++) {
        struct canned c = canned(0, ESTC_FORMAT_NONE, NULL, 0);
        c.rc = codes[i];
        struct estc_client *client = client_of(&c, NULL, "");
        STACK_OF(X509) *certs = NULL;
        struct estc_error err = {0};
        assert_int_equal(estc_client_connect(client, &wait, &err), codes[i]);
        assert_int_equal(estc_client_cacerts(client, &wait, &certs, &err), codes[i]);
        assert_null(certs);
        assert_string_equal(err.text, "no way there");
        estc_client_free(client);
        assert_enroll_fails(&c, codes[i], "no way there");
        assert_int_equal(c.connects, 1);
        assert_int_equal(c.requests, 2);
    }
    struct canned c = canned(0, ESTC_FORMAT_NONE, NULL, 0);
    struct estc_client *client = client_of(&c, NULL, NULL);
    assert_int_equal(estc_client_connect(client, &wait, NULL), 0);
    assert_null(estc_client_free(client));
    assert_null(estc_client_free(NULL));
    assert_int_equal(c.requests, 0); /* borrowed: not freed with the client */
    assert_null(estc_transport_free(&c.transport));
    assert_int_equal(c.requests, -1);
    assert_null(estc_transport_free(NULL));
}

static void refuses_labels_that_hide_operations(void **state) {
    (void)state;
    struct canned c = canned(0, ESTC_FORMAT_NONE, NULL, 0);
    struct estc_client *client = NULL;
    assert_int_equal(estc_client_new(&(struct estc_client_options){.transport = &c.transport,
                                                                   .label = "csrattrs"},
                                     &client, NULL),
                     ESTC_E_CONFIG);
    assert_null(client);
}

static void e06_exactly_one_certificate(void **state) {
    (void)state;
    struct estc_buf none = {0}, two = {0};
    bag_of(&none, NULL, NULL);
    bag_of(&two, enrolment.cert, enrolment.ca);
    struct canned c = canned(204, ESTC_FORMAT_NONE, none.data, none.len);
    assert_enroll_fails(&c, ESTC_E_PROTOCOL, "sent 0 certificates where one is due");
    struct estc_client *client = client_of(&c, NULL, NULL);
    struct estc_wait wait = estc_wait_in(1000);
    STACK_OF(X509) *certs = NULL;
    c.code = 205;
    assert_int_equal(estc_client_cacerts(client, &wait, &certs, NULL), ESTC_E_PROTOCOL);
    assert_null(certs);
    estc_client_free(client);
    c = canned(204, ESTC_FORMAT_NONE, two.data, two.len);
    assert_enroll_fails(&c, ESTC_E_PROTOCOL, "sent 2 certificates where one is due");
    estc_buf_clear(&none);
    estc_buf_clear(&two);
}

static void e06_the_key_is_ours(void **state) {
    (void)state;
    struct estc_buf other = {0};
    bag_of(&other, enrolment.ca, NULL);
    struct canned c = canned(204, ESTC_FORMAT_NONE, other.data, other.len);
    assert_enroll_fails(&c, ESTC_E_MISMATCH, "another public key");
    estc_buf_clear(&other);
}

static void garbage_is_malformed(void **state) {
    (void)state;
    static const char html[] = "<html>";
    struct canned c = canned(204, ESTC_FORMAT_NONE, html, 6);
    assert_enroll_fails(&c, ESTC_E_MALFORMED, "/sen: the server's answer: certs-only message: not");
    c.payload_len = 0;
    assert_enroll_fails(&c, ESTC_E_MALFORMED, "empty");
    for (size_t len = 0; len < enrolment.answer.len; len++) {
        c.payload = enrolment.answer.data;
        c.payload_len = len;
        assert_enroll_fails(&c, ESTC_E_MALFORMED, "/sen");
    }
}

/* Whatever byte is wrong, nothing but our key comes back. */
static void flipped_answers_never_bring_another_key(void **state) {
    (void)state;
    for (size_t at = 0; at < enrolment.answer.len; at++) {
        struct canned c =
            canned(204, ESTC_FORMAT_NONE, enrolment.answer.data, enrolment.answer.len);
        X509 *issued = NULL;
        int64_t retry_after;
        enrolment.answer.data[at] ^= 0xff;
        int rc = enroll(&c, ESTC_OP_SEN, &issued, &retry_after, NULL);
        enrolment.answer.data[at] ^= 0xff;
        assert_true(rc == 0 || rc == ESTC_E_MALFORMED || rc == ESTC_E_MISMATCH ||
                    rc == ESTC_E_PROTOCOL);
        assert_int_equal(rc == 0, issued != NULL);
        if (issued)
            assert_int_equal(EVP_PKEY_eq(X509_get0_pubkey(issued), enrolment.key), 1);
        X509_free(issued);
        ERR_clear_error();
    }
}

static void asks_nothing_with_a_bad_request(void **state) {
    (void)state;
    struct canned c = canned(204, ESTC_FORMAT_NONE, NULL, 0);
    struct estc_client *client = client_of(&c, NULL, NULL);
    struct estc_wait wait = estc_wait_in(1000);
    X509 *issued = NULL;
    int64_t retry_after;
    assert_int_equal(
        estc_client_enroll(client, ESTC_OP_SEN, "x", 1, &wait, &issued, &retry_after, NULL),
        ESTC_E_MALFORMED);
    assert_int_equal(estc_client_enroll(client, ESTC_OP_CRTS, enrolment.csr.data, enrolment.csr.len,
                                        &wait, &issued, &retry_after, NULL),
                     -EINVAL);
    assert_int_equal(c.requests, 0);
    estc_client_free(client);
}

static void a02_a03_no_wish_is_an_empty_answer(void **state) {
    (void)state;
    static const unsigned char attrs[] = {0x30, 0x00};
    static const struct {
        unsigned code;
        int format, rc;
        size_t len;
    } cases[] = {
        {205, 285, 0, 2},
        {205, -1, 0, 2},
        {404, -1, 0, 0},
        {205, 281, ESTC_E_PROTOCOL, 0},
        {204, 285, ESTC_E_PROTOCOL, 0},
        {403, -1, ESTC_E_REJECTED, 0},
        {503, -1, ESTC_E_SERVER, 0},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct canned c = canned(cases[i].code, cases[i].format, attrs, sizeof(attrs));
        struct estc_client *client = client_of(&c, NULL, "plant");
        struct estc_wait wait = estc_wait_in(1000);
        struct estc_buf der = {0};
        assert_int_equal(estc_client_csrattrs(client, &wait, &der, NULL), cases[i].rc);
        assert_int_equal(der.len, cases[i].len);
        assert_string_equal(c.path, "/.well-known/est/plant/att");
        assert_int_equal(c.asked.method, ESTC_GET);
        assert_int_equal(c.asked.accept, ESTC_FORMAT_CSRATTRS);
        estc_buf_clear(&der);
        estc_client_free(client);
    }
}

/* 12 bytes of tls-unique become 16 characters in one line; whoever has none gets no text. */
static void p04_p08_a_request_with_a_binding_is_bound(void **state) {
    (void)state;
    struct canned c =
        canned(204, ESTC_FORMAT_CERTS_ONLY, enrolment.answer.data, enrolment.answer.len);
    struct estc_client *client = client_of(&c, NULL, NULL);
    struct estc_wait wait = estc_wait_in(1000);
    char *challenge = NULL;
    assert_int_equal(estc_client_challenge(client, &wait, &challenge, NULL), ESTC_E_PROTOCOL);
    assert_null(challenge);
    c.binding = (struct estc_binding){.data = "\xff\xfe\xfd"
                                              "456789abc",
                                      .len = 12,
                                      .connection = 7};
    assert_int_equal(estc_client_challenge(client, &wait, &challenge, NULL), 0);
    assert_string_equal(challenge, "//79NDU2Nzg5YWJj");
    const struct estc_csr_spec spec = {.subject = "CN=gw", .challenge = challenge};
    struct estc_buf csr = {0};
    assert_int_equal(estc_csr_build(enrolment.key, &spec, &csr, NULL), 0);
    X509 *issued = NULL;
    int64_t retry_after = 0;
    assert_int_equal(estc_client_enroll(client, ESTC_OP_SEN, csr.data, csr.len, &wait, &issued,
                                        &retry_after, NULL),
                     0);
    assert_non_null(c.asked.bound);
    assert_int_equal(c.asked.bound->connection, 7);
    X509_free(issued);
    assert_int_equal(estc_client_enroll(client, ESTC_OP_SEN, enrolment.csr.data, enrolment.csr.len,
                                        &wait, &issued, &retry_after, NULL),
                     0);
    assert_null(c.asked.bound);
    X509_free(issued);
    estc_buf_clear(&csr);
    free(challenge);
    estc_client_free(client);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(f03_enroll_asks_as_it_should),
        cmocka_unit_test(f02_cacerts_asks_as_it_should),
        cmocka_unit_test(connects_and_forwards_what_the_transport_says),
        cmocka_unit_test(refuses_labels_that_hide_operations),
        cmocka_unit_test(e06_exactly_one_certificate),
        cmocka_unit_test(e06_the_key_is_ours),
        cmocka_unit_test(garbage_is_malformed),
        cmocka_unit_test(flipped_answers_never_bring_another_key),
        cmocka_unit_test(asks_nothing_with_a_bad_request),
        cmocka_unit_test(a02_a03_no_wish_is_an_empty_answer),
        cmocka_unit_test(p04_p08_a_request_with_a_binding_is_bound),
    };
    return cmocka_run_group_tests(tests, canned_setup, canned_teardown);
}
