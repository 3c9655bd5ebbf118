/* SPDX-License-Identifier: BSD-2-Clause */
/* JSON from the other end of a socket: bounded before it is parsed. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include <jansson.h>

#include "base/cleanup.h"

CLEANUP_DEFINE(json_t *, json_freep, json_decref);

/* One JSON object that fills data from end to end, nested at most CTL_DEPTH_MAX deep, no member
 * twice, no NUL in a string; NULL for anything else and when out of memory. */
json_t *ctl_json_object(const char *data, size_t len);

/* A member that is a number, drawn into min..max; one that is missing or none counts as 0. */
int64_t ctl_json_int(const json_t *object, const char *member, int64_t min, int64_t max);

/* A member that is a string, as clean text of at most max bytes, malloc'd; NULL for any other. */
char *ctl_json_text(const json_t *object, const char *member, size_t max);
