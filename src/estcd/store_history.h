/* SPDX-License-Identifier: BSD-2-Clause */
/* STATE/identities/ID/history.json: how the last attempts ended, for people. The manager's. */
#pragma once

#include <stdint.h>

#include <jansson.h>

#include <estc/error.h>

#define STORE_HISTORY_MAX 50 /* results; older ones are dropped */

struct store_result {
    int64_t time;
    const char *action; /* schedule_action_names[] */
    int code;           /* 0, ESTC_E_* or a negative errno */
    const char *text;   /* of a failure, or NULL */
    const char *serial; /* of a certificate that was issued, or NULL ... */
    int64_t not_after;  /* ... and its end */
};

/* Adds one at the end; a file that cannot be used begins anew. */
int store_add_history(const char *state_directory, const char *id,
                      const struct store_result *result, struct estc_error *err);
/* An array of {time, action, result, text?, serial?, not_after?}, the latest last; empty when there
 * is none. NULL without memory. */
json_t *store_load_history(const char *state_directory, const char *id);
