/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The state folder. Layout (folders are 0750, files with a key in them 0600):
 *
 *   STATE/format                          "1"
 *   STATE/lock                            flock()ed by the daemon
 *   STATE/clock.json                      the latest moment that is known to have passed
 *   STATE/requests, STATE/forgotten       see store_request.h
 *   STATE/spool/deploy/ID                 empty: ID waits for estcd-deploy, which takes it away
 *   STATE/identities/ID/lock              flock()ed by the worker that owns the folder
 *   STATE/identities/ID/pending/key.pem   the key of an attempt, before anything is sent
 *   STATE/identities/ID/pending/request.json   the request, and when the CA wants to be asked again
 *   STATE/identities/ID/generations/N/{key,cert,chain,fullchain,cacerts,combined}.pem, facts.json
 *   STATE/identities/ID/current -> generations/N        what is in force
 *   STATE/identities/ID/candidate -> generations/N      issued, and not in force yet
 *   STATE/identities/ID/trust/generations/N/{anchors,helpers}.pem, trust.json
 *   STATE/identities/ID/trust/current -> generations/N      the explicit anchors, from /crts
 *   STATE/identities/ID/bootstrap/        what a person has brought: bootstrap.h
 *   STATE/identities/ID/birth.json        fingerprint of the birth certificate
 *   STATE/identities/ID/attempts.json     the manager's: failures in a row, last result, pause
 *   STATE/identities/ID/history.json      the manager's: how the last attempts ended
 *   STATE/identities/ID/deploy.json       the manager's: what became of installing it elsewhere
 *
 * A generation is written under a temporary name, synced, renamed to its number, and only then
 * pointed at, by `candidate` first. Renaming that to `current` switches key and certificate
 * together. Whatever a kill leaves behind is removed by the next worker. A foreign file in the way
 * is set aside as NAME.foreign-N and named in the log, never used. The last 3 generations stay.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include <openssl/evp.h>
#include <openssl/x509.h>

#include <estc/buf.h>
#include <estc/error.h>
#include <estc/op.h>

#include "deploy.h"
#include "facts.h"
#include "trustfacts.h"

#define STORE_FORMAT 1

/* --- the manager's part: no key, no certificate is opened --- */

/* Makes STATE itself, for the lock in it. */
int store_make(const char *state_directory, struct estc_error *err);
/* For whoever holds the lock: makes what is missing in STATE, removes what a killed daemon has left
 * there, and brings an older layout to today's. A newer one is refused with a remedy. */
int store_prepare(const char *state_directory, struct estc_error *err);

/* Fingerprint of the birth certificate, as a worker saw it last; malloc'd, NULL without one. */
char *store_load_birth(const char *state_directory, const char *id);

/* The moment in clock.json; 0 when there is none that can be used. Once a day at most. */
int64_t store_load_clock(const char *state_directory);
int store_save_clock(const char *state_directory, int64_t passed, struct estc_error *err);

/* Facts of the current generation. -ENOENT when there is none yet (a `current` that is none of ours
 * counts as none); ESTC_E_CREDENTIAL when there is one that cannot be used: a file is missing,
 * key.pem is readable by others, facts unreadable. */
int store_load_facts(const char *state_directory, const char *id, struct facts *out,
                     struct estc_error *err);

/* The same for the explicit anchors. */
int store_load_trust_facts(const char *state_directory, const char *id, struct trust_facts *out,
                           struct estc_error *err);

struct store_attempts {
    unsigned failures;     /* in a row */
    int64_t last_attempt;  /* seconds since 1970; 0: never */
    int last_result;       /* 0, ESTC_E_* or a negative errno */
    char *last_error;      /* clean text, or NULL */
    char *last_action;     /* schedule_action_names[], or NULL */
    char *last_server;     /* URL of the server that the last attempt spoke with, or NULL */
    int64_t pending_until; /* when the CA wants to be asked again; 0: nothing pending */
    int64_t pending_since; /* when it first said so; 0: not known */
    int64_t rolled_back;   /* the generation that somebody went back to; 0: none */
    int64_t paused_since;  /* somebody wants nothing to be done; 0: not so */
    int alert_told;        /* enum alert_level: what on_alert was told last */
};
/* Absent or unreadable: zeroes, which is safe. */
void store_load_attempts(const char *state_directory, const char *id, struct store_attempts *out);
int store_save_attempts(const char *state_directory, const char *id,
                        const struct store_attempts *attempts, struct estc_error *err);
void store_attempts_clear(struct store_attempts *attempts);
/* Only what is no attempt stays: the pause, and what on_alert was told. */
void store_attempts_forget(struct store_attempts *attempts);

/* The record of a deployment: zeroes when absent or unreadable. */
void store_load_deploy(const char *state_directory, const char *id, struct deploy_record *out);
int store_save_deploy(const char *state_directory, const char *id,
                      const struct deploy_record *record, struct estc_error *err);
/* Asks estcd-deploy for the certificate in force to be deployed. */
int store_request_deploy(const char *state_directory, const char *id, struct estc_error *err);

/* Path of a file of the current generation, "current/cacerts.pem"; malloc'd. */
char *store_path(const char *state_directory, const char *id, const char *file);

/* --- the worker's part --- */

struct store; /* one identity's folder, locked */

/* -EBUSY when another worker holds it. Cleans up after killed predecessors. */
int store_open(const char *state_directory, const char *id, struct store **out,
               struct estc_error *err);
struct store *store_close(struct store *store);
int store_dirfd(const struct store *store);

int store_save_birth(struct store *store, const char *sha256, struct estc_error *err);

struct store_current {
    EVP_PKEY *key;
    X509 *cert;
    STACK_OF(X509) * chain;   /* intermediates */
    STACK_OF(X509) * cacerts; /* anchors of the EST CA at that time */
    struct facts facts;
};
/* -ENOENT: none. ESTC_E_CREDENTIAL: there, but unfit (key and certificate do not match, ...). */
int store_load_current(struct store *store, struct store_current *out, struct estc_error *err);
/* What is issued and not in force yet. -ENOENT: none. A broken one is set aside and -ENOENT
 * returned. */
int store_load_candidate(struct store *store, struct store_current *out, struct estc_error *err);
void store_current_clear(struct store_current *current);

/* The explicit anchors. */
struct store_trust {
    struct estc_trust *trust;
    struct trust_facts facts;
};
/* -ENOENT: none. ESTC_E_CREDENTIAL: there, but unfit. */
int store_load_trust(struct store *store, struct store_trust *out, struct estc_error *err);
/* Puts a set in force; fills in the facts' generation and time. */
int store_commit_trust(struct store *store, const struct estc_trust *trust,
                       struct trust_facts *facts, int64_t now, struct estc_error *err);
void store_trust_clear(struct store_trust *trust);

struct store_pending {
    EVP_PKEY *key;
    enum estc_op op;
    char *request_digest;
    struct estc_buf csr; /* DER; empty: the key is there, the request is not yet */
    int64_t retry_at;    /* seconds since 1970; 0: not answered yet */
    char *url;           /* of the server that said 5.03; NULL: none has */
    int64_t since;       /* when the CA first said that it has not decided; 0: it has not said so */
};
/* -ENOENT: none. A broken one is set aside and -ENOENT returned. */
int store_load_pending(struct store *store, struct store_pending *out, struct estc_error *err);
/* The key is on disk before anything that mentions it leaves the machine. */
int store_save_pending(struct store *store, const struct store_pending *pending,
                       struct estc_error *err);
int store_drop_pending(struct store *store, struct estc_error *err);
/* The same when its certificate is on disk: a failure leaves what is only in the way. */
void store_finish_pending(struct store *store);
void store_pending_clear(struct store_pending *pending);

struct store_issued {
    EVP_PKEY *key;
    X509 *cert;
    const STACK_OF(X509) * chain, *cacerts;
    const char *request_digest, *rest_digest;
    int64_t now;
};
/* Writes a generation, makes it the candidate in place of any other, and drops what is pending. */
int store_stage(struct store *store, const struct store_issued *issued, struct estc_error *err);
/* Puts the newest generation in force that is older than the one in force, whole, of another
 * certificate and not expired at `now`; *facts describes it. ESTC_E_NOT_FOUND: there is none. */
int store_roll_back(struct store *store, int64_t now, struct facts *facts, struct estc_error *err);
/* Puts the candidate in force; removes generations that are too old. */
int store_promote(struct store *store, struct estc_error *err);
