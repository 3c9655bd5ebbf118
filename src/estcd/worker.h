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

#include "config.h"
#include "facts.h"
#include "schedule.h"

/* Steps in order; each is reported when it is done, and what it made is on disk by then. */
#define WORKER_STEPS(X)                                      \
    X(WORKER_OPEN, "open", "state folder opened")            \
    X(WORKER_CREDENTIALS, "credentials", "credentials read") \
    X(WORKER_CONNECT, "connect", "DTLS session established") \
    X(WORKER_CACERTS, "cacerts", "CA certificates received") \
    X(WORKER_KEY, "key", "key pair ready")                   \
    X(WORKER_CSR, "csr", "certification request ready")      \
    X(WORKER_ENROLL, "enroll", "certificate received")       \
    X(WORKER_CHECK, "check", "certificate checked")          \
    X(WORKER_COMMIT, "commit", "certificate in place")

#define WORKER_ENUM(name, label, text) name,
enum worker_step { WORKER_STEPS(WORKER_ENUM) WORKER_STEP_MAX_ };
#undef WORKER_ENUM
extern const char *const worker_step_names[];

#define WORKER_MESSAGE_MAX 16384

struct worker_task {
    const struct config *config;
    const struct config_identity *identity;
    enum schedule_action action;
    bool force_new; /* drop what is pending and start over */
};

/* What a worker says at its end. */
struct worker_result {
    int code;            /* 0, ESTC_E_* or negative errno */
    char *text;          /* error text, clean; NULL on success */
    int64_t retry_after; /* seconds, with ESTC_E_PENDING */
};

/* Forks. *fd (to read from, non-blocking, CLOEXEC) and *pid are the caller's. In the child it does
 * not return. keep_signals: nothing to keep; the child resets mask and handlers itself. */
int worker_start(const struct worker_task *task, pid_t *pid, int *fd, struct estc_error *err);

/* One message from a worker: a step, or the result. ESTC_E_MALFORMED for anything else. */
struct worker_message {
    bool is_result;
    enum worker_step step;
    char *text; /* detail of a step ("serial 0A1B, until 2027-..."), or NULL */
    struct worker_result result;
};
int worker_message_parse(const void *data, size_t len, struct worker_message *out,
                         struct estc_error *err);
void worker_message_clear(struct worker_message *message);

/* The attempt itself, in the calling process; the worker's main after its sandbox is closed.
 * report is called after each step. */
typedef void (*worker_report_fn)(void *arg, enum worker_step step, const char *text);
int worker_attempt(const struct worker_task *task, worker_report_fn report, void *arg,
                   struct worker_result *result);
