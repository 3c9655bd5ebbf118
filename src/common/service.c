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
#include <string.h>
#include <unistd.h>

#include <systemd/sd-daemon.h>

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
    if (rc >= 0)
        rc = sd_event_set_watchdog(event, true);
    return rc < 0 ? rc : 0;
}
