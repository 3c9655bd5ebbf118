/* SPDX-License-Identifier: BSD-2-Clause */
/* What one identity should be and what it is: the manager's view, without any I/O of its own. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include <estc/error.h>

#include "agent/config.h"
#include "facts.h"
#include "schedule.h"
#include "store.h"

/* X(name, label): the state shown by `estc list`. */
#define IDENTITY_STATES(X)                                                        \
    X(IDENTITY_NEW, "new")         /* no certificate yet, nothing tried yet */    \
    X(IDENTITY_WORKING, "working") /* a worker is at it */                        \
    X(IDENTITY_VALID, "valid")     /* a certificate in force, nothing wrong */    \
    X(IDENTITY_PENDING, "pending") /* the CA has not decided yet */               \
    X(IDENTITY_FAILING, "failing") /* the last attempt failed; tries again */     \
    X(IDENTITY_EXPIRED, "expired") /* the certificate has run out */              \
    X(IDENTITY_STUCK, "stuck")     /* the same, or none yet, and no way to one */ \
    X(IDENTITY_PAUSED, "paused")   /* nothing is done until somebody resumes */   \
    X(IDENTITY_CONFIG, "config")   /* a file is missing or unfit; looked at again on change */

#define IDENTITY_ENUM(name, label) name,
enum identity_state { IDENTITY_STATES(IDENTITY_ENUM) IDENTITY_STATE_MAX_ };
#undef IDENTITY_ENUM
extern const char *const identity_state_names[];

#define IDENTITY_REFUSALS 3 /* in a row: one may be an accident */

struct identity {
    const struct config_identity *config; /* belongs to the manager's current Config */
    bool have_facts;
    struct facts facts; /* without the texts that only people read (facts_trim()), and without
                           digests that are the configured ones (identity_configure()) */
    bool have_trust;    /* explicit anchors are in force */
    struct {
        int64_t generation, until; /* of trust_facts */
    } trust;
    struct store_attempts attempts;
    struct deploy_record deploy;
    bool store_unfit; /* the current generation cannot be used; attempts.last_error says why */
    bool working;     /* a worker runs */
    bool asked;       /* somebody wants it now */
    char *birth;      /* fingerprint of the birth certificate, without another one; or NULL */
    int64_t nudged_at, started, spread; /* see schedule_input */
    int64_t warned_at;                  /* while it is paused: that nothing renews it; 0: not yet */
    int64_t unsure_since;               /* see schedule.h */
};

/*
 * Stuck: no certificate is in force, and what is left to ask for one with, the birth credential,
 * does not help: the CA has rejected it again and again, or a certificate has expired while a file
 * was unfit. (Before the first certificate an unfit file is a matter of the configuration.) It is
 * tried on, slowly, and over as soon as a try comes to another end.
 */
enum identity_state identity_state(const struct identity *identity, int64_t now);
/* The exit code that stands for it (common/exitcode.h). */
int identity_exit_code(const struct identity *identity, int64_t now);
/* Whether it is for a person to look at: what takes its course is not. */
bool identity_needs_attention(const struct identity *identity, int64_t now);
/* Whether it is time for another certificate, whatever is planned after failures: because there is
 * none in force, because it ends within so many seconds, or, with `within` below 0, because its
 * renewal is due. Why, or why not: malloc'd, NULL without memory. */
bool identity_needs_renewal(const struct identity *identity, int64_t now, int64_t within,
                            char **why);
/* machine tells this machine from its clones (machine id) as long as there is no certificate. */
void identity_plan(const struct identity *identity, const char *machine, int64_t now,
                   struct schedule_plan *out);

/* Whether all that the configuration wants otherwise than it was issued is the names, so that a
 * renewal can ask for them (ChangeSubjectName). Not where the server makes the key: /skg is asked
 * with the birth certificate then. */
bool identity_wants_names_only(const struct config_identity *config, const struct facts *facts);

/* Puts another configuration in the place of the one that it has, or, after facts were loaded, the
 * same: digests of the facts that are the configured ones are not kept twice. */
void identity_configure(struct identity *identity, const struct config_identity *config);

/* Looks at the files that the configuration names (birth key and certificate, trust) as a worker
 * would: ESTC_E_CREDENTIAL with the first one that is unfit. Parses; not for the manager's process
 * while it runs (estcd -n and workers call it). */
int identity_check_files(const struct config_identity *config, struct estc_error *err);

/* Whether somebody went back to the certificate in force: it is renewed as late as is safe. */
bool identity_rolled_back(const struct identity *identity);

/* Whether the certificate in force could not be deployed; it is tried again. */
bool identity_undeployed(const struct identity *identity);

void identity_clear(struct identity *identity);
