/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What people want of an identity: now, otherwise, or not at all for a while. A wish changes the
 * plan; what is under way goes on as it began.
 */
#include <errno.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/text.h"
#include "catalog.h"
#include "common/journal.h"
#include "manager_internal.h"
#include "timebase.h"

int manager_ask(struct manager *manager, struct member *member, enum schedule_action action,
                bool force, enum manager_event_kind *kind, char **text) {
    struct identity *identity = &member->identity;
    int64_t now = timebase_now();
    char when[CLOCK_TEXT_MAX];
    *kind = MANAGER_STARTED;
    bool wants_current = action == SCHEDULE_RENEW || action == SCHEDULE_ROLLBACK;
    if (wants_current && !identity->have_facts && !identity->store_unfit)
        return -ENOENT;
    if (identity->working)
        return action == SCHEDULE_ROLLBACK ? -EBUSY : 0;
    if (action == SCHEDULE_ROLLBACK) {
        member_start(member, action);
        return 0;
    }
    member_replan(member);
    if (!force && identity->attempts.paused_since != 0) {
        *kind = MANAGER_NOT_DUE;
        *text =
            text_format("it is paused since %s: 'estc resume %s' lets it go on",
                        clock_text(identity->attempts.paused_since, when), identity->config->id);
        return 0;
    }
    if (!force && member->plan.action == SCHEDULE_POLL && member->plan.due > now) {
        *kind = MANAGER_NOT_DUE;
        *text = text_format("the CA has not decided yet and wants to be asked again at %s",
                            clock_text(member->plan.due, when));
        return 0;
    }
    if (!force && member->plan.action == SCHEDULE_RENEW && member->plan.due > now &&
        identity->attempts.failures == 0) {
        *kind = MANAGER_NOT_DUE;
        struct schedule_plan plan;
        member_explain(member, &plan);
        *text = text_format("renewal is due at %s (%s)", clock_text(plan.due, when), plan.why);
        return 0;
    }
    identity->asked = true;
    member->wants_enroll = action == SCHEDULE_ENROLL && force;
    member->wants_another = force;
    member_replan(member);
    manager_schedule(manager);
    return 0;
}

int manager_retry(struct manager *manager, struct member *member, enum manager_event_kind *kind,
                  char **text) {
    const struct store_attempts *attempts = &member->identity.attempts;
    bool deploys = member_deploy_again(member);
    if (member->identity.working || (attempts->failures == 0 && attempts->pending_until == 0)) {
        int rc = manager_ask(manager, member, member->plan.action, false, kind, text);
        if (rc || !deploys || *kind != MANAGER_NOT_DUE)
            return rc;
        free(*text);
        *kind = MANAGER_DEPLOYING;
        *text =
            text_format("the deployment is asked for again: 'estc show %s' says what comes of it",
                        member->identity.config->id);
        return 0;
    }
    *kind = MANAGER_STARTED;
    member->identity.asked = true;
    member_replan(member);
    manager_schedule(manager);
    return 0;
}

int manager_bootstrap(struct member *member, const struct bootstrap_offer *offer) {
    if (member->identity.working)
        return -EBUSY;
    member->wants_another = true;
    member->offer = offer;
    member_start(member, SCHEDULE_ENROLL);
    member->offer = NULL;
    return 0;
}

int manager_rekey(struct manager *manager, struct member *member, enum manager_event_kind *kind,
                  char **text) {
    if (member->identity.working)
        return -EBUSY; /* with the key that it has */
    member->wants_rekey = true;
    int rc = manager_ask(manager, member, SCHEDULE_RENEW, true, kind, text);
    if (rc)
        member->wants_rekey = false;
    return rc;
}

int manager_pause(struct manager *manager, struct member *member, bool pause,
                  struct estc_error *err) {
    struct identity *identity = &member->identity;
    struct store_attempts *attempts = &identity->attempts;
    if ((attempts->paused_since != 0) == pause)
        return 0;
    struct store_attempts changed = *attempts; /* borrowed */
    changed.paused_since = pause ? timebase_now() : 0;
    int rc =
        store_save_attempts(manager->config->state_directory, identity->config->id, &changed, err);
    if (rc)
        return rc;
    attempts->paused_since = changed.paused_since;
    identity->warned_at = 0;
    identity->asked = false;
    const struct manager_event event = {
        .kind = pause ? MANAGER_PAUSED : MANAGER_RESUMED,
        .member = member,
        .text =
            pause ? "nothing is renewed by itself until it is resumed" : "it is looked after again",
    };
    journal_notice("%s: %s: %s", identity->config->id, manager_event_names[event.kind], event.text);
    member_replan(member);
    manager_tell(manager, &event);
    manager_schedule(manager);
    return 0;
}

void member_warn_paused(struct member *member) {
    struct identity *identity = &member->identity;
    int64_t now = timebase_now();
    char end[CLOCK_TEXT_MAX];
    clock_text(identity->facts.not_after, end);
    _cleanup(freep) char *field = text_format("ESTC_NOT_AFTER=%s", end);
    const char *const fields[] = {field, NULL};
    bool expired = identity->facts.not_after <= now;
    catalog_log(CATALOG_PAUSED_ENDS, identity->config->id, fields,
                "%s: the certificate %s %s, and nothing renews it while it is paused: 'estc "
                "resume %s' does",
                identity->config->id, expired ? "has expired at" : "ends at", end,
                identity->config->id);
    identity->warned_at = now;
    member_replan(member);
}
