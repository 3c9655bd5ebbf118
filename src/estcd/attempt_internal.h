/* SPDX-License-Identifier: BSD-2-Clause */
/* What the files of an attempt share; nobody else includes this. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include <estc/estc.h>

#include "attempt.h"
#include "est/wishes.h"
#include "store.h"

/* Everything that one attempt owns; freed together. */
struct attempt {
    const struct attempt_task *task;
    const struct config_identity *identity;
    attempt_report_fn report;
    void *arg;
    struct estc_wait wait;
    enum estc_op op;

    struct store *store;
    struct estc_credentials credentials; /* who we are in the handshake */
    struct estc_trust *trust;            /* for the server */
    X509 *renewed;                       /* the certificate to renew, for /sren */
    struct estc_transport *transport;
    struct estc_client *client;
    struct estc_trust *anchors;     /* of the EST CA */
    STACK_OF(X509) * intermediates; /* the same */
    struct store_pending pending;
    struct wishes_plan wishes; /* what of the server's wishes goes into the request */
    X509 *issued;
    STACK_OF(X509) * chain; /* what stands between issued and its anchor */
    int64_t retry_after;
};

/*
 * The steps. Each begins with what the earlier ones have left in the struct, and has put what it
 * made on disk when it returns 0; *detail is then a text for people (malloc'd), or NULL.
 */
#define ATTEMPT_STEP(name) int name(struct attempt *a, char **detail, struct estc_error *err)
ATTEMPT_STEP(attempt_open); /* attempt_connect.c */
ATTEMPT_STEP(attempt_credentials);
ATTEMPT_STEP(attempt_reach);
ATTEMPT_STEP(attempt_cacerts);
ATTEMPT_STEP(attempt_attributes); /* attempt_wishes.c */
ATTEMPT_STEP(attempt_key);        /* attempt_request.c */
ATTEMPT_STEP(attempt_csr);
ATTEMPT_STEP(attempt_enroll); /* attempt_issue.c */
ATTEMPT_STEP(attempt_check);
ATTEMPT_STEP(attempt_commit);
#undef ATTEMPT_STEP

/* Whether the pending request is bound to a connection, which is gone by now: it has to be built
 * again, with the same key (RFC 7030 section 3.5). */
bool attempt_is_bound(const struct attempt *a);
/* Whether the pending request is to be sent again byte for byte (RFC 9148 section 4.7). */
bool attempt_resends(const struct attempt *a);
