/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a daemon runs with, key by key, and where each value stands: compared with the files as they
 * are now, which are read again for it. Costs what a reload costs; for a process of its own.
 */
#pragma once

#include <jansson.h>

#include "agent/config.h"

/* X(name, label): where a value comes from. */
#define CONFIG_SOURCES(X)                                                    \
    X(CONFIG_SOURCE_FILE, "file")                                            \
    X(CONFIG_SOURCE_DEFAULTS, "defaults")                                    \
    X(CONFIG_SOURCE_BUILT_IN, "built-in")                                    \
    X(CONFIG_SOURCE_UNSET, "unset")                                          \
    X(CONFIG_SOURCE_OLD, "old")         /* the files say otherwise by now */ \
    X(CONFIG_SOURCE_UNKNOWN, "unknown") /* they cannot be read */

#define CONFIG_SOURCE_ENUM(name, label) name,
enum config_source { CONFIG_SOURCES(CONFIG_SOURCE_ENUM) CONFIG_SOURCE_MAX_ };
#undef CONFIG_SOURCE_ENUM
extern const char *const config_source_names[];

struct config_running {
    const char *path; /* of estcd.conf */
    const struct config *config;
    const struct config_identity *identity; /* NULL: all but the identities */
    bool requested;                         /* it was made at run time */
};

/* {"file", "errors": [...], "keys": [{"key", "value"?, "source", "file"?, "line"?, "on_disk"?}]};
 * NULL: out of memory. */
json_t *config_report(const struct config_running *running);
