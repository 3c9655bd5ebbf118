/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The program that is told of alerts (on_alert): run when an identity's alert is another than the
 * one that it was told of last, one at a time, in the order in which they changed. What it was told
 * is on disk, so a restart does not tell it again; when it fails it is told again, ever less often.
 * It has the daemon's rights and cage, and nothing of the daemon's waits for it.
 */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>

#include "base/clock.h"
#include "base/text.h"
#include "catalog.h"
#include "common/journal.h"
#include "common/program.h"
#include "manager_internal.h"
#include "timebase.h"

#define TIMEOUT_S 60
#define READS_A_SECOND 20
#define MSEC 1000
#define ACCURACY_US 500000

struct manager_hook {
    struct manager *manager;
    struct program program; /* pid -1: none runs */
    struct member *member;  /* whose alert it is told of; NULL: who is gone meanwhile */
    enum alert_level level; /* what it is told */
    bool hung;
    sd_event_source *end, *output, *deadline;
    sd_event_source *retry; /* for who has to be told again */
    uint64_t turns;         /* changes so far */
};

/* --- what it is told --- */

static int add_facts(const struct identity *identity, char ***environment) {
    char until[CLOCK_TEXT_MAX];
    if (!identity->have_facts)
        return 0;
    int rc = program_add_pair(environment, "ESTC_SERIAL", identity->facts.serial);
    return rc ? rc
              : program_add_pair(environment, "ESTC_NOT_AFTER",
                                 clock_text(identity->facts.not_after, until));
}

static int make_environment(const struct member *member, char ***environment) {
    const struct identity *identity = &member->identity;
    int64_t now = timebase_now();
    struct alert alert;
    alert_decide(identity, now, &alert);
    bool over = member->alert == ALERT_NONE;
    const struct {
        const char *name, *value;
    } pairs[] = {
        {"ESTC_ID", identity->config->id},
        {"ESTC_EVENT", manager_event_names[over ? MANAGER_ALERT_CLEARED : MANAGER_ALERT]},
        {"ESTC_ALERT", alert_level_names[member->alert]},
        {"ESTC_ALERT_TEXT", over ? "the alert is over" : alert.why},
        {"ESTC_STATE", identity_state_names[identity_state(identity, now)]},
    };
    int rc = text_list_add(environment, PROGRAM_PATH);
    if (!rc)
        rc = text_list_add(environment, PROGRAM_LANG);
    for (size_t i = 0; !rc && i < sizeof(pairs) / sizeof(pairs[0]); i++)
        rc = program_add_pair(environment, pairs[i].name, pairs[i].value);
    return rc ? rc : add_facts(identity, environment);
}

/* --- how it ends --- */

static void told(struct member *member, enum alert_level level) {
    struct identity *identity = &member->identity;
    struct estc_error err = {0};
    identity->attempts.alert_told = level;
    member->untold = 0;
    if (store_save_attempts(member->manager->config->state_directory, identity->config->id,
                            &identity->attempts, &err))
        catalog_log(CATALOG_UNRECORDED, identity->config->id, NULL,
                    "%s: that on_alert was told cannot be recorded: %s", identity->config->id,
                    err.text);
}

static void not_told(struct member *member, const char *why) {
    const char *id = member->identity.config->id;
    int64_t wait = schedule_backoff(++member->untold, false, 0);
    member->tell_at = clock_boot_ms() + wait * MSEC;
    _cleanup(freep) char *f_failures = text_format("ESTC_FAILURES=%u", member->untold);
    _cleanup(freep) char *f_level = text_format("ESTC_ALERT=%s", alert_level_names[member->alert]);
    _cleanup(freep) char *span = conf_duration_text(wait);
    const char *const fields[] = {f_failures, f_level, NULL};
    catalog_log(CATALOG_ALERT_UNTOLD, id, f_failures && f_level ? fields : NULL,
                "%s: on_alert was not told of the alert: %s; again after %s", id, why,
                span ? span : "a while");
}

/* The program is over, or gets over now. */
static int reap(struct manager_hook *hook, struct estc_error *err) {
    hook->end = sd_event_source_disable_unref(hook->end);
    hook->output = sd_event_source_disable_unref(hook->output);
    hook->deadline = sd_event_source_disable_unref(hook->deadline);
    return program_end(&hook->program, err);
}

static void finish(struct manager_hook *hook) {
    struct member *member = hook->member;
    struct estc_error err = {0};
    int rc = reap(hook, &err);
    hook->member = NULL;
    if (hook->hung)
        rc = estc_error_set(&err, ESTC_E_TIMEOUT, "it hung and was ended after %d s", TIMEOUT_S);
    if (member && rc)
        not_told(member, err.text);
    else if (member)
        told(member, hook->level);
    manager_hook_look(hook->manager);
}

static int on_end(sd_event_source *source, int fd, uint32_t revents, void *arg) {
    (void)source, (void)fd, (void)revents;
    finish(arg);
    return 0;
}

static int on_output(sd_event_source *source, int fd, uint32_t revents, void *arg) {
    (void)fd, (void)revents;
    struct manager_hook *hook = arg;
    program_read(&hook->program);
    if (hook->program.output < 0) /* closed: the loop must not look at it any more */
        hook->output = sd_event_source_disable_unref(source);
    return 0;
}

static int on_deadline(sd_event_source *source, uint64_t usec, void *arg) {
    (void)usec;
    struct manager_hook *hook = arg;
    program_signal(&hook->program, hook->hung ? SIGKILL : SIGTERM);
    hook->hung = true;
    sd_event_source_set_time_relative(source, (uint64_t)PROGRAM_GRACE_MS * MSEC);
    sd_event_source_set_enabled(source, SD_EVENT_ONESHOT);
    return 0;
}

/* --- starting it --- */

static int watch(struct manager_hook *hook) {
    sd_event *event = hook->manager->event;
    const struct program *program = &hook->program;
    int rc = sd_event_add_io(event, &hook->end, program->pidfd, EPOLLIN, on_end, hook);
    if (rc >= 0)
        rc = sd_event_add_io(event, &hook->output, program->output, EPOLLIN, on_output, hook);
    if (rc >= 0) /* one that does not stop talking must not keep us busy */
        rc = sd_event_source_set_ratelimit(hook->output, (uint64_t)MSEC * MSEC, READS_A_SECOND);
    return rc < 0 ? rc
                  : sd_event_add_time_relative(event, &hook->deadline, CLOCK_BOOTTIME,
                                               (uint64_t)TIMEOUT_S * MSEC * MSEC, ACCURACY_US,
                                               on_deadline, hook);
}

/* False: it could not be started, and waits like one that has failed. */
static bool start(struct manager_hook *hook, struct member *member) {
    char **environment = NULL;
    struct estc_error err = {0};
    int rc = make_environment(member, &environment);
    if (rc)
        estc_error_set(&err, rc, "out of memory");
    else
        rc = program_start(hook->manager->config->on_alert, environment,
                           member->identity.config->id, &hook->program, &err);
    text_list_free(environment);
    hook->hung = false;
    hook->level = member->alert;
    if (!rc && (rc = watch(hook)) < 0)
        estc_error_set(&err, rc, "cannot watch a program: %s", strerror(-rc));
    if (rc < 0) {
        reap(hook, NULL);
        not_told(member, err.text);
        return false;
    }
    hook->member = member;
    return true;
}

static bool wants(const struct member *member) {
    return (int)member->alert != member->identity.attempts.alert_told;
}

/* Who is next, and *next: when the first of those is that have to wait, or 0. */
static struct member *choose(const struct manager *manager, int64_t *next) {
    struct member *first = NULL;
    int64_t now = clock_boot_ms();
    *next = 0;
    for (size_t i = 0; i < manager->n_members; i++) {
        struct member *m = manager->members[i];
        if (!wants(m))
            continue;
        if (m->tell_at > now && (*next == 0 || m->tell_at < *next))
            *next = m->tell_at;
        if (m->tell_at <= now && (!first || m->alert_turn < first->alert_turn))
            first = m;
    }
    return first;
}

void manager_hook_look(struct manager *manager) {
    struct manager_hook *hook = manager->hook;
    int64_t next = 0;
    if (hook->program.pid > 0 || !manager->config->on_alert || !manager->started)
        return;
    for (struct member *m = choose(manager, &next); m && !start(hook, m);)
        m = choose(manager, &next);
    bool waits = hook->program.pid <= 0 && next > 0;
    if (waits)
        sd_event_source_set_time(hook->retry, (uint64_t)next * MSEC);
    sd_event_source_set_enabled(hook->retry, waits ? SD_EVENT_ONESHOT : SD_EVENT_OFF);
}

void member_hook_changed(struct member *member) {
    member->alert_turn = ++member->manager->hook->turns;
    member->untold = 0;
    member->tell_at = 0;
}

void manager_hook_again(struct manager *manager) {
    for (size_t i = 0; i < manager->n_members; i++) {
        manager->members[i]->untold = 0;
        manager->members[i]->tell_at = 0;
    }
}

void member_hook_forget(struct member *member) {
    struct manager_hook *hook = member->manager->hook;
    if (hook && hook->member == member)
        hook->member = NULL;
}

static int on_retry(sd_event_source *source, uint64_t usec, void *arg) {
    (void)source, (void)usec;
    manager_hook_look(arg);
    return 0;
}

int manager_hook_new(struct manager *manager, struct estc_error *err) {
    struct manager_hook *hook = calloc(1, sizeof(*hook));
    if (!hook)
        return estc_error_set(err, -ENOMEM, "out of memory");
    hook->manager = manager;
    hook->program = PROGRAM_NONE;
    manager->hook = hook;
    int rc = sd_event_add_time(manager->event, &hook->retry, CLOCK_BOOTTIME, 0, ACCURACY_US,
                               on_retry, manager);
    if (rc >= 0)
        rc = sd_event_source_set_enabled(hook->retry, SD_EVENT_OFF);
    return rc < 0 ? estc_error_set(err, rc, "cannot make a timer: %s", strerror(-rc)) : 0;
}

void manager_hook_end(struct manager *manager) {
    struct manager_hook *hook = manager->hook;
    if (!hook)
        return;
    reap(hook, NULL);
    sd_event_source_disable_unref(hook->retry);
    free(hook);
    manager->hook = NULL;
}
