/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Checks that somebody has asked for: a worker of their own each, whose messages are passed on line
 * by line, hostile until they are known. The manager and its record know nothing of them. A check
 * ends with whoever has asked for it.
 */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fs.h"
#include "check.h"
#include "common/journal.h"
#include "control_internal.h"
#include "worker.h"

#define AT_ONCE 4

struct inspection {
    struct control *control;
    struct ctl_call *call;
    char *id;
    pid_t pid;
    int fd;
    unsigned n_messages;
    sd_event_source *child_source, *message_source;
    struct inspection *next;
};

/* The process is dead, or dies. */
static void inspection_end(struct inspection *i) {
    for (struct inspection **at = &i->control->inspections; *at; at = &(*at)->next)
        if (*at == i) {
            *at = i->next;
            break;
        }
    ctl_call_on_dead(i->call, NULL, NULL);
    ctl_call_unref(i->call);
    sd_event_source_disable_unref(i->child_source);
    sd_event_source_disable_unref(i->message_source);
    if (i->pid > 0) {
        kill(i->pid, SIGKILL);
        waitpid(i->pid, NULL, 0);
    }
    fs_closep(&i->fd);
    free(i->id);
    free(i);
}

void control_check_end(struct control *control) {
    while (control->inspections)
        inspection_end(control->inspections);
}

static void on_dead(struct ctl_call *call, void *arg) {
    (void)call;
    inspection_end(arg);
}

/* All that is there; each check has one message. */
static void read_findings(struct inspection *i) {
    char data[WORKER_MESSAGE_MAX + 1];
    while (i->n_messages < CHECK_MESSAGES_MAX) {
        ssize_t n = recv(i->fd, data, sizeof(data), 0);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return;
        i->n_messages++;
        json_t *finding = check_message(data, (size_t)n);
        if (finding)
            ctl_call_reply(i->call, json_pack("{s:o}", "finding", finding), true);
        else
            journal_warning("%s: a worker sent what is no finding", i->id);
    }
}

static int on_findings(sd_event_source *source, int fd, uint32_t revents, void *arg) {
    (void)fd;
    read_findings(arg);
    if (revents & (EPOLLHUP | EPOLLERR))
        sd_event_source_set_enabled(source, SD_EVENT_OFF); /* what is left is its end */
    return 0;
}

static int on_exit_of_worker(sd_event_source *source, const siginfo_t *si, void *arg) {
    (void)source;
    struct inspection *i = arg;
    bool whole = si->si_code == CLD_EXITED && si->si_status == 0;
    read_findings(i);
    i->pid = 0;
    if (whole)
        ctl_call_reply(i->call, json_object(), false);
    else
        ctl_call_error(i->call, "Failed",
                       json_pack("{s:s}", "text",
                                 si->si_status == SIGALRM
                                     ? "the check has taken too long and was ended"
                                     : "the process of the check has died: see the journal"));
    inspection_end(i);
    return 0;
}

static int watch(struct inspection *i) {
    int rc = sd_event_add_child(i->control->event, &i->child_source, i->pid, WEXITED,
                                on_exit_of_worker, i);
    return rc < 0 ? rc
                  : sd_event_add_io(i->control->event, &i->message_source, i->fd, EPOLLIN,
                                    on_findings, i);
}

static size_t count(const struct control *control) {
    size_t n = 0;
    for (const struct inspection *i = control->inspections; i; i = i->next)
        n++;
    return n;
}

static int inspect(struct control *control, struct ctl_call *call, const struct check_task *task,
                   struct estc_error *err) {
    struct inspection *i = calloc(1, sizeof(*i));
    char *id = strdup(task->identity->id);
    if (!i || !id) {
        free(i);
        free(id);
        return estc_error_set(err, -ENOMEM, "out of memory");
    }
    *i = (struct inspection){.control = control,
                             .call = ctl_call_ref(call),
                             .id = id,
                             .fd = -1,
                             .next = control->inspections};
    control->inspections = i;
    int rc = worker_spawn(check_run, task, CHECK_SECONDS, NULL, 0, &i->pid, &i->fd, err);
    if (!rc && watch(i) < 0)
        rc = estc_error_set(err, -EIO, "cannot watch a worker");
    if (rc)
        inspection_end(i);
    else
        ctl_call_on_dead(call, on_dead, i);
    return rc;
}

void control_check(struct ctl_call *call, json_t *params, void *arg) {
    struct control *control = arg;
    const struct member *member = control_member(control, call, params);
    struct estc_error err = {0};
    if (!member)
        return;
    const struct identity *identity = member_identity(member);
    const json_t *network = json_object_get(params, "network");
    const struct check_task task = {
        .config_path = manager_config_path(control->manager),
        .config = manager_config(control->manager),
        .identity = identity->config,
        .requested = member_requested(member),
        .network = !json_is_false(network),
    };
    /* It would meet the attempt at the server, and its findings would be those of both. */
    if (identity->working || count(control) >= AT_ONCE)
        ctl_call_error(call, "Busy", json_pack("{s:s}", "id", identity->config->id));
    else if (inspect(control, call, &task, &err))
        ctl_call_error(call, "Failed", json_pack("{s:s}", "text", err.text));
}
