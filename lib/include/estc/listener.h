/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A DTLS 1.2 socket that speaks CoAP with block-wise transfer (RFC 7959), demands a client
 * certificate and hands whole requests to a function. It never issues a question twice: a repeated
 * datagram is answered from memory (RFC 7252 section 4.5). Driven by the caller's event loop:
 * poll estc_listener_fd() for reading, call estc_listener_prepare() before each sleep and
 * estc_listener_process() when it is readable.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <estc/coaps.h>
#include <estc/error.h>
#include <estc/server.h>
#include <estc/trust.h>

struct estc_listener;

/* Fills response, which comes empty; the listener clears it. Must not block for long: what takes
 * its time is answered later, under the request's ticket. */
typedef void (*estc_answer_fn)(void *arg, const struct estc_peer *peer,
                               const struct estc_request *request, struct estc_response *response);

struct estc_listener_options {
    const char *address; /* numeric IPv4 or IPv6 address; NULL: [::] */
    uint16_t port;       /* 0: 5684 */
    struct estc_credentials credentials;
    const struct estc_trust *client_trust; /* anchors for client certificates; must outlive us */
    /* Those of them below which a client's own certificate may have expired (RFC 9148 section 3:
     * factory certificates); NULL: none. Must outlive us. */
    const struct estc_trust *expired_trust;
    size_t max_body;   /* largest request body in bytes, 4.13 beyond it; 0: 16384 */
    size_t max_bodies; /* bytes of unfinished bodies of all clients together; 0: 4 MB. Never less
                          than one of max_body */
    unsigned max_sessions;   /* authenticated ones; the longest silent makes room; 0: 1024 */
    unsigned max_handshakes; /* under way at once; 0: 256 */
    /* A minute; who has been quiet may have a minute's worth at once. 0: no bound */
    unsigned address_rate;     /* handshakes from one IPv4 address or IPv6 network of 64 bits */
    unsigned certificate_rate; /* requests with one certificate, 5.03 beyond it */
    unsigned idle_timeout;     /* seconds until a silent session is dropped; 0: 60 */
    unsigned max_waiting;      /* answers that may be due at once; 0: 256 */
    unsigned mtu;              /* largest IP packet that gets to clients, 256..9000; 0: 1280 */
    unsigned dtls_timeout;     /* as in <estc/coaps.h> */
    estc_answer_fn answer;
    /* Is this client certificate revoked? 0: no. 1: yes, and there is neither a handshake nor a
     * session to resume. Negative: that is not known now; it makes the client do a full handshake,
     * as an expired certificate does, and its requests are answer's to judge. NULL: none is. */
    int (*is_revoked)(void *arg, X509 *cert);
    void *arg;
};

int estc_listener_new(const struct estc_listener_options *options, struct estc_listener **out,
                      struct estc_error *err);
struct estc_listener *estc_listener_free(struct estc_listener *l); /* takes NULL, returns NULL */

int estc_listener_fd(const struct estc_listener *l);
void estc_listener_prepare(struct estc_listener *l);
void estc_listener_process(struct estc_listener *l);

/*
 * The answer to a request that was left for later. Its client got an empty acknowledgement at once
 * and gets this as a confirmable message of its own (RFC 7252 section 5.2.2), which is repeated
 * until it is acknowledged; further blocks are asked for as ever. Takes the payload over in any
 * case. -ENOENT when nobody waits for it any more, because the connection has ended. Never to be
 * called by the answer function. One request of a connection at a time can wait.
 */
int estc_listener_respond(struct estc_listener *l, uint64_t ticket, struct estc_response *response);

/* How much of a limit is in use, and how often it was in the way since the start. */
struct estc_listener_use {
    uint64_t max, used, refused; /* max 0: no bound */
};

struct estc_listener_counts {
    struct estc_listener_use sessions; /* refused: ended to make room */
    struct estc_listener_use
        handshakes;                   /* refused: not heard, or ended since they did not get on */
    struct estc_listener_use bodies;  /* bytes; refused: blocks */
    struct estc_listener_use body;    /* bytes of one; used is 0 */
    struct estc_listener_use waiting; /* refused: requests that could not have waited */
    struct estc_listener_use address_rate, certificate_rate; /* used is 0 */
    uint64_t cookies;   /* first messages that were answered with one, by which nothing is kept */
    uint64_t connected; /* handshakes that came to their end */
    uint64_t failed;    /* and those that were refused */
    uint64_t requests;  /* whole ones */
};
void estc_listener_count(const struct estc_listener *l, struct estc_listener_counts *out);

/* The port in use. */
uint16_t estc_listener_port(const struct estc_listener *l);
