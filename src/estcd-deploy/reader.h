/* SPDX-License-Identifier: BSD-2-Clause */
/* The process that reads the state folder: it has the rights of the daemon, not of root. */
#pragma once

#include "material.h"

/* Everything that a deployment of the identity needs; in bounded time, whatever is in the folder.
 */
int reader_run(const struct state *state, const struct config_identity *identity,
               struct material *out, struct estc_error *err);

/* The first line of a file with a passphrase, for reader_wipe(). */
int reader_password(const char *path, char **out, struct estc_error *err);
void reader_wipe(char *password);
