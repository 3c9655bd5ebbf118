/* SPDX-License-Identifier: BSD-2-Clause */
/* A daemon with nothing but a control socket, in a process of its own, and clients of all kinds. */
#pragma once

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fs.h"
#include "base/text.h"
#include "common/ctlserver.h"
#include "ctl/client.h"
#include "support.h"

/* Groups that every Debian has; what they are called does not matter here. */
#define READERS "users"
#define CHANGERS "games"
#define NOBODY 65534

/* --- the service ----------------------------------------------------------------------------- */

static inline void handle_ping(struct ctl_call *call, json_t *params, void *arg) {
    (void)params;
    (void)arg;
    ctl_call_reply(call, NULL, false);
}

/* Answers twice from a timer, so outside of any request. */
static inline int on_tick(sd_event_source *source, uint64_t usec, void *arg) {
    (void)source;
    (void)usec;
    struct ctl_call *call = arg;
    ctl_call_reply(call, json_pack("{s:i}", "n", 1), true);
    ctl_call_reply(call, json_pack("{s:i}", "n", 2), false);
    ctl_call_unref(call);
    return 0;
}

static inline void handle_later(struct ctl_call *call, json_t *params, void *arg) {
    (void)params;
    sd_event_add_time_relative(arg, NULL, CLOCK_MONOTONIC, 1000, 0, on_tick, ctl_call_ref(call));
}

static inline void handle_quit(struct ctl_call *call, json_t *params, void *arg) {
    (void)params;
    ctl_call_reply(call, NULL, false);
    sd_event_exit(arg, 0);
}

static const struct ctl_field number[] = {{"n", CTL_INT}, {NULL}};
static const struct ctl_method methods[] = {
    {.name = "Ping", .handle = handle_ping},
    {.name = "Change", .changes = true, .handle = handle_ping},
    {.name = "Later", .more_only = true, .out = number, .handle = handle_later},
    {.name = "Quit", .handle = handle_quit},
    {NULL},
};
static const struct ctl_interface interface = {.name = "org.example.test", .methods = methods};

static inline struct ctl_service service_of(const char *readers, const char *changers) {
    return (struct ctl_service){.vendor = "",
                                .product = "",
                                .version = "",
                                .url = "",
                                .interface = &interface,
                                .read_group = readers,
                                .change_group = changers};
}

/* --- its process ----------------------------------------------------------------------------- */

struct daemon {
    char *folder, *path;
    pid_t pid;
};

static inline int serve(const char *path, int listen_fd, const struct ctl_service *service) {
    sd_event *event = NULL;
    struct ctlserver *server = NULL;
    struct estc_error err = {0};
    if (sd_event_new(&event) < 0 ||
        ctlserver_new(event, path, listen_fd, service, event, &server, &err))
        return 1;
    int rc = sd_event_loop(event);
    ctlserver_free(server);
    sd_event_unref(event);
    return rc < 0 ? 1 : 0;
}

static inline bool answers(const char *path) {
    struct ctl_client *client = NULL;
    bool there = ctl_client_connect(path, &client, NULL) == 0;
    ctl_client_free(client);
    return there;
}

static inline struct daemon daemon_start(const struct ctl_service *service) {
    struct daemon d = {.folder = support_tmpdir()};
    d.path = text_format("%s/control", d.folder);
    assert_int_equal(chmod(d.folder, 0755), 0);
    d.pid = fork();
    if (d.pid == 0)
        exit(serve(d.path, -1, service));
    assert_true(d.pid > 0);
    for (int i = 0; i < 1000 && !answers(d.path); i++)
        usleep(5000);
    assert_true(answers(d.path));
    return d;
}

static inline int call_once(const char *path, const char *method, bool more,
                            struct ctl_reply *reply) {
    struct ctl_client *client = NULL;
    struct estc_error err = {0};
    int rc = ctl_client_connect(path, &client, &err);
    if (!rc)
        rc = ctl_client_send(client, method, NULL, more, &err);
    if (!rc)
        rc = ctl_client_receive(client, 20000, reply, &err);
    ctl_client_free(client);
    return rc;
}

/* Stops it in an orderly way; its exit status has to be good: sanitizers speak through it. */
static inline void daemon_stop(struct daemon *d) {
    struct ctl_reply reply = {0};
    int status = -1;
    assert_int_equal(call_once(d->path, "org.example.test.Quit", false, &reply), 0);
    ctl_reply_clear(&reply);
    waitpid(d->pid, &status, 0);
    assert_int_equal(status, 0);
    assert_int_equal(access(d->path, F_OK), -1); /* it took its socket with it */
    free(d->path);
    support_tmpdir_remove(d->folder);
}

/* --- clients --------------------------------------------------------------------------------- */

static inline gid_t group_id(const char *name) {
    struct group *entry = getgrnam(name);
    assert_non_null(entry);
    return entry->gr_gid;
}

enum { CAN_CHANGE = 10, CAN_READ, CANNOT_CONNECT, BROKEN };

/* What somebody with that identity gets. */
static inline int rights_of(const char *path, uid_t uid, gid_t gid, size_t n, const gid_t *groups) {
    pid_t pid = fork();
    if (pid == 0) {
        struct ctl_reply reply = {0};
        if (setgroups(n, groups) || setresgid(gid, gid, gid) || setresuid(uid, uid, uid))
            _exit(BROKEN);
        int rc = call_once(path, "org.example.test.Change", false, &reply);
        if (rc == -EACCES)
            _exit(CANNOT_CONNECT);
        if (rc || (reply.error && strcmp(reply.error, "org.example.test.NotAllowed") != 0))
            _exit(BROKEN);
        _exit(reply.error ? CAN_READ : CAN_CHANGE);
    }
    int status = 0;
    waitpid(pid, &status, 0);
    return WEXITSTATUS(status);
}

static inline void only_root(void) {
    if (geteuid() == 0)
        return;
    print_message("skipped: only root can become another user\n");
    skip();
}
