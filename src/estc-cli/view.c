/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Words for what the daemon says: spans of time, what is next, and the table of `estc list`. A
 * member that is missing or of another type is "-": a newer or older daemon is no reason to fail.
 */
#include "view.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/text.h"
#include "common/exitcode.h"

#define TEXT_MAX 2048
#define MINUTE INT64_C(60)
#define HOUR (60 * MINUTE)
#define DAY (24 * HOUR)

static char *copy(const char *text) {
    return text_clean(text, strlen(text), TEXT_MAX);
}

static const char *member_string(json_t *object, const char *member) {
    const char *text = json_string_value(json_object_get(object, member));
    return text && *text ? text : NULL;
}

char *view_text(json_t *object, const char *member) {
    json_t *value = json_object_get(object, member);
    if (json_is_integer(value))
        return text_format("%" JSON_INTEGER_FORMAT, json_integer_value(value));
    const char *text = member_string(object, member);
    return copy(text ? text : "-");
}

char *view_span(int64_t seconds) {
    static const struct {
        int64_t least, unit;
        char letter;
    } forms[] = {
        {2 * DAY, DAY, 'd'}, {2 * HOUR, HOUR, 'h'}, {2 * MINUTE, MINUTE, 'm'}, {0, 1, 's'}};
    const char *sign = seconds < 0 ? "-" : "";
    int64_t size = seconds < 0 ? -seconds : seconds;
    size_t i = 0;
    while (size < forms[i].least)
        i++;
    return text_format("%s%" PRId64 "%c", sign, size / forms[i].unit, forms[i].letter);
}

char *view_time(const char *rfc3339) {
    int64_t at;
    if (!rfc3339 || clock_parse(rfc3339, &at) < 0)
        return copy("-");
    if (at == CLOCK_LAST)
        return copy("never");
    return text_format("%.10s %.5sZ", rfc3339, rfc3339 + 11);
}

/* 0 when the member is a point in time. */
static int member_time(json_t *object, const char *member, int64_t *out) {
    const char *text = member_string(object, member);
    return text ? clock_parse(text, out) : -EINVAL;
}

/* "now", "in 38m", or the day when that is far. */
static char *due_text(json_t *identity, int64_t now) {
    int64_t due;
    if (member_time(identity, "next_due", &due) < 0)
        return copy("-");
    if (due <= now)
        return copy("now");
    if (due - now >= 2 * DAY)
        return text_format("%.10s", member_string(identity, "next_due"));
    _cleanup(freep) char *span = view_span(due - now);
    return span ? text_format("in %s", span) : NULL;
}

bool view_working(json_t *identity) {
    const char *state = member_string(identity, "state");
    return state && strcmp(state, "working") == 0;
}

static bool is_paused(json_t *identity) {
    const char *state = member_string(identity, "state");
    return state && strcmp(state, "paused") == 0;
}

char *view_next_at(json_t *identity, const char *due) {
    const char *action = member_string(identity, "next_action");
    json_int_t failures = json_integer_value(json_object_get(identity, "failures"));
    if (!action)
        return copy("-");
    if (view_working(identity))
        return copy("under way");
    if (is_paused(identity))
        return copy("paused");
    if (strcmp(action, "poll") == 0)
        return text_format("poll %s (Max-Age)", due);
    if (strcmp(action, "repair") == 0)
        return text_format("repair, look %s", due);
    if (failures > 0)
        return text_format("retry %s (try %" JSON_INTEGER_FORMAT ")", due, failures + 1);
    _cleanup(freep) char *clean = copy(action);
    return clean ? text_format("%s %s", clean, due) : NULL;
}

char *view_next(json_t *identity, int64_t now) {
    _cleanup(freep) char *due = due_text(identity, now);
    return due ? view_next_at(identity, due) : NULL;
}

/* --- estc list ------------------------------------------------------------------------------- */

static char *list_id(json_t *identity, int64_t now) {
    (void)now;
    return view_text(identity, "id");
}

static char *list_state(json_t *identity, int64_t now) {
    (void)now;
    _cleanup(freep) char *state = view_text(identity, "state");
    return state && member_string(identity, "alert") ? text_format("%s !", state) : TAKE(state);
}

static char *list_expires(json_t *identity, int64_t now) {
    (void)now;
    return view_time(member_string(json_object_get(identity, "certificate"), "not_after"));
}

static char *list_left(json_t *identity, int64_t now) {
    int64_t end;
    if (member_time(json_object_get(identity, "certificate"), "not_after", &end) < 0 ||
        end == CLOCK_LAST)
        return copy("-");
    return view_span(end - now);
}

bool view_undeployed(json_t *identity) {
    return json_integer_value(json_object_get(json_object_get(identity, "deploy"), "failures")) > 0;
}

static char *list_result(json_t *identity, int64_t now) {
    (void)now;
    const char *result = member_string(identity, "last_result");
    const char *error = member_string(identity, "last_error");
    if (!result || strcmp(result, "none") == 0)
        return copy("-");
    if (strcmp(result, "ok") == 0 && view_undeployed(identity)) {
        _cleanup(freep) char *why = view_text(json_object_get(identity, "deploy"), "last_error");
        return why ? text_format("not deployed: %s", why) : NULL;
    }
    if (strcmp(result, "ok") == 0)
        return copy(result);
    return copy(error ? error : result);
}

static bool is_requested(json_t *identity) {
    const char *origin = member_string(identity, "origin");
    return origin && strcmp(origin, "request") == 0;
}

static char *list_origin(json_t *identity, int64_t now) {
    (void)now;
    return copy(is_requested(identity) ? "request" : "file");
}

/* The origin stands there when it is not the same for all. */
static const struct column {
    const char *title;
    char *(*text)(json_t *identity, int64_t now);
    bool at_need;
} columns[] = {
    {"ID", list_id, false},
    {"STATE", list_state, false},
    {"EXPIRES", list_expires, false},
    {"LEFT", list_left, false},
    {"ORIGIN", list_origin, true},
    {"NEXT ACTION", view_next, false},
    {"LAST RESULT", list_result, false},
};
#define N_COLUMNS (sizeof(columns) / sizeof(columns[0]))
#define STATE_COLUMN 1

/* How a state looks; the rest (new, working, pending, paused) takes its course. */
static const struct {
    const char *state;
    enum tint tint;
} states[] = {
    {"valid", TINT_GOOD}, {"failing", TINT_BAD}, {"expired", TINT_BAD},
    {"stuck", TINT_BAD},  {"config", TINT_BAD},
};

enum tint view_tint(json_t *identity) {
    const char *state = member_string(identity, "state");
    for (size_t i = 0; state && i < sizeof(states) / sizeof(states[0]); i++)
        if (strcmp(states[i].state, state) == 0)
            return states[i].tint;
    return TINT_BUSY;
}

/* As the daemon judges it: what takes its course needs none. */
static bool needs_attention(json_t *identity) {
    json_int_t code = json_integer_value(json_object_get(identity, "exit_code"));
    return (code != EXIT_DONE && code != EXIT_WORKING) || member_string(identity, "alert");
}

static int add_cells(struct table *table, json_t *identity, int64_t now, bool all) {
    struct cell cells[N_COLUMNS];
    size_t n = 0;
    for (size_t i = 0; i < N_COLUMNS; i++)
        if (all || !columns[i].at_need)
            cells[n++] = (struct cell){columns[i].text(identity, now), TINT_NONE};
    cells[STATE_COLUMN].tint = view_tint(identity);
    return table_add(table, cells);
}

static int add_identity(struct table *table, json_t *identity, int64_t now) {
    return add_cells(table, identity, now, false);
}

static int add_with_origin(struct table *table, json_t *identity, int64_t now) {
    return add_cells(table, identity, now, true);
}

struct table *view_list(json_t *identities, int64_t now, bool bare) {
    const char *titles[N_COLUMNS];
    bool all = false;
    size_t n = 0, i;
    json_t *identity;
    json_array_foreach(identities, i, identity) {
        all = all || is_requested(identity);
    }
    for (i = 0; i < N_COLUMNS; i++)
        if (all || !columns[i].at_need)
            titles[n++] = columns[i].title;
    return table_of(identities, n, bare ? NULL : titles, all ? add_with_origin : add_identity, now);
}

char *view_footer(json_t *identities) {
    size_t all = json_array_size(identities), bad = 0, i;
    json_t *identity;
    json_array_foreach(identities, i, identity) {
        bad += needs_attention(identity);
    }
    const char *noun = all == 1 ? "identity" : "identities";
    if (bad == 0)
        return text_format("%zu %s, none needs attention.", all, noun);
    return text_format("%zu %s, %zu %s attention.", all, noun, bad, bad == 1 ? "needs" : "need");
}
