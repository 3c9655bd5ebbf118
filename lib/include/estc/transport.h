/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * How the enrolment conversation reaches a server: a table of functions, so that the conversation
 * can run over libcoap's DTLS (<estc/coaps.h>) or over whatever else a program has.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <estc/buf.h>
#include <estc/error.h>

enum estc_method { ESTC_GET, ESTC_POST };

/* Content formats (RFC 9148 section 8.1, RFC 7252 section 12.3). */
enum estc_format {
    ESTC_FORMAT_NONE = -1, /* the option is absent */
    ESTC_FORMAT_LINK = 40,
    ESTC_FORMAT_MULTIPART = 62,
    ESTC_FORMAT_SERVER_KEY = 280,
    ESTC_FORMAT_CERTS_ONLY = 281,
    ESTC_FORMAT_PKCS8 = 284,
    ESTC_FORMAT_CSRATTRS = 285,
    ESTC_FORMAT_PKCS10 = 286,
    ESTC_FORMAT_CERT = 287,
};

/*
 * What one connection has that no other has: tls-unique of its handshake (RFC 5929 section 3.1). In
 * a certification request it proves that whoever signed is at this end (RFC 7030 section 3.5).
 */
#define ESTC_BINDING_MAX 64
struct estc_binding {
    unsigned char data[ESTC_BINDING_MAX];
    size_t len;          /* 0: none */
    uint64_t connection; /* which of the transport's connections it is of; never 0 */
};

struct estc_request {
    enum estc_method method;
    const char *path;   /* "/.well-known/est/label/sen", no percent-encoding, no query */
    const char *query;  /* "rt=ace.est*", several joined by "&"; NULL: none */
    int content_format; /* enum estc_format or any other number; ESTC_FORMAT_NONE: absent */
    int accept;         /* the same */
    const unsigned char *payload;
    size_t payload_len;
    /* When set, the payload contains this binding: the request goes out on that connection or not
     * at all, in all its parts (ESTC_E_STALE). */
    const struct estc_binding *bound;
    /* Set by a listener: what an answer goes by that comes later; 0: it has to be given now. */
    uint64_t ticket;
};

struct estc_response {
    unsigned code;           /* class * 100 + detail: 204 is 2.04, 503 is 5.03 */
    int content_format;      /* ESTC_FORMAT_NONE: absent */
    int64_t max_age;         /* seconds; -1: absent, which means 60 (RFC 7252 section 5.10.5) */
    struct estc_buf payload; /* a diagnostic text in an error (RFC 7252 section 5.5.2) */
    bool later; /* to a listener: nothing yet, estc_listener_respond() brings it by the ticket */
};

void estc_response_clear(struct estc_response *response);

/* When to stop waiting. */
struct estc_wait {
    int64_t deadline; /* milliseconds of CLOCK_BOOTTIME; see estc_wait_in() */
    int cancel_fd;    /* becoming readable ends the wait with ESTC_E_CANCELLED; -1: none */
};

/* A wait that ends so many milliseconds from now, without a cancel descriptor. */
struct estc_wait estc_wait_in(int64_t milliseconds);

struct estc_transport;

struct estc_transport_ops {
    /* Authenticates both ends. ESTC_E_UNREACHABLE, _TIMEOUT, _UNTRUSTED, _REJECTED (an alert),
     * _CANCELLED. A connected transport: 0 at once. */
    int (*connect)(struct estc_transport *t, const struct estc_wait *wait, struct estc_error *err);
    /* One request and its whole answer, block-wise where needed; connects if there is no
     * connection. Any response code is a success here. */
    int (*request)(struct estc_transport *t, const struct estc_request *request,
                   const struct estc_wait *wait, struct estc_response *response,
                   struct estc_error *err);
    /* The binding of the connection that is up. ESTC_E_UNREACHABLE when there is none;
     * ESTC_E_PROTOCOL when the handshake was without extended master secret (RFC 7627), for what it
     * gives then can be made equal on two connections. */
    int (*binding)(struct estc_transport *t, struct estc_binding *out, struct estc_error *err);
    /* Ends the connection in an orderly way and frees the transport. */
    void (*free)(struct estc_transport *t);
};

struct estc_transport {
    const struct estc_transport_ops *ops;
};

struct estc_transport *estc_transport_free(struct estc_transport *t); /* takes NULL, returns NULL */
