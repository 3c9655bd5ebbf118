/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Methods for whoever operates the daemon: how it stands as a whole, whether a renewal is due, and
 * what a person may want done otherwise than planned.
 */
#include <fcntl.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/fs.h"
#include "base/text.h"
#include "common/exitcode.h"
#include "control_internal.h"
#include "control_json.h"
#include "store_history.h"
#include "timebase.h"

/* What fits into an answer that a slow reader can still take; all are counted. */
#define ATTENTION_MAX 100
#define CACERTS_MAX (256 * 1024)

/* --- status ---------------------------------------------------------------------------------- */

struct overview {
    size_t states[IDENTITY_STATE_MAX_];
    size_t n_attention;
    json_t *attention;
    const struct member *next; /* what is due first */
    int worst;
};

static void look_at(const struct control *control, const struct member *member,
                    struct overview *all) {
    const struct identity *identity = member_identity(member);
    int64_t now = timebase_now();
    all->states[identity_state(identity, now)]++;
    all->worst = exit_code_worse(all->worst, identity_exit_code(identity, now));
    if (!identity->working &&
        (!all->next || member_plan(member)->due < member_plan(all->next)->due))
        all->next = member;
    if (!identity_needs_attention(identity, now))
        return;
    if (all->n_attention < ATTENTION_MAX)
        json_array_append_new(all->attention, control_identity(control->manager, member));
    all->n_attention++;
}

static json_t *counts(const struct overview *all) {
    json_t *list = json_array();
    for (int state = 0; list && state < IDENTITY_STATE_MAX_; state++)
        if (all->states[state] > 0)
            json_array_append_new(list,
                                  json_pack("{s:s, s:I}", "state", identity_state_names[state],
                                            "count", (json_int_t)all->states[state]));
    return list;
}

void control_status(struct ctl_call *call, json_t *params, void *arg) {
    (void)params;
    const struct control *control = arg;
    size_t n = manager_count(control->manager);
    struct overview all = {.attention = json_array(), .worst = EXIT_DONE};
    for (size_t i = 0; i < n; i++)
        look_at(control, manager_at(control->manager, i), &all);
    json_t *next = all.next ? control_identity(control->manager, all.next) : NULL;
    ctl_call_reply(call,
                   json_pack("{s:s, s:o, s:I, s:o, s:I, s:o, s:o*, s:i}", "version", ESTC_VERSION,
                             "clock", control_clock(), "identities", (json_int_t)n, "states",
                             counts(&all), "attention_count", (json_int_t)all.n_attention,
                             "attention", all.attention, "next", next, "exit_code", all.worst),
                   false);
}

/* --- one identity ---------------------------------------------------------------------------- */

void control_needs_renewal(struct ctl_call *call, json_t *params, void *arg) {
    const struct member *member = control_member(arg, call, params);
    if (!member)
        return;
    const json_t *within = json_object_get(params, "within");
    _cleanup(freep) char *why = NULL;
    bool needed = identity_needs_renewal(member_identity(member), timebase_now(),
                                         within ? json_integer_value(within) : -1, &why);
    ctl_call_reply(call, json_pack("{s:b, s:s}", "needed", needed, "why", why ? why : ""), false);
}

void control_retry(struct ctl_call *call, json_t *params, void *arg) {
    control_ask(arg, call, params, SCHEDULE_RENEW, CONTROL_RETRIED);
}

void control_rekey(struct ctl_call *call, json_t *params, void *arg) {
    control_ask(arg, call, params, SCHEDULE_RENEW, CONTROL_REKEYED);
}

static void set_pause(struct ctl_call *call, const json_t *params, struct control *control,
                      bool pause) {
    struct member *member = control_member(control, call, params);
    struct estc_error err = {0};
    if (!member)
        return;
    bool paused = member_identity(member)->attempts.paused_since != 0;
    if (manager_pause(control->manager, member, pause, &err))
        ctl_call_error(call, "StoreFailed", json_pack("{s:s}", "text", err.text));
    else
        ctl_call_reply(call,
                       json_pack("{s:o, s:b}", "identity",
                                 control_identity(control->manager, member), "changed",
                                 paused != pause),
                       false);
}

void control_pause(struct ctl_call *call, json_t *params, void *arg) {
    set_pause(call, params, arg, true);
}

void control_resume(struct ctl_call *call, json_t *params, void *arg) {
    set_pause(call, params, arg, false);
}

void control_history(struct ctl_call *call, json_t *params, void *arg) {
    const struct control *control = arg;
    const struct member *member = control_member(arg, call, params);
    if (member)
        ctl_call_reply(
            call,
            json_pack("{s:o}", "results",
                      store_load_history(manager_config(control->manager)->state_directory,
                                         member_identity(member)->config->id)),
            false);
}

void control_cacerts(struct ctl_call *call, json_t *params, void *arg) {
    struct control *control = arg;
    const struct member *member = control_member(control, call, params);
    if (!member)
        return;
    const char *id = member_identity(member)->config->id;
    _cleanup(freep) char *path =
        store_path(manager_config(control->manager)->state_directory, id, "cacerts.pem");
    _cleanup(estc_buf_clear) struct estc_buf pem = {0};
    bool there = path && !fs_read(AT_FDCWD, path, CACERTS_MAX, &pem, NULL, NULL) && pem.len > 0 &&
                 !memchr(pem.data, 0, pem.len);
    /* Nor is there any for what is no text: whoever wrote that, it is no PEM file of ours. */
    json_t *answer = there ? json_pack("{s:s%}", "pem", (const char *)pem.data, pem.len) : NULL;
    if (answer)
        ctl_call_reply(call, answer, false);
    else
        ctl_call_error(call, "NoCertificate", json_pack("{s:s}", "id", id));
}

void control_deployed(struct ctl_call *call, json_t *params, void *arg) {
    struct control *control = arg;
    struct member *member = control_member(control, call, params);
    if (!member)
        return;
    const char *text = json_string_value(json_object_get(params, "text"));
    const char *fault = text ? text : "no reason given";
    bool ok = json_is_true(json_object_get(params, "ok"));
    manager_deployed(control->manager, member,
                     json_integer_value(json_object_get(params, "generation")), ok ? NULL : fault);
    ctl_call_reply(call, NULL, false);
}

/* --- metrics --------------------------------------------------------------------------------- */

void control_metrics(struct ctl_call *call, json_t *params, void *arg) {
    (void)params;
    const struct control *control = arg;
    _cleanup(freep) char *text = NULL;
    size_t len;
    /* Without memory the call is given back unanswered, which is said. */
    if (!manager_metrics(control->manager, METRICS_OPENMETRICS, &text, &len))
        ctl_call_reply(call, json_pack("{s:s%}", "openmetrics", text, len), false);
}
