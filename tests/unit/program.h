/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * For tests of the answering side: a small program behind it that really signs, and questions as a
 * transport would put them.
 */
#pragma once

#include "support.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/err.h>

#include <estc/certs.h>
#include <estc/csr.h>
#include <estc/server.h>

/* A program: issues what is asked, or fails as it is told. */
struct program {
    EVP_PKEY *ca_key, *key;
    X509 *ca, *peer_cert;
    struct estc_peer peer;
    struct estc_server server;
    struct estc_buf csr; /* with the names of peer_cert */
    /* its part */
    int rc;
    bool nothing; /* succeed without an output */
    bool whole_chain;
    int64_t retry_after;
    int cacerts, enrolls;
    char label[64];
    enum estc_op op;
    enum estc_pop pop;
    bool may_wait;
};

static inline int program_cacerts(void *arg, const struct estc_peer *peer, const char *label,
                                  STACK_OF(X509) * *out, struct estc_error *err) {
    struct program *p = arg;
    p->cacerts++;
    snprintf(p->label, sizeof(p->label), "%s", label);
    assert_ptr_equal(peer, &p->peer);
    if (p->rc)
        return estc_error_set(err, p->rc, "the program said so");
    *out = sk_X509_new_null();
    for (int i = 0; !p->nothing && i < 1 + p->whole_chain; i++)
        assert_true(X509_up_ref(p->ca) && sk_X509_push(*out, p->ca));
    return 0;
}

static inline int program_enroll(void *arg, const struct estc_peer *peer,
                                 const struct estc_enroll_request *request, X509 **issued,
                                 int64_t *retry_after, struct estc_error *err) {
    struct program *p = arg;
    p->enrolls++;
    p->op = request->op;
    p->pop = request->pop;
    p->may_wait = request->may_wait;
    snprintf(p->label, sizeof(p->label), "%s", request->label);
    assert_ptr_equal(peer, &p->peer);
    assert_int_equal(request->der_len, p->csr.len);
    *retry_after = p->retry_after;
    if (p->rc)
        return estc_error_set(err, p->rc, "the program said so");
    if (!p->nothing)
        *issued = support_cert(X509_REQ_get0_pubkey(request->csr),
                               &(struct support_cert_spec){
                                   .subject = "CN=gw", .issuer = p->ca, .issuer_key = p->ca_key});
    return 0;
}

static const struct estc_server_ops program_ops = {.cacerts = program_cacerts,
                                                   .enroll = program_enroll};

static inline int program_setup(void **state) {
    static const char *const sans[] = {"DNS:gw.example", NULL};
    struct program *p = calloc(1, sizeof(*p));
    p->ca_key = support_key();
    p->key = support_key();
    p->ca = support_cert(p->ca_key, &(struct support_cert_spec){.subject = "CN=ca", .ca = 1});
    p->peer_cert = support_cert(p->key, &(struct support_cert_spec){.subject = "CN=gw,O=x",
                                                                    .sans = sans,
                                                                    .issuer = p->ca,
                                                                    .issuer_key = p->ca_key});
    p->peer = (struct estc_peer){.cert = p->peer_cert, .address = "[2001:db8::1]:40000"};
    p->server = (struct estc_server){.ops = &program_ops, .arg = p};
    *state = p;
    return estc_csr_build(p->key, &(struct estc_csr_spec){.renew = p->peer_cert}, &p->csr, NULL);
}

static inline int program_teardown(void **state) {
    struct program *p = *state;
    EVP_PKEY_free(p->ca_key);
    EVP_PKEY_free(p->key);
    X509_free(p->ca);
    X509_free(p->peer_cert);
    estc_buf_clear(&p->csr);
    free(p);
    return 0;
}

static inline struct estc_response ask(const struct program *p,
                                       const struct estc_request *request) {
    struct estc_response response = {0};
    estc_server_answer(&p->server, &p->peer, request, &response);
    assert_int_equal(ERR_peek_error(), 0);
    return response;
}

static inline struct estc_request get_crts(void) {
    return (struct estc_request){.method = ESTC_GET,
                                 .path = "/.well-known/est/crts",
                                 .content_format = ESTC_FORMAT_NONE,
                                 .accept = ESTC_FORMAT_NONE};
}

static inline struct estc_request post_csr(const struct program *p, const char *path) {
    return (struct estc_request){.method = ESTC_POST,
                                 .path = path,
                                 .content_format = ESTC_FORMAT_PKCS10,
                                 .accept = ESTC_FORMAT_NONE,
                                 .payload = p->csr.data,
                                 .payload_len = p->csr.len};
}

/* An error, with a diagnostic that is one: text without a content format. */
static inline void assert_error(struct estc_response response, unsigned code, const char *text) {
    if (response.code != code || !response.payload.data ||
        !strstr((char *)response.payload.data, text))
        fail_msg("%u with '%s', expected %u with '%s'", response.code,
                 response.payload.data ? (char *)response.payload.data : "", code, text);
    assert_int_equal(response.content_format, ESTC_FORMAT_NONE);
    estc_response_clear(&response);
}

/* A success whose certs-only holds count certificates, the first of which is returned. */
static inline X509 *assert_certs(struct estc_response response, unsigned code, int count) {
    STACK_OF(X509) *list = NULL;
    assert_int_equal(response.code, code);
    assert_int_equal(response.content_format, ESTC_FORMAT_CERTS_ONLY);
    assert_true(response.max_age == -1);
    assert_int_equal(estc_certs_decode(response.payload.data, response.payload.len, &list, NULL),
                     0);
    assert_int_equal(sk_X509_num(list), count);
    X509 *first = sk_X509_shift(list);
    sk_X509_pop_free(list, X509_free);
    estc_response_clear(&response);
    return first;
}

#define SERVED(test) cmocka_unit_test_setup_teardown(test, program_setup, program_teardown)
