/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The thread takes all that has been queued, writes it as a group, and hands it back. `all` is the
 * loop's alone: what it handed over and has not heard the end of, and results that nobody has asked
 * for yet. Between the two are two lists under one lock, and two ways to wake each other.
 */
#include "writer.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/fs.h"
#include "common/journal.h"

#define JOBS_MAX 4096
#define KEEP_MS 60000 /* a result whose client does not come back */

enum job_kind { JOB_INSERT, JOB_COLLECTED };

struct job {
    struct job *next;      /* in `all` */
    struct job *next_todo; /* in `queued`, then in `written` */
    enum job_kind kind;
    struct ledger_entry entry; /* of JOB_COLLECTED its hash and that time only */
    int rc;
    struct estc_error err;
    int64_t done_at; /* CLOCK_BOOTTIME, ms; 0: under way. The loop's. */
};

struct writer {
    struct ledger *ledger; /* the thread's own */
    struct job *all;
    size_t n;
    pthread_t thread;
    bool running;
    pthread_mutex_t lock;
    pthread_cond_t wake;
    struct job *queued, **queued_end, *written; /* under lock, like */
    bool stop;
    int fd; /* eventfd: something is written */
    sd_event_source *source;
    void (*decided)(void *arg);
    void *arg;
};

static void job_free(struct job *job) {
    ledger_entry_clear(&job->entry);
    free(job);
}

/* --- the thread --- */

static int write_one(struct ledger *ledger, struct job *job) {
    switch (job->kind) {
    case JOB_INSERT:
        return ledger->ops->insert(ledger, &job->entry, NULL, &job->err);
    case JOB_COLLECTED:
        break;
    }
    return ledger->ops->collected(ledger, job->entry.sha256, job->entry.collected_at, &job->err);
}

/* One of them that fails is as if it had not been there; a group that is not on disk is nothing. */
static void write_group(struct ledger *ledger, struct job *jobs) {
    struct estc_error err = {0};
    int rc = ledger->ops->begin(ledger, &err);
    for (struct job *job = jobs; job; job = job->next_todo)
        job->rc = rc ? rc : write_one(ledger, job);
    int ended = rc ? rc : ledger->ops->end(ledger, &err);
    for (struct job *job = jobs; ended && job; job = job->next_todo)
        if (!job->rc || rc) {
            job->rc = ended;
            job->err = err;
        }
}

static void *work(void *arg) {
    struct writer *w = arg;
    pthread_mutex_lock(&w->lock);
    for (;;) {
        while (!w->queued && !w->stop)
            pthread_cond_wait(&w->wake, &w->lock);
        struct job *jobs = TAKE(w->queued);
        w->queued_end = &w->queued;
        if (!jobs)
            break;
        pthread_mutex_unlock(&w->lock);
        write_group(w->ledger, jobs);
        struct job *last = jobs;
        while (last->next_todo)
            last = last->next_todo;
        pthread_mutex_lock(&w->lock);
        last->next_todo = w->written;
        w->written = jobs;
        (void)eventfd_write(w->fd, 1);
    }
    pthread_mutex_unlock(&w->lock);
    return NULL;
}

/* Signals are the loop's. */
static int start_thread(struct writer *w) {
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int rc = -pthread_create(&w->thread, NULL, work, w);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    w->running = !rc;
    return rc;
}

/* --- what is under way --- */

static struct job **at_of(struct writer *w, const struct job *job) {
    struct job **at = &w->all;
    while (*at != job)
        at = &(*at)->next;
    return at;
}

static void forget(struct writer *w, struct job *job) {
    *at_of(w, job) = job->next;
    w->n--;
    job_free(job);
}

static int hand_over(struct writer *w, struct job *job) {
    job->next = w->all;
    w->all = job;
    w->n++;
    pthread_mutex_lock(&w->lock);
    *w->queued_end = job;
    w->queued_end = &job->next_todo;
    pthread_cond_signal(&w->wake);
    pthread_mutex_unlock(&w->lock);
    return 0;
}

static struct job *job_new(const struct writer *w, enum job_kind kind, struct estc_error *err) {
    struct job *job = w->n < JOBS_MAX ? calloc(1, sizeof(*job)) : NULL;
    if (job)
        job->kind = kind;
    else
        estc_error_set(err, -EBUSY, "the ledger does not keep up: look at its disk");
    return job;
}

int writer_insert(struct writer *w, struct ledger_entry *entry, struct estc_error *err) {
    struct job *job = job_new(w, JOB_INSERT, err);
    if (!job)
        return -EBUSY;
    job->entry = *entry;
    *entry = (struct ledger_entry){0};
    return hand_over(w, job);
}

int writer_collected(struct writer *w, const char *sha256, int64_t now, struct estc_error *err) {
    if (writer_is_collecting(w, sha256))
        return 0;
    struct job *job = job_new(w, JOB_COLLECTED, err);
    if (!job)
        return -EBUSY;
    job->entry.sha256 = strdup(sha256);
    job->entry.collected_at = now;
    if (!job->entry.sha256) {
        job_free(job);
        return estc_error_set(err, -ENOMEM, "out of memory");
    }
    return hand_over(w, job);
}

static bool is_of_kind(const struct ledger_entry *e, const struct ledger_request *kind) {
    return strcmp(e->authenticator, kind->authenticator) == 0 && strcmp(e->op, kind->op) == 0 &&
           strcmp(e->label, kind->label) == 0 && strcmp(e->names_id, kind->names_id) == 0 &&
           strcmp(e->key_sha256, kind->key_sha256) == 0;
}

int writer_look(struct writer *w, const struct ledger_request *kind, const char *subject_id,
                const char *holder, struct estc_error *err) {
    for (struct job *job = w->all; job; job = job->next) {
        const struct ledger_entry *e = &job->entry;
        if (job->kind != JOB_INSERT || (job->done_at && !job->rc))
            continue;
        const bool same = is_of_kind(e, kind);
        const bool others =
            strcmp(e->subject_id, subject_id) == 0 && strcmp(e->holder, holder) != 0;
        if (!job->done_at && (same || others))
            return estc_error_set(err, -EINPROGRESS, "is being written down");
        if (job->done_at && same) {
            int rc = job->rc;
            estc_error_set(err, rc, "%s", job->err.text);
            forget(w, job);
            return rc;
        }
    }
    return 0;
}

bool writer_is_fresh(struct writer *w, const char *sha256) {
    for (struct job *job = w->all; job; job = job->next)
        if (job->kind == JOB_INSERT && job->done_at && !job->rc &&
            strcmp(job->entry.sha256, sha256) == 0) {
            forget(w, job);
            return true;
        }
    return false;
}

bool writer_is_collecting(const struct writer *w, const char *sha256) {
    for (const struct job *job = w->all; job; job = job->next)
        if (job->kind == JOB_COLLECTED && strcmp(job->entry.sha256, sha256) == 0)
            return true;
    return false;
}

/* --- what is written --- */

static void forget_old(struct writer *w, int64_t now) {
    for (struct job *job = w->all, *next; job; job = next) {
        next = job->next;
        if (job->done_at && now - job->done_at > KEEP_MS)
            forget(w, job);
    }
}

static int on_written(sd_event_source *source, int fd, uint32_t revents, void *arg) {
    struct writer *w = arg;
    eventfd_t n;
    bool inserted = false;
    const int64_t now = clock_boot_ms();
    (void)source;
    (void)revents;
    (void)eventfd_read(fd, &n);
    pthread_mutex_lock(&w->lock);
    struct job *jobs = TAKE(w->written);
    pthread_mutex_unlock(&w->lock);
    for (struct job *job = jobs, *next; job; job = next) {
        next = job->next_todo;
        job->done_at = now;
        inserted = inserted || job->kind == JOB_INSERT;
        if (job->kind != JOB_COLLECTED)
            continue;
        if (job->rc)
            journal_warning("%s", job->err.text);
        forget(w, job);
    }
    if (inserted)
        w->decided(w->arg);
    forget_old(w, now);
    return 0;
}

/* --- life --- */

struct writer *writer_free(struct writer *w) {
    if (!w)
        return NULL;
    if (w->running) {
        pthread_mutex_lock(&w->lock);
        w->stop = true;
        pthread_cond_signal(&w->wake);
        pthread_mutex_unlock(&w->lock);
        pthread_join(w->thread, NULL);
    }
    sd_event_source_disable_unref(w->source);
    while (w->all)
        forget(w, w->all);
    ledger_closep(&w->ledger);
    fs_closep(&w->fd);
    pthread_cond_destroy(&w->wake);
    pthread_mutex_destroy(&w->lock);
    free(w);
    return NULL;
}

CLEANUP_DEFINE(struct writer *, writer_freep, writer_free);

int writer_new(sd_event *event, struct ledger *ledger, void (*decided)(void *arg), void *arg,
               struct writer **out, struct estc_error *err) {
    _cleanup(writer_freep) struct writer *w = calloc(1, sizeof(*w));
    if (!w)
        return estc_error_set(err, -ENOMEM, "out of memory");
    w->fd = -1;
    w->queued_end = &w->queued;
    w->decided = decided;
    w->arg = arg;
    pthread_mutex_init(&w->lock, NULL);
    pthread_cond_init(&w->wake, NULL);
    int rc = ledger->ops->again(ledger, &w->ledger, err);
    if (rc)
        return rc;
    w->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    rc = w->fd < 0 ? -errno : sd_event_add_io(event, &w->source, w->fd, EPOLLIN, on_written, w);
    if (rc >= 0)
        rc = start_thread(w);
    if (rc < 0)
        return estc_error_set(err, rc, "cannot start the ledger's thread: %s", strerror(-rc));
    *out = TAKE(w);
    return 0;
}
