/* SPDX-License-Identifier: BSD-2-Clause */
/* What is asked of the daemon for an identity made at run time. */
#pragma once

#include <jansson.h>

#include "cli.h"

/* The parameters of Request: what the options say. NULL: out of memory. */
json_t *request_params(const struct cli *cli, const char *id);
