/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Those who follow. A follower is a call that is kept; it hears of one identity until the attempt
 * ends, or of everything until it goes away. It is never waited for.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "control_internal.h"
#include "control_json.h"
#include "ctl/json.h"

struct follower {
    struct control *control;
    struct ctl_call *call;
    char *id; /* NULL: everything */
    struct follower *next;
};

static void follower_remove(struct follower *follower) {
    for (struct follower **at = &follower->control->followers; *at; at = &(*at)->next)
        if (*at == follower) {
            *at = follower->next;
            break;
        }
    ctl_call_on_dead(follower->call, NULL, NULL);
    ctl_call_unref(follower->call);
    free(follower->id);
    free(follower);
}

static void on_follower_dead(struct ctl_call *call, void *arg) {
    (void)call;
    follower_remove(arg);
}

int control_follow(struct control *control, struct ctl_call *call, const char *id) {
    struct follower *follower = calloc(1, sizeof(*follower));
    char *copy = id ? strdup(id) : NULL;
    if (!follower || (id && !copy)) {
        free(follower);
        free(copy);
        return -ENOMEM;
    }
    *follower = (struct follower){
        .control = control, .call = ctl_call_ref(call), .id = copy, .next = control->followers};
    control->followers = follower;
    ctl_call_on_dead(call, on_follower_dead, follower);
    return 0;
}

static bool ends_attempt(enum manager_event_kind kind) {
    switch (kind) {
    case MANAGER_ISSUED:
    case MANAGER_FAILED:
    case MANAGER_PENDING:
    case MANAGER_CONFIG:
    case MANAGER_NOT_DUE:
    case MANAGER_DEPLOYING:
        return true;
    case MANAGER_STARTED:
    case MANAGER_STEP:
    case MANAGER_REQUESTED:
    case MANAGER_FORGOTTEN:
    case MANAGER_PAUSED:
    case MANAGER_RESUMED:
    case MANAGER_DEPLOYED:
    case MANAGER_UNDEPLOYED:
    case MANAGER_ALERT:
    case MANAGER_ALERT_CLEARED:
    case MANAGER_RELOADED:
    case MANAGER_RELOAD_FAILED:
    case MANAGER_EVENT_MAX_:
        break;
    }
    return false;
}

json_t *control_event_and_identity(const struct control *control,
                                   const struct manager_event *event) {
    return json_pack("{s:o, s:o}", "event", control_event(event), "identity",
                     control_identity(control->manager, event->member));
}

/* One event to one follower; it may be gone afterwards. */
static void tell_follower(struct follower *follower, const struct manager_event *event) {
    struct control *control = follower->control;
    if (!follower->id) {
        ctl_call_reply(follower->call, json_pack("{s:o}", "event", control_event(event)), true);
        return;
    }
    bool its =
        event->member && strcmp(member_identity(event->member)->config->id, follower->id) == 0;
    bool gone = event->kind == MANAGER_RELOADED ? !manager_find(control->manager, follower->id)
                                                : its && event->kind == MANAGER_FORGOTTEN;
    if (gone) {
        ctl_call_error(follower->call, "NoSuchIdentity", json_pack("{s:s}", "id", follower->id));
        follower_remove(follower);
        return;
    }
    if (!its)
        return;
    if (ends_attempt(event->kind)) {
        ctl_call_reply(follower->call, control_event_and_identity(control, event), false);
        follower_remove(follower);
    } else {
        ctl_call_reply(follower->call, json_pack("{s:o}", "event", control_event(event)), true);
    }
}

void control_tell(const struct manager_event *event, void *arg) {
    struct control *control = arg;
    struct follower *next;
    for (struct follower *f = control->followers; f; f = next) {
        next = f->next;
        tell_follower(f, event);
    }
}

void control_unfollow(struct control *control, const struct ctl_call *call) {
    for (struct follower *f = control->followers; f; f = f->next)
        if (f->call == call) {
            follower_remove(f);
            return;
        }
}
