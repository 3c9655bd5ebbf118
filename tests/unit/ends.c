/* SPDX-License-Identifier: BSD-2-Clause */
/* Certificates, options and round trips that the tests over real sockets share. */
#include "ends.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct ends_pki ends_pki;
atomic_uint *ends_calls;

static unsigned char pattern_at(size_t i) {
    return (unsigned char)(i * 13 + i / 256);
}

void ends_answer(void *arg, const struct estc_peer *peer, const struct estc_request *q,
                 struct estc_response *r) {
    (void)arg, (void)peer;
    atomic_fetch_add(ends_calls, 1);
    r->code = q->method == ESTC_POST ? 204 : 205;
    r->content_format = q->accept;
    if (q->method == ESTC_POST)
        estc_buf_append(&r->payload, q->payload, q->payload_len);
    for (long i = 0; q->method == ESTC_GET && i < atol(strrchr(q->path, '/') + 1); i++)
        estc_buf_append(&r->payload, &(unsigned char){pattern_at((size_t)i)}, 1);
}

struct net_server server_for(const struct net_id *id) {
    return (struct net_server){
        .port = net_port(),
        .id = id,
        .client_root = &ends_pki.root,
        .answer = ends_answer,
    };
}

struct estc_coaps_options options_for(uint16_t port) {
    return (struct estc_coaps_options){
        .host = "::1",
        .port = port,
        .credentials = net_credentials(&ends_pki.client),
        .trust = ends_pki.trust,
    };
}

struct estc_transport *open_transport(const struct estc_coaps_options *o) {
    struct estc_transport *t = NULL;
    struct estc_error err = {0};
    if (estc_coaps_new(o, &t, &err))
        fail_msg("%s", err.text);
    return t;
}

int connect_once(const struct estc_coaps_options *o, int ms, struct estc_error *err) {
    struct estc_transport *t = open_transport(o);
    struct estc_wait wait = estc_wait_in(ms);
    int r = t->ops->connect(t, &wait, err);
    if (!r)
        assert_int_equal(t->ops->connect(t, &wait, err), 0); /* again: nothing to do */
    estc_transport_free(t);
    return r;
}

void round_trip(struct estc_transport *t, enum estc_method method, size_t len) {
    char path[32];
    unsigned char *body = malloc(len + 1);
    for (size_t i = 0; i < len; i++)
        body[i] = pattern_at(i);
    snprintf(path, sizeof(path), "/.well-known/est/%zu", len);
    struct estc_request q = {
        .method = method,
        .path = path,
        .content_format = method == ESTC_POST ? ESTC_FORMAT_PKCS10 : ESTC_FORMAT_NONE,
        .accept = ESTC_FORMAT_CERTS_ONLY,
        .payload = method == ESTC_POST ? body : NULL,
        .payload_len = method == ESTC_POST ? len : 0,
    };
    struct estc_wait wait = estc_wait_in(20000);
    struct estc_response r = {0};
    struct estc_error err = {0};
    if (t->ops->request(t, &q, &wait, &r, &err))
        fail_msg("%zu bytes: %s", len, err.text);
    assert_int_equal(r.code, method == ESTC_POST ? 204 : 205);
    assert_int_equal(r.content_format, ESTC_FORMAT_CERTS_ONLY);
    assert_int_equal(r.payload.len, len);
    if (len > 0)
        assert_memory_equal(r.payload.data, body, len);
    estc_response_clear(&r);
    free(body);
}

int ends_set_up(void **state) {
    (void)state;
    static const char *const sans[] = {"IP:::1", "IP:127.0.0.1", "DNS:localhost", NULL};
    struct support_cert_spec spec = {.subject = "CN=root", .ca = 1};
    ends_pki.root = net_issue(NULL, ESTC_KEY_P256, spec);
    spec.subject = "CN=other root";
    ends_pki.other_root = net_issue(NULL, ESTC_KEY_P256, spec);
    spec = (struct support_cert_spec){.subject = "CN=server", .sans = sans};
    ends_pki.server = net_issue(&ends_pki.root, ESTC_KEY_P256, spec);
    spec = (struct support_cert_spec){.subject = "CN=client"};
    ends_pki.client = net_issue(&ends_pki.root, ESTC_KEY_P256, spec);
    ends_pki.trust = net_trust(&ends_pki.root);
    ends_pki.other_trust = net_trust(&ends_pki.other_root);
    ends_calls = net_shared(sizeof(*ends_calls));
    return 0;
}

int ends_tear_down(void **state) {
    (void)state;
    net_id_clear(&ends_pki.client);
    net_id_clear(&ends_pki.server);
    net_id_clear(&ends_pki.other_root);
    net_id_clear(&ends_pki.root);
    estc_trust_free(ends_pki.trust);
    estc_trust_free(ends_pki.other_trust);
    net_shared_free(ends_calls, sizeof(*ends_calls));
    return 0;
}
