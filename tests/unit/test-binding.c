/* SPDX-License-Identifier: BSD-2-Clause */
/* Channel bindings over real connections: both ends see the same, and a bound request stays where
 * it belongs. */
#include "ends.h"

#include <string.h>

#include "coap/dtls.h"

/* Answers with the binding that the server sees. */
static void tell_binding(void *arg, const struct estc_peer *peer, const struct estc_request *q,
                         struct estc_response *r) {
    (void)arg, (void)q;
    atomic_fetch_add(ends_calls, 1);
    r->code = 204;
    r->content_format = ESTC_FORMAT_NONE;
    if (peer->binding)
        estc_buf_append(&r->payload, peer->binding->data, peer->binding->len);
}

static int ask(struct estc_transport *t, const struct estc_binding *bound,
               struct estc_response *response, struct estc_error *err) {
    struct estc_wait wait = estc_wait_in(10000);
    const struct estc_request q = {
        .method = ESTC_POST, .path = "/x", .content_format = -1, .accept = -1, .bound = bound};
    return t->ops->request(t, &q, &wait, response, err);
}

static struct estc_binding connect_and_bind(struct estc_transport *t) {
    struct estc_wait wait = estc_wait_in(10000);
    struct estc_binding binding = {0};
    assert_int_equal(t->ops->connect(t, &wait, NULL), 0);
    assert_int_equal(t->ops->binding(t, &binding, NULL), 0);
    return binding;
}

static void p02_t08_both_ends_have_the_same_twelve_bytes(void **state) {
    (void)state;
    struct net_server server = server_for(&ends_pki.server);
    server.answer = tell_binding;
    struct net_child child = net_serve(&server);
    struct estc_coaps_options o = options_for(server.port);
    struct estc_binding last = {0};
    for (int i = 0; i < 2; i++) {
        struct estc_transport *t = open_transport(&o);
        struct estc_binding binding = {0};
        assert_int_equal(t->ops->binding(t, &binding, NULL), ESTC_E_UNREACHABLE);
        binding = connect_and_bind(t);
        assert_int_equal(binding.len, 12);
        assert_memory_not_equal(binding.data, last.data, 12);
        struct estc_response r = {0};
        assert_int_equal(ask(t, &binding, &r, NULL), 0);
        assert_int_equal(r.payload.len, 12);
        assert_memory_equal(r.payload.data, binding.data, 12);
        estc_response_clear(&r);
        last = binding;
        estc_transport_free(t);
    }
    net_stop(&child);
}

/* --- resumed ---------------------------------------------------------------------------------- */

/* Both ends in this process, over memory: what the two libraries do with it is the same. */
static SSL_CTX *make_end(const SSL_METHOD *method, const struct net_id *id) {
    SSL_CTX *ctx = SSL_CTX_new(method);
    assert_true(ctx && SSL_CTX_set_max_proto_version(ctx, TLS1_2_VERSION) &&
                SSL_CTX_use_cert_and_key(ctx, id->cert, id->key, NULL, 1));
    return ctx;
}

static void shake_hands(SSL_CTX *server_ctx, SSL_CTX *client_ctx, SSL_SESSION **session) {
    SSL *server = SSL_new(server_ctx), *client = SSL_new(client_ctx);
    BIO *here = NULL, *there = NULL;
    assert_true(server && client && BIO_new_bio_pair(&here, 0, &there, 0));
    SSL_set_bio(server, here, here);
    SSL_set_bio(client, there, there);
    SSL_set_accept_state(server);
    SSL_set_connect_state(client);
    if (*session)
        assert_true(SSL_set_session(client, *session));
    for (int i = 0; i < 10 && !(SSL_is_init_finished(server) && SSL_is_init_finished(client)); i++)
        SSL_do_handshake(i % 2 ? server : client);
    assert_int_equal(SSL_session_reused(client), *session != NULL);
    unsigned char a[ESTC_BINDING_MAX], b[ESTC_BINDING_MAX], first[ESTC_BINDING_MAX];
    assert_int_equal(dtls_binding(server, a), 12);
    assert_int_equal(dtls_binding(client, b), 12);
    assert_memory_equal(a, b, 12);
    size_t len = *session ? SSL_get_finished(server, first, sizeof(first))
                          : SSL_get_finished(client, first, sizeof(first));
    assert_int_equal(len, 12);
    assert_memory_equal(a, first, 12);
    SSL_SESSION_free(*session);
    *session = SSL_get1_session(client);
    SSL_shutdown(client);
    SSL_free(server);
    SSL_free(client);
}

/* The first Finished is the client's in a full handshake, the server's in a resumed one. */
static void p02_the_first_finished_of_either_kind_of_handshake(void **state) {
    (void)state;
    SSL_CTX *server = make_end(TLS_server_method(), &ends_pki.server);
    SSL_CTX *client = make_end(TLS_client_method(), &ends_pki.client);
    SSL_SESSION *session = NULL;
    shake_hands(server, client, &session);
    shake_hands(server, client, &session);
    SSL_SESSION_free(session);
    SSL_CTX_free(server);
    SSL_CTX_free(client);
}

static void p08_a_bound_request_never_changes_the_connection(void **state) {
    (void)state;
    struct net_server server = server_for(&ends_pki.server);
    server.answer = tell_binding;
    struct net_child child = net_serve(&server);
    struct estc_coaps_options o = options_for(server.port);
    struct estc_transport *t = open_transport(&o);
    struct estc_binding binding = connect_and_bind(t);
    struct estc_response r = {0};
    struct estc_error err = {0};
    net_stop(&child); /* says goodbye */
    child = net_serve(&server);
    unsigned before = atomic_load(ends_calls);
    assert_int_equal(ask(t, &binding, &r, &err), ESTC_E_STALE);
    assert_non_null(strstr(err.text, "build the request again"));
    /* Nor does another connection of the same transport serve. */
    struct estc_binding fresh = connect_and_bind(t);
    assert_int_not_equal(fresh.connection, binding.connection);
    assert_int_equal(ask(t, &binding, &r, NULL), ESTC_E_STALE);
    assert_int_equal(ask(t, &(struct estc_binding){0}, &r, NULL), ESTC_E_STALE);
    assert_int_equal(atomic_load(ends_calls), before);
    assert_int_equal(ask(t, &fresh, &r, NULL), 0);
    assert_memory_equal(r.payload.data, fresh.data, 12);
    estc_response_clear(&r);
    estc_transport_free(t);
    net_stop(&child);
}

static void wait_only(SSL *ssl, const struct net_message *request, unsigned n, void *arg) {
    (void)ssl, (void)request, (void)n, (void)arg;
}

/* A server that does not know extended master secret is talked to, but nothing is bound to it. */
static void p10_no_binding_without_extended_master_secret(void **state) {
    (void)state;
    struct net_script script = {.port = net_port(),
                                .id = &ends_pki.server,
                                .no_extended_master_secret = true,
                                .step = wait_only};
    struct net_child child = net_act(&script);
    struct estc_coaps_options o = options_for(script.port);
    struct estc_transport *t = open_transport(&o);
    struct estc_wait wait = estc_wait_in(10000);
    struct estc_binding binding = {0};
    struct estc_error err = {0};
    assert_int_equal(t->ops->connect(t, &wait, &err), 0);
    assert_int_equal(t->ops->binding(t, &binding, &err), ESTC_E_PROTOCOL);
    assert_non_null(strstr(err.text, "extended master secret"));
    estc_transport_free(t);
    net_stop(&child);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(p02_t08_both_ends_have_the_same_twelve_bytes),
        cmocka_unit_test(p02_the_first_finished_of_either_kind_of_handshake),
        cmocka_unit_test(p08_a_bound_request_never_changes_the_connection),
        cmocka_unit_test(p10_no_binding_without_extended_master_secret),
    };
    return cmocka_run_group_tests(tests, ends_set_up, ends_tear_down);
}
