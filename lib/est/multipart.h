/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * application/multipart-core (RFC 8710) in the one shape that EST knows (RFC 9148 section 4.8): two
 * parts, a private key and a certificate, in either order.
 */
#pragma once

#include <stddef.h>

#include <estc/buf.h>
#include <estc/error.h>

#define MULTIPART_PARTS 2

struct multipart_part {
    int format; /* content format, 0 to 65535 */
    struct estc_buf body;
};

struct multipart {
    struct multipart_part part[MULTIPART_PARTS];
};

/* Wipes, since one of the parts is a key; takes what is zeroed. */
void multipart_clear(struct multipart *m);

/*
 * ESTC_E_MALFORMED for anything but one array of four items, format and byte string twice over,
 * with nothing behind it. A part that is null, which RFC 8710 section 2 calls absent, is a failure
 * like the rest. Lengths may be definite or not, and numbers longer than they have to be. Never
 * holds more than len bytes.
 */
int multipart_decode(const void *cbor, size_t len, struct multipart *out, struct estc_error *err);

/* Appends to out; definite lengths, shortest numbers. 0 or -ENOMEM. */
int multipart_encode(const struct multipart *m, struct estc_buf *out, struct estc_error *err);
