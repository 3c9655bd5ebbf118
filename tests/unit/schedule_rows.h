/* SPDX-License-Identifier: BSD-2-Clause */
/* Rows of input, and the plan that must come of each. */
#pragma once

#include <string.h>

#include "schedule_input.h"
#include "support.h"

struct row {
    const char *what;
    struct schedule_input in;
    enum schedule_action action;
    int64_t earliest, latest; /* of due, relative to NOW */
    const char *why;          /* a part of it */
};

static inline void check_rows(const struct row *rows, size_t n) {
    for (size_t i = 0; i < n; i++) {
        const struct row *r = &rows[i];
        struct schedule_plan plan = {0};
        schedule_plan(&r->in, NOW, &plan);
        int64_t due = plan.due - NOW;
        if (plan.action != r->action || due < r->earliest || due > r->latest)
            fail_msg("%s: %s in %lld s (%s), expected %s in %lld to %lld s", r->what,
                     schedule_action_names[plan.action], (long long)due, plan.why,
                     schedule_action_names[r->action], (long long)r->earliest,
                     (long long)r->latest);
        if (r->why && !strstr(plan.why, r->why))
            fail_msg("%s: \"%s\" does not say \"%s\"", r->what, plan.why, r->why);
    }
}

#define CHECK_ROWS(rows) check_rows(rows, sizeof(rows) / sizeof((rows)[0]))
