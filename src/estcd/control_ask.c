/* SPDX-License-Identifier: BSD-2-Clause */
/* Methods that begin an attempt: they ask the manager, and answer or follow. */
#include <errno.h>

#include "base/cleanup.h"
#include "control_internal.h"
#include "control_json.h"

/* What somebody wants done. */
struct asked {
    enum schedule_action action;
    enum control_way way;
    const struct bootstrap_offer *offer; /* or NULL */
};

static int ask(struct manager *manager, struct member *member, const struct asked *what,
               enum manager_event_kind *kind, char **text) {
    if (what->offer)
        return manager_bootstrap(member, what->offer);
    switch (what->way) {
    case CONTROL_RETRIED:
        return manager_retry(manager, member, kind, text);
    case CONTROL_REKEYED:
        return manager_rekey(manager, member, kind, text);
    case CONTROL_WHEN_DUE:
    case CONTROL_FORCED:
        break;
    }
    return manager_ask(manager, member, what->action, what->way == CONTROL_FORCED, kind, text);
}

static void ask_and_answer(struct control *control, struct ctl_call *call, const json_t *params,
                           const struct asked *what) {
    struct member *member = control_member(control, call, params);
    if (!member)
        return;
    const char *id = member_identity(member)->config->id;
    bool more = ctl_call_wants_more(call);
    enum manager_event_kind kind = MANAGER_STARTED;
    _cleanup(freep) char *text = NULL;
    if (more && control_follow(control, call, id))
        return;
    int rc = ask(control->manager, member, what, &kind, &text);
    const struct manager_event event = {
        .kind = kind,
        .member = member,
        .text = text ? text : schedule_action_names[member_plan(member)->action],
    };
    if (rc == -ENOENT || rc == -EBUSY) {
        ctl_call_error(call, rc == -EBUSY ? "Busy" : "NoCertificate", json_pack("{s:s}", "id", id));
    } else if (!more || kind != MANAGER_STARTED) {
        ctl_call_reply(call, control_event_and_identity(control, &event), false);
    } else {
        return; /* the follower is told, or has been */
    }
    if (more)
        control_unfollow(control, call);
}

void control_ask(struct control *control, struct ctl_call *call, const json_t *params,
                 enum schedule_action action, enum control_way way) {
    const struct asked what = {.action = action, .way = way};
    ask_and_answer(control, call, params, &what);
}

void control_ask_with(struct control *control, struct ctl_call *call, const json_t *params,
                      const struct bootstrap_offer *offer) {
    const struct asked what = {.action = SCHEDULE_ENROLL, .offer = offer};
    ask_and_answer(control, call, params, &what);
}

static enum control_way way_of(const json_t *params) {
    return json_is_true(json_object_get(params, "force")) ? CONTROL_FORCED : CONTROL_WHEN_DUE;
}

void control_enroll(struct ctl_call *call, json_t *params, void *arg) {
    control_ask(arg, call, params, SCHEDULE_ENROLL, way_of(params));
}

void control_renew(struct ctl_call *call, json_t *params, void *arg) {
    control_ask(arg, call, params, SCHEDULE_RENEW, way_of(params));
}

void control_rollback(struct ctl_call *call, json_t *params, void *arg) {
    control_ask(arg, call, params, SCHEDULE_ROLLBACK, CONTROL_WHEN_DUE);
}
