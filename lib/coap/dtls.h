/* SPDX-License-Identifier: BSD-2-Clause */
/* A libcoap context whose DTLS is configured by us: credentials, trust, names and suites. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include <coap3/coap.h>
#include <openssl/ssl.h>

#include <estc/coaps.h>
#include <estc/error.h>
#include <estc/transport.h>
#include <estc/trust.h>

#include "base/cleanup.h"
#include "coap/handshake.h"
#include "coap/judge.h"
#include "coap/verdict.h"
#include "coap/way.h"

struct dtls_config {
    const struct estc_credentials *credentials;
    struct judge judge; /* whom to accept; host NULL: this is a server */
    bool allow_rsa;     /* client: suites for servers with an RSA certificate */
    unsigned timeout;   /* seconds until a flight is sent again; 0: 1 */
    size_t datagram;    /* largest payload of UDP; 0: 1152 */
    /* client: bytes of the largest block wished for; small ones are told to the server (RFC 7925
     * section 15) and prefer the shorter records of CCM8; 0: 1024 */
    unsigned block_size;
    struct way way;      /* client: borrowed */
    SSL_SESSION *resume; /* client: what to offer; borrowed, or NULL */
};

struct dtls;

/* ESTC_E_CREDENTIAL when key, certificate and chain do not fit; a negative errno otherwise. */
int dtls_new(const struct dtls_config *config, struct dtls **out, struct estc_error *err);
/* Frees the coap_context with all its sessions, each with a close_notify. */
struct dtls *dtls_free(struct dtls *dtls);

coap_context_t *dtls_coap(const struct dtls *dtls);
SSL_CTX *dtls_ssl_ctx(const struct dtls *dtls);
struct verdict *dtls_verdict(struct dtls *dtls);
const struct handshake *dtls_handshake(const struct dtls *dtls);
struct judge *dtls_judge(struct dtls *dtls);

/* coap_io_process() without waiting, and without errors of OpenSSL that others left behind. */
void dtls_process(struct dtls *dtls);
/* coap_io_prepare_epoll() and coap_send() in the same way: what is due, and in how many
 * milliseconds the next is. */
unsigned dtls_prepare(struct dtls *dtls);
coap_mid_t dtls_send(coap_session_t *session, coap_pdu_t *pdu);

/* tls-unique (RFC 5929 section 3.1) of a handshake that is over, from either end; 0 bytes when it
 * was one without extended master secret. */
size_t dtls_binding(const SSL *ssl, unsigned char out[static ESTC_BINDING_MAX]);

/* Sends the first datagram of a handshake, from a fresh port of the local address, if it has a
 * size; NULL on failure. */
coap_session_t *dtls_connect(struct dtls *dtls, const coap_address_t *peer,
                             const coap_address_t *local);
/* Opens the socket; -EADDRNOTAVAIL and the like. */
int dtls_listen(struct dtls *dtls, const coap_address_t *local, struct estc_error *err);

CLEANUP_DEFINE(struct dtls *, dtls_freep, dtls_free);
