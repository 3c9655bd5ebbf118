/* SPDX-License-Identifier: BSD-2-Clause */
/* Between the files that forward: forward.c, forward_outcome.c, forward_record.c. */
#pragma once

#include "enroll_internal.h"
#include "forward.h"
#include "upstream_http.h"

/* One request upstream, and its answer. */
struct job {
    struct job *next;
    struct forward *forward;
    struct ledger_entry entry; /* without its certificate, until that is there */
    int64_t id;                /* of the request in the ledger */
    X509_REQ *csr;             /* as it was judged */
    bool generated, sealed;    /* a key is to come, and how */
    char *superseded;          /* see struct ledger_ops.insert; or NULL */
    char *device, *address;    /* who asks and from where, for the log */

    bool done;
    int64_t done_at; /* CLOCK_BOOTTIME, ms */
    int rc;          /* what the device is told; see struct issuer_ops */
    int64_t retry_after;
    struct estc_error err;
    X509 *cert;
    struct estc_buf key; /* in the answer's form */
};

/* --- forward_record.c: what the ledger knows of it --- */

/*
 * Before anything is sent: the ledger says that upstream may have it. Refuses what was sent before
 * and never answered: 504, unless it may be repeated, and was not yet; and what somebody rejected.
 */
int forward_record_begin(const struct request *r, int64_t *id, struct estc_error *err);
/* It was answered, or not sent at all: it may be sent again. Logs what fails; the request then
 * counts as unanswered. */
void forward_record_open(struct ledger *ledger, int64_t id);

/* --- forward_outcome.c --- */

/* Fills in the job's outcome and records a certificate. */
void forward_outcome(struct job *job, const struct registrar *registrar,
                     const struct http_reply *reply);
