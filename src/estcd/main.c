/* SPDX-License-Identifier: BSD-2-Clause */
/* estcd: reads its arguments, wires manager and control together, and runs the loop. */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <systemd/sd-daemon.h>
#include <systemd/sd-event.h>

#include "base/cleanup.h"
#include "common/exitcode.h"
#include "common/journal.h"
#include "config.h"
#include "control.h"
#include "manager.h"
#include "sandbox.h"

static const char usage[] =
    "Usage: estcd [-c FILE] [-n]\n"
    "Keeps certificates alive: enrolls over EST-coaps (RFC 9148) and renews in time.\n"
    "\n"
    "  -c, --config=FILE   read this configuration (default " CONFIG_DEFAULT_FILE ")\n"
    "  -n, --check         check the configuration and the files that it names, and exit\n"
    "  -h, --help          print this\n"
    "  -V, --version       print the version\n"
    "\n"
    "SIGHUP reads the configuration again; SIGTERM and SIGINT end the daemon.\n"
    "See estcd(8), estcd.conf(5), estc(1).\n";

static void print_errors(const struct conf_errors *errors) {
    for (char *const *line = errors->lines; line && *line; line++)
        fprintf(stderr, "estcd: %s\n", *line);
}

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

/* What is opened later must not take the place of a standard stream that is closed: whatever is
 * printed would land in it. */
static void open_streams(void) {
    int fd = open("/dev/null", O_RDWR);
    while (fd >= 0 && fd <= STDERR_FILENO)
        fd = open("/dev/null", O_RDWR);
    if (fd >= 0)
        close(fd);
}

/* Signals come through the loop; SIGCHLD has to be blocked for the loop to watch children. */
static int add_signals(sd_event *event, struct manager *manager) {
    sigset_t set;
    sigemptyset(&set);
    const int signals[] = {SIGTERM, SIGINT, SIGHUP, SIGCHLD};
    for (size_t i = 0; i < sizeof(signals) / sizeof(signals[0]); i++)
        sigaddset(&set, signals[i]);
    if (sigprocmask(SIG_BLOCK, &set, NULL) < 0)
        return -errno;
    int rc = sd_event_add_signal(event, NULL, SIGTERM, NULL, NULL);
    if (rc >= 0)
        rc = sd_event_add_signal(event, NULL, SIGINT, NULL, NULL);
    if (rc >= 0)
        rc = sd_event_add_signal(event, NULL, SIGHUP, on_hup, manager);
    if (rc >= 0)
        rc = sd_event_set_watchdog(event, true);
    return rc < 0 ? rc : 0;
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
    int fd = sd_listen_fds(1) == 1 ? SD_LISTEN_FDS_START : -1;
    rc = manager_new(event, path, config, &manager, &err);
    if (!rc)
        rc = control_new(event, manager, fd, &control, &err);
    if (rc) {
        journal_error("%s", err.text);
        return EXIT_FAILED;
    }
    rc = add_signals(event, manager);
    if (rc) {
        journal_error("cannot watch signals: %s", strerror(-rc));
        return EXIT_FAILED;
    }
    sandbox_has_landlock(); /* it says what is missing, once for all workers */
    journal_notice("estcd " ESTC_VERSION " started with %zu identities, state in %s",
                   manager_count(manager), manager_config(manager)->state_directory);
    manager_start(manager);
    sd_notify(0, "READY=1");
    rc = sd_event_loop(event);
    sd_notify(0, "STOPPING=1");
    journal_notice("estcd ends");
    return rc < 0 ? EXIT_FAILED : EXIT_DONE;
}

int main(int argc, char **argv) {
    static const struct option options[] = {
        {"config", required_argument, NULL, 'c'},
        {"check", no_argument, NULL, 'n'},
        {"help", no_argument, NULL, 'h'},
        {"version", no_argument, NULL, 'V'},
        {NULL, 0, NULL, 0},
    };
    const char *path = CONFIG_DEFAULT_FILE;
    bool check = false;
    open_streams();
    signal(SIGPIPE, SIG_IGN); /* a reader of our log that goes away is no reason to end */
    for (int c; (c = getopt_long(argc, argv, "c:nhV", options, NULL)) != -1;) {
        if (c == 'c') {
            path = optarg;
        } else if (c == 'n') {
            check = true;
        } else if (c == 'h' || c == 'V') {
            fputs(c == 'h' ? usage : "estcd " ESTC_VERSION "\n", stdout);
            return EXIT_DONE;
        } else {
            return EXIT_BAD_USAGE; /* getopt has said what is wrong */
        }
    }
    if (optind < argc) {
        fprintf(stderr, "estcd: '%s' is one argument too many; see estcd --help\n", argv[optind]);
        return EXIT_BAD_USAGE;
    }
    struct conf_errors errors = {0};
    struct config *config = NULL;
    int rc = config_load(path, &config, &errors);
    print_errors(&errors);
    conf_errors_clear(&errors);
    if (rc == -ENOMEM)
        fputs("estcd: out of memory\n", stderr);
    if (rc)
        return rc == ESTC_E_CONFIG ? EXIT_CONFIG_TEXT : EXIT_FAILED;
    if (check) {
        int code = check_files(config);
        config_free(config);
        return code;
    }
    journal_open("estcd", (enum estc_log_level)config->log_level);
    return run(path, config);
}
