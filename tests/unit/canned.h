/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * For tests of the client: a transport that remembers the question and has one answer, and one
 * enrolment to ask for. What a transport brings is the seam of that module, and a wrong server is
 * easier written than found; the network has tests of its own.
 */
#pragma once

#include "support.h"

#include <stdio.h>
#include <string.h>

#include <openssl/err.h>

#include <estc/certs.h>
#include <estc/client.h>
#include <estc/csr.h>

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
    struct estc_binding binding; /* of its connection; len 0: it has none */
};

static inline int canned_connect(struct estc_transport *t, const struct estc_wait *wait,
                                 struct estc_error *err) {
    (void)wait;
    struct canned *c = (struct canned *)t;
    c->connects++;
    return c->rc ? estc_error_set(err, c->rc, "no way there") : 0;
}

static inline int canned_request(struct estc_transport *t, const struct estc_request *request,
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

static inline int canned_binding(struct estc_transport *t, struct estc_binding *out,
                                 struct estc_error *err) {
    const struct canned *c = (struct canned *)t;
    if (c->binding.len == 0)
        return estc_error_set(err, ESTC_E_PROTOCOL, "nothing that binds");
    *out = c->binding;
    return 0;
}

static inline void canned_free(struct estc_transport *t) {
    ((struct canned *)t)->requests = -1;
}

static const struct estc_transport_ops canned_ops = {
    .connect = canned_connect,
    .request = canned_request,
    .binding = canned_binding,
    .free = canned_free,
};

static inline struct canned canned(unsigned code, int format, const void *payload, size_t len) {
    return (struct canned){.transport = {&canned_ops},
                           .code = code,
                           .content_format = format,
                           .max_age = -1,
                           .payload = payload,
                           .payload_len = len};
}

static inline struct estc_client *client_of(struct canned *c, const char *root, const char *label) {
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

static inline void bag_of(struct estc_buf *out, X509 *first, X509 *second) {
    STACK_OF(X509) *list = sk_X509_new_null();
    if (first)
        sk_X509_push(list, first);
    if (second)
        sk_X509_push(list, second);
    assert_int_equal(estc_certs_encode(list, out, NULL), 0);
    sk_X509_free(list);
}

static inline int canned_setup(void **state) {
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

static inline int canned_teardown(void **state) {
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
static inline int enroll(struct canned *c, enum estc_op op, X509 **issued, int64_t *retry_after,
                         struct estc_error *err) {
    struct estc_client *client = client_of(c, NULL, NULL);
    struct estc_wait wait = estc_wait_in(1000);
    int rc = estc_client_enroll(client, op, enrolment.csr.data, enrolment.csr.len, &wait, issued,
                                retry_after, err);
    estc_client_free(client);
    assert_int_equal(ERR_peek_error(), 0);
    return rc;
}

static inline void assert_enroll_fails(struct canned *c, int expected, const char *text) {
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
