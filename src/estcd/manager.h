/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The manager: which identities there are, what is due, and the workers that do it. Everything runs
 * in one sd-event loop; nothing here blocks on a network or holds a key.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <systemd/sd-event.h>

#include <estc/error.h>

#include "agent/config.h"
#include "identity.h"
#include "metrics.h"

struct manager;
struct member; /* one identity in the manager's care */

/* X(name, label): what can be told of an identity or of the daemon. */
#define MANAGER_EVENTS(X)                     \
    X(MANAGER_STARTED, "started")             \
    X(MANAGER_STEP, "step")                   \
    X(MANAGER_ISSUED, "issued")               \
    X(MANAGER_FAILED, "failed")               \
    X(MANAGER_PENDING, "pending")             \
    X(MANAGER_CONFIG, "config")               \
    X(MANAGER_NOT_DUE, "not-due")             \
    X(MANAGER_DEPLOYING, "deploying")         \
    X(MANAGER_DEPLOYED, "deployed")           \
    X(MANAGER_UNDEPLOYED, "undeployed")       \
    X(MANAGER_REQUESTED, "requested")         \
    X(MANAGER_FORGOTTEN, "forgotten")         \
    X(MANAGER_PAUSED, "paused")               \
    X(MANAGER_RESUMED, "resumed")             \
    X(MANAGER_ALERT, "alert")                 \
    X(MANAGER_ALERT_CLEARED, "alert-cleared") \
    X(MANAGER_RELOADED, "reloaded")           \
    X(MANAGER_RELOAD_FAILED, "reload-failed")

#define MANAGER_ENUM(name, label) name,
enum manager_event_kind { MANAGER_EVENTS(MANAGER_ENUM) MANAGER_EVENT_MAX_ };
#undef MANAGER_ENUM
extern const char *const manager_event_names[];

struct manager_event {
    enum manager_event_kind kind;
    const struct member *member; /* NULL: the daemon's */
    const char *step;            /* with MANAGER_STEP */
    const char *text;
};
typedef void (*manager_observer_fn)(const struct manager_event *event, void *arg);

/* Takes config. Refuses a state folder that another daemon works in. */
int manager_new(sd_event *event, const char *config_path, struct config *config,
                struct manager **out, struct estc_error *err);
/* Ends all workers. */
struct manager *manager_free(struct manager *manager);

/* The first look at what is due; from then on by itself. */
void manager_start(struct manager *manager);

/* Starts what is due, and sees to it that what comes next is started in its time: for whoever has
 * changed who or what there is. */
void manager_schedule(struct manager *manager);

/* At most one observer. */
void manager_observe(struct manager *manager, manager_observer_fn observer, void *arg);

/* Reads the configuration again and puts it in force, or ESTC_E_CONFIG and everything that is wrong
 * with it; then the old one stays. */
int manager_reload(struct manager *manager, struct conf_errors *errors);

const struct config *manager_config(const struct manager *manager);
const char *manager_config_path(const struct manager *manager);
size_t manager_count(const struct manager *manager);
struct member *manager_at(const struct manager *manager, size_t i); /* sorted by id */
struct member *manager_find(const struct manager *manager, const char *id);

/* NULL while what is due gets started; otherwise the identity that waits for nothing, malloc'd. */
char *manager_stuck(const struct manager *manager);

const struct identity *member_identity(const struct member *member);
/* Whether somebody asked for it at run time; the others are of estcd.conf. */
bool member_requested(const struct member *member);
/* What is planned: as of made_at, which is when something about it changed last. */
struct member_plan {
    enum schedule_action action;
    int64_t due, made_at;
};
const struct member_plan *member_plan(const struct member *member);
/* The same in full, with its reason. */
void member_explain(const struct member *member, struct schedule_plan *out);

/* All that is measured, as text with a NUL behind its len bytes; malloc'd. 0 or -ENOMEM. */
int manager_metrics(const struct manager *manager, enum metrics_syntax syntax, char **out,
                    size_t *len);

/*
 * Somebody wants an identity enrolled or renewed now. MANAGER_STARTED: an attempt begins or runs
 * already; MANAGER_NOT_DUE: there is nothing to do unless `force`, text says why. -ENOENT: a
 * renewal or a rollback without a certificate. -EBUSY: a rollback or a rekey while an attempt
 * runs.
 */
int manager_ask(struct manager *manager, struct member *member, enum schedule_action action,
                bool force, enum manager_event_kind *kind, char **text);

/* estcd-deploy tells what came of a generation (0: it does not know which); text: what went wrong,
 * or NULL. What is about an older one is not of interest any more. */
void manager_deployed(struct manager *manager, struct member *member, int64_t generation,
                      const char *text);

/* What is planned, before its time if it waits after a failure or for the CA; never what only is
 * not due yet. As manager_ask(). A deployment that has failed, or that nothing is heard of, is
 * asked for again as well; MANAGER_DEPLOYING: that is all there was to do. */
int manager_retry(struct manager *manager, struct member *member, enum manager_event_kind *kind,
                  char **text);

struct bootstrap_offer;

/* Takes what somebody has brought (bootstrap.h), and enrols with it at once. -EBUSY during an
 * attempt. Whether it is fit is told like the end of an attempt; what is not changes nothing. */
int manager_bootstrap(struct member *member, const struct bootstrap_offer *offer);

/* A renewal now, with another key whatever the configuration says. As manager_ask(); the wish
 * outlives failures, and ends with the daemon or with a certificate for another key. */
int manager_rekey(struct manager *manager, struct member *member, enum manager_event_kind *kind,
                  char **text);

/* Nothing is done for it by itself from now on, or it is looked after again. While it is paused,
 * what somebody asks for is done all the same, once. It is on disk when this returns 0. */
int manager_pause(struct manager *manager, struct member *member, bool pause,
                  struct estc_error *err);

/* Looks after one more identity from now on, also after a restart: text is what was asked for
 * (config_request.h). Followed by manager_schedule(). ESTC_E_CONFIG: it cannot be, and errors say
 * why; otherwise err does. */
int manager_request(struct manager *manager, const char *id, const char *text,
                    struct conf_errors *errors, struct estc_error *err);

/*
 * The same for one less, and an attempt that is under way ends. *kept: where its folder is now,
 * malloc'd, or NULL when there is none (purge: it is removed). ESTC_E_CONFIG: it is of estcd.conf,
 * and stays. With another error it may be gone all the same: manager_find() tells.
 */
int manager_forget(struct manager *manager, struct member *member, bool purge, char **kept,
                   struct estc_error *err);
