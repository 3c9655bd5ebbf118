/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Looks for EST servers by asking /.well-known/core?rt=ace.est* over plain CoAP, one host or all
 * that hear a multicast (RFC 9148 section 4.1, RFC 7252 section 8). Nobody who answers has proven
 * who they are: <estc/discovery.h> reads the answers, and the handshake with a configured server is
 * what decides. Needs no key and no right.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include <estc/error.h>
#include <estc/transport.h>

struct estc_seek_options {
    const char *host;      /* name or address to ask; NULL: multicast */
    const char *interface; /* for multicast, "eth0" */
    uint16_t port;         /* 0: 5683 */
};

/* A whole answer, put together from its blocks; valid during the call only. */
struct estc_seek_answer {
    const char *address; /* "[fe80::1%eth0]:5683", of whoever answered */
    const char *host;    /* "fe80::1%eth0" */
    unsigned code;       /* class * 100 + detail */
    int content_format;
    const unsigned char *payload;
    size_t payload_len;
};

typedef void (*estc_seek_fn)(void *arg, const struct estc_seek_answer *answer);

/*
 * One host: 0 after its answer; ESTC_E_TIMEOUT, _UNREACHABLE, _CANCELLED, _PROTOCOL. Multicast: 0
 * when the deadline has come, with one call for each of the first 64 that answered, in the order in
 * which their answers were complete; those who break the protocol are left out. Answers to a
 * multicast take up to 5 seconds by design, so wait for longer. -ENODEV for an interface that is
 * not there.
 */
int estc_seek(const struct estc_seek_options *options, const struct estc_wait *wait,
              estc_seek_fn found, void *arg, struct estc_error *err);
