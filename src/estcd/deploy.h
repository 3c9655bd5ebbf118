/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Where the deployment of a certificate stands: a record, and pure rules of when to ask for it
 * again. estcd itself installs and runs nothing; it puts down requests and hears what came of them.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include <jansson.h>

#include "agent/config_deploy.h"

/* X(name, label) */
#define DEPLOY_STATES(X)                                               \
    X(DEPLOY_NONE, "none")       /* nothing was ever to be done */     \
    X(DEPLOY_WAITING, "waiting") /* asked for, and not heard of yet */ \
    X(DEPLOY_DONE, "done")                                             \
    X(DEPLOY_FAILED, "failed") /* last_error says why; asked for again */

#define DEPLOY_ENUM(name, label) name,
enum deploy_state { DEPLOY_STATES(DEPLOY_ENUM) DEPLOY_STATE_MAX_ };
#undef DEPLOY_ENUM
extern const char *const deploy_state_names[];

struct deploy_record {
    int64_t generation; /* which it is about */
    char *digest;       /* config_deploy.digest as it was then */
    int state;          /* enum deploy_state */
    unsigned failures;  /* in a row */
    char *last_error;   /* clean text, or NULL */
    int64_t next;       /* seconds since 1970: asked for again if nothing is heard; 0: not */
};
void deploy_clear(struct deploy_record *record);

/* NULL: out of memory. */
json_t *deploy_to_json(const struct deploy_record *record);
/* Zeroes for what is absent or unreadable, which is safe: it is deployed once more. */
void deploy_from_json(const json_t *json, struct deploy_record *out);

/* True if that generation has not been asked for under this configuration. */
bool deploy_is_new(const struct deploy_record *record, const struct config_deploy *deploy,
                   int64_t generation);

/* A new request: whatever became of the one before it counts no more. 0 or -ENOMEM. */
int deploy_begin(struct deploy_record *record, const struct config_deploy *deploy,
                 int64_t generation);

/* What came of it. text: what went wrong, or NULL; false: it was about another generation (0 fits
 * every one: whoever failed early does not know which it was). */
bool deploy_end(struct deploy_record *record, int64_t generation, const char *text);

/* Seconds from now until it is asked for again: with no failure the time that it may take, after
 * failures a wait that doubles. */
int64_t deploy_wait(const struct deploy_record *record, const struct config_deploy *deploy);
