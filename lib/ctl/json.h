/* SPDX-License-Identifier: BSD-2-Clause */
/* JSON from the other end of a socket: bounded before it is parsed. */
#pragma once

#include <stddef.h>

#include <jansson.h>

#include "base/cleanup.h"

CLEANUP_DEFINE(json_t *, json_freep, json_decref);

/* One JSON object that fills data from end to end, nested at most CTL_DEPTH_MAX deep, no member
 * twice, no NUL in a string; NULL for anything else and when out of memory. */
json_t *ctl_json_object(const char *data, size_t len);
