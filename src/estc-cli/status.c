/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The command status: a headline, the numbers, the clock, what is next, and of each identity that
 * needs attention what is wrong and what to do about it. Exits with the worst of them.
 */
#include <string.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/text.h"
#include "cli.h"
#include "common/exitcode.h"
#include "daemon.h"
#include "print.h"
#include "say.h"
#include "view.h"

/* What a person can do about it, where the error does not say so itself; %s is the id. */
static const struct {
    const char *result, *remedy;
} remedies[] = {
    {"rejected", "the CA has to allow it: ask who runs it, then 'estc retry %s'"},
    {"unreachable", "see that the network and url are right; estcd goes on trying"},
    {"timeout", "see that the network and url are right; estcd goes on trying"},
    {"untrusted", "compare the CA certificates of 'estc show %s' with the CA's own word"},
    {"credential", "mend the file; estcd looks again when it changes"},
};

static char *remedy(json_t *identity) {
    const char *result = json_string_value(json_object_get(identity, "last_result"));
    _cleanup(freep) char *id = view_text(identity, "id");
    for (size_t i = 0; result && id && i < sizeof(remedies) / sizeof(remedies[0]); i++)
        if (strcmp(result, remedies[i].result) == 0) {
            const char *hole = strstr(remedies[i].remedy, "%s");
            return hole ? text_format("%.*s%s%s", (int)(hole - remedies[i].remedy),
                                      remedies[i].remedy, id, hole + 2)
                        : strdup(remedies[i].remedy);
        }
    return id ? text_format("'estc show %s' tells more", id) : NULL;
}

/* Label and text (taken) as a row. */
static int add(struct table *table, const char *label, char *text, enum tint tint) {
    struct cell cells[] = {{strdup(label), tint}, {text, TINT_NONE}};
    return table_add(table, cells);
}

/* "failing: no reply from ..."; of a certificate in force that did not get where it should. */
static char *what_is_wrong(json_t *identity) {
    json_t *deploy = json_object_get(identity, "deploy");
    bool tried = json_object_get(identity, "last_error");
    _cleanup(freep) char *state = view_text(identity, "state");
    _cleanup(freep) char *error = view_text(tried ? identity : deploy, "last_error");
    if (!state || !error)
        return NULL;
    return tried                       ? text_format("%s: %s", state, error)
           : view_undeployed(identity) ? text_format("%s, but not deployed: %s", state, error)
                                       : TAKE(state);
}

static char *alert_words(json_t *identity) {
    _cleanup(freep) char *level = view_text(identity, "alert");
    _cleanup(freep) char *why = view_text(identity, "alert_why");
    return level && why ? text_format("%s: %s", level, why) : NULL;
}

/* What is wrong, how long it can go on, what happens by itself, and what to do. */
static int add_attention(struct table *table, json_t *identity, int64_t now) {
    json_t *certificate = json_object_get(identity, "certificate");
    const char *end = json_string_value(json_object_get(certificate, "not_after"));
    int64_t until;
    _cleanup(freep) char *id = view_text(identity, "id");
    _cleanup(freep) char *time = view_time(end);
    bool known = end && clock_parse(end, &until) == 0;
    _cleanup(freep) char *left = view_span(known ? until - now : 0);
    if (!id || !time || !left)
        return -1;
    int rc = add(table, "", strdup(""), TINT_NONE);
    if (!rc)
        rc = add(table, id, what_is_wrong(identity), view_tint(identity));
    if (!rc && json_object_get(identity, "alert"))
        rc = add(table, "", alert_words(identity), TINT_BAD);
    if (!rc)
        rc = add(table, "",
                 !known         ? strdup("no certificate yet")
                 : until <= now ? text_format("its certificate expired at %s", time)
                                : text_format("its certificate is good until %s (%s)", time, left),
                 TINT_NONE);
    if (!rc)
        rc = add(table, "", view_next(identity, now), TINT_NONE);
    return rc ? rc : add(table, "", remedy(identity), TINT_NONE);
}

static int add_states(struct table *table, json_t *states) {
    size_t i;
    json_t *state;
    int rc = 0;
    json_array_foreach(states, i, state) {
        _cleanup(freep) char *name = view_text(state, "state");
        if (!rc)
            rc = name ? add(table, name, view_text(state, "count"), view_tint(state)) : -1;
    }
    return rc;
}

static char *clock_words(json_t *clock) {
    _cleanup(freep) char *now = view_time(json_string_value(json_object_get(clock, "now")));
    _cleanup(freep) char *text = view_text(clock, "text");
    if (!now || !text)
        return NULL;
    return json_is_true(json_object_get(clock, "trusted"))
               ? text_format("%s", now)
               : text_format("%s assumed: %s", now, text);
}

static char *next_words(json_t *identity, int64_t now) {
    _cleanup(freep) char *id = view_text(identity, "id");
    _cleanup(freep) char *next = view_next(identity, now);
    return id && next ? text_format("%s: %s", id, next) : NULL;
}

static char *headline(json_t *status) {
    json_int_t all = json_integer_value(json_object_get(status, "identities"));
    json_int_t bad = json_integer_value(json_object_get(status, "attention_count"));
    _cleanup(freep) char *version = view_text(status, "version");
    _cleanup(freep) char *some =
        bad == 0 ? strdup("none needs")
                 : text_format("%" JSON_INTEGER_FORMAT " need%s", bad, bad == 1 ? "s" : "");
    return version && some ? text_format("estcd %s: %" JSON_INTEGER_FORMAT " %s, %s attention.",
                                         version, all, all == 1 ? "identity" : "identities", some)
                           : NULL;
}

static int print_status(json_t *status) {
    json_t *clock = json_object_get(status, "clock");
    json_t *next = json_object_get(status, "next");
    json_t *attention = json_object_get(status, "attention");
    int64_t now = daemon_time(clock, "now");
    _cleanup(freep) char *title = headline(status);
    _cleanup(table_freep) struct table *table = table_new(2);
    int rc = table && title ? add_states(table, json_object_get(status, "states")) : -1;
    if (!rc)
        rc = add(table, "clock", clock_words(clock), TINT_NONE);
    if (!rc && next)
        rc = add(table, "next", next_words(next, now), TINT_NONE);
    size_t i;
    json_t *identity;
    json_array_foreach(attention, i, identity) {
        if (!rc)
            rc = add_attention(table, identity, now);
    }
    if (rc)
        return say_out_of_memory();
    struct print_style style = print_style_of(stdout);
    style.width = 0; /* what to do about it must not be cut */
    printf("%s\n", title);
    table_print(table, stdout, &style);
    return EXIT_DONE;
}

int command_status(const struct cli *cli) {
    _cleanup(ctl_reply_clear) struct ctl_reply reply = {0};
    int code = daemon_call(cli, DAEMON_METHOD("Status"), NULL, NULL, &reply);
    if (code != EXIT_DONE)
        return code;
    json_t *worst = daemon_member(&reply, "exit_code", JSON_INTEGER);
    if (!worst)
        return EXIT_FAILED;
    if (cli->json)
        print_json(reply.params);
    else
        code = print_status(reply.params);
    return code != EXIT_DONE ? code : (int)json_integer_value(worst);
}
