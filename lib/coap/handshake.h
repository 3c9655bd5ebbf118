/* SPDX-License-Identifier: BSD-2-Clause */
/* How the datagrams of a handshake travel: when they are sent again, and how large they are. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include <openssl/ssl.h>

/* OpenSSL's floor: fragments in packets of 256 bytes, less the headers of IPv6 and UDP. */
#define HANDSHAKE_DATAGRAM_MIN 208
/* Headers of IP and UDP. */
#define HANDSHAKE_HEADERS_IPV6 48
#define HANDSHAKE_HEADERS_IPV4 28
/* One flight is sent so often again. Starting with a second this ends after 63 s. */
#define HANDSHAKE_RETRANSMISSIONS 5
/* libcoap counts those of a whole handshake, and must not end it first. */
#define HANDSHAKE_RETRANSMISSIONS_ALL 20

struct handshake {
    unsigned first_s; /* until a flight is sent again; doubles up to 60 s (RFC 7925 section 11) */
    size_t datagram;  /* largest payload of UDP to begin with */
    /* What the last handshake came to; of use where there is one at a time. */
    unsigned silent; /* how often the last flight has waited in vain */
    bool heard;      /* the peer sent anything that was DTLS */
    void (*next_info)(const SSL *ssl, int where, int ret); /* chained */
    /* Called before the first message, with the SSL ready but for it; may be NULL. Unless it
     * returns 0 nothing is sent, and the handshake fails. */
    int (*begin)(SSL *ssl, void *arg);
    void *arg;
    BIO *gone; /* freed by libcoap, and not by us yet: see handshake_bury() */
    bool over; /* the context is about to be freed, and takes all with it */
};

/* Has every handshake of ctx go as h says, which must outlive ctx. An info callback that is there
 * already is still called; the message callback is ours. 0 or -ENOMEM. */
int handshake_watch(SSL_CTX *ctx, struct handshake *h);

/*
 * libcoap 4.3.1 goes on reading and writing in what belongs to a connection's BIO after a message
 * in it has ended the connection, which any peer can cause (a signalling code, 7.05, that means
 * nothing in a datagram). So no BIO is freed before this is called, from outside of libcoap.
 */
void handshake_bury(struct handshake *h);
/* The same, and from then on they are freed at once: for the end, when the context that they need
 * goes with them. */
void handshake_end(struct handshake *h);

/* True when a flight has been sent often enough. */
bool handshake_is_silent(const struct handshake *h);

/* The size of datagram that a handshake has come down to; 0 when it has not begun. */
size_t handshake_datagram(const SSL *ssl);

/* Bytes of a CoAP message that fit a datagram of this size on this connection. */
size_t handshake_room(const SSL *ssl, size_t datagram);
