/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Deployments as the manager sees them: a certificate in force that estcd-deploy has not been asked
 * about is a request; one that failed, or that nothing was heard of, is asked for again. Nothing
 * here waits for anything, and no renewal waits for this.
 */
#include <string.h>

#include "base/clock.h"
#include "base/text.h"
#include "catalog.h"
#include "manager_internal.h"
#include "timebase.h"

#define TIMER_ACCURACY_US 500000
#define SILENCE "estcd-deploy did not answer: see that estcd-deploy.path is enabled, and its log"

static void save(const struct member *member) {
    const struct identity *identity = &member->identity;
    struct estc_error err = {0};
    if (store_save_deploy(member->manager->config->state_directory, identity->config->id,
                          &identity->deploy, &err))
        catalog_log(CATALOG_UNRECORDED, identity->config->id, NULL, "%s", err.text);
}

static void set_next(struct member *member, int64_t wait) {
    member->deploy_at = wait > 0 ? clock_boot_ms() + wait * 1000 : 0;
    member->identity.deploy.next = wait > 0 ? timebase_now() + wait : 0;
}

void member_deploy_load(struct member *member) {
    struct identity *identity = &member->identity;
    struct deploy_record *record = &identity->deploy;
    store_load_deploy(member->manager->config->state_directory, identity->config->id, record);
    if (record->next == 0)
        return;
    /* Whatever the clock has done meanwhile: never longer than from now on. */
    int64_t longest = deploy_wait(record, &identity->config->deploy);
    int64_t wait = record->next - timebase_now();
    member->deploy_at = clock_boot_ms() + 1000 * (wait < 0 ? 0 : wait < longest ? wait : longest);
}

static void tell(const struct member *member) {
    const struct deploy_record *record = &member->identity.deploy;
    const char *id = member->identity.config->id;
    bool failed = record->state == DEPLOY_FAILED;
    _cleanup(freep) char *f_failures = text_format("ESTC_FAILURES=%u", record->failures);
    _cleanup(freep) char *done =
        text_format("generation %lld is deployed", (long long)record->generation);
    const char *text = failed ? record->last_error : done;
    const char *const fields[] = {f_failures, NULL};
    char when[CLOCK_TEXT_MAX];
    if (failed)
        catalog_log(CATALOG_DEPLOY_FAILED, id, fields, "%s: not deployed: %s; again at %s", id,
                    text, clock_text(record->next, when));
    else
        catalog_log(CATALOG_DEPLOYED, id, NULL, "%s: %s", id, text);
    const struct manager_event event = {.kind = failed ? MANAGER_UNDEPLOYED : MANAGER_DEPLOYED,
                                        .member = member,
                                        .text = text ? text : ""};
    manager_tell(member->manager, &event);
    manager_metrics_touch(member->manager);
}

/* Takes an outcome into the record. */
static void end(struct member *member, int64_t generation, const char *text) {
    struct deploy_record *record = &member->identity.deploy;
    if (!deploy_end(record, generation, text))
        return;
    set_next(member, record->state == DEPLOY_FAILED
                         ? deploy_wait(record, &member->identity.config->deploy)
                         : 0);
    save(member);
    tell(member);
}

/* Puts a request down and waits for the answer. Where it can't be put down, that is the answer. */
static void request(struct member *member) {
    struct identity *identity = &member->identity;
    struct estc_error err = {0};
    identity->deploy.state = DEPLOY_WAITING;
    set_next(member, deploy_wait(&identity->deploy, &identity->config->deploy));
    save(member);
    if (store_request_deploy(member->manager->config->state_directory, identity->config->id, &err))
        end(member, 0, err.text);
}

/* True when it has to be looked at again at deploy_at. What cannot be deployed for a while keeps
 * its time, and is not waited for. */
static bool look_at(struct member *member) {
    struct identity *identity = &member->identity;
    const struct config_deploy *deploy = &identity->config->deploy;
    if (!deploy->digest || !identity->have_facts)
        return false;
    if (deploy_is_new(&identity->deploy, deploy, identity->facts.generation)) {
        if (!deploy_begin(&identity->deploy, deploy, identity->facts.generation))
            request(member);
    } else if (member->deploy_at != 0 && member->deploy_at <= clock_boot_ms()) {
        if (identity->deploy.state == DEPLOY_WAITING)
            end(member, 0, SILENCE);
        else
            request(member);
    }
    return member->deploy_at != 0;
}

void manager_deploy(struct manager *manager) {
    int64_t next = 0;
    for (size_t i = 0; i < manager->n_members; i++) {
        struct member *m = manager->members[i];
        if (look_at(m) && (next == 0 || m->deploy_at < next))
            next = m->deploy_at;
    }
    if (next > 0)
        sd_event_source_set_time(manager->deploy_timer, (uint64_t)next * 1000);
    sd_event_source_set_enabled(manager->deploy_timer, next > 0 ? SD_EVENT_ONESHOT : SD_EVENT_OFF);
}

bool member_deploy_again(struct member *member) {
    const struct identity *identity = &member->identity;
    const struct config_deploy *deploy = &identity->config->deploy;
    if (!deploy->digest || !identity->have_facts || identity->deploy.state == DEPLOY_DONE ||
        deploy_is_new(&identity->deploy, deploy, identity->facts.generation))
        return false;
    request(member);
    manager_deploy(member->manager);
    return true;
}

static int on_timer(sd_event_source *source, uint64_t usec, void *arg) {
    (void)source;
    (void)usec;
    manager_deploy(arg);
    return 0;
}

int manager_deploy_new(struct manager *manager, struct estc_error *err) {
    int rc = sd_event_add_time(manager->event, &manager->deploy_timer, CLOCK_BOOTTIME, 0,
                               TIMER_ACCURACY_US, on_timer, manager);
    if (rc >= 0)
        rc = sd_event_source_set_enabled(manager->deploy_timer, SD_EVENT_OFF);
    return rc < 0 ? estc_error_set(err, rc, "cannot make a timer: %s", strerror(-rc)) : 0;
}

void manager_deployed(struct manager *manager, struct member *member, int64_t generation,
                      const char *text) {
    end(member, generation, text);
    manager_deploy(manager);
}
