/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The conversation against answers written here: what a transport brings is the seam of this
 * module, and a wrong server is easier written than found. The network has tests of its own.
 */
#include "support.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <openssl/err.h>

#include <estc/certs.h>
#include <estc/client.h>
#include <estc/csr.h>
#include <estc/key.h>
#include <estc/url.h>

#include "base/cleanup_ossl.h"

/* A transport that remembers the question and has one answer. */
struct canned {
    struct estc_transport transport;
    int rc; /* of the transport itself */
    unsigned code;
    int content_format;
    int64_t max_age;
    const void *payload;
    size_t payload_len;
    /* what was asked */
    int connects;
    int requests;
    struct estc_request asked;
    char path[256];
};

static int canned_connect(struct estc_transport *t, const struct estc_wait *wait,
                          struct estc_error *err) {
    (void)wait;
    struct canned *c = (struct canned *)t;
    c->connects++;
    return c->rc ? estc_error_set(err, c->rc, "no way there") : 0;
}

static int canned_request(struct estc_transport *t, const struct estc_request *request,
                          const struct estc_wait *wait, struct estc_response *response,
                          struct estc_error *err) {
    (void)wait;
    struct canned *c = (struct canned *)t;
    c->requests++;
    c->asked = *request;
    snprintf(c->path, sizeof(c->path), "%s", request->path);
    if (c->rc)
        return estc_error_set(err, c->rc, "no way there");
    response->code = c->code;
    response->content_format = c->content_format;
    response->max_age = c->max_age;
    return estc_buf_append(&response->payload, c->payload, c->payload_len);
}

static void canned_free(struct estc_transport *t) {
    ((struct canned *)t)->requests = -1;
}

static const struct estc_transport_ops canned_ops = {canned_connect, canned_request, canned_free};

static struct canned canned(unsigned code, int format, const void *payload, size_t len) {
    return (struct canned){.transport = {&canned_ops},
                           .code = code,
                           .content_format = format,
                           .max_age = -1,
                           .payload = payload,
                           .payload_len = len};
}

static struct estc_client *client_of(struct canned *c, const char *root, const char *label) {
    struct estc_client *client = NULL;
    assert_int_equal(
        estc_client_new(
            &(struct estc_client_options){.transport = &c->transport, .root = root, .label = label},
            &client, NULL),
        0);
    return client;
}

/* One key, its request, and what a CA would answer. */
static struct {
    EVP_PKEY *key, *ca_key;
    X509 *cert, *ca;
    struct estc_buf csr;
    struct estc_buf answer; /* certs-only with cert */
} enrolment;

static void bag_of(struct estc_buf *out, X509 *first, X509 *second) {
    STACK_OF(X509) *list = sk_X509_new_null();
    if (first)
        sk_X509_push(list, first);
    if (second)
        sk_X509_push(list, second);
    assert_int_equal(estc_certs_encode(list, out, NULL), 0);
    sk_X509_free(list);
}

static int setup(void **state) {
    (void)state;
    enrolment.key = support_key();
    enrolment.ca_key = support_key();
    enrolment.ca =
        support_cert(enrolment.ca_key, &(struct support_cert_spec){.subject = "CN=ca", .ca = 1});
    enrolment.cert =
        support_cert(enrolment.key, &(struct support_cert_spec){.subject = "CN=gw",
                                                                .issuer = enrolment.ca,
                                                                .issuer_key = enrolment.ca_key});
    bag_of(&enrolment.answer, enrolment.cert, NULL);
    return estc_csr_build(enrolment.key, &(struct estc_csr_spec){.subject = "CN=gw"},
                          &enrolment.csr, NULL);
}

static int teardown(void **state) {
    (void)state;
    EVP_PKEY_free(enrolment.key);
    EVP_PKEY_free(enrolment.ca_key);
    X509_free(enrolment.cert);
    X509_free(enrolment.ca);
    estc_buf_clear(&enrolment.csr);
    estc_buf_clear(&enrolment.answer);
    return 0;
}

/* Enrolls against a canned answer; err tells the rest. */
static int enroll(struct canned *c, enum estc_op op, X509 **issued, int64_t *retry_after,
                  struct estc_error *err) {
    struct estc_client *client = client_of(c, NULL, NULL);
    struct estc_wait wait = estc_wait_in(1000);
    int rc = estc_client_enroll(client, op, enrolment.csr.data, enrolment.csr.len, &wait, issued,
                                retry_after, err);
    estc_client_free(client);
    assert_int_equal(ERR_peek_error(), 0);
    return rc;
}

static void assert_enroll_fails(struct canned *c, int expected, const char *text) {
    X509 *issued = NULL;
    int64_t retry_after = 42;
    struct estc_error err = {0};
    int rc = enroll(c, ESTC_OP_SEN, &issued, &retry_after, &err);
    if (rc != expected || !strstr(err.text, text))
        fail_msg("%d, expected %d with '%s': %s", rc, expected, text, err.text);
    assert_int_equal(err.code, rc);
    assert_null(issued);
    if (expected != ESTC_E_PENDING)
        assert_int_equal(retry_after, 42);
}

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

static void f10_absent_format_is_the_one_asked_for(void **state) {
    (void)state;
    struct canned c = canned(204, ESTC_FORMAT_NONE, enrolment.answer.data, enrolment.answer.len);
    X509 *issued = NULL;
    int64_t retry_after;
    assert_int_equal(enroll(&c, ESTC_OP_SEN, &issued, &retry_after, NULL), 0);
    X509_free(issued);
}

static void f10_another_format_is_never_decoded(void **state) {
    (void)state;
    static const int formats[] = {0, 40, 62, 280, 284, 286, 287, 65535};
    for (size_t i = 0; i < sizeof(formats) / sizeof(formats[0]); i++) {
        struct canned c = canned(204, formats[i], enrolment.answer.data, enrolment.answer.len);
        assert_enroll_fails(&c, ESTC_E_PROTOCOL, "content format");
    }
}

static void r01_one_code_is_success(void **state) {
    (void)state;
    static const unsigned codes[] = {0, 1, 100, 200, 201, 202, 203, 205, 231, 300, 600, 731};
    for (size_t i = 0; i < sizeof(codes) / sizeof(codes[0]); i++) {
        struct canned c = canned(codes[i], 281, enrolment.answer.data, enrolment.answer.len);
        assert_enroll_fails(&c, ESTC_E_PROTOCOL, "/sen: ");
    }
    struct canned c = canned(204, ESTC_FORMAT_NONE, enrolment.answer.data, enrolment.answer.len);
    struct estc_client *client = client_of(&c, NULL, NULL);
    struct estc_wait wait = estc_wait_in(1000);
    STACK_OF(X509) *certs = NULL;
    struct estc_error err = {0};
    assert_int_equal(estc_client_cacerts(client, &wait, &certs, &err), ESTC_E_PROTOCOL);
    assert_string_equal(err.text, "/crts: the server answered 2.04, not 2.05");
    estc_client_free(client);
}

static void f11_refusals_carry_the_diagnostic(void **state) {
    (void)state;
    static const struct {
        unsigned code;
        int format;
        const char *payload;
        int rc;
        const char *text;
    } cases[] = {
        {403, -1, "not in the list", ESTC_E_REJECTED, "refused with 4.03 Forbidden: not in the l"},
        {403, -1, "", ESTC_E_REJECTED, "refused with 4.03 Forbidden"},
        {400, -1, "bad\r\n\033[2Jrequest", ESTC_E_REJECTED, "4.00 Bad Request: bad???[2Jrequest"},
        {401, -1, "\xff\xfe", ESTC_E_REJECTED, "4.01 Unauthorized: ??"},
        {404, 281, "0\x82", ESTC_E_REJECTED, "refused with 4.04 Not Found"},
        {413, -1, "", ESTC_E_REJECTED, "4.13 Request Entity Too Large"},
        {415, -1, "", ESTC_E_REJECTED, "4.15 Unsupported Content-Format"},
        {429, -1, "", ESTC_E_REJECTED, "4.29 Too Many Requests"},
        {430, -1, "", ESTC_E_REJECTED, "4.30 (unknown code)"},
        {500, -1, "oops", ESTC_E_SERVER, "failed with 5.00 Internal Server Error: oops"},
        {501, -1, "", ESTC_E_SERVER, "5.01 Not Implemented"},
        {502, -1, "", ESTC_E_SERVER, "5.02 Bad Gateway"},
        {504, -1, "", ESTC_E_SERVER, "5.04 Gateway Timeout"},
        {531, -1, "", ESTC_E_SERVER, "5.31 (unknown code)"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct canned c =
            canned(cases[i].code, cases[i].format, cases[i].payload, strlen(cases[i].payload));
        assert_enroll_fails(&c, cases[i].rc, cases[i].text);
    }
    /* A payload with a content format is no text. */
    struct canned c = canned(404, 0, "secret", 6);
    X509 *issued = NULL;
    int64_t retry_after;
    struct estc_error err = {0};
    assert_int_equal(enroll(&c, ESTC_OP_SEN, &issued, &retry_after, &err), ESTC_E_REJECTED);
    assert_null(strstr(err.text, "secret"));
}

static void long_diagnostics_are_cut(void **state) {
    (void)state;
    static char big[60000];
    memset(big, 'd', sizeof(big));
    struct canned c = canned(403, ESTC_FORMAT_NONE, big, sizeof(big));
    assert_enroll_fails(&c, ESTC_E_REJECTED, "ddd...");
}

static void d04_unavailable_means_ask_again(void **state) {
    (void)state;
    static const struct {
        int64_t max_age, retry_after;
    } cases[] = {{-1, 60}, {0, 1}, {1, 1}, {3600, 3600}, {4294967295, 4294967295}};
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct canned c = canned(503, ESTC_FORMAT_NONE, "by hand", 7);
        c.max_age = cases[i].max_age;
        X509 *issued = NULL;
        int64_t retry_after = 0;
        struct estc_error err = {0};
        assert_int_equal(enroll(&c, ESTC_OP_SREN, &issued, &retry_after, &err), ESTC_E_PENDING);
        assert_true(retry_after == cases[i].retry_after);
        assert_non_null(strstr(err.text, "by hand"));
        assert_null(issued);
    }
    /* There is nothing to wait for behind /crts. */
    struct canned c = canned(503, ESTC_FORMAT_NONE, NULL, 0);
    c.max_age = 10;
    struct estc_client *client = client_of(&c, NULL, NULL);
    struct estc_wait wait = estc_wait_in(1000);
    STACK_OF(X509) *certs = NULL;
    assert_int_equal(estc_client_cacerts(client, &wait, &certs, NULL), ESTC_E_SERVER);
    estc_client_free(client);
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

/* Sorts what a server of this test's making would send. */
struct sorted {
    int rc, anchors, intermediates;
    struct estc_error err;
    bool has_ca_anchor;
};

static struct sorted accept_of(X509 *const *certs, size_t count, X509 *configured_anchor) {
    struct estc_trust *configured = NULL, *anchors = NULL;
    STACK_OF(X509) *received = sk_X509_new_null(), *rest = NULL;
    struct sorted s = {0};
    for (size_t i = 0; i < count; i++)
        sk_X509_push(received, certs[i]);
    assert_int_equal(estc_trust_new(&configured, NULL), 0);
    if (configured_anchor)
        assert_int_equal(estc_trust_add(configured, configured_anchor, NULL), 0);
    s.rc = estc_cacerts_accept(received, configured, time(NULL), &anchors, &rest, &s.err);
    assert_int_equal(s.rc == 0, anchors && rest);
    if (anchors) {
        s.anchors = (int)estc_trust_count(anchors);
        s.has_ca_anchor = X509_cmp(sk_X509_value(estc_trust_anchors(anchors), 0),
                                   configured_anchor ? configured_anchor : certs[0]) == 0;
    }
    s.intermediates = rest ? sk_X509_num(rest) : -1;
    sk_X509_free(received);
    sk_X509_pop_free(rest, X509_free);
    estc_trust_free(anchors);
    estc_trust_free(configured);
    assert_int_equal(ERR_peek_error(), 0);
    return s;
}

static void c08_cacerts_are_sorted(void **state) {
    (void)state;
    _cleanup(pkey_freep) EVP_PKEY *root_key = support_key(), *int_key = support_key();
    _cleanup(x509_freep) X509 *root =
        support_cert(root_key, &(struct support_cert_spec){.subject = "CN=root", .ca = 1});
    _cleanup(x509_freep) X509 *inter = support_cert(
        int_key, &(struct support_cert_spec){
                     .subject = "CN=int", .ca = 1, .issuer = root, .issuer_key = root_key});
    _cleanup(x509_freep) X509 *sub =
        support_cert(enrolment.ca_key,
                     &(struct support_cert_spec){
                         .subject = "CN=sub", .ca = 1, .issuer = inter, .issuer_key = int_key});
    _cleanup(x509_freep) X509 *leaf = support_cert(
        enrolment.key,
        &(struct support_cert_spec){.subject = "CN=leaf", .issuer = root, .issuer_key = root_key});

    X509 *all[] = {root, sub, inter, leaf, root};
    struct sorted s = accept_of(all, 5, NULL);
    assert_int_equal(s.rc, 0);
    assert_int_equal(s.anchors, 1);
    assert_int_equal(s.intermediates, 2); /* the leaf is nobody's issuer */
    assert_true(s.has_ca_anchor);

    /* A stranger's CA leads nowhere and is dropped, its root absent; with it, it is an anchor. */
    X509 *strange[] = {root, inter, enrolment.ca};
    s = accept_of(strange, 3, NULL);
    assert_int_equal(s.anchors, 2);
    assert_int_equal(s.intermediates, 1);

    /* No root in it: only what leads to the configured anchor. */
    X509 *rootless[] = {sub, inter};
    s = accept_of(rootless, 2, root);
    assert_int_equal(s.rc, 0);
    assert_int_equal(s.anchors, 1);
    assert_int_equal(s.intermediates, 2);
    assert_true(s.has_ca_anchor);
    s = accept_of(rootless, 2, inter); /* itself configured */
    assert_int_equal(s.rc, 0);
    assert_int_equal(s.intermediates, 1);
    s = accept_of(rootless, 2, enrolment.ca);
    assert_int_equal(s.rc, ESTC_E_UNTRUSTED);
    assert_non_null(strstr(s.err.text, "/crts: no CA certificate of the answer can be trusted"));
    s = accept_of(rootless, 2, NULL);
    assert_int_equal(s.rc, ESTC_E_UNTRUSTED);

    X509 *no_ca[] = {leaf};
    s = accept_of(no_ca, 1, root);
    assert_int_equal(s.rc, ESTC_E_UNTRUSTED);
    assert_non_null(strstr(s.err.text, "none of its certificates is a CA's"));
}

static void expired_roots_are_no_anchors(void **state) {
    (void)state;
    _cleanup(pkey_freep) EVP_PKEY *key = support_key();
    _cleanup(x509_freep) X509 *old = support_cert(
        key, &(struct support_cert_spec){
                 .subject = "CN=old", .ca = 1, .not_before = 1500000000, .not_after = 1600000000});
    X509 *certs[] = {old};
    struct sorted s = accept_of(certs, 1, enrolment.ca);
    assert_int_equal(s.rc, ESTC_E_UNTRUSTED);
    assert_non_null(strstr(s.err.text, "'CN=old' expired"));
    X509 *both[] = {enrolment.ca, old};
    s = accept_of(both, 2, NULL);
    assert_int_equal(s.rc, 0);
    assert_int_equal(s.anchors, 1);
}

/* RFC 4210 section 4.4: old and new root, and each signed by the other. */
static void x05_a_change_of_roots_is_taken_whole(void **state) {
    (void)state;
    _cleanup(pkey_freep) EVP_PKEY *old_key = support_key(), *new_key = support_key();
    struct support_cert_spec spec = {.subject = "CN=root", .ca = 1};
    _cleanup(x509_freep) X509 *owo = support_cert(old_key, &spec);
    _cleanup(x509_freep) X509 *nwn = support_cert(new_key, &spec);
    spec.issuer = owo;
    spec.issuer_key = old_key;
    _cleanup(x509_freep) X509 *nwo = support_cert(new_key, &spec);
    spec.issuer = nwn;
    spec.issuer_key = new_key;
    _cleanup(x509_freep) X509 *own = support_cert(old_key, &spec);
    X509 *certs[] = {owo, nwo, own, nwn};
    struct sorted s = accept_of(certs, 4, NULL);
    assert_int_equal(s.rc, 0);
    assert_int_equal(s.anchors, 2);
    assert_int_equal(s.intermediates, 2);
}

/* SHA-1 and 2014: RFC 7030's own example must not become anybody's trust. */
static void the_example_of_rfc_7030_is_too_old(void **state) {
    (void)state;
    struct estc_buf vector = support_vector("7030-A1-cacerts-response.p7.der");
    _cleanup(sk_x509_freep) STACK_OF(X509) *certs = NULL;
    assert_int_equal(estc_certs_decode(vector.data, vector.len, &certs, NULL), 0);
    X509 *list[4];
    for (int i = 0; i < 4; i++)
        list[i] = sk_X509_value(certs, i);
    struct sorted s = accept_of(list, 4, NULL);
    assert_int_equal(s.rc, ESTC_E_UNTRUSTED);
    assert_non_null(strstr(s.err.text, "expired 2014-"));
    estc_buf_clear(&vector);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(f03_enroll_asks_as_it_should),
        cmocka_unit_test(f02_cacerts_asks_as_it_should),
        cmocka_unit_test(connects_and_forwards_what_the_transport_says),
        cmocka_unit_test(refuses_labels_that_hide_operations),
        cmocka_unit_test(f10_absent_format_is_the_one_asked_for),
        cmocka_unit_test(f10_another_format_is_never_decoded),
        cmocka_unit_test(r01_one_code_is_success),
        cmocka_unit_test(f11_refusals_carry_the_diagnostic),
        cmocka_unit_test(long_diagnostics_are_cut),
        cmocka_unit_test(d04_unavailable_means_ask_again),
        cmocka_unit_test(e06_exactly_one_certificate),
        cmocka_unit_test(e06_the_key_is_ours),
        cmocka_unit_test(garbage_is_malformed),
        cmocka_unit_test(flipped_answers_never_bring_another_key),
        cmocka_unit_test(asks_nothing_with_a_bad_request),
        cmocka_unit_test(c08_cacerts_are_sorted),
        cmocka_unit_test(expired_roots_are_no_anchors),
        cmocka_unit_test(x05_a_change_of_roots_is_taken_whole),
        cmocka_unit_test(the_example_of_rfc_7030_is_too_old),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
