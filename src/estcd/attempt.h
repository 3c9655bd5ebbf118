/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * One attempt to get one certificate, straight down and blocking, in whatever process calls it.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include <estc/error.h>

#include "agent/config.h"
#include "schedule.h"

/* Steps in order; each is reported when it is done, and what it made is on disk by then. */
#define ATTEMPT_STEPS(X)                                         \
    X(ATTEMPT_OPEN, "open", "state folder opened")               \
    X(ATTEMPT_CREDENTIALS, "credentials", "credentials read")    \
    X(ATTEMPT_CONNECT, "connect", "DTLS session established")    \
    X(ATTEMPT_CACERTS, "cacerts", "CA certificates received")    \
    X(ATTEMPT_ATTRIBUTES, "attributes", "server's wishes known") \
    X(ATTEMPT_KEY, "key", "key pair ready")                      \
    X(ATTEMPT_CSR, "csr", "certification request ready")         \
    X(ATTEMPT_ENROLL, "enroll", "certificate received")          \
    X(ATTEMPT_CHECK, "check", "certificate checked")             \
    X(ATTEMPT_PROVE, "prove", "certificate tried")               \
    X(ATTEMPT_COMMIT, "commit", "certificate in place")

#define ATTEMPT_ENUM(name, label, text) name,
enum attempt_step { ATTEMPT_STEPS(ATTEMPT_ENUM) ATTEMPT_STEP_MAX_ };
#undef ATTEMPT_ENUM
extern const char *const attempt_step_names[];
extern const char *const attempt_step_texts[]; /* for people */

struct bootstrap_offer;

struct attempt_task {
    const struct config *config;
    const struct config_identity *identity;
    enum schedule_action action;
    bool rekey; /* with another key, whatever the configuration says */
    bool anew;  /* a certificate that is not in force yet does not do: somebody wants another */
    const struct bootstrap_offer *offer; /* what somebody has brought for it, or NULL */
    int64_t timeout;                     /* seconds it may take; 0: what the identity says */
};

/* Each server brings its steps, and the whole may have to begin again with the birth certificate.
 */
#define ATTEMPT_REPORTS_MAX ((CONFIG_URLS_MAX + 1) * ATTEMPT_STEP_MAX_)

/* The same, without the zero. */
static inline int64_t attempt_timeout(const struct attempt_task *task) {
    return task->timeout > 0 ? task->timeout : task->identity->attempt_timeout;
}

/* How it ended. */
struct attempt_result {
    int code;            /* 0, ESTC_E_* or negative errno */
    char *text;          /* error text, clean; NULL on success */
    char *server;        /* URL of the server that was spoken with; NULL: with none */
    int64_t retry_after; /* seconds, with ESTC_E_PENDING */
    int64_t since;       /* with ESTC_E_PENDING: when the CA first said so */
};

/* Called after each step; text is a detail for people, or NULL. */
typedef void (*attempt_report_fn)(void *arg, enum attempt_step step, const char *text);

/* Fills result, whatever happens; it is the caller's to clear. */
void attempt_run(const struct attempt_task *task, attempt_report_fn report, void *arg,
                 struct attempt_result *result);
void attempt_result_clear(struct attempt_result *result);
