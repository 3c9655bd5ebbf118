/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * How a daemon begins: its streams, its command line, its configuration's errors, its signals. The
 * same words and exit codes for all of them.
 */
#pragma once

#include <stdbool.h>

#include <systemd/sd-event.h>

#include <estc/error.h>

#include "common/conf.h"
#include "common/exitcode.h"

/* What a daemon is called and says of itself. */
struct service {
    const char *name;        /* in front of each message */
    const char *synopsis;    /* the beginning of --help; what follows are the options */
    const char *more;        /* its end */
    const char *config_file; /* where to look when the command line does not say */
};

/* What the command line says. */
struct service_options {
    const char *config_file; /* -c */
    bool check;              /* -n: only find out whether it would work */
};

/* Before anything is opened: no file takes the place of a closed standard stream, and a reader of
 * the log that goes away is no reason to end. */
void service_begin(void);

void service_help(const struct service *service);

/* Says what is wrong with the command line; EXIT_BAD_USAGE. */
int service_bad_usage(const struct service *service, const char *fmt, ...) ESTC_PRINTF(2, 3);

/* Reads -c, -n, -h and -V; there is nothing else. True to go on; otherwise *code is the exit code,
 * after all has been said. */
bool service_options(const struct service *service, int argc, char **argv,
                     struct service_options *out, int *code);

/* What came of reading the configuration (0, ESTC_E_CONFIG with errors, negative errno): prints and
 * clears the errors; the exit code, EXIT_DONE for 0. */
int service_config_read(const struct service *service, int rc, struct conf_errors *errors);

/* The listening socket that systemd has passed (a .socket unit), -1 when there is none; ours from
 * then on. More than one is -EINVAL, since nobody could say which is meant. */
int service_listening(int *fd, struct estc_error *err);

/* SIGTERM and SIGINT end the loop, SIGHUP is on_hup's, SIGCHLD is blocked so that the loop can
 * watch children. 0 or negative errno. */
int service_watch(sd_event *event, sd_event_signal_handler_t on_hup, void *arg);

/* NULL while the daemon does what it is for; otherwise what does not go on, malloc'd. */
typedef char *(*service_stuck_fn)(void *arg);

/*
 * Feeds the watchdog that systemd asks for, if it does, as long as the loop turns and nothing is
 * stuck; NULL: the loop is all there is. 0 or negative errno.
 */
int service_feed_watchdog(sd_event *event, service_stuck_fn stuck, void *arg);
