/* SPDX-License-Identifier: BSD-2-Clause */
/* The asking half of the control protocol, blocking. */
#pragma once

#include <stdbool.h>

#include <jansson.h>

#include <estc/error.h>

#include "base/cleanup.h"

struct ctl_client;

/* -ENOENT, -ECONNREFUSED: nobody listens; -EACCES: not allowed to connect. */
int ctl_client_connect(const char *path, struct ctl_client **out, struct estc_error *err);
struct ctl_client *ctl_client_free(struct ctl_client *client);
CLEANUP_DEFINE(struct ctl_client *, ctl_client_freep, ctl_client_free);

/* For poll(): readable when ctl_client_receive() may have something; it may have buffered more. */
int ctl_client_fd(const struct ctl_client *client);

/* Descriptors (CTL_FDS_MAX at the most, borrowed until then) that go along with the next call. */
void ctl_client_pass(struct ctl_client *client, const int *fds, size_t n);

int ctl_client_send(struct ctl_client *client, const char *method, json_t *params, bool more,
                    struct estc_error *err);

struct ctl_reply {
    json_t *params; /* owned; never NULL after success */
    char *error;    /* full error name, or NULL */
    bool continues; /* more replies to the same call follow */
};
/* Waits at most timeout_ms (-1: for ever); -ETIMEDOUT. -ECONNRESET when the daemon goes away. */
int ctl_client_receive(struct ctl_client *client, int timeout_ms, struct ctl_reply *out,
                       struct estc_error *err);
/* Also for scope cleanup. */
void ctl_reply_clear(struct ctl_reply *reply);
