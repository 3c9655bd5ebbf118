/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The issuer that is upstream. A request that has been granted becomes a job; whoever asks for the
 * same thing with the same certificate is shown the job, and nobody else. A job goes on when its
 * client has gone: what is issued is in the ledger then, and found there. What nobody collects is
 * wiped soon, since there may be a key in it.
 */
#include "forward.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup_ossl.h"
#include "base/clock.h"
#include "base/text.h"
#include "common/journal.h"
#include "forward_internal.h"
#include "upstream_cache.h"

#define JOBS_MAX 256
#define JOBS_EACH 8  /* of one device, so that no one has them all */
#define KEEP 30      /* seconds that an outcome waits for its client */
#define RETRY_BUSY 5 /* seconds */
#define HOLD_MAX 60  /* as for approvals: nobody waits longer without a sign of life */

struct forward {
    struct registrar *registrar;
    sd_event_source *timer, *decided;
    void (*on_decided)(void *arg);
    void *arg;
    struct job *first;
    size_t n;
};

static void job_free(struct job *job) {
    ledger_entry_clear(&job->entry);
    X509_REQ_free(job->csr);
    X509_free(job->cert);
    estc_buf_clear(&job->key);
    free(job->superseded);
    free(job->device);
    free(job->address);
    free(job);
}

CLEANUP_DEFINE(struct job *, job_freep, job_free);

static struct job *take(struct forward *forward, struct job **at) {
    struct job *job = *at;
    *at = job->next;
    forward->n--;
    return job;
}

/* --- the answer --- */

/* Several may have come at once, and each is found by asking for all. */
static int on_decided(sd_event_source *source, void *arg) {
    struct forward *forward = arg;
    (void)source;
    forward->on_decided(forward->arg);
    return 0;
}

static int on_timer(sd_event_source *source, uint64_t usec, void *arg) {
    struct forward *forward = arg;
    const int64_t old = clock_boot_ms() - KEEP * 1000;
    (void)usec;
    for (struct job **at = &forward->first; *at;) {
        if ((*at)->done && (*at)->done_at <= old)
            job_free(take(forward, at));
        else
            at = &(*at)->next;
    }
    int rc = sd_event_source_set_time_relative(source, (uint64_t)KEEP * 1000000);
    if (rc >= 0)
        rc = sd_event_source_set_enabled(source, forward->first ? SD_EVENT_ONESHOT : SD_EVENT_OFF);
    return rc < 0 ? rc : 0;
}

static void on_reply(void *arg, const struct http_reply *reply) {
    struct job *job = arg;
    struct forward *forward = job->forward;
    forward_outcome(job, forward->registrar, reply);
    job->done = true;
    job->done_at = clock_boot_ms();
    int rc = sd_event_source_set_enabled(forward->decided, SD_EVENT_ONESHOT);
    if (rc >= 0)
        rc = sd_event_source_set_enabled(forward->timer, SD_EVENT_ONESHOT);
    if (rc < 0)
        journal_error("cannot set a timer: %s", strerror(-rc));
}

/* --- asking --- */

static int wait_for_it(const struct request *r, int64_t *retry_after, struct estc_error *err) {
    const struct config_upstream *u = &r->registrar->config->upstream;
    int64_t longest = u->timeout * (int64_t)text_list_len(u->urls) + 1;
    *retry_after = !r->in->may_wait ? RETRY_BUSY : longest < HOLD_MAX ? longest : HOLD_MAX;
    return estc_error_set(err, r->in->may_wait ? -EINPROGRESS : ESTC_E_PENDING,
                          "the CA is being asked");
}

static bool is_same(const struct job *job, const struct ledger_request *kind) {
    const struct ledger_entry *e = &job->entry;
    return strcmp(e->authenticator, kind->authenticator) == 0 && strcmp(e->op, kind->op) == 0 &&
           strcmp(e->label, kind->label) == 0 && strcmp(e->names_id, kind->names_id) == 0 &&
           strcmp(e->key_sha256, kind->key_sha256) == 0;
}

static int collect(struct request *r, X509 **issued, int64_t *retry_after, struct estc_error *err) {
    struct forward *forward = r->registrar->forward;
    const struct ledger_request kind = enroll_kind(r);
    struct job **at = &forward->first;
    while (*at && !is_same(*at, &kind))
        at = &(*at)->next;
    if (!*at)
        return -ENOENT;
    if (!(*at)->done) {
        r->told = true; /* when it was sent; from here on it is only looked for */
        return wait_for_it(r, retry_after, err);
    }
    _cleanup(job_freep) struct job *job = take(forward, at);
    if (job->rc) {
        *retry_after = job->retry_after;
        return estc_error_set(err, job->rc, "%s", job->err.text);
    }
    r->told = true;
    *issued = TAKE(job->cert);
    if (r->generated) {
        r->generated->key = job->key;
        job->key = (struct estc_buf){0};
    }
    return 0;
}

static int make_job(struct request *r, struct job **out, struct estc_error *err) {
    _cleanup(job_freep) struct job *job = calloc(1, sizeof(*job));
    if (!job || enroll_fill_entry(r, &job->entry, err))
        return estc_error_set(err, -ENOMEM, "out of memory");
    job->forward = r->registrar->forward;
    job->csr = X509_REQ_dup(r->csr);
    job->generated = r->generated;
    job->sealed = r->generated && r->in->seal->kind != ESTC_SEAL_NONE;
    job->superseded = r->superseded.sha256 ? strdup(r->superseded.sha256) : NULL;
    job->device = strdup(r->peer_facts.subject);
    job->address = strdup(r->peer->address);
    if (!job->csr || !job->device || !job->address || (r->superseded.sha256 && !job->superseded))
        return estc_error_set(err, -ENOMEM, "out of memory");
    *out = TAKE(job);
    return 0;
}

/* The request goes as it came: its signature is about its bytes. */
static int send_job(const struct request *r, struct job *job, struct estc_error *err) {
    const struct upstream_question question = {
        .op = r->in->op, .label = r->in->label, .der = r->in->der, .len = r->in->der_len};
    int rc = upstream_ask(r->registrar->upstream, &question, on_reply, job, err);
    if (rc)
        forward_record_open(r->registrar->ledger, job->id);
    return rc;
}

static bool is_busy(const struct forward *forward, const struct request *r) {
    size_t of_it = 0;
    for (const struct job *job = forward->first; job; job = job->next)
        of_it += strcmp(job->entry.authenticator, r->peer_facts.sha256) == 0;
    return forward->n >= JOBS_MAX || of_it >= JOBS_EACH;
}

static int issue(struct request *r, X509 **issued, int64_t *retry_after, struct estc_error *err) {
    struct forward *forward = r->registrar->forward;
    _cleanup(job_freep) struct job *job = NULL;
    (void)issued; /* always later */
    if (is_busy(forward, r)) {
        *retry_after = RETRY_BUSY;
        return estc_error_set(err, ESTC_E_TIMEOUT, "too many requests are under way");
    }
    int rc = make_job(r, &job, err);
    if (rc)
        return rc;
    rc = forward_record_begin(r, &job->id, err);
    if (rc == -EDQUOT)
        return estc_error_set(err, ESTC_E_REJECTED, "too many requests of this device wait");
    if (rc < 0)
        return enroll_unavailable(err, retry_after);
    if (!rc)
        rc = send_job(r, job, err);
    if (rc)
        return rc;
    job->next = forward->first;
    forward->first = TAKE(job);
    forward->n++;
    return wait_for_it(r, retry_after, err);
}

static int cacerts(struct registrar *registrar, const char *label, STACK_OF(X509) * *out,
                   struct estc_error *err) {
    return upstream_cache_certs(registrar->cache, label, out, err);
}

static int csrattrs(struct registrar *registrar, const char *label, struct estc_buf *der,
                    struct estc_error *err) {
    return upstream_cache_attrs(registrar->cache, label, der, err);
}

const struct issuer_ops issuer_upstream = {
    .issue = issue, .collect = collect, .cacerts = cacerts, .csrattrs = csrattrs};

/* --- life --- */

struct forward *forward_free(struct forward *forward) {
    if (!forward)
        return NULL;
    while (forward->first)
        job_free(take(forward, &forward->first));
    sd_event_source_disable_unref(forward->timer);
    sd_event_source_disable_unref(forward->decided);
    free(forward);
    return NULL;
}

int forward_new(sd_event *event, struct registrar *registrar, void (*decided)(void *arg), void *arg,
                struct forward **out, struct estc_error *err) {
    struct forward *forward = calloc(1, sizeof(*forward));
    if (!forward)
        return estc_error_set(err, -ENOMEM, "out of memory");
    forward->registrar = registrar;
    forward->on_decided = decided;
    forward->arg = arg;
    int rc = sd_event_add_time_relative(event, &forward->timer, CLOCK_BOOTTIME,
                                        (uint64_t)KEEP * 1000000, 0, on_timer, forward);
    if (rc >= 0)
        rc = sd_event_source_set_enabled(forward->timer, SD_EVENT_OFF);
    if (rc >= 0)
        rc = sd_event_add_defer(event, &forward->decided, on_decided, forward);
    if (rc >= 0)
        rc = sd_event_source_set_enabled(forward->decided, SD_EVENT_OFF);
    if (rc < 0) {
        forward_free(forward);
        return estc_error_set(err, rc, "cannot make a timer: %s", strerror(-rc));
    }
    *out = forward;
    return 0;
}
