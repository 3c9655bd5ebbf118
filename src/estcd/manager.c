/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The manager's heart: all identities with their plans, one timer for the earliest, and the rule
 * that not more than max_attempts workers run at once. A plan is made anew when something about its
 * identity changes or the clock is set, never by polling.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include <systemd/sd-daemon.h>
#include <systemd/sd-id128.h>

#include "agent/config_request.h"
#include "base/clock.h"
#include "base/fs.h"
#include "base/text.h"
#include "catalog.h"
#include "common/journal.h"
#include "manager_internal.h"
#include "store_request.h"
#include "timebase.h"

#define MANAGER_LABEL(name, label) [name] = label,
const char *const manager_event_names[] = {MANAGER_EVENTS(MANAGER_LABEL)};
#undef MANAGER_LABEL

/* --- what can be asked of it --- */

const struct config *manager_config(const struct manager *manager) {
    return manager->config;
}

const char *manager_config_path(const struct manager *manager) {
    return manager->config_path;
}

size_t manager_count(const struct manager *manager) {
    return manager->n_members;
}

struct member *manager_at(const struct manager *manager, size_t i) {
    return manager->members[i];
}

static int compare_member(const void *id, const void *member) {
    return strcmp(id, (*(struct member *const *)member)->identity.config->id);
}

struct member *manager_find(const struct manager *manager, const char *id) {
    struct member **found = manager->n_members == 0
                                ? NULL
                                : bsearch(id, manager->members, manager->n_members,
                                          sizeof(struct member *), compare_member);
    return found ? *found : NULL;
}

const struct identity *member_identity(const struct member *member) {
    return &member->identity;
}

const struct member_plan *member_plan(const struct member *member) {
    return &member->plan;
}

void member_explain(const struct member *member, struct schedule_plan *out) {
    identity_plan(&member->identity, member->manager->machine, member->plan.made_at, out);
}

void manager_observe(struct manager *manager, manager_observer_fn observer, void *arg) {
    manager->observer = observer;
    manager->observer_arg = arg;
}

void manager_tell(struct manager *manager, const struct manager_event *event) {
    if (manager->observer)
        manager->observer(event, manager->observer_arg);
}

/* --- one member --- */

void member_replan(struct member *member) {
    member->identity.started = member->manager->started_at;
    member->identity.spread = member->manager->config->start_spread;
    member->identity.unsure_since = member->renewed ? 0 : timebase_unsure_since();
    struct schedule_plan plan;
    member->plan.made_at = timebase_now();
    member_explain(member, &plan);
    member->plan.action = plan.action;
    member->plan.due = plan.due;
}

void member_load_trust(struct member *member, struct trust_facts *out) {
    struct identity *identity = &member->identity;
    _cleanup(trust_facts_clear) struct trust_facts facts = {0};
    const char *state = member->manager->config->state_directory;
    struct estc_error err = {0};
    int rc = store_load_trust_facts(state, identity->config->id, &facts, &err);
    identity->have_trust = rc == 0;
    identity->trust.generation = facts.generation;
    identity->trust.until = facts.until;
    if (out) {
        *out = facts;
        facts = (struct trust_facts){0};
    }
    /* The worker that needs them fails by the same, and is heard of then. */
    if (rc && rc != -ENOENT)
        journal_debug("%s: %s", identity->config->id, err.text);
}

/* What the store says of it. A generation that cannot be used is for somebody to mend. */
void member_load(struct member *member) {
    struct identity *identity = &member->identity;
    const char *state = member->manager->config->state_directory;
    struct estc_error err = {0};
    facts_clear(&identity->facts);
    int rc = store_load_facts(state, identity->config->id, &identity->facts, &err);
    identity->have_facts = rc == 0;
    facts_trim(&identity->facts);
    identity_configure(identity, identity->config);
    if (identity->have_facts)
        timebase_hear(identity->facts.not_before, TIMEBASE_CERTIFICATE);
    bool was_unfit = identity->store_unfit;
    identity->store_unfit = rc != 0 && rc != -ENOENT;
    struct store_attempts *attempts = &identity->attempts;
    if (!identity->store_unfit) {
        if (was_unfit)
            store_attempts_forget(attempts);
        return;
    }
    if (!was_unfit || !attempts->last_error || strcmp(attempts->last_error, err.text) != 0)
        catalog_log(CATALOG_STORE_UNFIT, identity->config->id, NULL, "%s: %s", identity->config->id,
                    err.text);
    free(attempts->last_error);
    attempts->last_error = strdup(err.text);
    attempts->failures++;
    attempts->last_result = ESTC_E_CREDENTIAL;
    attempts->last_attempt = timebase_now();
}

void member_load_birth(struct member *member) {
    struct identity *identity = &member->identity;
    free(identity->birth);
    identity->birth =
        identity->have_facts
            ? NULL
            : store_load_birth(member->manager->config->state_directory, identity->config->id);
}

struct member *member_free(struct member *member) {
    if (!member)
        return NULL;
    member_stop(member);
    member_unwatch(member);
    member_hook_forget(member);
    identity_clear(&member->identity);
    free(member->attempts_by_result);
    config_request_free(member->requested);
    free(member);
    return NULL;
}

struct member *member_new(struct manager *manager, const struct config_identity *config) {
    struct member *member = calloc(1, sizeof(*member));
    if (!member)
        return NULL;
    member->manager = manager;
    member->fd = -1;
    member->identity.config = config;
    store_load_attempts(manager->config->state_directory, config->id, &member->identity.attempts);
    member_load(member);
    member_load_birth(member);
    member_load_trust(member, NULL);
    member_deploy_load(member);
    /* What an attempt of the process before has found unfit is waited for as well. */
    const struct store_attempts *attempts = &member->identity.attempts;
    if (member->identity.store_unfit ||
        (attempts->failures > 0 && attempts->last_result == ESTC_E_CREDENTIAL))
        member_watch(member);
    return member;
}

/* --- what is due --- */

/* Its turn has come. */
static void member_act(struct member *member) {
    struct identity *identity = &member->identity;
    member_replan(member); /* the plan may be old: what was to be renewed may have expired */
    if (identity->attempts.paused_since != 0 && !identity->asked) {
        member_warn_paused(member);
        return;
    }
    enum schedule_action action = member->wants_enroll ? SCHEDULE_ENROLL : member->plan.action;
    if (identity->store_unfit && !identity->asked) {
        member_load(member);
        if (identity->store_unfit)
            member_watch(member);
        else
            member_unwatch(member);
        member_replan(member);
        return;
    }
    if (action == SCHEDULE_REPAIR)
        action = identity->have_facts && identity->facts.not_after > timebase_now()
                     ? SCHEDULE_RENEW
                     : SCHEDULE_ENROLL;
    member_start(member, action);
}

static void notify_status(const struct manager *manager, const struct member *next) {
    int64_t now = timebase_now();
    size_t attention = 0;
    for (size_t i = 0; i < manager->n_members; i++)
        attention += identity_needs_attention(&manager->members[i]->identity, now);
    char when[CLOCK_TEXT_MAX];
    _cleanup(freep) char *later =
        next ? text_format("; next: %s %s %s", schedule_action_names[next->plan.action],
                           next->identity.config->id, clock_text(next->plan.due, when))
             : strdup("");
    _cleanup(freep) char *some =
        attention == 0 ? strdup("none needs")
                       : text_format("%zu need%s", attention, attention == 1 ? "s" : "");
    sd_notifyf(0, "STATUS=%zu identit%s, %s attention%s%s", manager->n_members,
               manager->n_members == 1 ? "y" : "ies", some ? some : "some need", later ? later : "",
               manager->clock_trusted ? "" : "; the clock is not set");
}

/* Starts what is due while there are free places, earliest first; then sleeps until the next. */
void manager_schedule(struct manager *manager) {
    if (!manager->started)
        return;
    manager_clock_look(manager);
    manager_deploy(manager);
    struct member *next;
    for (;;) {
        next = NULL;
        for (size_t i = 0; i < manager->n_members; i++) {
            struct member *m = manager->members[i];
            if (!m->identity.working && (!next || m->plan.due < next->plan.due))
                next = m;
        }
        if (!next || next->plan.due > timebase_now() ||
            manager->n_working >= manager->config->max_attempts)
            break;
        member_act(next);
    }
    int64_t wake = manager_alert_look(manager);
    notify_status(manager, next);
    /* Without a free place the end of a worker brings us back here. */
    if (next && manager->n_working < manager->config->max_attempts && next->plan.due < wake)
        wake = next->plan.due;
    manager_sleep(manager, wake - timebase_now());
    manager_metrics_touch(manager);
}

/* --- life --- */

static int lock_state(struct manager *manager, struct estc_error *err) {
    const char *state = manager->config->state_directory;
    _cleanup(freep) char *path = text_format("%s/lock", state);
    int rc = path ? store_make(state, err) : estc_error_set(err, -ENOMEM, "out of memory");
    if (rc)
        return rc;
    manager->lock_fd = open(path, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (manager->lock_fd < 0)
        return estc_error_set(err, -errno, "cannot open %s: %m", path);
    if (flock(manager->lock_fd, LOCK_EX | LOCK_NB) < 0)
        return estc_error_set(err, -EBUSY,
                              "another estcd works in %s: stop it, or name another "
                              "state_directory",
                              state);
    return 0;
}

/* The machine id, hashed so that it does not become known; a host's name where there is none. */
static char *machine_seed(void) {
    const sd_id128_t application =
        SD_ID128_MAKE(5e, 57, cd, 00, 91, 48, 4a, 11, 8e, 0d, 7c, 52, 1f, 3b, a6, 90);
    sd_id128_t id;
    char text[SD_ID128_STRING_MAX];
    if (sd_id128_get_machine_app_specific(application, &id) >= 0)
        return strdup(sd_id128_to_string(id, text));
    char host[256] = "";
    gethostname(host, sizeof(host) - 1);
    return strdup(host);
}

struct manager *manager_free(struct manager *manager) {
    if (!manager)
        return NULL;
    manager->started = false;
    manager_clock_save(manager);
    manager_metrics_end(manager);
    manager_hook_end(manager);
    for (size_t i = 0; i < manager->n_members; i++)
        member_free(manager->members[i]);
    free(manager->members);
    manager->links = link_watch_free(manager->links);
    sd_event_source_disable_unref(manager->timer);
    sd_event_source_disable_unref(manager->clock_source);
    sd_event_source_disable_unref(manager->deploy_timer);
    fs_closep(&manager->clock_fd);
    fs_closep(&manager->lock_fd);
    config_free(manager->config);
    free(manager->config_path);
    free(manager->machine);
    sd_event_unref(manager->event);
    free(manager);
    return NULL;
}

CLEANUP_DEFINE(struct manager *, manager_freep, manager_free);

int manager_new(sd_event *event, const char *config_path, struct config *config,
                struct manager **out, struct estc_error *err) {
    _cleanup(manager_freep) struct manager *manager = calloc(1, sizeof(*manager));
    if (!manager) {
        config_free(config);
        return estc_error_set(err, -ENOMEM, "out of memory");
    }
    manager->event = sd_event_ref(event);
    manager->config = config;
    manager->lock_fd = manager->clock_fd = -1;
    manager->config_path = strdup(config_path);
    manager->machine = machine_seed();
    if (!manager->config_path || !manager->machine)
        return estc_error_set(err, -ENOMEM, "out of memory");
    int rc = lock_state(manager, err);
    if (!rc)
        rc = store_prepare(config->state_directory, err);
    if (!rc)
        rc = manager_clock_new(manager, err);
    if (!rc)
        rc = manager_deploy_new(manager, err);
    if (!rc)
        rc = manager_hook_new(manager, err);
    if (!rc)
        manager_clock_load(manager);
    if (!rc)
        rc = store_tidy_requests(config->state_directory, err);
    if (rc)
        return rc;
    if (manager_take(manager, config))
        return estc_error_set(err, -ENOMEM, "out of memory");
    *out = TAKE(manager);
    return 0;
}

void manager_start(struct manager *manager) {
    manager->started = true;
    manager->started_at = timebase_now();
    timebase_begin();
    for (size_t i = 0; i < manager->n_members; i++)
        member_replan(manager->members[i]);
    manager_schedule(manager);
}
