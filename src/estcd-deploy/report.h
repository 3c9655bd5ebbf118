/* SPDX-License-Identifier: BSD-2-Clause */
/* What came of a deployment, told to the daemon. */
#pragma once

#include <stdint.h>

/* text: what went wrong, NULL when nothing did. A daemon that does not answer is no failure: it
 * puts the request down again by and by. */
void report(const char *socket_path, const char *id, int64_t generation, const char *text);
