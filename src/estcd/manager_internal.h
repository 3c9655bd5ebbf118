/* SPDX-License-Identifier: BSD-2-Clause */
/* What the files of the manager share; nobody else includes this. */
#pragma once

#include "alert.h"
#include "base/cleanup.h"
#include "catalog.h"
#include "link.h"
#include "manager.h"
#include "worker.h"

struct member {
    struct manager *manager;
    struct config_identity *requested; /* what was asked for at run time; NULL: of estcd.conf */
    struct identity identity;
    struct member_plan plan;
    uint32_t *attempts_by_result; /* since we started, each ESTC_E_* and the system; NULL: none */
    enum alert_level alert;       /* as it is known to those who follow */
    uint64_t alert_turn;          /* for on_alert: in which order they changed ... */
    unsigned untold;              /* ... how often it has failed since ... */
    int64_t tell_at;              /* ... and not before this moment of boot time, ms */
    bool wants_enroll;            /* asked for /sen although a renewal would do */
    bool wants_rekey;             /* a renewal with another key, until there is one */
    bool wants_another;           /* a certificate, although one is issued and waits to be proven */
    bool renewed; /* what is in force came since this process began: its age is known */

    /* while a worker runs */
    pid_t pid;
    int fd;
    unsigned n_messages;
    bool restart;    /* it was ended because the clock was set, and begins again */
    bool restarted;  /* this attempt has begun again once; a clock that is set all the time must not
                        keep it from coming to an end */
    int64_t ends_by; /* clock_boot_ms() */
    bool overdue;    /* it did not, and was killed */
    const struct bootstrap_offer *offer; /* what it is started with; NULL: nothing was brought */
    bool brings;                         /* it began with something that was brought ... */
    bool taken;                          /* ... and that was fit, and is on disk */
    sd_event_source *child_source, *message_source, *deadline_source;
    enum schedule_action action;
    bool have_result;
    struct attempt_result result;

    int64_t deploy_at; /* boot time, ms: a deployment is asked for again; 0: not */

    /* while a file is unfit */
    sd_event_source **watches; /* while there are any */
};

struct manager {
    sd_event *event;
    char *config_path;
    struct config *config;
    char *machine; /* tells this machine from its clones */
    int lock_fd;
    struct member **members; /* sorted by id */
    size_t n_members;
    unsigned n_working;
    sd_event_source *timer, *clock_source, *deploy_timer;
    int clock_fd;
    int64_t written_down; /* the floor in clock.json; 0: not known yet */
    bool clock_trusted;   /* as was said last */
    bool clock_found;     /* it was not trusted, and then it was */
    int64_t started_at;   /* believed time when all began, or the clock was found; 0: not yet */
    struct link_watch *links;
    struct manager_hook *hook;
    bool started;
    unsigned n_reloads, n_reloads_failed;
    sd_event_source *metrics_timer; /* while the file with metrics is to be written */
    char *metrics_path;             /* where one is now; NULL: nowhere */
    int64_t metrics_written;        /* clock_boot_ms() of the last try; 0: none yet */
    bool metrics_failed;            /* and it has failed, which is said once */
    manager_observer_fn observer;
    void *observer_arg;
};

/* manager.c */
struct member *member_new(struct manager *manager, const struct config_identity *config);
struct member *member_free(struct member *member);
void member_replan(struct member *member);
void manager_tell(struct manager *manager, const struct manager_event *event);
/* From the store: the certificate in force; the trust anchors, which change without one; and what
 * tells the machine from others while there is none. */
void member_load(struct member *member);
void member_load_trust(struct member *member, struct trust_facts *out); /* in full; or NULL */
void member_load_birth(struct member *member);

/*
 * manager_roster.c: who is to be looked after from now on, by a configuration (in force when this
 * returns 0) and by what was asked for at run time. Who was there keeps what it is. -ENOMEM:
 * nothing has changed.
 */
int manager_take(struct manager *manager, struct config *config);
/* One more, and one less. The first takes `requested` in any case; NULL: out of memory. */
struct member *manager_add(struct manager *manager, struct config_identity *requested);
void manager_remove(struct manager *manager, struct member *member);

/* manager_ask.c: says that a certificate comes to its end and is not renewed. */
void member_warn_paused(struct member *member);

/* manager_alert.c */
int64_t manager_alert_look(struct manager *manager); /* tells; when time alone changes the next */

/* manager_hook.c: on_alert, a program */
int manager_hook_new(struct manager *manager, struct estc_error *err);
void manager_hook_end(struct manager *manager);
void manager_hook_look(struct manager *manager); /* tells who is to be told now */
void manager_hook_again(
    struct manager *manager); /* whoever waits after failures, at the next look */
void member_hook_changed(struct member *member); /* its alert is another now */
void member_hook_forget(struct member *member);  /* it goes */

/* manager_metrics.c */
void member_count_attempt(struct member *member, int result);

/* manager_metrics_file.c: something has changed; and the end. */
void manager_metrics_touch(struct manager *manager);
void manager_metrics_end(struct manager *manager);

/* manager_clock.c */
int manager_clock_new(struct manager *manager, struct estc_error *err);
void manager_clock_load(struct manager *manager);
void manager_clock_save(struct manager *manager);
void manager_clock_look(struct manager *manager);
void manager_nudge(struct manager *manager);
void manager_sleep(struct manager *manager, int64_t seconds); /* until manager_schedule() */

/* manager_worker.c */
void member_start(struct member *member, enum schedule_action action);
void member_stop(struct member *member);    /* without a result */
void member_restart(struct member *member); /* the same, and once more from the start */

/* manager_log.c */
/* `had`: there was a certificate that had not expired. */
void member_log_issued(const struct member *member, bool had);
void member_log_failure(const struct member *member, enum catalog_event event);
/* The anchors may have changed, whatever came of the attempt: loads them. */
void member_look_at_trust(struct member *member);

/* manager_progress.c */
/* Of the worker that runs now, which has so many seconds for its attempt. */
int member_set_deadline(struct member *member, int64_t timeout);
void member_clear_deadline(struct member *member);

/* manager_deploy.c */
int manager_deploy_new(struct manager *manager, struct estc_error *err);
void member_deploy_load(struct member *member);
/* Asks for its deployment again if that has not come to a good end; false: it has. */
bool member_deploy_again(struct member *member);
/* Asks for what has to be deployed, and sets the timer for what may have to be asked for again. */
void manager_deploy(struct manager *manager);

/* manager_watch.c */
void member_watch(struct member *member);
void member_unwatch(struct member *member);
