/* SPDX-License-Identifier: BSD-2-Clause */
/* How an attempt ended, in the journal: one entry each, with the fields of its event. */
#include "base/clock.h"
#include "base/text.h"
#include "catalog.h"
#include "common/journal.h"
#include "manager_internal.h"

/* NULL when none has answered. */
static char *server_field(const struct member *member) {
    const char *server = member->identity.attempts.last_server;
    return server ? text_format("ESTC_SERVER=%s", server) : NULL;
}

/* A poll goes on with what was asked for when there was a certificate, or none. */
static enum catalog_event event_of(enum schedule_action action, bool had) {
    bool renewed = action == SCHEDULE_RENEW || (action == SCHEDULE_POLL && had);
    return action == SCHEDULE_ROLLBACK ? CATALOG_ROLLED_BACK
           : renewed                   ? CATALOG_RENEWED
                                       : CATALOG_ISSUED;
}

void member_log_issued(const struct member *member, bool had) {
    const struct facts *facts = &member->identity.facts;
    const char *id = member->identity.config->id;
    _cleanup(facts_clear) struct facts whole = {0}; /* for what is not kept */
    store_load_facts(member->manager->config->state_directory, id, &whole, NULL);
    const char *subject = whole.subject ? whole.subject : "?";
    char until[CLOCK_TEXT_MAX];
    clock_text(facts->not_after, until);
    _cleanup(freep) char *f_serial = text_format("ESTC_SERIAL=%s", facts->serial);
    _cleanup(freep) char *f_until = text_format("ESTC_NOT_AFTER=%s", until);
    _cleanup(freep) char *f_subject = text_format("ESTC_SUBJECT=%s", subject);
    _cleanup(freep) char *f_server = server_field(member);
    const char *const fields[] = {"ESTC_RESULT=ok", f_serial, f_until, f_subject, f_server, NULL};
    catalog_log(event_of(member->action, had), id, fields,
                "%s: %scertificate %s for %s in force until %s", id,
                member->action == SCHEDULE_ROLLBACK ? "rolled back: " : "", facts->serial, subject,
                until);
    if (whole.unfit && *whole.unfit)
        journal_warning("%s: this certificate cannot authenticate its renewal: %s: ask the CA for "
                        "another profile",
                        id, whole.unfit);
}

void member_log_failure(const struct member *member, enum catalog_event event) {
    const struct store_attempts *attempts = &member->identity.attempts;
    const char *id = member->identity.config->id;
    _cleanup(freep) char *f_result =
        text_format("ESTC_RESULT=%s", estc_status_name(attempts->last_result));
    _cleanup(freep) char *f_action = text_format("ESTC_ACTION=%s", attempts->last_action);
    _cleanup(freep) char *f_failures = text_format("ESTC_FAILURES=%u", attempts->failures);
    _cleanup(freep) char *f_server = server_field(member);
    const char *const fields[] = {f_result, f_action, f_failures, f_server, NULL};
    char when[CLOCK_TEXT_MAX];
    catalog_log(event, id, fields, "%s: %s: %s; next: %s at %s", id, attempts->last_action,
                attempts->last_error, schedule_action_names[member->plan.action],
                clock_text(member->plan.due, when));
}

void member_look_at_trust(struct member *member) {
    struct identity *identity = &member->identity;
    int64_t before = identity->have_trust ? identity->trust.generation : 0;
    _cleanup(trust_facts_clear) struct trust_facts trust = {0};
    member_load_trust(member, &trust);
    if (!identity->have_trust || trust.generation == before || trust.n_anchors == 0)
        return;
    char until[CLOCK_TEXT_MAX];
    clock_text(trust.until, until);
    _cleanup(freep) char *f_anchor = text_format("ESTC_ANCHOR_SHA256=%s", trust.anchors[0].sha256);
    _cleanup(freep) char *f_origin = text_format("ESTC_ORIGIN=%s", trust.origin);
    const char *const fields[] = {f_anchor, f_origin, NULL};
    catalog_log(CATALOG_TRUST_REPLACED, identity->config->id, f_anchor && f_origin ? fields : NULL,
                "%s: %s '%s' (SHA-256 %s) in force until %s (origin: %s)", identity->config->id,
                before != 0 ? "another trust anchor:" : "trust anchor", trust.anchors[0].subject,
                trust.anchors[0].sha256, until, trust.origin);
}
