/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The client's transport: holds the options and the connection that connect.c makes of them, waits
 * for the network, and decides whether a request may be sent again. Waiting is poll() on libcoap's
 * descriptor and the caller's, under the caller's deadline: libcoap's own clock is the wall clock.
 *
 * libcoap answers a lost connection by a new handshake at the next send. That would move a request
 * onto a connection that nobody looked at, so a connection that is LOST is never used again.
 */
#include "coap/session.h"

#include <errno.h>
#include <net/if.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <openssl/err.h>

#include <estc/url.h>

#include "base/cleanup_ossl.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/text.h"

#define SESSION_MAX_BODY_DEFAULT 65536
#define SESSION_BLOCK_DEFAULT 1024
/* What OpenSSL can cut a handshake down to. */
#define SESSION_MTU_MIN 256
#define SESSION_MTU_MAX 9000
#define SESSION_TIMEOUT_MAX 60
#define SESSION_ACK_TIMEOUT_MIN 2
/* poll() does not count the time of a suspended machine; deadlines do. */
#define SESSION_POLL_MAX_MS 5000
#define SESSION_DRAIN_MAX 32

/* Waiting */

int session_pump(struct session *s, const struct estc_wait *wait, int64_t until,
                 struct estc_error *err) {
    coap_context_t *coap = dtls_coap(s->dtls);
    enum session_state before = s->state;
    unsigned due = dtls_prepare(s->dtls);
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

/* All that RFC 7030 section 4.1.1 allows on a provisional connection. */
static bool session_is_crts(const struct estc_request *request) {
    const char *last = strrchr(request->path, '/');
    return request->method == ESTC_GET && last && strcmp(last, "/crts") == 0;
}

static int session_op_request(struct estc_transport *t, const struct estc_request *request,
                              const struct estc_wait *wait, struct estc_response *response,
                              struct estc_error *err) {
    struct session *s = (struct session *)t;
    if (s->provisional && !session_is_crts(request))
        return estc_error_set(err, -EPERM,
                              "%s: nothing but /crts may be asked of a server that nobody has "
                              "vouched for",
                              s->name);
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
    session_forget(s);
    EVP_PKEY_free(s->credentials.key);
    X509_free(s->credentials.cert);
    sk_X509_pop_free(s->credentials.chain, X509_free);
    free(s->host);
    free(s->source);
    free(s->interface);
    free(s->name);
    free(s);
}

static const struct estc_transport_ops session_ops = {
    .connect = session_op_connect,
    .request = session_op_request,
    .binding = session_op_binding,
    .free = session_op_free,
};

static int session_check(const struct estc_coaps_options *o, struct estc_error *err) {
    if (!o->host || !o->host[0] || !(o->trust || o->explicit_trust || o->provisional) ||
        !o->credentials.key || !o->credentials.cert)
        return estc_error_set(err, -EINVAL, "host, trust, key and certificate are needed");
    if (o->mtu > 0 && (o->mtu < SESSION_MTU_MIN || o->mtu > SESSION_MTU_MAX))
        return estc_error_set(err, -EINVAL, "mtu %u is not between %d and %d", o->mtu,
                              SESSION_MTU_MIN, SESSION_MTU_MAX);
    if (o->dtls_timeout > SESSION_TIMEOUT_MAX || o->ack_timeout > SESSION_TIMEOUT_MAX)
        return estc_error_set(err, -EINVAL, "timeouts of more than %d s", SESSION_TIMEOUT_MAX);
    /* Less would press on a network that is slow already (RFC 7252 section 4.8.1). */
    if (o->ack_timeout > 0 && o->ack_timeout < SESSION_ACK_TIMEOUT_MIN)
        return estc_error_set(err, -EINVAL, "ack_timeout %u s is less than %d s", o->ack_timeout,
                              SESSION_ACK_TIMEOUT_MIN);
    if (o->source && !resolve_is_address(o->source))
        return estc_error_set(err, -EINVAL, "source '%s' is not an IPv4 or IPv6 address",
                              o->source);
    if (o->interface && (!*o->interface || strlen(o->interface) >= IFNAMSIZ))
        return estc_error_set(err, -EINVAL, "'%s' cannot name an interface", o->interface);
    return 0;
}

static int session_copy(struct session *s, const struct estc_coaps_options *o,
                        struct estc_error *err) {
    const struct estc_credentials *c = &o->credentials;
    int r = session_check(o, err);
    if (r)
        return r;
    if (block_szx(o->block_size ? o->block_size : SESSION_BLOCK_DEFAULT, &s->szx) < 0)
        return estc_error_set(err, -EINVAL, "block size %u is none of 16, 32, ... 1024",
                              o->block_size);
    s->port = o->port ? o->port : ESTC_DEFAULT_PORT;
    s->trust = o->trust;
    s->explicit_trust = o->explicit_trust;
    s->provisional = o->provisional;
    s->allow_rsa = o->allow_rsa_server;
    s->max_body = o->max_body ? o->max_body : SESSION_MAX_BODY_DEFAULT;
    s->mtu = o->mtu;
    s->dtls_timeout = o->dtls_timeout;
    s->ack_timeout = o->ack_timeout ? o->ack_timeout : SESSION_ACK_TIMEOUT_MIN;
    s->now = o->now;
    s->host = strdup(o->host);
    s->source = o->source ? strdup(o->source) : NULL;
    s->interface = o->interface ? strdup(o->interface) : NULL;
    s->name = text_format(strchr(o->host, ':') ? "server [%s]:%u" : "server %s:%u", o->host,
                          (unsigned)s->port);
    if (c->chain)
        s->credentials.chain = X509_chain_up_ref(c->chain);
    if ((o->source && !s->source) || (o->interface && !s->interface))
        return estc_error_set(err, -ENOMEM, "out of memory");
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

/* Who the server is */

enum estc_voucher estc_coaps_voucher(const struct estc_transport *transport) {
    const struct session *s = (const struct session *)transport;
    return s->state == SESSION_UP ? dtls_judge(s->dtls)->by : ESTC_VOUCHER_NONE;
}

bool estc_coaps_set_explicit(struct estc_transport *transport, const struct estc_trust *trust) {
    struct session *s = (struct session *)transport;
    s->explicit_trust = trust;
    s->trust = NULL;
    session_forget(s); /* it shows no certificate that could be judged anew */
    if (s->state != SESSION_UP || s->provisional)
        return false;
    struct estc_error why = {0};
    SSL *ssl = coap_session_get_tls(s->coap, NULL);
    _cleanup(x509_freep) X509 *leaf = SSL_get1_peer_certificate(ssl);
    struct judge judge = session_judge(s);
    if (leaf && !judge_again(&judge, leaf, SSL_get_peer_cert_chain(ssl), &why)) {
        dtls_judge(s->dtls)->by = judge.by;
        return true;
    }
    log_info("%s: closed, since the CA certificates that it sent do not vouch for it: %s", s->name,
             why.text);
    session_disconnect(s);
    return false;
}
