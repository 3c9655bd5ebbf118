/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Keys that take long to make, beside the loop: a thread that makes one at a time. A key is for
 * whoever comes first, so there is never more than one of a kind that nobody has taken.
 */
#pragma once

#include <stdbool.h>

#include <estc/error.h>
#include <estc/key.h>

struct keymaker;

int keymaker_new(struct keymaker **out, struct estc_error *err);
/* Waits for a key that is being made. */
struct keymaker *keymaker_free(struct keymaker *maker);

/* Whether it takes longer than a signature. */
bool keymaker_is_for(enum estc_key_type type);

/* A key, the caller's; -EINPROGRESS: it is being made from now on, and the descriptor says when to
 * ask again. */
int keymaker_take(struct keymaker *maker, enum estc_key_type type, EVP_PKEY **out,
                  struct estc_error *err);

/* Readable when something was made, until keymaker_seen(). */
int keymaker_fd(const struct keymaker *maker);
void keymaker_seen(struct keymaker *maker);
