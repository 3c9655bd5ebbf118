/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Errors of libestc.
 *
 * A function returns 0 on success, a negative errno when the system or the caller failed
 * (-ENOMEM, -EINVAL, -EIO, ...), and a positive ESTC_E_* for a condition that belongs to the
 * protocol and that the caller has to handle. Beside the code travels a struct estc_error whose
 * text names the thing, the cause and the remedy in one line of printable ASCII or UTF-8.
 * Outputs are written on success only.
 */
#pragma once

#include <stdarg.h>
#include <stddef.h>

/* X(name, label): the labels are stable, they appear in JSON, in the journal and in manuals. */
#define ESTC_ERROR_TABLE(X)                                                                     \
    X(ESTC_E_PENDING, "pending")         /* the CA wants to be asked again later (5.03) */      \
    X(ESTC_E_REJECTED, "rejected")       /* the peer refused the request (4.xx) */              \
    X(ESTC_E_UNREACHABLE, "unreachable") /* no way to the peer, or it went away */              \
    X(ESTC_E_TIMEOUT, "timeout")         /* our own deadline passed */                          \
    X(ESTC_E_UNTRUSTED, "untrusted")     /* a certificate failed validation */                  \
    X(ESTC_E_PROTOCOL, "protocol")       /* the peer broke a protocol rule */                   \
    X(ESTC_E_SERVER, "server")           /* the peer failed by itself (5.xx) */                 \
    X(ESTC_E_MALFORMED, "malformed")     /* data that cannot be decoded */                      \
    X(ESTC_E_CREDENTIAL, "credential")   /* a local key or certificate file is unfit */         \
    X(ESTC_E_MISMATCH, "mismatch")       /* the issued certificate is not what was asked for */ \
    X(ESTC_E_TOO_LARGE, "too-large")     /* a body beyond the configured limit */               \
    X(ESTC_E_NOT_FOUND, "not-found")     /* no such resource, label or identity */              \
    X(ESTC_E_CONFIG, "config")           /* the configuration's text is wrong */                \
    X(ESTC_E_CANCELLED, "cancelled")     /* the caller's cancel descriptor became readable */   \
    X(ESTC_E_STALE, "stale")             /* the connection that a request is bound to is gone */

#define ESTC_ERROR_ENUM(name, label) name,
enum estc_status { ESTC_OK = 0, ESTC_ERROR_TABLE(ESTC_ERROR_ENUM) ESTC_E_MAX_ };
#undef ESTC_ERROR_ENUM

#define ESTC_ERROR_TEXT_MAX 512

struct estc_error {
    int code;                       /* what the function returned */
    char text[ESTC_ERROR_TEXT_MAX]; /* one line, escaped, cut with "..." when longer */
};

#if defined(__GNUC__)
#define ESTC_PRINTF(fmt, first) __attribute__((format(printf, fmt, first)))
#else
#define ESTC_PRINTF(fmt, first)
#endif

/* Fills err (which may be NULL) and returns code. Control characters in the result become "?". */
int estc_error_set(struct estc_error *err, int code, const char *fmt, ...) ESTC_PRINTF(3, 4);

/* Puts "PREFIX: " before the text that is there; keeps the code and returns it (-EINVAL
 * without an err: nothing is known, but it is no success). */
int estc_error_prefix(struct estc_error *err, const char *fmt, ...) ESTC_PRINTF(2, 3);

/* "pending", "rejected", ...; "ok" for 0; "system" for a negative errno. Never NULL. */
const char *estc_status_name(int code);
