/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Whether the manager does what it is for: systemd's watchdog hangs on this, since a loop may turn
 * for years without doing anything. And the end of a worker that does not end by itself: its own
 * alarm is in the hands of who may have taken it over, ours is not. Changes no plan.
 */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <time.h>

#include "base/clock.h"
#include "base/text.h"
#include "common/journal.h"
#include "manager_internal.h"
#include "timebase.h"

#define USEC 1000000ULL
/* So late is nothing that a busy machine delays, a clock that was set just now included. */
#define LATE_S 60

/* --- what is due --- */

/* True when all places are taken by workers that should have been ended long ago. */
static bool places_are_lost(const struct manager *manager) {
    int64_t now = clock_boot_ms();
    for (size_t i = 0; i < manager->n_members; i++) {
        const struct member *m = manager->members[i];
        if (m->identity.working && m->ends_by + LATE_S * 1000 > now)
            return false;
    }
    return true;
}

char *manager_stuck(const struct manager *manager) {
    const struct member *late = NULL;
    for (size_t i = 0; manager->started && i < manager->n_members; i++) {
        const struct member *m = manager->members[i];
        if (!m->identity.working && (!late || m->plan.due < late->plan.due))
            late = m;
    }
    if (!late || late->plan.due > timebase_now() - LATE_S)
        return NULL;
    if (manager->n_working >= manager->config->max_attempts && !places_are_lost(manager))
        return NULL;
    char when[CLOCK_TEXT_MAX];
    return text_format("%s is due since %s and was not started", late->identity.config->id,
                       clock_text(late->plan.due, when));
}

/* --- the end of a worker --- */

static int on_deadline(sd_event_source *source, uint64_t usec, void *arg) {
    (void)source;
    (void)usec;
    struct member *member = arg;
    journal_error("%s: a worker that did not end in time was ended", member->identity.config->id);
    member->overdue = true;
    kill(member->pid, SIGKILL);
    return 0;
}

int member_set_deadline(struct member *member, int64_t timeout) {
    /* Twice the grace that the worker gives itself: its own end tells more. */
    int64_t seconds = timeout + (int64_t)2 * WORKER_GRACE_SECONDS;
    member->ends_by = clock_boot_ms() + seconds * 1000;
    return sd_event_add_time_relative(member->manager->event, &member->deadline_source,
                                      CLOCK_BOOTTIME, (uint64_t)seconds * USEC, USEC, on_deadline,
                                      member);
}

void member_clear_deadline(struct member *member) {
    member->deadline_source = sd_event_source_disable_unref(member->deadline_source);
    member->overdue = false;
}
