/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What stands before libcoap on a server's socket and keeps nothing of anybody: who begins a
 * handshake is asked for a cookie (RFC 6347 section 4.2.1) until one comes back, so that a stranger
 * who cannot be where the datagrams say takes no room and no connection of another's. libcoap would
 * make a session for each first message, and ignore whoever comes back to the address and port of
 * a connection that it believes to be alive (section 4.2.8).
 */
#pragma once

#include <coap3/coap.h>
#include <openssl/ssl.h>

#include <estc/error.h>

#include "base/cleanup.h"
#include "coap/route.h"

struct front;

enum front_turn {
    FRONT_EMPTY, /* nothing is waiting to be read */
    FRONT_TAKEN, /* it was nothing for libcoap, and is gone */
    FRONT_PASS,  /* libcoap's */
};

/* What to do with the connection that a client has who begins another one from the same address
 * and port. Called when the client has shown that it is there. */
typedef void front_replace_fn(void *arg, coap_session_t *session);
/* May another handshake begin? If not, its first message is lost, and comes again. */
typedef bool front_admit_fn(void *arg, const struct route *from);

/* The socket is the one that coap listens on at that address, ctx its SSL_CTX, whose cookies are
 * ours from here on. All are borrowed. -ENOENT when there is no such socket. */
int front_new(coap_context_t *coap, SSL_CTX *ctx, const coap_address_t *local,
              front_admit_fn *admit, front_replace_fn *replace, void *arg, struct front **out,
              struct estc_error *err);
struct front *front_free(struct front *front);

/* Looks at the datagram that is read next. */
enum front_turn front_look(struct front *front);

/* How often somebody was asked for a cookie. */
uint64_t front_asked(const struct front *front);

CLEANUP_DEFINE(struct front *, front_freep, front_free);
