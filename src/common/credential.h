/* SPDX-License-Identifier: BSD-2-Clause */
/* Files that systemd passes to a service by name (LoadCredential=, systemd.exec(5)). */
#pragma once

#include <stdbool.h>

/* True for "credential:NAME". */
bool credential_named(const char *text);

/* "credential:NAME" as a path below $CREDENTIALS_DIRECTORY, or as it stands where there is none (a
 * program that no unit has started); other texts are NULL. malloc'd; NULL out of memory, too. */
char *credential_path(const char *text);

/* Why the name in "credential:NAME" can be none, or NULL. */
const char *credential_fault(const char *text);

/* The NAME of a path that credential_path() may have made, or NULL: for errors. */
const char *credential_of(const char *path);

/* True for a path straight into $CREDENTIALS_DIRECTORY. systemd chooses the modes there, and nobody
 * else gets in. */
bool credential_is_ours(const char *path);
