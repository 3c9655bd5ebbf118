/* SPDX-License-Identifier: BSD-2-Clause */
/* A set of trust anchors, and path validation against it (RFC 5280, RFC 7030 section 3.6). */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <openssl/evp.h>
#include <openssl/x509.h>

#include <estc/error.h>

struct estc_trust;

/*
 * The time `now` of validations is seconds since 1970. A machine without a battery for its clock
 * does not know it, but may know that it is no earlier than `floor`: by estc_at_least(floor) what
 * ends before the floor has expired, and what begins after it is in force. Nothing else is
 * forgiven, and nothing to ESTC_PURPOSE_EXPIRED_CLIENT, which is for servers, who know the time.
 */
int64_t estc_at_least(int64_t floor);

enum estc_purpose {
    ESTC_PURPOSE_ANY,            /* an issued certificate: chain, signatures, dates */
    ESTC_PURPOSE_SERVER,         /* also fit for a (D)TLS server */
    ESTC_PURPOSE_CLIENT,         /* also fit for a (D)TLS client */
    ESTC_PURPOSE_EXPIRED_CLIENT, /* the same, but its own life may be over (RFC 9148 section 3) */
};

int estc_trust_new(struct estc_trust **out, struct estc_error *err);
struct estc_trust *estc_trust_free(struct estc_trust *trust); /* takes NULL, returns NULL */

/* Each certificate becomes an anchor, self-signed or not; the certificate stays the caller's. */
int estc_trust_add(struct estc_trust *trust, X509 *anchor, struct estc_error *err);
int estc_trust_add_pem(struct estc_trust *trust, const void *pem, size_t len,
                       struct estc_error *err);
size_t estc_trust_count(const struct estc_trust *trust);
/* The anchors; owned by trust. */
const STACK_OF(X509) * estc_trust_anchors(const struct estc_trust *trust);

/* A certificate that may stand between others and an anchor, in all that follows, without being
 * one: an intermediate, or the old key of a CA certified with its new one (RFC 4210 section 4.4).
 */
int estc_trust_add_helper(struct estc_trust *trust, X509 *cert, struct estc_error *err);
const STACK_OF(X509) * estc_trust_helpers(const struct estc_trust *trust);

/*
 * Validates leaf through any of untrusted (may be NULL) and of the helpers to an anchor, at the
 * time now (see estc_at_least()). ESTC_E_UNTRUSTED with a text that names the certificate at fault,
 * the cause and a remedy; a certificate that is not yet valid says that the local clock may be
 * wrong. On success chain (when not NULL) gets leaf first, anchor last; free with
 * sk_X509_pop_free(x, X509_free).
 */
int estc_trust_verify(const struct estc_trust *trust, X509 *leaf, const STACK_OF(X509) * untrusted,
                      enum estc_purpose purpose, int64_t now, STACK_OF(X509) * *chain,
                      struct estc_error *err);

/*
 * What people compare by eye or by telephone: "SHA256:" or "SHA512:" and the hash of a
 * certificate's DER in hexadecimal, colons or spaces between the bytes allowed (RFC 7030
 * section 4.1.1).
 */
#define ESTC_FINGERPRINT_MAX 64
struct estc_fingerprint {
    const EVP_MD *digest;
    unsigned char hash[ESTC_FINGERPRINT_MAX];
};
/* ESTC_E_CONFIG with what is wrong. */
int estc_fingerprint_parse(const char *text, struct estc_fingerprint *out, struct estc_error *err);
bool estc_fingerprint_matches(const struct estc_fingerprint *fingerprint, const X509 *cert);

/*
 * For handshakes. A new store with the anchors (helpers are for the caller to add), partial chains
 * allowed, security level 2 and the given time (0: the system clock, at each use), for an SSL_CTX;
 * NULL on failure. Free with X509_STORE_free(), or let the SSL_CTX own it. A verify callback that
 * is put in place of the store's has to call estc_trust_forgive_start() when the time is a floor.
 */
X509_STORE *estc_trust_store_new(const struct estc_trust *trust, int64_t now,
                                 struct estc_error *err);

/* A verify callback: passes what is not yet valid, and changes nothing else. */
int estc_trust_forgive_start(int ok, X509_STORE_CTX *ctx);

/* Text and code (ESTC_E_UNTRUSTED) for a verification result (X509_V_ERR_*): what
 * estc_trust_verify() would have said of the certificate at_fault (may be NULL) at the time now (0:
 * the system clock). X509_V_OK: 0, and err is left alone. */
int estc_trust_error(int x509_v_err, X509 *at_fault, int64_t now, struct estc_error *err);
