/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Between EST over HTTPS (RFC 7030, RFC 8951) and EST-coaps (RFC 9148 section 5): bytes in, bytes
 * out. What comes from upstream is as hostile as what comes from a device.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <openssl/x509.h>

#include <estc/buf.h>
#include <estc/error.h>

/* A body as it came, with its Content-Type, which may be NULL. Both borrowed. */
struct translate_body {
    const char *type;
    const unsigned char *data;
    size_t len;
};

/* Appends. 0 or -ENOMEM. */
int translate_to_base64(const void *der, size_t len, struct estc_buf *out);
/* Appends; line ends, spaces and tabs anywhere mean nothing (RFC 8951 section 3.1).
 * ESTC_E_MALFORMED. */
int translate_from_base64(const void *text, size_t len, struct estc_buf *out,
                          struct estc_error *err);

/* The code for a status that is no success (RFC 9148 section 4.5, RFC 8075 section 7). */
unsigned translate_status(long status);

/* Seconds from a Retry-After, which is a number or a date (RFC 9110 section 10.2.3); 0: none that
 * can be read. At most TRANSLATE_RETRY_MAX. */
#define TRANSLATE_RETRY_MAX (30 * 86400)
int64_t translate_retry_after(const char *value, int64_t now);

/* All four: ESTC_E_MALFORMED with what is wrong. */

/* certs-only: one certificate at least. */
int translate_certs(const struct translate_body *body, STACK_OF(X509) * *out,
                    struct estc_error *err);
/* certs-only: exactly one certificate. */
int translate_issued(const struct translate_body *body, X509 **out, struct estc_error *err);
/* CsrAttrs, DER; nothing when there are no attributes. */
int translate_csrattrs(const struct translate_body *body, struct estc_buf *out,
                       struct estc_error *err);
/* multipart/mixed: a key, which is sealed or not, and its certificate. A sealed key is passed on as
 * it is (RFC 9148 section 5); a bare one has to be the certificate's. */
int translate_generated(const struct translate_body *body, bool sealed, struct estc_buf *key,
                        X509 **cert, struct estc_error *err);
