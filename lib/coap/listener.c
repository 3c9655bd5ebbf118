/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The server's socket. Owns the libcoap context and one struct peer for each authenticated
 * connection; decides on nothing but protocol. Only a DTLS endpoint is opened, so nothing is ever
 * served over plain CoAP. libcoap is used for DTLS, messages and acknowledgements alone:
 *
 *   datagram -> repeated? answer from memory : read options -> peer_answer() -> remember -> send
 *
 * Before a request comes here, libcoap itself answers: 4.02 to critical options that it does not
 * know, 5.05 to Proxy-Uri and Proxy-Scheme, 4.00 and 5.08 to Hop-Limit, a reset to what is no CoAP,
 * 4.04 to methods above iPATCH. It would answer /.well-known/core and DELETE too; handlers for all
 * methods on that path and on the unknown resource take these over.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/err.h>

#include <estc/cert.h>
#include <estc/listener.h>
#include <estc/url.h>

#include "base/cleanup_ossl.h"
#include "base/clock.h"
#include "base/fs.h"
#include "base/log.h"
#include "coap/endpoint.h"
#include "coap/listener_internal.h"
#include "coap/message.h"
#include "coap/reply.h"
#include "coap/resolve.h"
#include "coap/resume.h"

#define LISTENER_MAX_BODY_DEFAULT 16384
#define LISTENER_SESSIONS_DEFAULT 1024
#define LISTENER_HANDSHAKES_DEFAULT 256
#define LISTENER_IDLE_DEFAULT 60
#define LISTENER_WAITING_DEFAULT 256
/* Datagrams that are looked at in one go, so that those of strangers do not wait for a turn of the
 * loop each. */
#define LISTENER_BATCH 64
/* Header, token and options of a response, at their longest. */
#define LISTENER_OPTIONS_MAX 44
#define LISTENER_MTU_DEFAULT 1280
#define LISTENER_BODIES_DEFAULT 4194304
#define LISTENER_MTU_MIN 256
#define LISTENER_COAP_HEADER 4

static struct estc_listener *listener_of(coap_session_t *session) {
    return coap_get_app_data(coap_session_get_context(session));
}

static const char *listener_address(coap_session_t *session, char *text) {
    const coap_address_t *a = coap_session_get_addr_remote(session);
    return resolve_text(&a->addr.sa, a->size, text);
}

/* Connections */

static void listener_add_peer(struct estc_listener *l, coap_session_t *session) {
    char address[RESOLVE_TEXT_MAX];
    const SSL *ssl = coap_session_get_tls(session, NULL);
    X509 *cert = SSL_get1_peer_certificate(ssl);
    if (!cert)
        return; /* the handshake demands one */
    struct peer *peer = peer_new(cert, listener_address(session, address), l->max_body, &l->bodies);
    if (!peer) {
        X509_free(cert);
        return;
    }
    peer->session = session;
    peer->heard = clock_boot_ms();
    /* It was let in all the same, and by whom it was issued does not change. */
    peer->came_late = X509_cmp_current_time(X509_get0_notAfter(cert)) <= 0;
    peer->binding.len = dtls_binding(ssl, peer->binding.data);
    peer->next = l->peers;
    if (l->peers)
        l->peers->prev = peer;
    l->peers = peer;
    l->n_peers++;
    l->counts.connected++;
    coap_session_set_app_data(session, peer);
    _cleanup(freep) char *subject = estc_name_text(X509_get_subject_name(cert));
    log_info("client %s: connected as '%s'", peer->address, subject ? subject : "?");
}

static void listener_drop_peer(struct estc_listener *l, struct peer *peer) {
    if (!peer)
        return;
    later_drop(l, peer);
    if (peer->prev)
        peer->prev->next = peer->next;
    else
        l->peers = peer->next;
    if (peer->next)
        peer->next->prev = peer->prev;
    l->n_peers--;
    peer_free(peer);
}

/* Strangers can cause this at will. session is NULL when libcoap has freed it already, as it does
 * without an event when the very first message of a handshake is refused. */
static void listener_log_refusal(struct estc_listener *l, coap_session_t *session) {
    struct verdict *v = dtls_verdict(l->dtls);
    unsigned long missed;
    verdict_take_queue(v);
    bool refused = session || v->alert_sent >= 0;
    l->counts.failed += refused;
    if (refused && ration_allows(&l->refusals, &missed)) {
        struct verdict_view view = {.now = clock_real()};
        struct estc_error err = {0};
        char address[RESOLVE_TEXT_MAX];
        if (missed > 0)
            log_notice("%lu more failed handshakes were not logged", missed);
        verdict_error(v, &view, &err);
        log_notice("client %s: %s", session ? listener_address(session, address) : "unknown",
                   err.text);
    }
    verdict_clear(v);
}

static int listener_on_event(coap_session_t *session, const coap_event_t event) {
    struct estc_listener *l = listener_of(session);
    struct peer *peer = coap_session_get_app_data(session);
    if (event == COAP_EVENT_SERVER_SESSION_NEW) {
        coap_session_set_max_retransmit(session, HANDSHAKE_RETRANSMISSIONS_ALL);
    } else if (event == COAP_EVENT_DTLS_CONNECTED && !peer) {
        coap_session_set_max_retransmit(session, COAP_DEFAULT_MAX_RETRANSMIT);
        listener_add_peer(l, session);
    } else if (event == COAP_EVENT_DTLS_ERROR) {
        listener_log_refusal(l, session);
    } else if (event == COAP_EVENT_DTLS_CLOSED || event == COAP_EVENT_SERVER_SESSION_DEL) {
        coap_session_set_app_data(session, NULL);
        listener_drop_peer(l, peer);
    }
    return 0;
}

/* Requests */

static void listener_answer(struct estc_listener *l, struct peer *peer, const coap_pdu_t *request,
                            size_t room, struct reply *reply) {
    struct message m;
    switch (message_read(request, &m)) {
    case 0:
        break;
    case ESTC_E_MALFORMED:
        return reply_error(reply, 400, "Block option cannot be decoded");
    default:
        return reply_error(reply, 402, "critical option repeated");
    }
    if (!peer->came_late && X509_cmp_current_time(X509_get0_notAfter(peer->cert)) <= 0)
        return reply_error(reply, 401, "client certificate has expired since the handshake");
    _cleanup(freep) char *path = message_path(request);
    _cleanup(freep) char *query = message_query(request);
    m.query = query;
    peer_answer(peer, &m, path, room, later_ticket(l, peer), limits_answer, l, reply);
    limits_note(l, reply);
    ERR_clear_error(); /* the program's, before libcoap sends the reply */
    later_begin(l, peer, request);
}

/* Bytes of payload that fit a datagram to this client. */
static size_t listener_room(coap_session_t *session) {
    const SSL *ssl = coap_session_get_tls(session, NULL);
    size_t room = handshake_room(ssl, handshake_datagram(ssl));
    size_t most = coap_session_max_pdu_size(session) + LISTENER_COAP_HEADER;
    room = room < most ? room : most;
    return room > LISTENER_OPTIONS_MAX ? room - LISTENER_OPTIONS_MAX : 0;
}

static void listener_on_request(coap_resource_t *resource, coap_session_t *session,
                                const coap_pdu_t *request, const coap_string_t *query,
                                coap_pdu_t *response) {
    (void)resource, (void)query;
    struct peer *peer = coap_session_get_app_data(session);
    if (!peer) {
        coap_pdu_set_code(response, COAP_RESPONSE_CODE_INTERNAL_ERROR);
        return;
    }
    int64_t now = clock_boot_ms();
    uint16_t mid = (uint16_t)coap_pdu_get_mid(request);
    peer->heard = now;
    const struct reply *remembered = NULL;
    switch (replay_find(&peer->replay, mid, now, &remembered)) {
    case REPLAY_NEW: {
        struct reply reply;
        listener_answer(listener_of(session), peer, request, listener_room(session), &reply);
        remembered = replay_take(&peer->replay, mid, now, &reply);
        break;
    }
    case REPLAY_AGAIN:
        break;
    case REPLAY_OLD: /* the client has gone on since; it gets an empty acknowledgement */
        return;
    }
    if (!reply_write(remembered, response))
        log_error("client %s: a response did not fit its datagram", peer->address);
}

/* Setting up */

/* libcoap frees what has come to its end when it looks after what is due. */
void listener_end(struct estc_listener *l, coap_session_t *session) {
    struct peer *peer = coap_session_get_app_data(session);
    coap_session_set_app_data(session, NULL);
    listener_drop_peer(l, peer);
    coap_session_disconnected(session, COAP_NACK_NOT_DELIVERABLE);
    dtls_prepare(l->dtls);
}

/* Its client has begun another one in its place. */
static void listener_replace(void *arg, coap_session_t *session) {
    listener_end(arg, session);
}

/* libcoap's own are beyond ours: of its sessions it would end any. */
static void listener_set_limits(struct estc_listener *l, coap_context_t *coap,
                                const struct estc_listener_options *o) {
    struct estc_listener_counts *c = &l->counts;
    c->sessions.max = o->max_sessions ? o->max_sessions : LISTENER_SESSIONS_DEFAULT;
    c->handshakes.max = o->max_handshakes ? o->max_handshakes : LISTENER_HANDSHAKES_DEFAULT;
    c->waiting.max = l->max_waiting = o->max_waiting ? o->max_waiting : LISTENER_WAITING_DEFAULT;
    c->body.max = l->max_body = o->max_body ? o->max_body : LISTENER_MAX_BODY_DEFAULT;
    c->bodies.max = o->max_bodies ? o->max_bodies : LISTENER_BODIES_DEFAULT;
    if (c->bodies.max < c->body.max)
        c->bodies.max = c->body.max;
    l->bodies.max = c->bodies.max;
    c->address_rate.max = o->address_rate;
    c->certificate_rate.max = o->certificate_rate;
    l->by_cert = quota_new(o->certificate_rate);
    l->gate = gate_new(coap, (unsigned)c->handshakes.max, o->address_rate);
    unsigned all = (unsigned)(c->sessions.max + c->handshakes.max) + 2;
    coap_context_set_max_idle_sessions(coap, all);
    coap_context_set_max_handshake_sessions(coap, all);
    coap_context_set_session_timeout(coap,
                                     o->idle_timeout ? o->idle_timeout : LISTENER_IDLE_DEFAULT);
    coap_context_set_block_mode(coap, 0);
}

static int listener_open(struct estc_listener *l, const struct estc_listener_options *o,
                         struct estc_error *err) {
    coap_address_t address;
    unsigned mtu = o->mtu ? o->mtu : LISTENER_MTU_DEFAULT;
    struct dtls_config config = {
        .credentials = &o->credentials,
        .judge = {.implicit_trust = o->client_trust,
                  .may_have_expired = o->expired_trust,
                  .is_revoked = o->is_revoked,
                  .arg = o->arg},
        .timeout = o->dtls_timeout,
        /* Clients of both kinds come to one socket. */
        .datagram = (mtu > LISTENER_MTU_MIN ? mtu : LISTENER_MTU_MIN) - HANDSHAKE_HEADERS_IPV6,
    };
    int r = endpoint_address(o->address, o->port ? o->port : ESTC_DEFAULT_PORT, &address, err);
    if (!r)
        r = dtls_new(&config, &l->dtls, err);
    if (r)
        return r;
    l->resume = resume_new(dtls_ssl_ctx(l->dtls), o->is_revoked, o->arg);
    if (!l->resume)
        return estc_error_set(err, -ENOMEM, "out of memory");
    coap_context_t *coap = dtls_coap(l->dtls);
    coap_set_app_data(coap, l);
    coap_register_event_handler(coap, listener_on_event);
    listener_set_limits(l, coap, o);
    if (!l->gate || !l->by_cert || endpoint_handle(coap, NULL, listener_on_request) < 0 ||
        endpoint_handle(coap, ".well-known/core", listener_on_request) < 0)
        return estc_error_set(err, -ENOMEM, "out of memory");
    l->port = coap_address_get_port(&address);
    r = dtls_listen(l->dtls, &address, err);
    return r ? r
             : front_new(coap, dtls_ssl_ctx(l->dtls), &address, limits_admit, listener_replace, l,
                         &l->front, err);
}

int estc_listener_new(const struct estc_listener_options *options, struct estc_listener **out,
                      struct estc_error *err) {
    if (!options->answer || !options->client_trust)
        return estc_error_set(err, -EINVAL, "a listener needs a function and trust anchors");
    struct estc_listener *l = calloc(1, sizeof(*l));
    if (!l)
        return estc_error_set(err, -ENOMEM, "out of memory");
    l->answer = options->answer;
    l->arg = options->arg;
    int r = listener_open(l, options, err);
    if (r) {
        estc_listener_free(l);
        return r;
    }
    *out = l;
    return 0;
}

struct estc_listener *estc_listener_free(struct estc_listener *l) {
    if (!l)
        return NULL;
    for (struct peer *peer = l->peers; peer; peer = peer->next)
        later_drop(l, peer);
    front_free(l->front);
    dtls_free(l->dtls); /* its last events still find the peers */
    resume_free(l->resume);
    while (l->peers)
        listener_drop_peer(l, l->peers);
    gate_free(l->gate);
    quota_free(l->by_cert);
    free(l);
    return NULL;
}

int estc_listener_fd(const struct estc_listener *l) {
    return coap_context_get_coap_fd(dtls_coap(l->dtls));
}

void estc_listener_prepare(struct estc_listener *l) {
    dtls_prepare(l->dtls);
}

void estc_listener_process(struct estc_listener *l) {
    unsigned looked = 0;
    while (front_look(l->front) == FRONT_TAKEN && ++looked < LISTENER_BATCH)
        ;
    if (looked < LISTENER_BATCH)
        dtls_process(l->dtls);
    listener_log_refusal(l, NULL);
    limits_keep(l);
}

uint16_t estc_listener_port(const struct estc_listener *l) {
    return l->port;
}
