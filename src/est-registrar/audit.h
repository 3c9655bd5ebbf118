/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What was decided on, by whom and how: an entry in the journal with fields, and, where a file is
 * configured, a line of JSON at its end. The ledger is what the CA answers from; this is for those
 * who ask afterwards, refusals included.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include <estc/error.h>

#include "base/cleanup.h"

/* X(name, label, level) */
#define AUDIT_EVENTS(X)                       \
    X(AUDIT_ISSUED, "issued", NOTICE)         \
    X(AUDIT_SENT_AGAIN, "sent-again", NOTICE) \
    X(AUDIT_REFUSED, "refused", NOTICE)       \
    X(AUDIT_WAITS, "waits", NOTICE)           \
    X(AUDIT_APPROVED, "approved", NOTICE)     \
    X(AUDIT_REJECTED, "rejected", NOTICE)     \
    X(AUDIT_REVOKED, "revoked", NOTICE)

#define AUDIT_ENUM(name, label, level) name,
enum audit_event { AUDIT_EVENTS(AUDIT_ENUM) AUDIT_EVENT_MAX_ };
#undef AUDIT_ENUM

/* Clean texts; NULL and 0 are left out. */
struct audit_record {
    const char *op, *label;             /* "sen", and what the path says */
    const char *address;                /* where from */
    const char *device, *device_sha256; /* the certificate that was shown */
    const char *subject;                /* what is asked for */
    const char *rule;
    const char *serial, *not_after; /* of the certificate */
    const char *superseded;         /* serial number of the one in whose place it is */
    const char *reason;             /* of a refusal */
    const char *by;                 /* who approved or rejected: a number of a user */
    int64_t request;                /* id of what waits or waited for approval */
};

struct audit;

/* path NULL: the journal only. A file that cannot be opened, or is no regular one, is an error. */
int audit_open(const char *path, struct audit **out, struct estc_error *err);
struct audit *audit_close(struct audit *audit); /* takes NULL, returns NULL */

/* After somebody has moved the file away. */
void audit_reopen(struct audit *audit);

/* fmt and what follows is the line in the journal. A file that cannot be written to is complained
 * of once, and keeps nothing from happening. */
void audit_write(struct audit *audit, enum audit_event event, const struct audit_record *record,
                 const char *fmt, ...) ESTC_PRINTF(4, 5);

CLEANUP_DEFINE(struct audit *, audit_closep, audit_close);
