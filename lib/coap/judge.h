/* SPDX-License-Identifier: BSD-2-Clause */
/* Who vouches for the other end of a handshake, and whether that is enough. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include <openssl/x509_vfy.h>

#include <estc/coaps.h>
#include <estc/error.h>
#include <estc/trust.h>

struct judge {
    const struct estc_trust *implicit_trust; /* on a server: the anchors for clients; or NULL */
    const struct estc_trust *explicit_trust; /* or NULL */
    const char *host;                        /* whom the server has to be; NULL: this is a server */
    uint16_t port;
    bool provisional; /* everybody passes, and nothing may be believed */
    /* On a server: anchors below which a client's certificate may have expired; or NULL. */
    const struct estc_trust *may_have_expired;
    int (*is_revoked)(void *arg, X509 *cert); /* on a server: see <estc/listener.h>; or NULL */
    void *arg;
    int64_t now;          /* 0: the system clock; may be an estc_at_least() on a client */
    enum estc_voucher by; /* out: who vouched for the last one that passed */
};

/* The store that a handshake validates against: the anchors of both sets. NULL on failure. */
X509_STORE *judge_store_new(const struct judge *judge, struct estc_error *err);

/* In place of X509_verify_cert(). What it refuses has error and certificate set in ctx. */
int judge_verify(struct judge *judge, X509_STORE_CTX *ctx);

/* Whether a server that has passed before passes again by the sets as they are now. */
int judge_again(struct judge *judge, X509 *leaf, const STACK_OF(X509) * sent,
                struct estc_error *err);
