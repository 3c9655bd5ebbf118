/* SPDX-License-Identifier: BSD-2-Clause */
/* Between the files of the configuration: the part about upstream. */
#pragma once

#include "config.h"

extern const struct conf_key config_upstream_keys[];

/* Either ca or upstream, and all of it. */
void config_upstream_judge(const struct config *config, const struct conf_origin *where,
                           struct conf_errors *errors);
