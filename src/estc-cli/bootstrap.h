/* SPDX-License-Identifier: BSD-2-Clause */
/* The command bootstrap, but for how it is followed (attempt.c). */
#pragma once

#include <jansson.h>

#include "cli.h"
#include "ctl/client.h"

#define BOOTSTRAP_FILES 3

/* An exit code, and said why. */
int bootstrap_check(const struct cli *cli);
json_t *bootstrap_params(const struct cli *cli, const char *id);
/* Has the files go with the next call. *n of fds are the caller's to close, whatever it returns. */
int bootstrap_open(const struct cli *cli, struct ctl_client *client,
                   int fds[static BOOTSTRAP_FILES], size_t *n);
