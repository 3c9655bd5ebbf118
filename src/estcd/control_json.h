/* SPDX-License-Identifier: BSD-2-Clause */
/* The named types of org.estcd.control as JSON. NULL when out of memory. */
#pragma once

#include <jansson.h>

#include "ctl/ctl.h"
#include "manager.h"

extern const struct ctl_named_type control_types[];

json_t *control_identity(const struct manager *manager, const struct member *member);
json_t *control_entry(const struct member *member); /* in a list of all */
json_t *control_event(const struct manager_event *event);
json_t *control_clock(void); /* the time that the daemon goes by */
