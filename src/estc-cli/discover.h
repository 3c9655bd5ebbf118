/* SPDX-License-Identifier: BSD-2-Clause */
/* What was found, as data and as a table. */
#pragma once

#include <jansson.h>

#include <estc/discovery.h>

#include "print.h"

/* One place as an object: "address" (who said so), "url" (as estcd.conf takes it), "root", "label",
 * "operations", "secure" and "authenticated". host is that of whoever answered. NULL: out of
 * memory. */
json_t *discover_json(const struct estc_offer *offer, const char *address, const char *host);

/* A table of such objects; NULL: out of memory. */
struct table *discover_table(json_t *places, bool bare);
