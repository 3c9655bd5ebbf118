/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The manager and alerts: each is told once when it rises and once when it is over, to the journal
 * and to those who follow. What they were told is not kept over a restart, so that a daemon that
 * begins says how things stand; what on_alert was told is (manager_hook.c).
 */
#include "alert.h"
#include "base/text.h"
#include "catalog.h"
#include "manager_internal.h"
#include "timebase.h"

static void tell(const struct member *member, const struct alert *alert) {
    const char *id = member->identity.config->id;
    bool over = alert->level == ALERT_NONE;
    _cleanup(freep) char *level = text_format("ESTC_ALERT=%s", alert_level_names[alert->level]);
    const char *const fields[] = {level, NULL};
    if (over)
        catalog_log(CATALOG_ALERT_CLEARED, id, fields, "%s: the alert is over", id);
    else
        catalog_log(CATALOG_ALERT, id, fields, "%s: %s: %s", id, alert_level_names[alert->level],
                    alert->why);
    const struct manager_event event = {
        .kind = over ? MANAGER_ALERT_CLEARED : MANAGER_ALERT, .member = member, .text = alert->why};
    manager_tell(member->manager, &event);
}

int64_t manager_alert_look(struct manager *manager) {
    int64_t now = timebase_now(), next = INT64_MAX;
    for (size_t i = 0; i < manager->n_members; i++) {
        struct member *member = manager->members[i];
        struct alert alert;
        alert_decide(&member->identity, now, &alert);
        bool rises = alert.level > member->alert;
        bool clears = alert.level == ALERT_NONE && member->alert != ALERT_NONE;
        if (alert.level != member->alert)
            member_hook_changed(member);
        member->alert = alert.level;
        if (rises || clears)
            tell(member, &alert);
        if (alert.next < next)
            next = alert.next;
    }
    manager_hook_look(manager);
    return next;
}
