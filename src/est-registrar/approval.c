/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The state of a request that waits is the registrar's to keep (RFC 7030 section 4.2.3): it is
 * known again by who asks for what with which key, whatever connection it comes on and whether its
 * bytes are the same (a channel binding changes them). What is decided stays decided over restarts;
 * one approval is good for one certificate, which is kept for its holder until it is used.
 */
#include "approval.h"

#include <errno.h>

#include "base/cleanup.h"
#include "common/journal.h"

#define APPROVAL_MAX 16        /* pending requests of one device */
#define APPROVAL_SEEN_EVERY 30 /* seconds: a write to disk each */

bool approval_is_needed(const struct config_rule *rule, bool renewal) {
    return rule->approval == CONFIG_APPROVAL_ALWAYS ||
           (rule->approval == CONFIG_APPROVAL_MANUAL && !renewal);
}

static char *lit(const char *text) {
    return (char *)(uintptr_t)text; /* the ledger writes it down, and no more */
}

static int enter(const struct approval *a, int64_t *id, struct estc_error *err) {
    const struct ledger_pending p = {
        .authenticator = lit(a->kind.authenticator),
        .op = lit(a->kind.op),
        .label = lit(a->kind.label),
        .names_id = lit(a->kind.names_id),
        .key_sha256 = lit(a->kind.key_sha256),
        .subject = lit(a->subject),
        .names = lit(a->names),
        .device = lit(a->device),
        .address = lit(a->address),
        .rule = lit(a->rule->name),
        .csr = {.data = (unsigned char *)(uintptr_t)a->csr, .len = a->csr_len},
        .state = LEDGER_PENDING,
        .asked_at = a->now,
    };
    int rc = a->ledger->ops->add_request(a->ledger, &p, APPROVAL_MAX, id, err);
    if (rc == -EDQUOT)
        return estc_error_set(err, ESTC_E_REJECTED,
                              "%d requests of this device wait for approval already", APPROVAL_MAX);
    const struct audit_record record = {.op = a->kind.op,
                                        .label = a->kind.label,
                                        .address = a->address,
                                        .device = a->device,
                                        .device_sha256 = a->kind.authenticator,
                                        .subject = a->subject,
                                        .rule = a->rule->name,
                                        .request = *id};
    if (!rc)
        audit_write(a->audit, AUDIT_WAITS, &record,
                    "request %lld: '%s' wants '%s' by rule '%s' and waits for approval "
                    "(estc registrar approve %lld)",
                    (long long)*id, a->device, a->subject, a->rule->name, (long long)*id);
    return rc;
}

static int wait(const struct approval *a, int64_t id, int64_t *retry_after,
                struct estc_error *err) {
    bool open = a->may_wait && a->rule->hold > 0;
    *retry_after = open ? a->rule->hold : a->rule->retry_after;
    return estc_error_set(err, open ? -EINPROGRESS : ESTC_E_PENDING,
                          "waits for approval as request %lld", (long long)id);
}

/* What was issued for it: 0 and the certificate, or NULL when that is used up, so that the next
 * request of this kind is a new one. */
static int find_issued(const struct approval *a, const char *sha256, X509 **out,
                       struct estc_error *err) {
    _cleanup(ledger_entry_clear) struct ledger_entry entry = {0};
    int rc = a->ledger->ops->find(a->ledger, sha256, &entry, err);
    if (rc == -ENOENT ||
        (!rc && (entry.collected_at || entry.revoked_at || entry.not_after <= a->now)))
        return 0;
    return rc ? rc : ledger_entry_decode(&entry, out, err);
}

static int ask(const struct approval *a, int64_t *retry_after, struct estc_error *err) {
    int64_t id = 0;
    int rc = enter(a, &id, err);
    return rc ? rc : wait(a, id, retry_after, err);
}

/* Whatever became of it: a request that is still asked for is not forgotten, a rejection least of
 * all. */
static int see(const struct approval *a, const struct ledger_pending *found,
               struct estc_error *err) {
    if (found->last_at <= a->now && a->now - found->last_at < APPROVAL_SEEN_EVERY)
        return 0;
    return a->ledger->ops->seen_request(a->ledger, found->id, a->address, a->now, err);
}

int approval_judge(const struct approval *a, X509 **issued, int64_t *retry_after,
                   struct estc_error *err) {
    _cleanup(ledger_pending_clear) struct ledger_pending found = {0};
    int rc = a->ledger->ops->find_request(a->ledger, &a->kind, &found, err);
    if (rc == -ENOENT)
        return ask(a, retry_after, err);
    if (!rc)
        rc = see(a, &found, err);
    if (rc)
        return rc;
    if (*found.certificate) {
        rc = find_issued(a, found.certificate, issued, err);
        return rc || *issued ? rc : ask(a, retry_after, err);
    }
    switch (found.state) {
    case LEDGER_PENDING:
        return wait(a, found.id, retry_after, err);
    case LEDGER_APPROVED:
    case LEDGER_FORWARDED:
    case LEDGER_REPEATED:
        return 0;
    case LEDGER_REJECTED:
    case LEDGER_STATE_MAX_:
        break;
    }
    return estc_error_set(err, ESTC_E_REJECTED, "request %lld was rejected%s%s",
                          (long long)found.id, *found.reason ? ": " : "", found.reason);
}
