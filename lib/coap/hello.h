/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The first message of a DTLS handshake, taken apart, and the one that answers it without anything
 * being kept (RFC 6347 section 4.2.1). Pure: bytes in, bytes out.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

/* Of the cookies that we make. */
#define HELLO_COOKIE_LEN 20
#define HELLO_VERIFY_LEN (13 + 12 + 3 + HELLO_COOKIE_LEN)

#define HELLO_RANDOM_LEN 32

enum hello_kind {
    HELLO_NONE,   /* something else */
    HELLO_BROKEN, /* nothing that a handshake could begin with: cut, in fragments, malformed */
    HELLO_WHOLE,
};

/* Points into the datagram. */
struct hello {
    const unsigned char *record; /* its sequence number: 6 bytes */
    const unsigned char *random; /* HELLO_RANDOM_LEN bytes */
    const unsigned char *cookie; /* cookie_len bytes */
    size_t cookie_len;
    /* What has to be the same when it comes again with a cookie: version, random and session id
     * before the cookie, suites and compression after it. */
    const unsigned char *before, *after;
    size_t before_len, after_len;
};

enum hello_kind hello_read(const unsigned char *data, size_t len, struct hello *out);

/* HelloVerifyRequest with a cookie. */
void hello_verify(const struct hello *hello, const unsigned char cookie[static HELLO_COOKIE_LEN],
                  unsigned char out[static HELLO_VERIFY_LEN]);
