/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What `estc check` looks at, one question after the other, in a process of its own that changes
 * nothing: no lock, no record, no key. It sends one message for each question.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include <jansson.h>

#include <estc/error.h>

#include "agent/config.h"

/* In the order in which they are asked. */
enum check {
    CHECK_CONFIG,
    CHECK_CLOCK,
    CHECK_DEPLOY,
    CHECK_FILES,
    CHECK_USAGE,
    CHECK_DATES,
    CHECK_NAME,
    CHECK_ROUTE,
    CHECK_MTU,
    CHECK_HANDSHAKE,
    CHECK_CHAIN,
    CHECK_MAX_
};

/* X(name, label) */
#define CHECK_RESULTS(X)        \
    X(CHECK_OK, "ok")           \
    X(CHECK_WARNING, "warning") \
    X(CHECK_FAILED, "failed")   \
    X(CHECK_SKIPPED, "skipped")

#define CHECK_ENUM(name, label) name,
enum check_result { CHECK_RESULTS(CHECK_ENUM) CHECK_RESULT_MAX_ };
#undef CHECK_ENUM

#define CHECK_SECONDS 120
#define CHECK_MESSAGES_MAX (CHECK_MAX_ * CONFIG_URLS_MAX)

struct check_task {
    const char *config_path;
    const struct config *config;
    const struct config_identity *identity;
    bool requested, network;
};

/* A worker_fn: arg is a struct check_task. */
void check_run(const void *arg, int fd);

/* A message of it, taken as hostile: {"check", "result", "text", "remedy"?, "code"}, or NULL. */
json_t *check_message(const void *data, size_t len);
