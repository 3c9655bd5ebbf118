/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The block of `estc show`: everything that the daemon says of one identity, for a person who has
 * five minutes. Two tables of rows, one for the identity, one for its certificate; a row with
 * nothing to say is left out.
 */
#include <errno.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/text.h"
#include "view.h"

/* A row's text, or NULL with *none set when there is nothing to say. */
typedef char *(*row_fn)(json_t *object, const char *member, int64_t now, bool *none);

struct row {
    const char *label;
    row_fn text; /* NULL: a list of strings, one a line */
    const char *member;
};

static bool has(json_t *object, const char *member) {
    const char *text = json_string_value(json_object_get(object, member));
    return text && *text;
}

static char *row_text(json_t *object, const char *member, int64_t now, bool *none) {
    (void)now;
    json_t *value = json_object_get(object, member);
    *none = !json_is_integer(value) && !has(object, member);
    return *none ? NULL : view_text(object, member);
}

/* "2027-02-09 08:12Z, in 41d" */
static char *due_in_full(json_t *identity, int64_t now) {
    const char *text = json_string_value(json_object_get(identity, "next_due"));
    _cleanup(freep) char *time = view_time(text);
    int64_t due;
    if (!time || !text || clock_parse(text, &due) < 0)
        return TAKE(time);
    _cleanup(freep) char *span = view_span(due - now);
    return due <= now ? text_format("%s, now", time)
           : span     ? text_format("%s, in %s", time, span)
                      : NULL;
}

static char *row_next(json_t *object, const char *member, int64_t now, bool *none) {
    (void)none;
    _cleanup(freep) char *due = due_in_full(object, now);
    _cleanup(freep) char *next = due ? view_next_at(object, due) : NULL;
    _cleanup(freep) char *why = view_text(object, member);
    if (!next || !why)
        return NULL;
    /* What is under way is not due, whatever it was that made it so. */
    return view_working(object) || has(object, "paused_since") ? TAKE(next)
                                                               : text_format("%s: %s", next, why);
}

static char *row_last(json_t *object, const char *member, int64_t now, bool *none) {
    (void)now;
    const char *result = json_string_value(json_object_get(object, member));
    *none = !result || strcmp(result, "none") == 0;
    if (*none)
        return NULL;
    _cleanup(freep) char *action = view_text(object, "last_action");
    _cleanup(freep) char *clean = view_text(object, member);
    _cleanup(freep) char *when =
        view_time(json_string_value(json_object_get(object, "last_attempt")));
    return action && clean && when ? text_format("%s: %s, at %s", action, clean, when) : NULL;
}

/* Which of several it was that the last attempt spoke with. */
static char *row_server(json_t *object, const char *member, int64_t now, bool *none) {
    if (json_array_size(json_object_get(object, "urls")) > 1)
        return row_text(object, member, now, none);
    *none = true;
    return NULL;
}

static char *row_failures(json_t *object, const char *member, int64_t now, bool *none) {
    (void)now;
    json_int_t n = json_integer_value(json_object_get(object, member));
    *none = n <= 0;
    return *none ? NULL : text_format("%" JSON_INTEGER_FORMAT " in a row", n);
}

static char *row_time(json_t *object, const char *member, int64_t now, bool *none) {
    (void)now;
    *none = !has(object, member);
    return *none ? NULL : view_time(json_string_value(json_object_get(object, member)));
}

static char *row_end(json_t *object, const char *member, int64_t now, bool *none) {
    _cleanup(freep) char *time = row_time(object, member, now, none);
    int64_t end;
    if (!time || clock_parse(json_string_value(json_object_get(object, member)), &end) < 0)
        return TAKE(time);
    _cleanup(freep) char *span = view_span(end < now ? now - end : end - now);
    return span ? text_format("%s (%s %s)", time, span, end < now ? "ago" : "left") : NULL;
}

/* "since 2026-11-24 12:46Z (3h ago)"; when the CA is asked again is in the row "Next". */
static char *row_since(json_t *object, const char *member, int64_t now, bool *none) {
    _cleanup(freep) char *time = row_time(object, member, now, none);
    int64_t begin;
    if (!time || clock_parse(json_string_value(json_object_get(object, member)), &begin) < 0)
        return TAKE(time);
    _cleanup(freep) char *span = view_span(begin < now ? now - begin : 0);
    return span ? text_format("since %s (%s ago)", time, span) : NULL;
}

/* "done, generation 3", "failed, 2 in a row; again 2027-02-09 08:12Z: CAUSE" */
static char *row_deploy(json_t *object, const char *member, int64_t now, bool *none) {
    json_t *deploy = json_object_get(object, member);
    *none = !deploy;
    if (!deploy)
        return NULL;
    _cleanup(freep) char *state = view_text(deploy, "state");
    _cleanup(freep) char *generation = view_text(deploy, "generation");
    if (!view_undeployed(object))
        return state && generation ? text_format("%s, generation %s", state, generation) : NULL;
    bool ignored = false;
    _cleanup(freep) char *failures = row_failures(deploy, "failures", now, &ignored);
    _cleanup(freep) char *why = view_text(deploy, "last_error");
    _cleanup(freep) char *next = view_time(json_string_value(json_object_get(deploy, "next")));
    if (!state || !failures || !why || !next)
        return NULL;
    return has(deploy, "next") ? text_format("%s, %s; again %s: %s", state, failures, next, why)
                               : text_format("%s, failed %s: %s", state, failures, why);
}

/* "warning: most of its life has passed without a renewal: ..." */
static char *row_alert(json_t *object, const char *member, int64_t now, bool *none) {
    (void)now;
    *none = !has(object, member);
    if (*none)
        return NULL;
    _cleanup(freep) char *level = view_text(object, member);
    _cleanup(freep) char *why = view_text(object, "alert_why");
    return level && why ? text_format("%s: %s", level, why) : NULL;
}

/* "/etc/estcd/estcd.conf:12", "by 'estc request', in /var/lib/estcd/requests/gw.conf" */
static char *row_origin(json_t *object, const char *member, int64_t now, bool *none) {
    (void)now;
    *none = !has(object, "defined_in");
    _cleanup(freep) char *where = *none ? NULL : view_text(object, "defined_in");
    const char *origin = json_string_value(json_object_get(object, member));
    bool requested = origin && strcmp(origin, "request") == 0;
    return where && requested ? text_format("by 'estc request', in %s", where) : TAKE(where);
}

static char *row_bootstrap(json_t *object, const char *member, int64_t now, bool *none) {
    (void)now;
    *none = !json_is_true(json_object_get(object, member));
    return *none ? NULL : strdup("what 'estc bootstrap' brought stands before what is configured");
}

static const struct row identity_rows[] = {
    {"State", row_text, "state"},
    {"Alert", row_alert, "alert"},
    {"Pending", row_since, "pending_since"},
    {"Paused", row_since, "paused_since"},
    {"Next", row_next, "next_why"},
    {"Last", row_last, "last_result"},
    {"Answered", row_server, "last_server"},
    {"Error", row_text, "last_error"},
    {"Failures", row_failures, "failures"},
    {"Deployed", row_deploy, "deploy"},
    {"Server", NULL, "urls"},
    {"Label", row_text, "label"},
    {"Directory", row_text, "directory"},
    {"Defined", row_origin, "origin"},
    {"Bootstrap", row_bootstrap, "bootstrapped"},
    {"Subject", row_text, "subject"},
    {"Names", NULL, "sans"},
    {"Key", row_text, "key_type"},
    {NULL},
};
static const struct row certificate_rows[] = {
    {"Subject", row_text, "subject"},       {"Issuer", row_text, "issuer"},
    {"Serial", row_text, "serial"},         {"Names", NULL, "sans"},
    {"Key", row_text, "key_type"},          {"SHA-256", row_text, "sha256"},
    {"Not before", row_time, "not_before"}, {"Not after", row_end, "not_after"},
    {"Unfit", row_text, "unfit"},           {NULL},
};

static const struct row trust_rows[] = {
    {"From", row_text, "url"},
    {"Until", row_end, "until"},
    {NULL},
};
static const struct row anchor_rows[] = {
    {"Anchor", row_text, "subject"},
    {"SHA-256", row_text, "sha256"},
    {"Not after", row_end, "not_after"},
    {NULL},
};

/* Label and text (taken) as a row of the table. */
static int add(struct table *table, const char *indent, const char *label, char *text,
               enum tint tint) {
    struct cell cells[] = {{text_format("%s%s", indent, label), TINT_NONE}, {text, tint}};
    return table_add(table, cells);
}

static int add_list(struct table *table, const char *indent, const char *label, json_t *list) {
    int rc = 0;
    size_t i;
    json_t *item;
    json_array_foreach(list, i, item) {
        const char *text = json_string_value(item);
        if (text && !rc)
            rc = add(table, indent, i == 0 ? label : "", text_clean(text, strlen(text), 1024),
                     TINT_NONE);
    }
    return rc;
}

static int add_rows(struct table *table, const char *indent, const struct row *rows, json_t *object,
                    int64_t now) {
    int rc = 0;
    for (const struct row *row = rows; !rc && row->label; row++) {
        if (!row->text) {
            rc = add_list(table, indent, row->label, json_object_get(object, row->member));
            continue;
        }
        bool none = false;
        char *text = row->text(object, row->member, now, &none);
        if (!none)
            rc = add(table, indent, row->label, text,
                     strcmp(row->member, "state") == 0 ? view_tint(object) : TINT_NONE);
    }
    return rc;
}

/* "generation 3, issued 2026-11-24 12:46Z" */
static char *certificate_title(json_t *certificate) {
    if (!certificate)
        return text_format("none yet");
    _cleanup(freep) char *generation = view_text(certificate, "generation");
    _cleanup(freep) char *issued =
        view_time(json_string_value(json_object_get(certificate, "issued_at")));
    return generation && issued ? text_format("generation %s, issued %s", generation, issued)
                                : NULL;
}

/* How the first server that sent the anchors came to be believed; what is unknown stays as it is.
 */
static const struct {
    const char *origin, *words;
} origins[] = {
    {"file", "by the configured anchors"},
    {"fingerprint", "by the configured fingerprint"},
    {"explicit", "by the anchors before them"},
};

/* "since 2026-11-24 12:46Z, by the configured anchors" */
static char *trust_title(json_t *trust) {
    if (!trust)
        return text_format("what the configuration names");
    _cleanup(freep) char *since =
        view_time(json_string_value(json_object_get(trust, "received_at")));
    _cleanup(freep) char *origin = view_text(trust, "origin");
    const char *words = origin;
    for (size_t i = 0; origin && i < sizeof(origins) / sizeof(origins[0]); i++)
        if (strcmp(origin, origins[i].origin) == 0)
            words = origins[i].words;
    return since && words ? text_format("since %s, %s", since, words) : NULL;
}

static int add_trust(struct table *table, json_t *trust, int64_t now) {
    int rc = add(table, "", "Trust", trust_title(trust), TINT_NONE);
    if (!rc && trust)
        rc = add_rows(table, "  ", trust_rows, trust, now);
    size_t i;
    json_t *anchor;
    json_array_foreach(json_object_get(trust, "anchors"), i, anchor) {
        if (!rc)
            rc = add_rows(table, "  ", anchor_rows, anchor, now);
    }
    return rc;
}

int view_show(json_t *identity, int64_t now, FILE *out, const struct print_style *style) {
    _cleanup(table_freep) struct table *table = table_new(2);
    json_t *certificate = json_object_get(identity, "certificate");
    int rc = table ? add(table, "", "Identity", view_text(identity, "id"), TINT_NONE) : -ENOMEM;
    if (!rc)
        rc = add_rows(table, "", identity_rows, identity, now);
    if (!rc)
        rc = add(table, "", "Certificate", certificate_title(certificate), TINT_NONE);
    if (!rc && certificate)
        rc = add_rows(table, "  ", certificate_rows, certificate, now);
    if (!rc)
        rc = add_trust(table, json_object_get(identity, "trust"), now);
    if (rc)
        return rc;
    /* Nothing is cut here: whoever asks for everything gets it. */
    struct print_style uncut = {.colour = style->colour};
    table_print(table, out, &uncut);
    return 0;
}
