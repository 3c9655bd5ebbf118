/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Schedulers that are broken on purpose, to show that years with them are noticed. Linked into a
 * program that is estcd otherwise, with --wrap=schedule_plan; DECADE_BROKEN says how.
 */
#include <stdlib.h>
#include <string.h>

#include "estcd/schedule.h"

#define HOUR 3600
#define DAY (24 * HOUR)

void __real_schedule_plan(const struct schedule_input *in, int64_t now, struct schedule_plan *out);
void __wrap_schedule_plan(const struct schedule_input *in, int64_t now, struct schedule_plan *out);

/* Renews when the certificate has just expired. */
static void late(const struct schedule_input *in, struct schedule_plan *out) {
    if (out->action == SCHEDULE_RENEW)
        out->due = in->not_after + 1;
}

/* Three failures and it rests. */
static void gives_up(const struct schedule_input *in, struct schedule_plan *out) {
    if (in->failures > 3)
        out->due = INT64_MAX / 1000000; /* what an event loop takes */
}

/* Tries again at once. */
static void hasty(const struct schedule_input *in, struct schedule_plan *out) {
    if (in->failures > 0)
        out->due = in->last_attempt;
}

/* A day after each failure, whatever life is left. */
static void patient(const struct schedule_input *in, struct schedule_plan *out) {
    if (in->failures > 0)
        out->due = in->last_attempt + DAY;
}

/* Renews what is new. */
static void eager(const struct schedule_input *in, struct schedule_plan *out) {
    if (out->action == SCHEDULE_RENEW && in->failures == 0)
        out->due = in->last_attempt + HOUR;
}

/* Never goes back to the birth certificate. */
static void proud(const struct schedule_input *in, struct schedule_plan *out) {
    if (out->action == SCHEDULE_ENROLL && in->have_certificate)
        out->action = SCHEDULE_RENEW;
}

void __wrap_schedule_plan(const struct schedule_input *in, int64_t now, struct schedule_plan *out) {
    static const struct {
        const char *name;
        void (*change)(const struct schedule_input *in, struct schedule_plan *out);
    } ways[] = {{"late", late},       {"gives-up", gives_up}, {"hasty", hasty},
                {"patient", patient}, {"eager", eager},       {"proud", proud}};
    const char *wanted = getenv("DECADE_BROKEN");
    __real_schedule_plan(in, now, out);
    for (size_t i = 0; wanted && !in->asked && i < sizeof(ways) / sizeof(ways[0]); i++)
        if (strcmp(wanted, ways[i].name) == 0)
            ways[i].change(in, out);
}
