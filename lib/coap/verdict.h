/* SPDX-License-Identifier: BSD-2-Clause */
/* What a handshake came to: alerts, certificate checks, and the sentence that explains them. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include <openssl/ssl.h>

#include <estc/error.h>

#include "coap/judge.h"

struct verdict {
    int alert_received; /* fatal ones; -1: none */
    int alert_sent;
    int verify_error;                                      /* X509_V_ERR_*; X509_V_OK */
    X509 *at_fault;                                        /* owned; may be NULL */
    unsigned long reason;                                  /* OpenSSL's own error code; 0: none */
    void (*next_info)(const SSL *ssl, int where, int ret); /* libcoap's, chained */
    struct judge *judge;                                   /* who decides on certificates */
};

void verdict_init(struct verdict *v);
/* Forgets what was seen, and goes on watching. */
void verdict_clear(struct verdict *v);

/* Has the checks of judge and the alerts of all handshakes of ctx written to v; both must outlive
 * ctx. An info callback that is there already is still called. 0 or -ENOMEM. */
int verdict_watch(SSL_CTX *ctx, struct verdict *v, struct judge *judge);
/* Takes OpenSSL's oldest queued error and empties the queue. */
void verdict_take_queue(struct verdict *v);

/* What the caller knows and a text should say. */
struct verdict_view {
    const char *host; /* the name that the peer's certificate had to carry; NULL on a server */
    bool allow_rsa;
    int64_t now;
};

/* True if the peer or we refused the handshake. */
bool verdict_is_final(const struct verdict *v);
/* ESTC_E_UNTRUSTED, ESTC_E_REJECTED or ESTC_E_PROTOCOL with a text that does not name the peer yet;
 * only for a verdict that is final. */
int verdict_error(const struct verdict *v, const struct verdict_view *view, struct estc_error *err);
