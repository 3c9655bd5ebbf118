/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * One attempt for one identity, in a process of its own: forked from the manager, it gives up what
 * it does not need and runs straight down, blocking, under one deadline. What it tells the manager
 * on the way are small JSON messages on a SOCK_SEQPACKET socket, which the manager takes as
 * hostile.
 */
#pragma once

#include <stdbool.h>
#include <sys/types.h>

#include <jansson.h>

#include <estc/error.h>

#include "agent/config.h"
#include "attempt.h"
#include "schedule.h"

#define WORKER_GRACE_SECONDS 10 /* a worker's, beyond its deadline, or as long again */
#define WORKER_MESSAGE_MAX 16384

/* What a worker does; it may send messages to fd, and its end is that of the process. */
typedef void (*worker_fn)(const void *arg, int fd);
/* passed: descriptors that it keeps, so many, -1: none; in the child they are WORKER_PASSED and
 * those that follow. */
#define WORKER_PASSED 4
int worker_spawn(worker_fn fn, const void *arg, int64_t timeout, const int *passed, size_t n,
                 pid_t *pid, int *fd, struct estc_error *err);
/* One message is one send(): whole or not at all. Takes the message; NULL is none. */
void worker_send(int fd, json_t *message);

/* An attempt, by that. *fd (to read from, non-blocking, CLOEXEC) and *pid are the caller's. In the
 * child it does not return. */
int worker_start(const struct attempt_task *task, pid_t *pid, int *fd, struct estc_error *err);

/* One message from a worker: a step, or the result. ESTC_E_MALFORMED for anything else. */
struct worker_message {
    bool is_result;
    enum attempt_step step;
    char *text; /* detail of a step ("serial 0A1B, until 2027-..."), or NULL */
    struct attempt_result result;
};
int worker_message_parse(const void *data, size_t len, struct worker_message *out,
                         struct estc_error *err);
void worker_message_clear(struct worker_message *message);
