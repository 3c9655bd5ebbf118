/* SPDX-License-Identifier: BSD-2-Clause */
/* HTTPS requests in an sd-event loop, by libcurl. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include <systemd/sd-event.h>

#include <estc/buf.h>
#include <estc/error.h>

struct http;

/* All borrowed, and to stay. */
struct http_options {
    const char *trust;                /* PEM file: the only anchors */
    const char *certificate, *key;    /* PEM files, read anew for each connection */
    int64_t connect_timeout, timeout; /* seconds; the second is for all of a request */
    size_t max_body;
};

struct http_request {
    const char *url;
    const char *content_type; /* NULL: a GET */
    const void *body;         /* copied */
    size_t len;
};

enum http_end {
    HTTP_ANSWERED,
    HTTP_UNREACHABLE, /* nothing of the request has been sent */
    HTTP_UNTRUSTED,   /* the same: TLS has failed, one of the two certificates as a rule */
    HTTP_CUT,         /* it may have arrived, and there is no whole answer */
    HTTP_TOO_LARGE,   /* an answer, but of more than max_body */
};

/* Valid during the call only. */
struct http_reply {
    enum http_end end;
    const char *why; /* what libcurl says, unless HTTP_ANSWERED */
    long status;
    const char *content_type, *retry_after; /* NULL: not said */
    const char *redirect;                   /* where to, absolute; NULL: nowhere */
    struct estc_buf body;
};
typedef void (*http_done_fn)(void *arg, const struct http_reply *reply);

int http_new(sd_event *event, const struct http_options *options, struct http **out,
             struct estc_error *err);
/* What is under way ends without a word. */
struct http *http_free(struct http *http);

/* done is called once, and not before this returns 0. */
int http_send(struct http *http, const struct http_request *request, http_done_fn done, void *arg,
              struct estc_error *err);
