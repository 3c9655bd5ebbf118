/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Keeps what upstream says to everybody. It is asked for by the clock and never by a device, so
 * that nobody can have the registrar ask, and it is served while upstream is away, for a limit.
 * Nothing that was meant for one client is here.
 */
#include "upstream_cache.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup_ossl.h"
#include "base/clock.h"
#include "base/text.h"
#include "common/journal.h"
#include "upstream_translate.h"

/* Seconds after a failure, doubled with each round that has one. */
#define AGAIN 5
#define AGAIN_MAX 300

/* One operation for one label. */
struct kept {
    struct upstream_cache *cache;
    enum estc_op op;
    const char *label;
    bool asking, ended; /* ended: at least once, well or not */
    bool known, failing;
    int64_t since; /* CLOCK_BOOTTIME, ms: when it was learnt */
    STACK_OF(X509) * certs;
    struct estc_buf attrs;
};

struct upstream_cache {
    const struct config_upstream *config;
    struct upstream *upstream;
    sd_event_source *timer;
    int64_t again;
    struct kept *kept;
    size_t n;
};

/* --- what comes --- */

static bool is_missing(const struct http_reply *reply) {
    return reply->status == 204 || reply->status == 404;
}

static int read_reply(struct kept *k, const struct http_reply *reply, struct estc_error *err) {
    const struct translate_body body = {
        .type = reply->content_type, .data = reply->body.data, .len = reply->body.len};
    _cleanup(sk_x509_freep) STACK_OF(X509) *certs = NULL;
    _cleanup(estc_buf_clear) struct estc_buf attrs = {0};
    int rc = 0;
    if (reply->end != HTTP_ANSWERED)
        rc = estc_error_set(err, ESTC_E_UNREACHABLE, "no answer");
    else if (k->op == ESTC_OP_ATT && is_missing(reply))
        rc = 0;
    else if (reply->status != 200)
        rc = estc_error_set(err, ESTC_E_SERVER, "status %ld", reply->status);
    else if (k->op == ESTC_OP_CRTS)
        rc = translate_certs(&body, &certs, err);
    else
        rc = translate_csrattrs(&body, &attrs, err);
    if (rc)
        return rc;
    sk_X509_pop_free(k->certs, X509_free);
    estc_buf_clear(&k->attrs);
    k->certs = TAKE(certs);
    k->attrs = attrs;
    attrs = (struct estc_buf){0};
    return 0;
}

static void on_reply(void *arg, const struct http_reply *reply) {
    struct kept *k = arg;
    struct estc_error err = {0};
    k->asking = false;
    k->ended = true;
    int rc = read_reply(k, reply, &err);
    if (!rc) {
        k->known = true;
        k->since = clock_boot_ms();
        k->failing = false;
        return;
    }
    k->failing = true;
    journal_warning("upstream: /%s%s%s cannot be used: %s: %s", k->label, *k->label ? "/" : "",
                    estc_op_info(k->op)->long_name, err.text,
                    k->known ? "the last one is served meanwhile" : "there is none to serve");
    struct upstream_cache *cache = k->cache;
    int set = sd_event_source_set_time_relative(cache->timer, (uint64_t)cache->again * 1000000);
    if (set < 0)
        journal_error("cannot set a timer: %s", strerror(-set));
}

static bool is_failing(const struct upstream_cache *cache) {
    for (size_t i = 0; i < cache->n; i++)
        if (cache->kept[i].failing)
            return true;
    return false;
}

static int on_timer(sd_event_source *source, uint64_t usec, void *arg) {
    struct upstream_cache *cache = arg;
    (void)usec;
    upstream_look_at_self(cache->upstream);
    cache->again = is_failing(cache) ? cache->again * 2 : AGAIN;
    if (cache->again > AGAIN_MAX)
        cache->again = AGAIN_MAX;
    for (size_t i = 0; i < cache->n; i++) {
        struct kept *k = &cache->kept[i];
        const struct upstream_question question = {.op = k->op, .label = k->label};
        struct estc_error err = {0};
        if (k->asking)
            continue;
        k->asking = !upstream_ask(cache->upstream, &question, on_reply, k, &err);
        if (!k->asking) {
            k->ended = true;
            journal_error("upstream: %s", err.text);
        }
    }
    int rc = sd_event_source_set_time_relative(source, (uint64_t)cache->config->refresh * 1000000);
    if (rc >= 0)
        rc = sd_event_source_set_enabled(source, SD_EVENT_ONESHOT);
    return rc < 0 ? rc : 0;
}

/* --- what is served --- */

static int find(const struct upstream_cache *cache, enum estc_op op, const char *label,
                const struct kept **out, struct estc_error *err) {
    for (size_t i = 0; i < cache->n; i++) {
        const struct kept *k = &cache->kept[i];
        if (k->op != op || strcmp(k->label, label) != 0)
            continue;
        if (!k->known || clock_boot_ms() - k->since > cache->config->keep * 1000)
            return estc_error_set(err, ESTC_E_TIMEOUT, "the CA cannot be asked now");
        *out = k;
        return 0;
    }
    return estc_error_set(err, ESTC_E_NOT_FOUND, "there is no such label");
}

int upstream_cache_certs(const struct upstream_cache *cache, const char *label,
                         STACK_OF(X509) * *out, struct estc_error *err) {
    const struct kept *k = NULL;
    int rc = find(cache, ESTC_OP_CRTS, label, &k, err);
    if (rc)
        return rc;
    *out = X509_chain_up_ref(k->certs);
    return *out ? 0 : estc_error_set(err, -ENOMEM, "out of memory");
}

int upstream_cache_attrs(const struct upstream_cache *cache, const char *label,
                         struct estc_buf *out, struct estc_error *err) {
    const struct kept *k = NULL;
    int rc = find(cache, ESTC_OP_ATT, label, &k, err);
    if (rc || k->attrs.len == 0)
        return rc;
    return estc_buf_append(out, k->attrs.data, k->attrs.len)
               ? estc_error_set(err, -ENOMEM, "out of memory")
               : 0;
}

bool upstream_cache_is_starting(const struct upstream_cache *cache) {
    for (size_t i = 0; i < cache->n; i++)
        if (!cache->kept[i].ended)
            return true;
    return false;
}

/* --- life --- */

struct upstream_cache *upstream_cache_free(struct upstream_cache *cache) {
    if (!cache)
        return NULL;
    sd_event_source_disable_unref(cache->timer);
    for (size_t i = 0; i < cache->n; i++) {
        sk_X509_pop_free(cache->kept[i].certs, X509_free);
        estc_buf_clear(&cache->kept[i].attrs);
    }
    free(cache->kept);
    free(cache);
    return NULL;
}

int upstream_cache_new(sd_event *event, const struct config *config, struct upstream *upstream,
                       char *const *labels, struct upstream_cache **out, struct estc_error *err) {
    static const enum estc_op ops[] = {ESTC_OP_CRTS, ESTC_OP_ATT};
    struct upstream_cache *cache = calloc(1, sizeof(*cache));
    if (!cache)
        return estc_error_set(err, -ENOMEM, "out of memory");
    size_t n_labels = text_list_len(labels);
    cache->config = &config->upstream;
    cache->upstream = upstream;
    cache->kept = calloc(2 * (n_labels + 1), sizeof(*cache->kept));
    for (size_t i = 0; cache->kept && i <= n_labels; i++)
        for (size_t k = 0; k < 2; k++)
            cache->kept[cache->n++] =
                (struct kept){.cache = cache, .op = ops[k], .label = i < n_labels ? labels[i] : ""};
    int rc = cache->kept ? sd_event_add_time_relative(event, &cache->timer, CLOCK_BOOTTIME, 0, 0,
                                                      on_timer, cache)
                         : -ENOMEM;
    if (rc < 0) {
        upstream_cache_free(cache);
        return estc_error_set(err, rc, "cannot ask upstream: %s", strerror(-rc));
    }
    *out = cache;
    return 0;
}
