/* SPDX-License-Identifier: BSD-2-Clause */
/* Parts of a configuration as one number, to tell whether they have changed. */
#pragma once

#include <estc/buf.h>

/* A part, with its length before it, so that no two lists look alike; NULL is an empty one. 0 or
 * -ENOMEM. */
int digest_add(struct estc_buf *all, const char *text);

/* SHA-256 over all of it, hexadecimal, malloc'd; NULL when out of memory. */
char *digest_text(const struct estc_buf *all);
