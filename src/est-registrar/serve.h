/* SPDX-License-Identifier: BSD-2-Clause */
/* Serving, or finding out whether it would work. */
#pragma once

#include "config.h"

/* Serves until SIGTERM or SIGINT; the exit code. */
int serve_run(const struct config *config);

/* Opens everything but the port, prints all that is wrong with it; the exit code. */
int serve_check(const struct config *config);
