/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * How often something may happen for each of many, whose number nobody can foresee, in a table that
 * never grows. Whoever has been quiet for a minute may do a minute's worth at once. Pure: time
 * comes from the caller.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/cleanup.h"

struct quota;

/* So many a minute, for each; 0: no bound. NULL without memory or random numbers. */
struct quota *quota_new(unsigned a_minute);
struct quota *quota_free(struct quota *quota);

/* Takes one for whom the key names. When that is too many, nothing is taken, and *wait_ms says
 * after how long there is one. The table forgets first who could have had the most. */
bool quota_take(struct quota *quota, const void *key, size_t len, int64_t now_ms, int64_t *wait_ms);

CLEANUP_DEFINE(struct quota *, quota_freep, quota_free);
