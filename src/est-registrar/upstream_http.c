/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * libcurl's multi interface driven by sd-event. Each request has a connection of its own: libcurl
 * would silently send a request twice where a kept connection turns out to be dead, and a
 * certificate that was renewed counts from the next request on. Nothing is taken from the
 * environment, no redirect is followed, no cookie and no password exists here.
 */
#include "upstream_http.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>

#include <curl/curl.h>

#include "base/cleanup.h"
#include "common/journal.h"

struct transfer {
    struct transfer *next;
    struct http *http;
    CURL *easy;
    struct curl_slist *headers;
    http_done_fn done;
    void *arg;
    struct http_reply reply;
    size_t max_body;
    char why[CURL_ERROR_SIZE];
};

struct http {
    sd_event *event;
    CURLM *multi;
    sd_event_source *timer;
    struct http_options options;
    struct transfer *first;
};

static void transfer_free(struct transfer *t) {
    if (t->easy)
        curl_multi_remove_handle(t->http->multi, t->easy);
    curl_easy_cleanup(t->easy);
    curl_slist_free_all(t->headers);
    estc_buf_clear(&t->reply.body);
    free(t);
}

CLEANUP_DEFINE(struct transfer *, transfer_freep, transfer_free);

/* --- how it ended --- */

/* A server that did not like our certificate has read nothing behind the handshake, even where TLS
 * 1.3 says so late. */
static bool alert_about_us(const char *why) {
    static const char *const alerts[] = {"alert certificate",   "alert bad certificate",
                                         "alert unknown ca",    "alert handshake failure",
                                         "alert access denied", "alert unsupported certificate"};
    for (size_t i = 0; i < sizeof(alerts) / sizeof(alerts[0]); i++)
        if (strcasestr(why, alerts[i]))
            return true;
    return false;
}

static enum http_end end_of(struct transfer *t, CURLcode code) {
    curl_off_t sending = 0, encrypted = 0;
    if (code == CURLE_OK)
        return HTTP_ANSWERED;
    if (t->reply.end == HTTP_TOO_LARGE)
        return HTTP_TOO_LARGE;
    if (code == CURLE_SSL_CERTPROBLEM || code == CURLE_SSL_CACERT_BADFILE ||
        code == CURLE_PEER_FAILED_VERIFICATION || alert_about_us(t->why))
        return HTTP_UNTRUSTED;
    curl_easy_getinfo(t->easy, CURLINFO_PRETRANSFER_TIME_T, &sending);
    if (sending > 0)
        return HTTP_CUT;
    /* Closed right behind the handshake: that of TLS 1.3 again. */
    curl_easy_getinfo(t->easy, CURLINFO_APPCONNECT_TIME_T, &encrypted);
    return encrypted > 0 || code == CURLE_SSL_CONNECT_ERROR ? HTTP_UNTRUSTED : HTTP_UNREACHABLE;
}

static void finish(struct transfer *t, CURLcode code) {
    struct curl_header *header = NULL;
    char *redirect = NULL, *type = NULL;
    t->reply.end = end_of(t, code);
    t->reply.why = *t->why ? t->why : curl_easy_strerror(code);
    curl_easy_getinfo(t->easy, CURLINFO_RESPONSE_CODE, &t->reply.status);
    curl_easy_getinfo(t->easy, CURLINFO_CONTENT_TYPE, &type);
    curl_easy_getinfo(t->easy, CURLINFO_REDIRECT_URL, &redirect);
    if (curl_easy_header(t->easy, "Retry-After", 0, CURLH_HEADER, -1, &header) == CURLHE_OK)
        t->reply.retry_after = header->value;
    t->reply.content_type = type;
    t->reply.redirect = redirect;
    t->done(t->arg, &t->reply);
}

static void finish_all(struct http *http) {
    int left = 0;
    for (CURLMsg *m; (m = curl_multi_info_read(http->multi, &left));) {
        if (m->msg != CURLMSG_DONE)
            continue;
        CURLcode code = m->data.result;
        struct transfer **at = &http->first;
        while (*at && (*at)->easy != m->easy_handle)
            at = &(*at)->next;
        if (!*at)
            continue;
        _cleanup(transfer_freep) struct transfer *t = *at;
        *at = t->next;
        finish(t, code);
    }
}

/* --- the loop --- */

static int on_timer(sd_event_source *source, uint64_t usec, void *arg) {
    struct http *http = arg;
    int running;
    (void)source;
    (void)usec;
    curl_multi_socket_action(http->multi, CURL_SOCKET_TIMEOUT, 0, &running);
    finish_all(http);
    return 0;
}

static int on_io(sd_event_source *source, int fd, uint32_t revents, void *arg) {
    struct http *http = arg;
    int running, what = 0;
    (void)source;
    what |= revents & (EPOLLIN | EPOLLHUP) ? CURL_CSELECT_IN : 0;
    what |= revents & EPOLLOUT ? CURL_CSELECT_OUT : 0;
    what |= revents & EPOLLERR ? CURL_CSELECT_ERR : 0;
    curl_multi_socket_action(http->multi, fd, what, &running);
    finish_all(http);
    return 0;
}

static int watch_timer(CURLM *multi, long ms, void *arg) {
    struct http *http = arg;
    (void)multi;
    int rc = ms < 0 ? 0 : sd_event_source_set_time_relative(http->timer, (uint64_t)ms * 1000);
    if (rc >= 0)
        rc = sd_event_source_set_enabled(http->timer, ms < 0 ? SD_EVENT_OFF : SD_EVENT_ONESHOT);
    return rc < 0 ? -1 : 0;
}

static int watch_socket(CURL *easy, curl_socket_t fd, int what, void *arg, void *socket_arg) {
    static const uint32_t events[] = {[CURL_POLL_NONE] = 0,
                                      [CURL_POLL_IN] = EPOLLIN,
                                      [CURL_POLL_OUT] = EPOLLOUT,
                                      [CURL_POLL_INOUT] = EPOLLIN | EPOLLOUT};
    struct http *http = arg;
    sd_event_source *source = socket_arg;
    (void)easy;
    if (what == CURL_POLL_REMOVE) {
        sd_event_source_disable_unref(source);
        curl_multi_assign(http->multi, fd, NULL);
        return 0;
    }
    if (source)
        return sd_event_source_set_io_events(source, events[what]) < 0 ? -1 : 0;
    if (sd_event_add_io(http->event, &source, fd, events[what], on_io, http) < 0)
        return -1;
    curl_multi_assign(http->multi, fd, source);
    return 0;
}

/* --- sending --- */

static size_t take_body(char *data, size_t size, size_t n, void *arg) {
    struct transfer *t = arg;
    (void)size;
    if (n > t->max_body - t->reply.body.len) {
        t->reply.end = HTTP_TOO_LARGE;
        return 0;
    }
    return estc_buf_append(&t->reply.body, data, n) ? 0 : n;
}

static CURLcode set_up(struct transfer *t, const struct http_request *request) {
    const struct http_options *o = &t->http->options;
    CURLcode rc = CURLE_OK;
#define SET(option, value) rc = rc ? rc : curl_easy_setopt(t->easy, option, value)
    SET(CURLOPT_URL, request->url);
    SET(CURLOPT_PROTOCOLS_STR, "https");
    SET(CURLOPT_PROXY, "");
    SET(CURLOPT_FOLLOWLOCATION, 0L);
    SET(CURLOPT_NETRC, (long)CURL_NETRC_IGNORED);
    SET(CURLOPT_NOSIGNAL, 1L);
    SET(CURLOPT_FRESH_CONNECT, 1L);
    SET(CURLOPT_FORBID_REUSE, 1L);
    SET(CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
    SET(CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
    SET(CURLOPT_SSL_VERIFYPEER, 1L);
    SET(CURLOPT_SSL_VERIFYHOST, 2L);
    SET(CURLOPT_CAINFO, o->trust);
    SET(CURLOPT_CAPATH, NULL);
    SET(CURLOPT_SSLCERT, o->certificate);
    SET(CURLOPT_SSLKEY, o->key);
    SET(CURLOPT_CONNECTTIMEOUT, (long)o->connect_timeout);
    SET(CURLOPT_TIMEOUT, (long)o->timeout);
    SET(CURLOPT_ERRORBUFFER, t->why);
    SET(CURLOPT_WRITEFUNCTION, take_body);
    SET(CURLOPT_WRITEDATA, t);
    if (request->content_type) {
        SET(CURLOPT_POSTFIELDSIZE, (long)request->len);
        SET(CURLOPT_COPYPOSTFIELDS, (const char *)request->body);
        SET(CURLOPT_HTTPHEADER, t->headers);
    }
#undef SET
    return rc;
}

/* No "Expect: 100-continue": the body is small, and a server that does not know it costs a second.
 */
static int add_headers(struct transfer *t, const char *content_type) {
    char line[128];
    if (!content_type)
        return 0;
    snprintf(line, sizeof(line), "Content-Type: %s", content_type);
    const char *const lines[] = {line, "Expect:", "Content-Transfer-Encoding: base64"};
    for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
        struct curl_slist *longer = curl_slist_append(t->headers, lines[i]);
        if (!longer)
            return -ENOMEM;
        t->headers = longer;
    }
    return 0;
}

int http_send(struct http *http, const struct http_request *request, http_done_fn done, void *arg,
              struct estc_error *err) {
    _cleanup(transfer_freep) struct transfer *t = calloc(1, sizeof(*t));
    if (!t)
        return estc_error_set(err, -ENOMEM, "out of memory");
    t->http = http;
    t->done = done;
    t->arg = arg;
    t->max_body = http->options.max_body;
    t->easy = curl_easy_init();
    if (!t->easy || add_headers(t, request->content_type))
        return estc_error_set(err, -ENOMEM, "out of memory");
    CURLcode rc = set_up(t, request);
    if (rc)
        return estc_error_set(err, -EINVAL, "%s: %s", request->url, curl_easy_strerror(rc));
    CURLMcode added = curl_multi_add_handle(http->multi, t->easy);
    if (added)
        return estc_error_set(err, -EIO, "%s: %s", request->url, curl_multi_strerror(added));
    t->next = http->first;
    http->first = TAKE(t);
    return 0;
}

/* --- life --- */

struct http *http_free(struct http *http) {
    if (!http)
        return NULL;
    while (http->first) {
        struct transfer *t = http->first;
        http->first = t->next;
        transfer_free(t);
    }
    curl_multi_cleanup(http->multi);
    sd_event_source_disable_unref(http->timer);
    sd_event_unref(http->event);
    curl_global_cleanup();
    free(http);
    return NULL;
}

CLEANUP_DEFINE(struct http *, http_freep, http_free);

int http_new(sd_event *event, const struct http_options *options, struct http **out,
             struct estc_error *err) {
    _cleanup(http_freep) struct http *http = calloc(1, sizeof(*http));
    if (!http || curl_global_init(CURL_GLOBAL_DEFAULT) || !(http->multi = curl_multi_init()))
        return estc_error_set(err, -ENOMEM, "out of memory");
    http->event = sd_event_ref(event);
    http->options = *options;
    int rc = sd_event_add_time_relative(event, &http->timer, CLOCK_BOOTTIME, 0, 0, on_timer, http);
    if (rc >= 0)
        rc = sd_event_source_set_enabled(http->timer, SD_EVENT_OFF);
    if (rc < 0)
        return estc_error_set(err, rc, "cannot make a timer: %s", strerror(-rc));
    curl_multi_setopt(http->multi, CURLMOPT_SOCKETFUNCTION, watch_socket);
    curl_multi_setopt(http->multi, CURLMOPT_SOCKETDATA, http);
    curl_multi_setopt(http->multi, CURLMOPT_TIMERFUNCTION, watch_timer);
    curl_multi_setopt(http->multi, CURLMOPT_TIMERDATA, http);
    *out = TAKE(http);
    return 0;
}
