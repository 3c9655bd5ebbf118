/* SPDX-License-Identifier: BSD-2-Clause */
/* estcd: reads its arguments, wires manager and control together, and runs the loop. */
#include <malloc.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <systemd/sd-daemon.h>
#include <systemd/sd-event.h>

#include "agent/config.h"
#include "base/cleanup.h"
#include "catalog.h"
#include "common/exitcode.h"
#include "common/journal.h"
#include "common/service.h"
#include "control.h"
#include "manager.h"
#include "sandbox.h"

#define LARGE (128 * 1024)

static const struct service about = {
    .name = "estcd",
    .synopsis = "Usage: estcd [-c FILE] [-n]\n"
                "Keeps certificates alive: enrolls over EST-coaps (RFC 9148) and renews in time.\n",
    .more = "SIGHUP reads the configuration again; SIGTERM and SIGINT end the daemon.\n"
            "See estcd(8), estcd.conf(5), estc(1).\n",
    .config_file = CONFIG_DEFAULT_FILE,
};

/* -n: the text is sound; now the files, of every identity. */
static int check_files(const struct config *config) {
    size_t unfit = 0;
    for (size_t i = 0; i < config_count(config); i++) {
        const struct config_identity *identity = config_at(config, i);
        struct estc_error err = {0};
        if (identity_check_files(identity, &err)) {
            fprintf(stderr, "estcd: %s: %s\n", identity->id, err.text);
            unfit++;
        }
    }
    if (config->on_alert && access(config->on_alert[0], X_OK) < 0) {
        fprintf(stderr, "estcd: on_alert: cannot run %s: %m\n", config->on_alert[0]);
        unfit++;
    }
    if (unfit > 0)
        return EXIT_CONFIG_TEXT;
    printf("configuration ok: %zu identit%s\n", config_count(config),
           config_count(config) == 1 ? "y" : "ies");
    return EXIT_DONE;
}

static int on_hup(sd_event_source *source, const struct signalfd_siginfo *si, void *arg) {
    (void)source;
    (void)si;
    struct conf_errors errors = {0};
    manager_reload(arg, &errors); /* it logs what is wrong */
    conf_errors_clear(&errors);
    return 0;
}

static char *stuck(void *arg) {
    return manager_stuck(arg);
}

CLEANUP_DEFINE(sd_event *, event_freep, sd_event_unref);
CLEANUP_DEFINE(struct manager *, manager_freep, manager_free);
CLEANUP_DEFINE(struct control *, control_freep, control_free);

/* Takes config. */
static int run(const char *path, struct config *config) {
    _cleanup(event_freep) sd_event *event = NULL;
    _cleanup(manager_freep) struct manager *manager = NULL;
    _cleanup(control_freep) struct control *control = NULL;
    struct estc_error err = {0};
    int rc = sd_event_default(&event);
    if (rc < 0) {
        config_free(config);
        journal_error("cannot make an event loop: %s", strerror(-rc));
        return EXIT_FAILED;
    }
    int fd = -1;
    rc = manager_new(event, path, config, &manager, &err);
    if (!rc)
        rc = service_listening(&fd, &err);
    if (!rc)
        rc = control_new(event, manager, fd, &control, &err);
    if (rc) {
        journal_error("%s", err.text);
        return EXIT_FAILED;
    }
    rc = service_watch(event, on_hup, manager);
    if (!rc)
        rc = service_feed_watchdog(event, stuck, manager);
    if (rc) {
        journal_error("cannot watch signals and time: %s", strerror(-rc));
        return EXIT_FAILED;
    }
    sandbox_has_landlock(); /* it says what is missing, once for all workers */
    catalog_log(CATALOG_STARTED, NULL, NULL,
                "estcd " ESTC_VERSION " started with %zu identit%s, state in %s",
                manager_count(manager), manager_count(manager) == 1 ? "y" : "ies",
                manager_config(manager)->state_directory);
    manager_start(manager);
    sd_notify(0, "READY=1");
    rc = sd_event_loop(event);
    sd_notify(0, "STOPPING=1");
    catalog_log(CATALOG_STOPPED, NULL, NULL, "estcd ends");
    return rc < 0 ? EXIT_FAILED : EXIT_DONE;
}

int main(int argc, char **argv) {
    struct service_options options;
    int code;
    /* Long answers come and go as they are; by itself malloc() would learn to keep their room. */
    mallopt(M_MMAP_THRESHOLD, LARGE);
    service_begin();
    if (!service_options(&about, argc, argv, &options, &code))
        return code;
    struct conf_errors errors = {0};
    struct config *config = NULL;
    int rc = config_load_by(options.config_file, config_names_apart, &config, &errors);
    code = service_config_read(&about, rc, &errors);
    if (code != EXIT_DONE)
        return code;
    if (options.check) {
        code = check_files(config);
        config_free(config);
        return code;
    }
    journal_open(about.name, (enum estc_log_level)config->log_level);
    return run(options.config_file, config);
}
