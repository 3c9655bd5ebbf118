/* SPDX-License-Identifier: BSD-2-Clause */
/* What the listener has counted, as the control socket says it. */
#pragma once

#include <jansson.h>

#include <estc/listener.h>

#include "ctl/ctl.h"

/* Of the object that load_json() makes: its members, and those of the type "Limit". */
extern const struct ctl_field load_fields[];
extern const struct ctl_field load_limit_fields[];

/* NULL without memory. */
json_t *load_json(const struct estc_listener_counts *counts);
