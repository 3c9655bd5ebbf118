/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Connections that come back: our client to our listener, to one that has forgotten, and to one
 * that answers the question with an alert; and whom our listener does not let come back.
 */
#include "ends.h"

#include <errno.h>
#include <string.h>

#include "coap/resume.h"
#include "coap/session.h"

/* Answers with the binding that the server sees. */
static void tell_binding(void *arg, const struct estc_peer *peer, const struct estc_request *q,
                         struct estc_response *r) {
    (void)arg, (void)q;
    r->code = 204;
    r->content_format = ESTC_FORMAT_NONE;
    if (peer->binding)
        estc_buf_append(&r->payload, peer->binding->data, peer->binding->len);
}

static bool reused(struct estc_transport *t) {
    const struct session *s = (const struct session *)t;
    assert_int_equal(s->state, SESSION_UP);
    return SSL_session_reused(coap_session_get_tls(s->coap, NULL)) == 1;
}

static void connect_again(struct estc_transport *t) {
    struct estc_wait wait = estc_wait_in(10000);
    struct estc_error err = {0};
    session_disconnect((struct session *)t);
    if (t->ops->connect(t, &wait, &err))
        fail_msg("%s", err.text);
}

/* The binding is the server's Finished then, and both ends know it. */
static void check_binding(struct estc_transport *t) {
    struct estc_binding binding = {0};
    struct estc_wait wait = estc_wait_in(10000);
    struct estc_response r = {0};
    assert_int_equal(t->ops->binding(t, &binding, NULL), 0);
    const struct estc_request q = {
        .method = ESTC_POST, .path = "/x", .content_format = -1, .accept = -1, .bound = &binding};
    assert_int_equal(t->ops->request(t, &q, &wait, &r, NULL), 0);
    assert_int_equal(r.payload.len, 12);
    assert_memory_equal(r.payload.data, binding.data, 12);
    estc_response_clear(&r);
}

static void t10_p02_client_comes_back(void **state) {
    (void)state;
    struct net_server server = server_for(&ends_pki.server);
    server.answer = tell_binding;
    struct net_child child = net_serve(&server);
    struct estc_coaps_options o = options_for(server.port);
    struct estc_transport *t = open_transport(&o);
    connect_again(t);
    assert_false(reused(t));
    enum estc_voucher by = estc_coaps_voucher(t);
    assert_int_not_equal(by, ESTC_VOUCHER_NONE);
    for (int i = 0; i < 3; i++) {
        connect_again(t);
        assert_true(reused(t));
        assert_int_equal(estc_coaps_voucher(t), by);
        check_binding(t);
    }
    /* A server that has started anew does not know the session. */
    net_stop(&child);
    child = net_serve(&server);
    connect_again(t);
    assert_false(reused(t));
    check_binding(t);
    connect_again(t);
    assert_true(reused(t));
    estc_transport_free(t);
    /* Nothing of it outlives the transport. */
    t = open_transport(&o);
    connect_again(t);
    assert_false(reused(t));
    estc_transport_free(t);
    net_stop(&child);
}

static void wait_only(SSL *ssl, const struct net_message *request, unsigned n, void *arg) {
    (void)ssl, (void)request, (void)n, (void)arg;
}

static void t10_refusal_by_alert_leads_to_a_full_handshake(void **state) {
    (void)state;
    struct net_script script = {
        .port = net_port(), .id = &ends_pki.server, .refuse_resumption = true, .step = wait_only};
    struct net_child child = net_act(&script);
    struct estc_coaps_options o = options_for(script.port);
    struct estc_transport *t = open_transport(&o);
    for (int i = 0; i < 3; i++) {
        connect_again(t);
        assert_false(reused(t));
    }
    estc_transport_free(t);
    net_stop(&child);
}

static void t10_session_without_extended_master_secret_is_not_kept(void **state) {
    (void)state;
    struct net_script script = {.port = net_port(),
                                .id = &ends_pki.server,
                                .no_extended_master_secret = true,
                                .step = wait_only};
    struct net_child child = net_act(&script);
    struct estc_coaps_options o = options_for(script.port);
    struct estc_transport *t = open_transport(&o);
    for (int i = 0; i < 2; i++) {
        connect_again(t);
        assert_false(reused(t));
    }
    estc_transport_free(t);
    net_stop(&child);
}

/* Who may come back to our listener */

static SSL_SESSION *visit(uint16_t port, const struct net_id *id, SSL_SESSION *resume, long options,
                          bool *came_back) {
    struct net_tls how = {
        .id = id, .version = DTLS1_2_VERSION, .resume = resume, .options = options};
    SSL *ssl = net_connect(port, &how, NULL);
    assert_non_null(ssl);
    *came_back = SSL_session_reused(ssl) == 1;
    assert_false(SSL_SESSION_has_ticket(SSL_get0_session(ssl)));
    SSL_SESSION *session = SSL_get1_session(ssl);
    net_close(ssl);
    return session;
}

static int unknown_for_the_client(void *arg, X509 *cert) {
    (void)arg;
    return X509_cmp(cert, ends_pki.client.cert) == 0 ? -EAGAIN : 0;
}

static int the_client(void *arg, X509 *cert) {
    (void)arg;
    return X509_cmp(cert, ends_pki.client.cert) == 0;
}

static void t10_revoked_certificate_gets_no_handshake(void **state) {
    (void)state;
    struct net_server server = server_for(&ends_pki.server);
    server.is_revoked = the_client;
    struct net_id other =
        net_issue(&ends_pki.root, ESTC_KEY_P256, (struct support_cert_spec){.subject = "CN=other"});
    struct net_child child = net_serve(&server);
    struct net_tls how = {.id = &ends_pki.client, .version = DTLS1_2_VERSION};
    int alert = -1;
    assert_null(net_connect(server.port, &how, &alert));
    assert_int_equal(alert, SSL_AD_CERTIFICATE_REVOKED);
    bool came_back;
    SSL_SESSION_free(visit(server.port, &other, NULL, 0, &came_back));
    net_stop(&child);
    net_id_clear(&other);
}

static void t10_doubtful_certificate_needs_a_full_handshake(void **state) {
    (void)state;
    struct net_server server = server_for(&ends_pki.server);
    server.is_revoked = unknown_for_the_client;
    struct net_id other =
        net_issue(&ends_pki.root, ESTC_KEY_P256, (struct support_cert_spec){.subject = "CN=other"});
    struct net_child child = net_serve(&server);
    const struct net_id *const ids[] = {&ends_pki.client, &other};
    for (int i = 0; i < 2; i++) {
        bool came_back;
        SSL_SESSION *session = visit(server.port, ids[i], NULL, 0, &came_back);
        SSL_SESSION_free(visit(server.port, ids[i], session, 0, &came_back));
        assert_int_equal(came_back, i);
        SSL_SESSION_free(session);
    }
    net_stop(&child);
    net_id_clear(&other);
}

/* A certificate that expires between the two visits. */
static void t10_expired_certificate_does_not_come_back(void **state) {
    (void)state;
    struct net_server server = server_for(&ends_pki.server);
    struct net_id brief =
        net_issue(&ends_pki.root, ESTC_KEY_P256,
                  (struct support_cert_spec){.subject = "CN=brief", .not_after = time(NULL) + 2});
    struct net_child child = net_serve(&server);
    bool came_back;
    SSL_SESSION *session = visit(server.port, &brief, NULL, 0, &came_back);
    sleep(3);
    struct net_tls how = {.id = &brief, .version = DTLS1_2_VERSION, .resume = session};
    int alert = -1;
    assert_null(net_connect(server.port, &how, &alert));
    assert_int_equal(alert, SSL_AD_CERTIFICATE_EXPIRED);
    SSL_SESSION_free(session);
    net_stop(&child);
    net_id_clear(&brief);
}

static void t10_memory_of_sessions_is_bounded(void **state) {
    (void)state;
    struct net_server server = server_for(&ends_pki.server);
    struct net_child child = net_serve(&server);
    bool came_back;
    SSL_SESSION *first = visit(server.port, &ends_pki.client, NULL, 0, &came_back), *last = NULL;
    SSL_SESSION_free(visit(server.port, &ends_pki.client, first, 0, &came_back));
    assert_true(came_back);
    for (int i = 0; i < RESUME_SESSIONS_MAX; i++) {
        SSL_SESSION_free(last);
        last = visit(server.port, &ends_pki.client, NULL, 0, &came_back);
    }
    SSL_SESSION_free(visit(server.port, &ends_pki.client, last, 0, &came_back));
    assert_true(came_back);
    SSL_SESSION_free(visit(server.port, &ends_pki.client, first, 0, &came_back));
    assert_false(came_back);
    SSL_SESSION_free(first);
    SSL_SESSION_free(last);
    net_stop(&child);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(t10_p02_client_comes_back),
        cmocka_unit_test(t10_refusal_by_alert_leads_to_a_full_handshake),
        cmocka_unit_test(t10_session_without_extended_master_secret_is_not_kept),
        cmocka_unit_test(t10_revoked_certificate_gets_no_handshake),
        cmocka_unit_test(t10_doubtful_certificate_needs_a_full_handshake),
        cmocka_unit_test(t10_expired_certificate_does_not_come_back),
        cmocka_unit_test(t10_memory_of_sessions_is_bounded),
    };
    return cmocka_run_group_tests(tests, ends_set_up, ends_tear_down);
}
