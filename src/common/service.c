/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * How a daemon begins, up to its loop. Prints to stderr, since the log is opened by what the
 * configuration says; never exits by itself.
 */
#include "common/service.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <systemd/sd-daemon.h>

#include "base/cleanup.h"
#include "base/log.h"

void service_begin(void) {
    int fd = open("/dev/null", O_RDWR);
    while (fd >= 0 && fd <= STDERR_FILENO)
        fd = open("/dev/null", O_RDWR);
    if (fd >= 0)
        close(fd);
    signal(SIGPIPE, SIG_IGN);
}

void service_help(const struct service *service) {
    printf("%s\n"
           "  -c, --config=FILE   read this configuration (default %s)\n"
           "  -n, --check         check the configuration and the files that it names, and exit\n"
           "  -h, --help          print this\n"
           "  -V, --version       print the version\n"
           "\n%s",
           service->synopsis, service->config_file, service->more);
}

int service_bad_usage(const struct service *service, const char *fmt, ...) {
    va_list ap;
    fprintf(stderr, "%s: ", service->name);
    va_start(ap, fmt);
    vfprintf(stderr, fmt, ap);
    va_end(ap);
    fprintf(stderr, "; see %s --help\n", service->name);
    return EXIT_BAD_USAGE;
}

bool service_options(const struct service *service, int argc, char **argv,
                     struct service_options *out, int *code) {
    static const struct option options[] = {
        {"config", required_argument, NULL, 'c'},
        {"check", no_argument, NULL, 'n'},
        {"help", no_argument, NULL, 'h'},
        {"version", no_argument, NULL, 'V'},
        {NULL, 0, NULL, 0},
    };
    struct service_options said = {.config_file = service->config_file};
    *code = EXIT_DONE;
    for (int c; (c = getopt_long(argc, argv, "c:nhV", options, NULL)) != -1;) {
        if (c == 'c') {
            said.config_file = optarg;
        } else if (c == 'n') {
            said.check = true;
        } else if (c == 'h') {
            service_help(service);
            return false;
        } else if (c == 'V') {
            printf("%s " ESTC_VERSION "\n", service->name);
            return false;
        } else {
            *code = EXIT_BAD_USAGE; /* getopt has said what is wrong */
            return false;
        }
    }
    if (optind < argc) {
        *code = service_bad_usage(service, "'%s' is one argument too many", argv[optind]);
        return false;
    }
    *out = said;
    return true;
}

int service_config_read(const struct service *service, int rc, struct conf_errors *errors) {
    for (char *const *line = errors->lines; line && *line; line++)
        fprintf(stderr, "%s: %s\n", service->name, *line);
    conf_errors_clear(errors);
    if (rc == -ENOMEM)
        fprintf(stderr, "%s: out of memory\n", service->name);
    return rc == 0 ? EXIT_DONE : rc == ESTC_E_CONFIG ? EXIT_CONFIG_TEXT : EXIT_FAILED;
}

int service_listening(int *fd, struct estc_error *err) {
    int n = sd_listen_fds(true);
    if (n < 0)
        return estc_error_set(err, n, "descriptors from systemd: %s", strerror(-n));
    if (n > 1)
        return estc_error_set(
            err, -EINVAL,
            "systemd has passed %d sockets, where there is only one to listen on: "
            "leave one ListenStream= in the .socket unit",
            n);
    *fd = n == 1 ? SD_LISTEN_FDS_START : -1;
    return 0;
}

int service_watch(sd_event *event, sd_event_signal_handler_t on_hup, void *arg) {
    static const int signals[] = {SIGTERM, SIGINT, SIGHUP, SIGCHLD};
    sigset_t set;
    sigemptyset(&set);
    for (size_t i = 0; i < sizeof(signals) / sizeof(signals[0]); i++)
        sigaddset(&set, signals[i]);
    if (sigprocmask(SIG_BLOCK, &set, NULL) < 0)
        return -errno;
    int rc = sd_event_add_signal(event, NULL, SIGTERM, NULL, NULL);
    if (rc >= 0)
        rc = sd_event_add_signal(event, NULL, SIGINT, NULL, NULL);
    if (rc >= 0)
        rc = sd_event_add_signal(event, NULL, SIGHUP, on_hup, arg);
    return rc < 0 ? rc : 0;
}

/* --- the watchdog --- */

struct watchdog {
    uint64_t usec; /* of silence, until systemd ends us */
    service_stuck_fn stuck;
    void *arg;
    bool silent; /* something is stuck, and that has been logged */
};

/* Says that all is well, or says nothing; then sleeps, for less long while there is hope. */
static int on_watchdog(sd_event_source *source, uint64_t now, void *arg) {
    (void)now;
    struct watchdog *w = arg;
    _cleanup(freep) char *what = w->stuck ? w->stuck(w->arg) : NULL;
    if (!what)
        sd_notify(0, "WATCHDOG=1");
    if (what && !w->silent)
        log_error("no progress: %s; without any this daemon will be restarted", what);
    else if (!what && w->silent)
        log_notice("there is progress again");
    w->silent = what;
    int rc = sd_event_source_set_time_relative(source, w->usec / (what ? 16 : 2));
    return rc < 0 ? rc : sd_event_source_set_enabled(source, SD_EVENT_ONESHOT);
}

int service_feed_watchdog(sd_event *event, service_stuck_fn stuck, void *arg) {
    uint64_t usec;
    int rc = sd_watchdog_enabled(0, &usec);
    if (rc <= 0)
        return rc;
    struct watchdog *w = calloc(1, sizeof(*w));
    if (!w)
        return -ENOMEM;
    *w = (struct watchdog){.usec = usec, .stuck = stuck, .arg = arg};
    sd_event_source *source = NULL;
    /* systemd counts on this clock, and what it allows is shared with other wake-ups. */
    rc = sd_event_add_time_relative(event, &source, CLOCK_MONOTONIC, 0, usec / 8, on_watchdog, w);
    if (rc < 0) {
        free(w);
        return rc;
    }
    sd_event_source_set_destroy_callback(source, free);
    rc = sd_event_source_set_floating(source, true);
    sd_event_source_unref(source);
    return rc < 0 ? rc : 0;
}
