/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The process around an attempt, and the messages that leave it. The child keeps nothing of the
 * manager but its memory image: signals, descriptors and the environment of systemd's notification
 * are gone before the first byte from the network arrives, and so are the rights it does not need.
 * It ends by exit(), so that leak checkers and coverage see it.
 */
#include "worker.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <jansson.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/fs.h"
#include "base/text.h"
#include "bootstrap.h"
#include "common/journal.h"
#include "common/program.h"
#include "ctl/json.h"
#include "sandbox.h"

#define WORKER_FD 3
#define TEXT_MAX 1024
#define PASSED_MAX BOOTSTRAP_FILE_MAX_

/* --- messages --- */

void worker_message_clear(struct worker_message *message) {
    free(message->text);
    attempt_result_clear(&message->result);
    *message = (struct worker_message){0};
}

/* One message is one send(): whole or not at all. The manager may be gone; that is its business. */
void worker_send(int fd, json_t *message) {
    _cleanup(json_freep) json_t *owned = message;
    char *text = owned ? json_dumps(owned, JSON_COMPACT) : NULL;
    if (text)
        (void)send(fd, text, strlen(text), MSG_NOSIGNAL);
    free(text);
}

static void report(void *arg, enum attempt_step step, const char *text) {
    const int *fd = arg;
    worker_send(*fd, json_pack("{s:s, s:s*}", "step", attempt_step_names[step], "text", text));
}

static int bad_message(struct estc_error *err) {
    return estc_error_set(err, ESTC_E_MALFORMED, "a worker sent what is no message");
}

static int copy_text(const json_t *json, const char *member, char **out, struct estc_error *err) {
    const json_t *text = json_object_get(json, member);
    if (!text)
        return 0;
    if (!json_is_string(text))
        return bad_message(err);
    *out = text_clean(json_string_value(text), json_string_length(text), TEXT_MAX);
    return *out ? 0 : estc_error_set(err, -ENOMEM, "out of memory");
}

static int parse_step(const json_t *json, const char *name, struct worker_message *out,
                      struct estc_error *err) {
    for (int step = 0; step < ATTEMPT_STEP_MAX_; step++)
        if (strcmp(name, attempt_step_names[step]) == 0) {
            out->step = (enum attempt_step)step;
            return copy_text(json, "text", &out->text, err);
        }
    return bad_message(err);
}

static int parse_result(const json_t *json, struct worker_message *out, struct estc_error *err) {
    const json_t *code = json_object_get(json, "result");
    const json_t *retry_after = json_object_get(json, "retry_after");
    const json_t *pending_since = json_object_get(json, "since");
    if (!json_is_integer(code) || !json_is_integer(retry_after) ||
        (pending_since && !json_is_integer(pending_since)))
        return bad_message(err);
    json_int_t value = json_integer_value(code), wait = json_integer_value(retry_after);
    json_int_t since = json_integer_value(pending_since);
    if (value < -4095 || value >= ESTC_E_MAX_ || wait < 0 || wait > UINT32_MAX || since < 0 ||
        since > CLOCK_LAST)
        return bad_message(err);
    out->is_result = true;
    out->result.code = (int)value;
    out->result.retry_after = wait;
    out->result.since = since;
    int rc = copy_text(json, "text", &out->result.text, err);
    return rc ? rc : copy_text(json, "server", &out->result.server, err);
}

int worker_message_parse(const void *data, size_t len, struct worker_message *out,
                         struct estc_error *err) {
    _cleanup(worker_message_clear) struct worker_message message = {0};
    _cleanup(json_freep) json_t *json =
        len <= WORKER_MESSAGE_MAX ? ctl_json_object(data, len) : NULL;
    const char *step = json_string_value(json_object_get(json, "step"));
    int rc = !json  ? bad_message(err)
             : step ? parse_step(json, step, &message, err)
                    : parse_result(json, &message, err);
    if (rc)
        return rc;
    *out = message;
    message = (struct worker_message){0};
    return 0;
}

/* --- the child --- */

/* What the child is to do. */
struct duty {
    worker_fn fn;
    const void *arg;
    int64_t timeout;
    const int *passed;
    size_t n_passed;
};

/* stdin and stdout from and to nowhere, stderr for the log, the socket at WORKER_FD, what is passed
 * behind it, nothing else. All first move to where nothing is put in their place. */
static void reset_descriptors(const struct duty *duty, int fd) {
    int end = WORKER_PASSED + (int)duty->n_passed, moved[PASSED_MAX];
    int own = fcntl(fd, F_DUPFD, end);
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);
    bool ok = own >= 0 && null >= 0;
    for (size_t i = 0; ok && i < duty->n_passed; i++) {
        moved[i] = duty->passed[i] < 0 ? -1 : fcntl(duty->passed[i], F_DUPFD, end);
        ok = duty->passed[i] < 0 || moved[i] >= 0;
    }
    ok = ok && dup2(null, STDIN_FILENO) >= 0 && dup2(null, STDOUT_FILENO) >= 0 &&
         dup2(own, WORKER_FD) >= 0 &&
         (duty->n_passed == 0 || close_range(WORKER_PASSED, (unsigned)end - 1, 0) == 0);
    for (size_t i = 0; ok && i < duty->n_passed; i++)
        ok = moved[i] < 0 || dup2(moved[i], WORKER_PASSED + (int)i) >= 0;
    if (!ok || close_range((unsigned)end, ~0U, 0) < 0)
        _exit(EXIT_FAILURE);
}

static void reset_environment(void) {
    static const char *const names[] = {"NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID",
                                        "LISTEN_FDS",    "LISTEN_PID",    "LISTEN_FDNAMES"};
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        unsetenv(names[i]);
}

/* A key must not end up in a core file. */
static void protect_memory(void) {
    const struct rlimit none = {0, 0};
    setrlimit(RLIMIT_CORE, &none);
#ifndef ESTC_SANITIZE /* which wants to read /proc/self as whoever it runs as */
    prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
#endif
}

static int enter_sandbox(const struct attempt_task *task, struct estc_error *err) {
    const struct config_identity *i = task->identity;
    _cleanup(freep) char *folder =
        text_format("%s/identities/%s", task->config->state_directory, i->id);
    if (!folder)
        return estc_error_set(err, -ENOMEM, "out of memory");
    int rc = fs_mkdir_all(AT_FDCWD, folder, 0750, err); /* what is absent cannot be allowed */
    if (rc)
        return rc;
    const char *const named[] = {i->birth_certificate, i->birth_key, i->trust, i->key_decrypt};
    const char *readable[sizeof(named) / sizeof(named[0]) + 1] = {NULL};
    for (size_t n = 0, at = 0; n < sizeof(named) / sizeof(named[0]); n++)
        if (named[n])
            readable[at++] = named[n];
    const struct sandbox_paths paths = {
        .writable = (const char *const[]){folder,
#ifdef ESTC_REPORTS /* where a test build's sanitizers and coverage write */
                                          ESTC_REPORTS,
#endif
                                          NULL},
        .readable = readable,
    };
    return sandbox_enter(&paths, err);
}

/* What was brought now, from the descriptors that were passed. */
static int take_offer(const struct attempt_task *task, struct estc_error *err) {
    struct bootstrap_offer offer = *task->offer;
    for (int i = 0; i < BOOTSTRAP_FILE_MAX_; i++)
        offer.files[i] = offer.files[i] < 0 ? -1 : WORKER_PASSED + i;
    return bootstrap_take(task->config->state_directory, task->identity->id, &offer, err);
}

static void run_attempt(const void *arg, int fd) {
    const struct attempt_task *task = arg;
    struct estc_error err = {0};
    struct attempt_result result = {0};
    _cleanup(bootstrap_texts_clear) struct bootstrap_texts texts = {0};
    struct config_identity identity;
    /* Its files and device are out of reach in the cage. */
    int rc = task->identity->key_origin == CONFIG_ORIGIN_TPM ? estc_key_use_tpm(&err) : 0;
    if (!rc)
        rc = enter_sandbox(task, &err);
    if (!rc && task->offer)
        rc = take_offer(task, &err);
    /* Only now, so that a name in that folder opens nothing that the cage does not. */
    if (!rc)
        rc =
            bootstrap_apply(task->config->state_directory, task->identity, &texts, &identity, &err);
    struct attempt_task own = *task;
    own.identity = &identity;
    if (rc)
        result = (struct attempt_result){.code = rc, .text = strdup(err.text)};
    else
        attempt_run(&own, report, &fd, &result);
    worker_send(fd, json_pack("{s:i, s:I, s:I, s:s*, s:s*}", "result", result.code, "retry_after",
                              (json_int_t)result.retry_after, "since", (json_int_t)result.since,
                              "text", result.text, "server", result.server));
    attempt_result_clear(&result);
}

static _Noreturn void child(const struct duty *duty, int fd, pid_t parent) {
    /* An orphan must not go on alone: the next manager would start a second one. */
    if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0 || getppid() != parent)
        _exit(EXIT_FAILURE);
    program_reset_signals();
    signal(SIGPIPE, SIG_IGN); /* whoever reads the log may have gone */
    reset_descriptors(duty, fd);
    reset_environment();
    protect_memory();
    journal_use_stderr();
    /* Should a library ever wait beyond our deadline (name resolution may), this ends it. */
    int64_t timeout = duty->timeout;
    alarm((unsigned)(timeout + (timeout < WORKER_GRACE_SECONDS ? timeout : WORKER_GRACE_SECONDS)));
    duty->fn(duty->arg, WORKER_FD);
    exit(EXIT_SUCCESS);
}

int worker_spawn(worker_fn fn, const void *arg, int64_t timeout, const int *passed, size_t n,
                 pid_t *pid, int *fd, struct estc_error *err) {
    const struct duty duty = {fn, arg, timeout, passed, n};
    int pair[2];
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
        return estc_error_set(err, -errno, "cannot start a worker: %m");
    _cleanup(fs_closep) int ours = pair[0];
    _cleanup(fs_closep) int theirs = pair[1];
    if (fcntl(ours, F_SETFL, O_NONBLOCK) < 0)
        return estc_error_set(err, -errno, "cannot start a worker: %m");
    pid_t parent = getpid();
    pid_t started = fork();
    if (started < 0)
        return estc_error_set(err, -errno,
                              "cannot start a worker: %m: raise TasksMax= or free some memory");
    if (started == 0)
        child(&duty, theirs, parent);
    *pid = started;
    *fd = ours;
    ours = -1;
    return 0;
}

int worker_start(const struct attempt_task *task, pid_t *pid, int *fd, struct estc_error *err) {
    const int *passed = task->offer ? task->offer->files : NULL;
    return worker_spawn(run_attempt, task, attempt_timeout(task), passed,
                        passed ? BOOTSTRAP_FILE_MAX_ : 0, pid, fd, err);
}
