/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A request that goes upstream is written down first. So whatever ends in between, the registrar
 * itself included, leaves "forwarded" in the ledger: nobody knows whether a certificate was issued
 * for it, and it is not simply sent again.
 */
#include <errno.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "common/journal.h"
#include "forward_internal.h"

#define PENDING_MAX 16 /* of one device: those that wait for approval count */

static char *lit(const char *text) {
    return (char *)(uintptr_t)text; /* the ledger writes it down, and no more */
}

static int enter(const struct request *r, const struct ledger_request *kind, int64_t *id,
                 struct estc_error *err) {
    const struct ledger_pending p = {
        .authenticator = lit(kind->authenticator),
        .op = lit(kind->op),
        .label = lit(kind->label),
        .names_id = lit(kind->names_id),
        .key_sha256 = lit(kind->key_sha256),
        .subject = r->subject,
        .names = lit(""),
        .device = lit(r->peer_facts.subject),
        .address = lit(r->peer->address),
        .rule = r->rule->name,
        .csr = {.data = (unsigned char *)(uintptr_t)r->in->der, .len = r->in->der_len},
        .state = LEDGER_FORWARDED,
        .asked_at = r->now,
    };
    struct ledger *ledger = r->registrar->ledger;
    return ledger->ops->add_request(ledger, &p, PENDING_MAX, id, err);
}

/* The state that a request goes into when it is sent once more, or MAX_ when it must not be. */
static enum ledger_state next_state(const struct ledger_pending *found, bool may_repeat) {
    switch (found->state) {
    case LEDGER_PENDING:
    case LEDGER_APPROVED:
        return LEDGER_FORWARDED;
    case LEDGER_FORWARDED:
        return may_repeat ? LEDGER_REPEATED : LEDGER_STATE_MAX_;
    case LEDGER_REPEATED:
    case LEDGER_REJECTED:
    case LEDGER_STATE_MAX_:
        break;
    }
    return LEDGER_STATE_MAX_;
}

static int refuse(const struct ledger_pending *found, struct estc_error *err) {
    if (found->state == LEDGER_REJECTED)
        return estc_error_set(err, ESTC_E_REJECTED, "request %lld was rejected%s%s",
                              (long long)found->id, *found->reason ? ": " : "", found->reason);
    journal_warning("request %lld: it was sent upstream and never answered, so it is not sent "
                    "again: look there whether it was issued; then \"estc registrar approve %lld\" "
                    "sends it once more",
                    (long long)found->id, (long long)found->id);
    return estc_error_set(err, 504,
                          "the CA has not answered request %lld; it is not sent again until "
                          "somebody has looked",
                          (long long)found->id);
}

int forward_record_begin(const struct request *r, int64_t *id, struct estc_error *err) {
    struct ledger *ledger = r->registrar->ledger;
    const struct ledger_request kind = enroll_kind(r);
    const bool may_repeat = r->registrar->config->upstream.repeat_unknown == CONF_TRUE;
    _cleanup(ledger_pending_clear) struct ledger_pending found = {0};
    int rc = ledger->ops->find_request(ledger, &kind, &found, err);
    if (rc == -ENOENT || (!rc && *found.certificate))
        return enter(r, &kind, id, err);
    if (rc)
        return rc;
    enum ledger_state next = next_state(&found, may_repeat);
    if (next == LEDGER_STATE_MAX_)
        return refuse(&found, err);
    *id = found.id;
    return ledger->ops->decide_request(ledger, found.id, next, "", r->now, err);
}

void forward_record_open(struct ledger *ledger, int64_t id) {
    struct estc_error err = {0};
    int rc = ledger->ops->decide_request(ledger, id, LEDGER_APPROVED, "", clock_real(), &err);
    if (rc && rc != -EALREADY)
        journal_error("%s", err.text);
}
