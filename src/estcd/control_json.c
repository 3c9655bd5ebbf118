/* SPDX-License-Identifier: BSD-2-Clause */
/* Identities and events as the control interface shows them, beside the tables that describe them.
 * Times are RFC 3339 texts; what is not there is left out. */
#include "control_json.h"

#include <errno.h>
#include <string.h>

#include <estc/key.h>

#include "alert.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/text.h"
#include "bootstrap.h"
#include "ctl/json.h"
#include "timebase.h"

static const struct ctl_field certificate_fields[] = {
    {"subject", CTL_STRING},
    {"issuer", CTL_STRING},
    {"serial", CTL_STRING},
    {"sans", CTL_STRINGS},
    {"key_type", CTL_STRING},
    {"sha256", CTL_STRING},
    {"not_before", CTL_STRING},
    {"not_after", CTL_STRING},
    {"issued_at", CTL_STRING},
    {"generation", CTL_INT},
    {"unfit", CTL_STRING, .optional = true}, /* why it cannot authenticate its renewal */
    {NULL},
};

static const struct ctl_field anchor_fields[] = {
    {"subject", CTL_STRING},
    {"sha256", CTL_STRING},
    {"not_after", CTL_STRING},
    {NULL},
};

/* Explicit anchors: those of the EST CA. Without them those of the configuration count. */
static const struct ctl_field trust_fields[] = {
    {"origin", CTL_STRING}, /* file, fingerprint, explicit */
    {"url", CTL_STRING},
    {"received_at", CTL_STRING},
    {"until", CTL_STRING},
    {"generation", CTL_INT},
    {"anchors", CTL_OBJECTS, .type_name = "Anchor"},
    {NULL},
};

/* What became of installing the certificate elsewhere; left out where nothing is to be done. */
static const struct ctl_field deploy_fields[] = {
    {"state", CTL_STRING}, /* waiting, done, failed */
    {"generation", CTL_INT},
    {"failures", CTL_INT},
    {"last_error", CTL_STRING, .optional = true},
    {"next", CTL_STRING, .optional = true},
    {NULL},
};

static const struct ctl_field identity_fields[] = {
    {"id", CTL_STRING},
    {"state", CTL_STRING},
    {"origin", CTL_STRING}, /* configuration, request */
    {"defined_in", CTL_STRING},
    {"alert", CTL_STRING, .optional = true},
    {"alert_why", CTL_STRING, .optional = true},
    {"urls", CTL_STRINGS},
    {"label", CTL_STRING, .optional = true},
    {"subject", CTL_STRING},
    {"sans", CTL_STRINGS},
    {"key_type", CTL_STRING},
    {"directory", CTL_STRING},
    {"bootstrapped", CTL_BOOL}, /* what somebody brought stands before what is configured */
    {"certificate", CTL_OBJECT, .optional = true, .type_name = "Certificate"},
    {"trust", CTL_OBJECT, .optional = true, .type_name = "Trust"},
    {"deploy", CTL_OBJECT, .optional = true, .type_name = "Deploy"},
    {"next_action", CTL_STRING},
    {"next_due", CTL_STRING},
    {"next_why", CTL_STRING},
    {"pending_since", CTL_STRING, .optional = true},
    {"paused_since", CTL_STRING, .optional = true},
    {"last_action", CTL_STRING, .optional = true},
    {"last_result", CTL_STRING},
    {"last_error", CTL_STRING, .optional = true},
    {"last_server", CTL_STRING, .optional = true},
    {"last_attempt", CTL_STRING, .optional = true},
    {"failures", CTL_INT},
    {"exit_code", CTL_INT},
    {NULL},
};

/* Of the certificate in force, what a list of all can afford. */
static const struct ctl_field validity_fields[] = {
    {"not_after", CTL_STRING},
    {NULL},
};

/* An identity in a list: the members have the names and meanings that they have in Identity, and
 * are so few because there may be thousands of them. */
static const struct ctl_field entry_fields[] = {
    {"id", CTL_STRING},
    {"state", CTL_STRING},
    {"origin", CTL_STRING, .optional = true}, /* request; left out for configuration */
    {"alert", CTL_STRING, .optional = true},
    {"certificate", CTL_OBJECT, .optional = true, .type_name = "Validity"},
    {"deploy", CTL_OBJECT, .optional = true, .type_name = "Deploy"}, /* while it fails */
    {"next_action", CTL_STRING},
    {"next_due", CTL_STRING},
    {"last_result", CTL_STRING},
    {"last_error", CTL_STRING, .optional = true},
    {"failures", CTL_INT},
    {"exit_code", CTL_INT},
    {NULL},
};

static const struct ctl_field event_fields[] = {
    {"time", CTL_STRING},
    {"kind", CTL_STRING},
    {"id", CTL_STRING, .optional = true},
    {"step", CTL_STRING, .optional = true},
    {"text", CTL_STRING},
    {NULL},
};

/* The time that the daemon goes by. */
static const struct ctl_field clock_fields[] = {
    {"now", CTL_STRING},
    {"trusted", CTL_BOOL},                  /* the system clock can be right */
    {"not_before", CTL_STRING},             /* it is not earlier than this ... */
    {"witness", CTL_STRING},                /* ... by this */
    {"text", CTL_STRING, .optional = true}, /* what is assumed while it is not trusted */
    {NULL},
};

/* How one attempt ended. */
static const struct ctl_field result_fields[] = {
    {"time", CTL_STRING},
    {"action", CTL_STRING},
    {"result", CTL_STRING},
    {"text", CTL_STRING, .optional = true}, /* of a failure */
    {"serial", CTL_STRING, .optional = true},
    {"not_after", CTL_STRING, .optional = true},
    {NULL},
};

/* What one check has found. */
static const struct ctl_field finding_fields[] = {
    {"check", CTL_STRING},
    {"result", CTL_STRING}, /* ok, warning, failed, skipped */
    {"text", CTL_STRING},
    {"remedy", CTL_STRING, .optional = true},
    {"server", CTL_STRING, .optional = true}, /* where there are several */
    {"code", CTL_INT},                        /* exit code, of a failure */
    {NULL},
};

/* One key of the configuration; values as a file says them. */
static const struct ctl_field key_fields[] = {
    {"key", CTL_STRING},
    {"value", CTL_STRING, .optional = true},
    {"source", CTL_STRING}, /* file, defaults, built-in, unset, old, unknown */
    {"file", CTL_STRING, .optional = true},
    {"line", CTL_INT, .optional = true},
    {"on_disk", CTL_STRING, .optional = true}, /* with source "old" */
    {NULL},
};

static const struct ctl_field count_fields[] = {
    {"state", CTL_STRING},
    {"count", CTL_INT},
    {NULL},
};

const struct ctl_named_type control_types[] = {
    {"Clock", clock_fields},       {"Count", count_fields},
    {"Result", result_fields},     {"Certificate", certificate_fields},
    {"Anchor", anchor_fields},     {"Trust", trust_fields},
    {"Deploy", deploy_fields},     {"Identity", identity_fields},
    {"Validity", validity_fields}, {"Entry", entry_fields},
    {"Event", event_fields},       {"Key", key_fields},
    {"Finding", finding_fields},   {NULL},
};

static json_t *texts(char *const *list) {
    json_t *array = json_array();
    for (size_t i = 0; array && i < text_list_len(list); i++)
        json_array_append_new(array, json_string(list[i]));
    return array;
}

static json_t *certificate(const struct facts *facts) {
    char before[CLOCK_TEXT_MAX], after[CLOCK_TEXT_MAX], issued[CLOCK_TEXT_MAX];
    const char *unfit = facts->unfit && *facts->unfit ? facts->unfit : NULL;
    return json_pack("{s:s, s:s, s:s, s:o, s:s, s:s, s:s, s:s, s:s, s:I, s:s*}", "subject",
                     facts->subject, "issuer", facts->issuer, "serial", facts->serial, "sans",
                     texts(facts->sans), "key_type", facts->key_type, "sha256", facts->sha256,
                     "not_before", clock_text(facts->not_before, before), "not_after",
                     clock_text(facts->not_after, after), "issued_at",
                     clock_text(facts->issued_at, issued), "generation",
                     (json_int_t)facts->generation, "unfit", unfit);
}

static json_t *trust(const struct trust_facts *facts) {
    char received[CLOCK_TEXT_MAX], until[CLOCK_TEXT_MAX];
    json_t *anchors = json_array();
    for (size_t i = 0; anchors && i < facts->n_anchors; i++) {
        const struct trust_anchor *a = &facts->anchors[i];
        json_array_append_new(anchors,
                              json_pack("{s:s, s:s, s:s}", "subject", a->subject, "sha256",
                                        a->sha256, "not_after", clock_text(a->not_after, until)));
    }
    return json_pack("{s:s, s:s, s:s, s:s, s:I, s:o}", "origin", facts->origin, "url", facts->url,
                     "received_at", clock_text(facts->received_at, received), "until",
                     clock_text(facts->until, until), "generation", (json_int_t)facts->generation,
                     "anchors", anchors);
}

static json_t *deploy(const struct deploy_record *record) {
    char next[CLOCK_TEXT_MAX];
    bool again = record->state == DEPLOY_FAILED && record->next != 0;
    return json_pack("{s:s, s:I, s:I, s:s*, s:s*}", "state", deploy_state_names[record->state],
                     "generation", (json_int_t)record->generation, "failures",
                     (json_int_t)record->failures, "last_error", record->last_error, "next",
                     again ? clock_text(record->next, next) : NULL);
}

/* The plan, and what happened last. */
static json_t *history(const struct member *member) {
    const struct identity *identity = member_identity(member);
    const struct store_attempts *attempts = &identity->attempts;
    struct schedule_plan plan;
    member_explain(member, &plan);
    char due[CLOCK_TEXT_MAX], last[CLOCK_TEXT_MAX], since[CLOCK_TEXT_MAX], paused[CLOCK_TEXT_MAX];
    bool tried = attempts->last_attempt != 0;
    bool pending = attempts->pending_until != 0 && attempts->pending_since != 0;
    return json_pack(
        "{s:s, s:s, s:s, s:s*, s:s*, s:s*, s:s, s:s*, s:s*, s:s*, s:I, s:i}", "next_action",
        schedule_action_names[plan.action], "next_due", clock_text(plan.due, due), "next_why",
        plan.why, "pending_since", pending ? clock_text(attempts->pending_since, since) : NULL,
        "paused_since",
        attempts->paused_since != 0 ? clock_text(attempts->paused_since, paused) : NULL,
        "last_action", attempts->last_action, "last_result",
        tried ? estc_status_name(attempts->last_result) : "none", "last_error",
        attempts->last_error, "last_server", attempts->last_server, "last_attempt",
        tried ? clock_text(attempts->last_attempt, last) : NULL, "failures",
        (json_int_t)attempts->failures, "exit_code", identity_exit_code(identity, timebase_now()));
}

/* What is known in full on disk alone. */
static int add_from_store(const struct manager *manager, const struct identity *identity,
                          json_t *json) {
    const char *state = manager_config(manager)->state_directory, *id = identity->config->id;
    _cleanup(facts_clear) struct facts facts = {0};
    _cleanup(trust_facts_clear) struct trust_facts anchors = {0};
    if (identity->have_facts && !store_load_facts(state, id, &facts, NULL) &&
        json_object_set_new(json, "certificate", certificate(&facts)) < 0)
        return -ENOMEM;
    if (identity->have_trust && !store_load_trust_facts(state, id, &anchors, NULL) &&
        json_object_set_new(json, "trust", trust(&anchors)) < 0)
        return -ENOMEM;
    return 0;
}

json_t *control_identity(const struct manager *manager, const struct member *member) {
    const struct identity *identity = member_identity(member);
    const struct config_identity *config = identity->config;
    struct alert alert;
    alert_decide(identity, timebase_now(), &alert);
    bool quiet = alert.level == ALERT_NONE;
    _cleanup(freep) char *directory =
        store_path(manager_config(manager)->state_directory, config->id, "");
    _cleanup(freep) char *defined =
        member_requested(member) ? strdup(config->origin.file)
                                 : text_format("%s:%u", config->origin.file, config->origin.line);
    _cleanup(json_freep) json_t *json = json_pack(
        "{s:s, s:s, s:s, s:s, s:s*, s:s*, s:o, s:s*, s:s, s:o, s:s, s:s, s:b}", "id", config->id,
        "state", identity_state_names[identity_state(identity, timebase_now())], "origin",
        member_requested(member) ? "request" : "configuration", "defined_in",
        defined ? defined : "", "alert", quiet ? NULL : alert_level_names[alert.level], "alert_why",
        quiet ? NULL : alert.why, "urls", texts(config->urls), "label", config->label, "subject",
        config->subject ? config->subject : "", "sans", texts(config->subject_alt_names),
        "key_type", estc_key_type_name((enum estc_key_type)config->key_type), "directory",
        directory ? directory : "", "bootstrapped",
        bootstrap_is_there(manager_config(manager)->state_directory, config->id));
    _cleanup(json_freep) json_t *rest = history(member);
    if (!json || !rest || json_object_update(json, rest) < 0)
        return NULL;
    if (add_from_store(manager, identity, json))
        return NULL;
    if (config->deploy.digest && identity->deploy.state != DEPLOY_NONE &&
        json_object_set_new(json, "deploy", deploy(&identity->deploy)) < 0)
        return NULL;
    return TAKE(json);
}

static json_t *validity(const struct facts *facts) {
    char after[CLOCK_TEXT_MAX];
    return json_pack("{s:s}", "not_after", clock_text(facts->not_after, after));
}

json_t *control_entry(const struct member *member) {
    const struct identity *identity = member_identity(member);
    const struct store_attempts *attempts = &identity->attempts;
    const struct member_plan *plan = member_plan(member);
    int64_t now = timebase_now();
    struct alert alert;
    alert_decide(identity, now, &alert);
    char due[CLOCK_TEXT_MAX];
    return json_pack(
        "{s:s, s:s, s:s*, s:s*, s:o*, s:o*, s:s, s:s, s:s, s:s*, s:I, s:i}", "id",
        identity->config->id, "state", identity_state_names[identity_state(identity, now)],
        "origin", member_requested(member) ? "request" : NULL, "alert",
        alert.level == ALERT_NONE ? NULL : alert_level_names[alert.level], "certificate",
        identity->have_facts ? validity(&identity->facts) : NULL, "deploy",
        identity_undeployed(identity) ? deploy(&identity->deploy) : NULL, "next_action",
        schedule_action_names[plan->action], "next_due", clock_text(plan->due, due), "last_result",
        attempts->last_attempt != 0 ? estc_status_name(attempts->last_result) : "none",
        "last_error", attempts->last_error, "failures", (json_int_t)attempts->failures, "exit_code",
        identity_exit_code(identity, now));
}

json_t *control_event(const struct manager_event *event) {
    char now[CLOCK_TEXT_MAX];
    return json_pack("{s:s, s:s, s:s*, s:s*, s:s}", "time", clock_text(timebase_now(), now), "kind",
                     manager_event_names[event->kind], "id",
                     event->member ? member_identity(event->member)->config->id : NULL, "step",
                     event->step, "text", event->text ? event->text : "");
}

json_t *control_clock(void) {
    char now[CLOCK_TEXT_MAX], floor[CLOCK_TEXT_MAX];
    _cleanup(freep) char *text = timebase_explain();
    return json_pack("{s:s, s:b, s:s, s:s, s:s*}", "now", clock_text(timebase_now(), now),
                     "trusted", timebase_trusted(), "not_before",
                     clock_text(timebase_floor(), floor), "witness",
                     timebase_witness_texts[timebase_witness()], "text", text);
}
