/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The client's transport: resolves, connects to one address after the other, and holds the
 * connection. Each attempt has a context and a UDP port of its own, so no trust, no credential and
 * no stale association of a server leaks from one into the next. Waiting is poll() on libcoap's
 * descriptor and the caller's, under the caller's deadline: libcoap's own clock is the wall clock.
 *
 * libcoap answers a lost connection by a new handshake at the next send. That would move a request
 * onto a connection that nobody looked at, so a connection that is LOST is never used again.
 */
#include "coap/session.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <openssl/err.h>

#include <estc/url.h>

#include "base/clock.h"
#include "base/fs.h"
#include "base/log.h"
#include "base/text.h"

#define SESSION_MAX_BODY_DEFAULT 65536
#define SESSION_BLOCK_DEFAULT 1024
/* poll() does not count the time of a suspended machine; deadlines do. */
#define SESSION_POLL_MAX_MS 5000
#define SESSION_DRAIN_MAX 32
/* A port that refuses may be a server that restarts: ask this often, this far apart. */
#define SESSION_ROUNDS 3
#define SESSION_ROUND_MS 1000
/* libcoap gives a silent handshake up after 1 + 2 + 4 + 8 + 16 s. */
#define SESSION_HANDSHAKE_GIVE_UP_MS 30000

/* Waiting */

int session_pump(struct session *s, const struct estc_wait *wait, int64_t until,
                 struct estc_error *err) {
    coap_context_t *coap = dtls_coap(s->dtls);
    enum session_state before = s->state;
    coap_tick_t now;
    coap_ticks(&now);
    unsigned due = coap_io_prepare_epoll(coap, now);
    if (s->state != before || s->answer.nack) /* libcoap has just given something up */
        return 0;
    int64_t left = until - clock_boot_ms();
    int64_t ms = left < SESSION_POLL_MAX_MS ? left : SESSION_POLL_MAX_MS;
    if (due > 0 && due < ms)
        ms = due;
    struct pollfd fds[] = {{.fd = coap_context_get_coap_fd(coap), .events = POLLIN},
                           {.fd = wait->cancel_fd, .events = POLLIN}};
    int n = poll(fds, 2, ms > 0 ? (int)ms : 0);
    if (n < 0 && errno != EINTR)
        return estc_error_set(err, -errno, "poll: %s", strerror(errno));
    if (n > 0 && fds[1].revents)
        return estc_error_set(err, ESTC_E_CANCELLED, "%s: cancelled", s->name);
    dtls_process(s->dtls);
    return 0;
}

/* Takes in what came since the last request: a close_notify above all. */
static void session_drain(struct session *s) {
    struct pollfd fd = {.fd = coap_context_get_coap_fd(dtls_coap(s->dtls)), .events = POLLIN};
    for (int i = 0; i < SESSION_DRAIN_MAX && s->state == SESSION_UP && poll(&fd, 1, 0) > 0; i++)
        dtls_process(s->dtls);
}

static int session_sleep(struct session *s, const struct estc_wait *wait, int64_t ms,
                         struct estc_error *err) {
    int64_t left = wait->deadline - clock_boot_ms();
    struct pollfd fd = {.fd = wait->cancel_fd, .events = POLLIN};
    int n = poll(&fd, 1, (int)(left < ms ? (left > 0 ? left : 0) : ms));
    if (n > 0)
        return estc_error_set(err, ESTC_E_CANCELLED, "%s: cancelled", s->name);
    return 0;
}

/* Connecting */

static int session_on_event(coap_session_t *coap, const coap_event_t event) {
    struct session *s = coap_get_app_data(coap_session_get_context(coap));
    if (event == COAP_EVENT_DTLS_CONNECTED)
        s->state = SESSION_UP;
    else if (event == COAP_EVENT_DTLS_ERROR)
        verdict_take_queue(dtls_verdict(s->dtls)); /* the last moment that it can be read */
    if (event == COAP_EVENT_DTLS_CLOSED || event == COAP_EVENT_DTLS_ERROR)
        s->state = SESSION_LOST;
    return 0;
}

void session_disconnect(struct session *s) {
    if (s->dtls && s->coap)
        coap_session_release(s->coap);
    s->coap = NULL;
    s->dtls = dtls_free(s->dtls);
    s->state = SESSION_DOWN;
    estc_buf_clear(&s->answer.payload);
    s->answer = (struct session_answer){0};
}

/* "server [::1]:5684", "server est.example:5684 (192.0.2.1:5684)". */
static int session_set_name(struct session *s, const struct sockaddr *addr, socklen_t len,
                            struct estc_error *err) {
    char peer[RESOLVE_TEXT_MAX];
    resolve_text(addr, len, peer);
    char *name = resolve_is_address(s->host)
                     ? text_format("server %s", peer)
                     : text_format("server %s:%u (%s)", s->host, (unsigned)s->port, peer);
    if (!name)
        return estc_error_set(err, -ENOMEM, "out of memory");
    free(s->name);
    s->name = name;
    return 0;
}

/* libcoap does not say why a socket could not be connected. */
static int session_check_route(struct session *s, const struct sockaddr *addr, socklen_t len,
                               struct estc_error *err) {
    _cleanup(fs_closep) int fd = socket(addr->sa_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd >= 0 && connect(fd, addr, len) == 0)
        return 0;
    return estc_error_set(err, ESTC_E_UNREACHABLE, "%s: no way there: %s; check network and routes",
                          s->name, strerror(errno));
}

static int session_start(struct session *s, struct estc_error *err) {
    struct dtls_config config = {
        .credentials = &s->credentials,
        .trust = s->trust,
        .host = s->host,
        .allow_rsa = s->allow_rsa,
        .now = s->now,
    };
    int r = dtls_new(&config, &s->dtls, err);
    if (r)
        return r;
    coap_context_t *coap = dtls_coap(s->dtls);
    coap_set_app_data(coap, s);
    coap_register_event_handler(coap, session_on_event);
    coap_register_response_handler(coap, exchange_on_response);
    coap_register_nack_handler(coap, exchange_on_nack);
    coap_context_set_block_mode(coap, 0);
    s->state = SESSION_HANDSHAKE;
    s->began = clock_boot_ms();
    s->connection++;
    return 0;
}

/* Why a handshake ended without a connection. */
static int session_explain(struct session *s, bool *refused, struct estc_error *err) {
    const struct verdict *v = dtls_verdict(s->dtls);
    int64_t took = clock_boot_ms() - s->began;
    if (verdict_is_final(v)) {
        struct verdict_view view = {.host = s->host, .allow_rsa = s->allow_rsa, .now = s->now};
        if (view.now == 0)
            view.now = clock_real();
        verdict_error(v, &view, err);
        return estc_error_prefix(err, "%s", s->name);
    }
    if (v->heard && s->state == SESSION_LOST && took < SESSION_HANDSHAKE_GIVE_UP_MS)
        return estc_error_set(err, ESTC_E_UNREACHABLE,
                              "%s: closed the connection during the handshake; see its log",
                              s->name);
    if (s->state == SESSION_LOST && took < SESSION_HANDSHAKE_GIVE_UP_MS) {
        *refused = true;
        return estc_error_set(err, ESTC_E_UNREACHABLE,
                              "%s: nothing listens there (ICMP: port or host unreachable); check "
                              "that the server runs, and the port",
                              s->name);
    }
    int code = s->state == SESSION_LOST ? ESTC_E_UNREACHABLE : ESTC_E_TIMEOUT;
    if (v->heard)
        return estc_error_set(err, code,
                              "%s: the handshake began, but did not end within %lld s; large "
                              "datagrams may get lost on the way",
                              s->name, (long long)(took + 500) / 1000);
    return estc_error_set(err, code,
                          "%s: nothing that speaks DTLS answers there (waited %lld s); check "
                          "address, port (5684, not 5683) and firewall",
                          s->name, (long long)(took + 500) / 1000);
}

/* One handshake, until it stands, failed or `until` has come. */
static int session_handshake(struct session *s, const struct estc_wait *wait, int64_t until,
                             bool *refused, struct estc_error *err) {
    while (s->state == SESSION_HANDSHAKE && clock_boot_ms() < until) {
        int r = session_pump(s, wait, until, err);
        if (r)
            return r;
    }
    return s->state == SESSION_UP ? 0 : session_explain(s, refused, err);
}

static int session_try(struct session *s, const struct sockaddr *addr, socklen_t len,
                       const struct estc_wait *wait, int64_t until, bool *refused,
                       struct estc_error *err) {
    int r = session_set_name(s, addr, len, err);
    if (!r)
        r = session_check_route(s, addr, len, err);
    if (!r)
        r = session_start(s, err);
    if (r)
        return r;
    coap_address_t peer;
    coap_address_init(&peer);
    if (len > sizeof(peer.addr))
        return estc_error_set(err, -EAFNOSUPPORT, "%s: unknown kind of address", s->name);
    memcpy(&peer.addr, addr, len);
    peer.size = len;
    s->coap = dtls_connect(s->dtls, &peer);
    if (s->coap)
        r = session_handshake(s, wait, until, refused, err);
    else
        r = estc_error_set(err, ESTC_E_UNREACHABLE, "%s: cannot send", s->name);
    if (r)
        session_disconnect(s);
    return r;
}

/* Another address or another moment may help. */
static bool session_may_retry(int r) {
    return r == ESTC_E_UNREACHABLE || r == ESTC_E_TIMEOUT;
}

static int session_try_all(struct session *s, const struct resolve_list *list,
                           const struct estc_wait *wait, bool *refused, struct estc_error *err) {
    int r = 0;
    for (size_t i = 0; i < list->count; i++) {
        int64_t now = clock_boot_ms();
        if (now >= wait->deadline && r)
            break;
        /* A black hole among the addresses must not eat the time of the others. */
        int64_t share = (wait->deadline - now) / (int64_t)(list->count - i);
        r = session_try(s, (const struct sockaddr *)&list->at[i].addr, list->at[i].len, wait,
                        now + share, refused, err);
        if (!session_may_retry(r))
            return r;
        log_debug("%s", err->text);
    }
    return r;
}

int session_connect(struct session *s, const struct estc_wait *wait, struct estc_error *err) {
    struct estc_error scratch = {0};
    if (!err)
        err = &scratch;
    if (s->state == SESSION_UP)
        return 0;
    session_disconnect(s);
    if (clock_boot_ms() >= wait->deadline)
        return estc_error_set(err, ESTC_E_TIMEOUT, "%s: no time left to connect", s->name);
    struct resolve_list list;
    int r = resolve_host(s->host, s->port, wait, &list, err);
    if (r)
        return r;
    for (int round = 1;; round++) {
        bool refused = false;
        r = session_try_all(s, &list, wait, &refused, err);
        if (!session_may_retry(r) || !refused || round == SESSION_ROUNDS ||
            clock_boot_ms() >= wait->deadline)
            return r;
        r = session_sleep(s, wait, SESSION_ROUND_MS, err);
        if (r)
            return r;
    }
}

/* The transport */

static int session_op_connect(struct estc_transport *t, const struct estc_wait *wait,
                              struct estc_error *err) {
    return session_connect((struct session *)t, wait, err);
}

/* libcoap's SSL object, whose handshake ended with the connection coming up. */
static int session_op_binding(struct estc_transport *t, struct estc_binding *out,
                              struct estc_error *err) {
    struct session *s = (struct session *)t;
    if (s->state != SESSION_UP)
        return estc_error_set(err, ESTC_E_UNREACHABLE, "%s: not connected", s->name);
    struct estc_binding binding = {.connection = s->connection};
    binding.len = dtls_binding(coap_session_get_tls(s->coap, NULL), binding.data);
    if (binding.len == 0)
        return estc_error_set(
            err, ESTC_E_PROTOCOL,
            "%s: does not know extended master secret (RFC 7627), without which "
            "no request can be bound to a connection; renew the server's software",
            s->name);
    *out = binding;
    return 0;
}

static int session_check_bound(const struct session *s, const struct estc_binding *bound,
                               struct estc_error *err) {
    if (s->state == SESSION_UP && bound->len > 0 && bound->connection == s->connection)
        return 0;
    return estc_error_set(err, ESTC_E_STALE,
                          "%s: the connection that the request is bound to is gone; build the "
                          "request again",
                          s->name);
}

static int session_op_request(struct estc_transport *t, const struct estc_request *request,
                              const struct estc_wait *wait, struct estc_response *response,
                              struct estc_error *err) {
    struct session *s = (struct session *)t;
    if (s->state == SESSION_UP)
        session_drain(s);
    int bound = request->bound ? session_check_bound(s, request->bound, err) : 0;
    if (bound)
        return bound;
    for (bool again = request->method == ESTC_GET && !request->bound;; again = false) {
        int r = session_connect(s, wait, err);
        if (!r)
            r = exchange_run(s, request, wait, response, err);
        if (!r)
            return 0;
        bool lost = s->state == SESSION_LOST;
        /* Nothing of a failed exchange may meet the next one. */
        session_disconnect(s);
        /* A server that restarts loses its connections. Only a GET can be sent twice: a POST may
         * have been carried out before the connection broke. */
        if (!lost || !again || r != ESTC_E_UNREACHABLE)
            return r;
    }
}

static void session_op_free(struct estc_transport *t) {
    struct session *s = (struct session *)t;
    session_disconnect(s);
    EVP_PKEY_free(s->credentials.key);
    X509_free(s->credentials.cert);
    sk_X509_pop_free(s->credentials.chain, X509_free);
    free(s->host);
    free(s->name);
    free(s);
}

static const struct estc_transport_ops session_ops = {
    .connect = session_op_connect,
    .request = session_op_request,
    .binding = session_op_binding,
    .free = session_op_free,
};

static int session_copy(struct session *s, const struct estc_coaps_options *o,
                        struct estc_error *err) {
    const struct estc_credentials *c = &o->credentials;
    if (!o->host || !o->host[0] || !o->trust || !c->key || !c->cert)
        return estc_error_set(err, -EINVAL, "host, trust, key and certificate are needed");
    if (block_szx(o->block_size ? o->block_size : SESSION_BLOCK_DEFAULT, &s->szx) < 0)
        return estc_error_set(err, -EINVAL, "block size %u is none of 16, 32, ... 1024",
                              o->block_size);
    s->port = o->port ? o->port : ESTC_DEFAULT_PORT;
    s->trust = o->trust;
    s->allow_rsa = o->allow_rsa_server;
    s->max_body = o->max_body ? o->max_body : SESSION_MAX_BODY_DEFAULT;
    s->now = o->now;
    s->host = strdup(o->host);
    s->name = text_format(strchr(o->host, ':') ? "server [%s]:%u" : "server %s:%u", o->host,
                          (unsigned)s->port);
    if (c->chain)
        s->credentials.chain = X509_chain_up_ref(c->chain);
    if (!s->host || !s->name || (c->chain && !s->credentials.chain) || !EVP_PKEY_up_ref(c->key))
        return estc_error_set(err, -ENOMEM, "out of memory");
    s->credentials.key = c->key;
    X509_up_ref(c->cert);
    s->credentials.cert = c->cert;
    return 0;
}

int estc_coaps_new(const struct estc_coaps_options *options, struct estc_transport **out,
                   struct estc_error *err) {
    struct session *s = calloc(1, sizeof(*s));
    if (!s)
        return estc_error_set(err, -ENOMEM, "out of memory");
    s->transport.ops = &session_ops;
    int r = session_copy(s, options, err);
    if (r) {
        session_op_free(&s->transport);
        return r;
    }
    *out = &s->transport;
    return 0;
}
