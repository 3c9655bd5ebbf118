/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Asks the servers upstream in their order, beginning with the one that answered last, and follows
 * redirects within one of them. Reads no body: that is upstream_translate.c's.
 */
#include "upstream.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <curl/curl.h>

#include <estc/cert.h>

#include "base/cleanup_ossl.h"
#include "base/text.h"
#include "common/journal.h"
#include "common/pem.h"
#include "upstream_translate.h"

#define REDIRECTS_MAX 3
#define SHOWN_MAX 200 /* bytes of what a server says, in a log line */

struct upstream {
    const struct config_upstream *config;
    struct http *http;
    size_t n, preferred;
    char *self; /* SHA-256 of the certificate that was looked at; NULL: none yet */
    struct asking *first;
};

/* One question on its way through the servers. */
struct asking {
    struct asking *next;
    struct upstream *upstream;
    char *path;           /* "/LABEL/simpleenroll" */
    struct estc_buf body; /* base64 */
    bool is_post;
    size_t at, tried;
    unsigned redirects;
    http_done_fn done;
    void *arg;
};

static void asking_free(struct asking *a) {
    free(a->path);
    estc_buf_clear(&a->body);
    free(a);
}

CLEANUP_DEFINE(struct asking *, asking_freep, asking_free);

static void forget(struct asking *a) {
    struct asking **at = &a->upstream->first;
    while (*at && *at != a)
        at = &(*at)->next;
    if (*at)
        *at = a->next;
    asking_free(a);
}

/* --- what became of it --- */

static bool is_redirect(const struct http_reply *reply) {
    return reply->end == HTTP_ANSWERED && reply->status >= 300 && reply->status < 400;
}

static bool same_part(CURLU *a, CURLU *b, CURLUPart part) {
    char *x = NULL, *y = NULL;
    bool same = !curl_url_get(a, part, &x, CURLU_DEFAULT_PORT) &&
                !curl_url_get(b, part, &y, CURLU_DEFAULT_PORT) && strcasecmp(x, y) == 0;
    curl_free(x);
    curl_free(y);
    return same;
}

/* Scheme, host and port (RFC 6454). */
static bool same_origin(const char *url, const char *other) {
    CURLU *a = curl_url(), *b = curl_url();
    bool same = a && b && !curl_url_set(a, CURLUPART_URL, url, 0) &&
                !curl_url_set(b, CURLUPART_URL, other, 0) && same_part(a, b, CURLUPART_SCHEME) &&
                same_part(a, b, CURLUPART_HOST) && same_part(a, b, CURLUPART_PORT);
    curl_url_cleanup(a);
    curl_url_cleanup(b);
    return same;
}

/* Whether the next server can be asked without the request being done twice. */
static bool is_open(const struct asking *a, const struct http_reply *reply) {
    switch (reply->end) {
    case HTTP_UNREACHABLE:
    case HTTP_UNTRUSTED:
        return true;
    case HTTP_CUT:
    case HTTP_TOO_LARGE:
        return !a->is_post;
    case HTTP_ANSWERED:
        break;
    }
    return reply->status == 401 || is_redirect(reply) || (!a->is_post && reply->status >= 500);
}

/* One line with the cause and what to do about it; nothing for an answer like any other. */
static void log_reply(const struct asking *a, const struct http_reply *reply) {
    const char *url = a->upstream->config->urls[a->at];
    _cleanup(freep) char *why =
        text_clean(reply->why ? reply->why : "", strlen(reply->why ? reply->why : ""), SHOWN_MAX);
    _cleanup(freep) char *redirect =
        text_clean(reply->redirect ? reply->redirect : "",
                   strlen(reply->redirect ? reply->redirect : ""), SHOWN_MAX);
    switch (reply->end) {
    case HTTP_UNREACHABLE:
        journal_warning("upstream %s%s: not reached: %s: check the address and the way there", url,
                        a->path, why);
        return;
    case HTTP_UNTRUSTED:
        journal_warning("upstream %s%s: TLS failed: %s: check its certificate against "
                        "upstream.trust, and whether it accepts upstream.certificate",
                        url, a->path, why);
        return;
    case HTTP_CUT:
        journal_warning("upstream %s%s: no whole answer: %s%s", url, a->path, why,
                        a->is_post ? ": whether it has issued is not known: look there" : "");
        return;
    case HTTP_TOO_LARGE:
        journal_warning("upstream %s%s: answers with more than %lld bytes: raise "
                        "upstream.max_body if it should",
                        url, a->path, (long long)a->upstream->config->max_body);
        return;
    case HTTP_ANSWERED:
        break;
    }
    if (reply->status == 401)
        journal_error("upstream %s%s: 401: it does not accept this registrar: check "
                      "upstream.certificate and what it may do there",
                      url, a->path);
    else if (is_redirect(reply))
        journal_warning("upstream %s%s: %ld to '%s' is not followed: write in upstream.urls where "
                        "it really is",
                        url, a->path, reply->status, redirect);
    else if (reply->status >= 500)
        journal_warning("upstream %s%s: %ld: look into its log", url, a->path, reply->status);
}

/* --- asking --- */

static void on_reply(void *arg, const struct http_reply *reply);

static int send_to(struct asking *a, const char *url, struct estc_error *err) {
    const struct http_request request = {
        .url = url,
        .content_type = a->is_post ? "application/pkcs10" : NULL,
        .body = a->body.data,
        .len = a->body.len,
    };
    return http_send(a->upstream->http, &request, on_reply, a, err);
}

static int send_there(struct asking *a, struct estc_error *err) {
    _cleanup(freep) char *url = text_format("%s%s", a->upstream->config->urls[a->at], a->path);
    return url ? send_to(a, url, err) : estc_error_set(err, -ENOMEM, "out of memory");
}

/* True when it goes on. */
static bool go_on(struct asking *a, const struct http_reply *reply) {
    struct upstream *upstream = a->upstream;
    struct estc_error err = {0};
    int rc = -ENOENT;
    if (is_redirect(reply) && reply->redirect && a->redirects < REDIRECTS_MAX &&
        same_origin(upstream->config->urls[a->at], reply->redirect)) {
        a->redirects++;
        rc = send_to(a, reply->redirect, &err);
    } else {
        log_reply(a, reply);
        if (is_open(a, reply) && ++a->tried < upstream->n) {
            a->at = (a->at + 1) % upstream->n;
            a->redirects = 0;
            rc = send_there(a, &err);
        }
    }
    if (rc && rc != -ENOENT)
        journal_error("upstream: %s", err.text);
    return rc == 0;
}

static void on_reply(void *arg, const struct http_reply *reply) {
    struct asking *a = arg;
    if (go_on(a, reply))
        return;
    if (reply->end == HTTP_ANSWERED && !is_open(a, reply) && a->upstream->preferred != a->at) {
        journal_notice("upstream %s is asked first from now on", a->upstream->config->urls[a->at]);
        a->upstream->preferred = a->at;
    }
    a->done(a->arg, reply);
    forget(a);
}

int upstream_ask(struct upstream *upstream, const struct upstream_question *question,
                 http_done_fn done, void *arg, struct estc_error *err) {
    const struct estc_op_info *op = estc_op_info(question->op);
    _cleanup(asking_freep) struct asking *a = calloc(1, sizeof(*a));
    if (!a)
        return estc_error_set(err, -ENOMEM, "out of memory");
    a->upstream = upstream;
    a->at = upstream->preferred;
    a->is_post = op->method == ESTC_POST;
    a->done = done;
    a->arg = arg;
    a->path = text_format("%s%s/%s", *question->label ? "/" : "", question->label, op->long_name);
    if (!a->path || (a->is_post && translate_to_base64(question->der, question->len, &a->body)))
        return estc_error_set(err, -ENOMEM, "out of memory");
    int rc = send_there(a, err);
    if (rc)
        return rc;
    a->next = upstream->first;
    upstream->first = TAKE(a);
    return 0;
}

/* --- who the registrar is there --- */

int upstream_check(const struct config *config, struct estc_error *err) {
    const struct config_upstream *u = &config->upstream;
    _cleanup(pem_credentials_clear) struct estc_credentials own = {0};
    _cleanup(sk_x509_freep) STACK_OF(X509) *trust = NULL, *issuers = NULL;
    int rc = pem_read_credentials(u->certificate, u->key, &own, err);
    if (rc)
        return estc_error_prefix(err, "upstream.certificate");
    rc = pem_read_certs(u->trust, &trust, err);
    if (rc)
        return estc_error_prefix(err, "upstream.trust");
    rc = pem_read_certs(u->issuers, &issuers, err);
    return rc ? estc_error_prefix(err, "upstream.issuers") : 0;
}

void upstream_look_at_self(struct upstream *upstream) {
    const struct config_upstream *config = upstream->config;
    struct estc_error err = {0};
    _cleanup(pem_credentials_clear) struct estc_credentials own = {0};
    _cleanup(estc_cert_facts_clear) struct estc_cert_facts facts = {0};
    int rc = pem_read_credentials(config->certificate, config->key, &own, &err);
    if (!rc)
        rc = estc_cert_facts_get(own.cert, &facts, &err);
    if (rc) {
        journal_warning("upstream.certificate: %s", err.text);
        return;
    }
    if (X509_cmp_current_time(X509_get0_notAfter(own.cert)) <= 0)
        journal_warning("upstream.certificate %s has expired: nothing is issued until it is "
                        "renewed; see est-registrar.conf(5)",
                        config->certificate);
    if (upstream->self && strcmp(upstream->self, facts.sha256) == 0)
        return;
    free(upstream->self);
    upstream->self = TAKE(facts.sha256);
    journal_notice("upstream knows this registrar as '%s', certificate %s", facts.subject,
                   facts.serial);
    if (!estc_cert_is_ra(own.cert))
        journal_warning("upstream.certificate %s is no registration authority's (extendedKeyUsage "
                        "id-kp-cmcRA): a CA may refuse requests of devices by it; ask for one that "
                        "is",
                        config->certificate);
}

/* --- life --- */

struct upstream *upstream_free(struct upstream *upstream) {
    if (!upstream)
        return NULL;
    http_free(upstream->http);
    while (upstream->first)
        forget(upstream->first);
    free(upstream->self);
    free(upstream);
    return NULL;
}

int upstream_new(sd_event *event, const struct config *config, struct upstream **out,
                 struct estc_error *err) {
    const struct config_upstream *u = &config->upstream;
    const struct http_options options = {
        .trust = u->trust,
        .certificate = u->certificate,
        .key = u->key,
        .connect_timeout = u->connect_timeout,
        .timeout = u->timeout,
        .max_body = (size_t)u->max_body,
    };
    struct upstream *upstream = calloc(1, sizeof(*upstream));
    if (!upstream)
        return estc_error_set(err, -ENOMEM, "out of memory");
    upstream->config = u;
    upstream->n = text_list_len(u->urls);
    int rc = http_new(event, &options, &upstream->http, err);
    if (rc) {
        upstream_free(upstream);
        return rc;
    }
    upstream_look_at_self(upstream);
    *out = upstream;
    return 0;
}
