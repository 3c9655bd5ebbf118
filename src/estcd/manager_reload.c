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
    int rc = config_load_by(manager->config_path, config_names_apart, &config, errors);
    if (!rc)
        check_fixed(manager, config, errors);
    if (!rc && conf_errors_any(errors))
        rc = ESTC_E_CONFIG;
    if (!rc)
        rc = manager_take(manager, config);
    if (rc) {
        manager->n_reloads_failed++;
        config_free(config);
        for (char *const *line = errors->lines; line && *line; line++)
            journal_error("reload: %s", *line);
        catalog_log(CATALOG_RELOAD_FAILED, NULL, NULL,
                    "reload failed; the old configuration stays in force");
    } else {
        manager->n_reloads++;
        manager_hook_again(manager);
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
