/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A new configuration for a running manager: read and judged as a whole, then swapped in at once.
 * Identities keep what they are by their id; a worker that runs goes on with what it was told.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <systemd/sd-daemon.h>

#include "base/clock.h"
#include "catalog.h"
#include "common/journal.h"
#include "manager_internal.h"

/* A member for each identity of the configuration: the old one where there is one. */
static struct member **match_members(struct manager *manager, const struct config *config) {
    size_t n = config_count(config);
    struct member **members = calloc(n + 1, sizeof(struct member *));
    for (size_t i = 0; members && i < n; i++)
        members[i] = manager_find(manager, config_at(config, i)->id);
    return members;
}

/* The configuration may name other files now: whoever waited for one to be mended tries again. Our
 * own folder is not in it; there the waiting goes on. */
static void take_config(struct member *m, const struct config_identity *config) {
    m->identity.config = config;
    if (m->identity.working || m->identity.store_unfit || m->identity.attempts.paused_since != 0 ||
        m->identity.attempts.last_result != ESTC_E_CREDENTIAL)
        return;
    m->identity.asked = true;
    member_unwatch(m);
}

/* From here on nothing fails but memory for a new member, which then waits for the next reload. */
static void take_members(struct manager *manager, struct member **members, struct config *config) {
    size_t kept = 0;
    for (size_t i = 0; i < manager->n_members; i++) {
        struct member *m = manager->members[i];
        if (!config_find(config, m->identity.config->id))
            member_free(m);
    }
    struct config *old = manager->config;
    manager->config = config;
    for (size_t i = 0; i < config_count(config); i++) {
        const struct config_identity *c = config_at(config, i);
        struct member *m = members[i];
        if (m) {
            take_config(m, c);
        } else {
            m = member_new(manager, c);
        }
        if (m) {
            member_replan(m);
            members[kept++] = m;
        } else {
            journal_error("%s: out of memory: reload again", c->id);
        }
    }
    free(manager->members);
    manager->members = members;
    manager->n_members = kept;
    config_free(old);
}

/* What cannot change while we run. */
static void check_fixed(const struct manager *manager, const struct config *config,
                        struct conf_errors *errors) {
    const struct conf_origin where = {.file = manager->config_path, .line = 1};
    if (strcmp(manager->config->state_directory, config->state_directory) != 0)
        conf_error(errors, &where, "state_directory: a change needs a restart");
    if (strcmp(manager->config->control_socket, config->control_socket) != 0)
        conf_error(errors, &where, "control_socket: a change needs a restart");
}

int manager_reload(struct manager *manager, struct conf_errors *errors) {
    struct config *config = NULL;
    sd_notifyf(0, "RELOADING=1\nMONOTONIC_USEC=%llu",
               (unsigned long long)clock_boot_ms() * 1000ULL);
    int rc = config_load(manager->config_path, &config, errors);
    if (!rc)
        check_fixed(manager, config, errors);
    if (!rc && conf_errors_any(errors))
        rc = ESTC_E_CONFIG;
    struct member **members = rc ? NULL : match_members(manager, config);
    if (!rc && !members)
        rc = -ENOMEM;
    if (rc) {
        manager->n_reloads_failed++;
        config_free(config);
        for (char *const *line = errors->lines; line && *line; line++)
            journal_error("reload: %s", *line);
        catalog_log(CATALOG_RELOAD_FAILED, NULL, NULL,
                    "reload failed; the old configuration stays in force");
    } else {
        manager->n_reloads++;
        take_members(manager, members, config);
        journal_set_level((enum estc_log_level)config->log_level);
        catalog_log(CATALOG_RELOADED, NULL, NULL, "configuration reloaded: %zu identit%s",
                    manager->n_members, manager->n_members == 1 ? "y" : "ies");
    }
    const struct manager_event event = {
        .kind = rc ? MANAGER_RELOAD_FAILED : MANAGER_RELOADED,
        .text = rc ? (errors->lines ? errors->lines[0] : "out of memory") : "in force",
    };
    manager_tell(manager, &event);
    sd_notify(0, "READY=1");
    manager_schedule(manager);
    return rc;
}
