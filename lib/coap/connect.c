/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Makes a client's connection: resolves, tries one address after the other, and explains what went
 * wrong. Each attempt has a context and a UDP port of its own, so no trust, no credential and no
 * stale association of a server leaks from one into the next.
 */
#include "coap/session.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/text.h"

/* A port that refuses may be a server that restarts: ask this often, this far apart. */
#define SESSION_ROUNDS 3
#define SESSION_ROUND_MS 1000
/* An IPv6 link carries this much (RFC 8200 section 5), and IPv4 mostly does. */
#define SESSION_MTU_DEFAULT 1280
/* Of an answer beside its block: token, ETag, Content-Format, Block1, Block2 and the marker. */
#define SESSION_ANSWER_OPTIONS 20
#define SESSION_COAP_HEADER 4
/* Servers that keep sessions do so for an hour or more. */
#define SESSION_RESUME_MS 3600000
/* The bound of those who ask for blocks of 64 bytes and less: a frame of IEEE 802.15.4
 * (RFC 9148 section 4.6). */
#define SESSION_FRAME 127
#define SESSION_FRAME_SZX 2

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

/* libcoap drops an answer with a critical option that it does not know, as RFC 7252 section 5.4.1
 * wants, but without a word: only silence would be seen. It can be told of six: these are assigned,
 * and message.c refuses them by name. OSCORE, Q-Block1, EDHOC, Q-Block2. */
static const uint16_t session_named[] = {9, 19, 21, 31};

static struct way session_way(const struct session *s) {
    return (struct way){.source = s->source, .interface = s->interface};
}

/* Datagrams */

static size_t session_datagram(const struct session *s, const coap_address_t *peer) {
    bool v4 = peer->addr.sa.sa_family == AF_INET;
    return (s->mtu ? s->mtu : SESSION_MTU_DEFAULT) -
           (v4 ? HANDSHAKE_HEADERS_IPV4 : HANDSHAKE_HEADERS_IPV6);
}

/* Once the datagram's size and, for a connection, its suite are known: room and block size. */
static void session_set_sizes(struct session *s, size_t datagram) {
    const SSL *ssl = s->coap ? coap_session_get_tls(s->coap, NULL) : NULL;
    if (s->szx <= SESSION_FRAME_SZX && datagram > SESSION_FRAME)
        datagram = SESSION_FRAME;
    s->room = handshake_room(ssl, datagram) - SESSION_COAP_HEADER;
    s->szx_now = s->szx;
    while (s->szx_now > 0 && block_size(s->szx_now) + SESSION_ANSWER_OPTIONS > s->room)
        s->szx_now--;
}

/* Coming back */

void session_forget(struct session *s) {
    SSL_SESSION_free(s->resume);
    s->resume = NULL;
}

static SSL_SESSION *session_to_resume(const struct session *s) {
    return s->resume && clock_boot_ms() < s->resume_until ? s->resume : NULL;
}

/* A resumed handshake shows no certificate: it is who it was. A copy is kept, because OpenSSL
 * spoils the session of a connection that ends badly. */
static void session_remember(struct session *s) {
    SSL *ssl = coap_session_get_tls(s->coap, NULL);
    if (SSL_session_reused(ssl)) {
        dtls_judge(s->dtls)->by = s->resume_by;
        return;
    }
    session_forget(s);
    if (s->provisional || SSL_get_extms_support(ssl) != 1 ||
        !SSL_SESSION_is_resumable(SSL_get0_session(ssl)))
        return;
    s->resume = SSL_SESSION_dup(SSL_get0_session(ssl));
    s->resume_by = dtls_judge(s->dtls)->by;
    s->resume_until = clock_boot_ms() + SESSION_RESUME_MS;
}

static void session_set_up(struct session *s) {
    session_remember(s);
    session_set_sizes(s, handshake_datagram(coap_session_get_tls(s->coap, NULL)));
    coap_session_set_max_retransmit(s->coap, COAP_DEFAULT_MAX_RETRANSMIT);
    coap_session_set_ack_timeout(s->coap, (coap_fixed_point_t){(uint16_t)s->ack_timeout, 0});
}

/* One address */

struct judge session_judge(const struct session *s) {
    return (struct judge){
        .implicit_trust = s->trust,
        .explicit_trust = s->explicit_trust,
        .provisional = s->provisional,
        .host = s->host,
        .port = s->port,
        .now = s->now,
    };
}

static int session_start(struct session *s, const coap_address_t *peer, struct estc_error *err) {
    size_t datagram = session_datagram(s, peer);
    session_set_sizes(s, datagram);
    struct dtls_config config = {
        .credentials = &s->credentials,
        .judge = session_judge(s),
        .allow_rsa = s->allow_rsa,
        .timeout = s->dtls_timeout,
        .datagram = datagram,
        .block_size = (unsigned)block_size(s->szx_now),
        .way = session_way(s),
        .resume = session_to_resume(s),
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
    for (size_t i = 0; i < sizeof(session_named) / sizeof(session_named[0]); i++)
        coap_register_option(coap, session_named[i]);
    s->state = SESSION_HANDSHAKE;
    s->began = clock_boot_ms();
    s->connection++;
    return 0;
}

/* Why a handshake ended without a connection. */
static int session_explain(struct session *s, bool *refused, struct estc_error *err) {
    const struct verdict *v = dtls_verdict(s->dtls);
    const struct handshake *h = dtls_handshake(s->dtls);
    int64_t took = clock_boot_ms() - s->began;
    bool ended = s->state == SESSION_LOST && !handshake_is_silent(h);
    if (verdict_is_final(v)) {
        struct verdict_view view = {.host = s->host, .allow_rsa = s->allow_rsa, .now = s->now};
        if (view.now == 0)
            view.now = clock_real();
        int rc = verdict_error(v, &view, err);
        estc_error_prefix(err, "%s", s->name);
        return rc;
    }
    if (h->heard && ended)
        return estc_error_set(err, ESTC_E_UNREACHABLE,
                              "%s: closed the connection during the handshake; see its log",
                              s->name);
    if (ended) {
        *refused = true;
        return estc_error_set(err, ESTC_E_UNREACHABLE,
                              "%s: nothing listens there (ICMP: port or host unreachable); check "
                              "that the server runs, and the port",
                              s->name);
    }
    int code = handshake_is_silent(h) ? ESTC_E_UNREACHABLE : ESTC_E_TIMEOUT;
    if (h->heard)
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
    while (s->state == SESSION_HANDSHAKE && clock_boot_ms() < until &&
           !handshake_is_silent(dtls_handshake(s->dtls))) {
        int r = session_pump(s, wait, until, err);
        if (r)
            return r;
    }
    return s->state == SESSION_UP ? 0 : session_explain(s, refused, err);
}

static int session_try(struct session *s, const struct sockaddr *addr, socklen_t len,
                       const struct estc_wait *wait, int64_t until, bool *refused,
                       struct estc_error *err) {
    coap_address_t peer, local;
    struct way way = session_way(s);
    int r = session_set_name(s, addr, len, err);
    if (r)
        return r;
    coap_address_init(&peer);
    if (len > sizeof(peer.addr))
        return estc_error_set(err, -EAFNOSUPPORT, "%s: unknown kind of address", s->name);
    memcpy(&peer.addr, addr, len);
    peer.size = len;
    r = way_find(&way, &peer, &local, err);
    if (r) {
        estc_error_prefix(err, "%s", s->name);
        return r;
    }
    r = session_start(s, &peer, err);
    if (r)
        return r;
    s->coap = dtls_connect(s->dtls, &peer, &local);
    if (s->coap)
        r = session_handshake(s, wait, until, refused, err);
    else
        r = estc_error_set(err, ESTC_E_UNREACHABLE, "%s: cannot send", s->name);
    if (r)
        session_disconnect(s);
    else
        session_set_up(s);
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
        const struct sockaddr *addr = (const struct sockaddr *)&list->at[i].addr;
        bool resuming = session_to_resume(s);
        r = session_try(s, addr, list->at[i].len, wait, now + share, refused, err);
        /* Some servers answer the question with an alert: a full handshake is always possible
         * (RFC 7925 section 7). */
        if (r && resuming)
            session_forget(s);
        if (resuming && (r == ESTC_E_REJECTED || r == ESTC_E_PROTOCOL || r == ESTC_E_UNTRUSTED))
            r = session_try(s, addr, list->at[i].len, wait, now + share, refused, err);
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
    struct way way = session_way(s);
    int r = resolve_host(s->host, s->port, wait, &list, err);
    if (!r)
        r = way_filter(&way, s->host, &list, err);
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
