/* SPDX-License-Identifier: BSD-2-Clause */
/* What the readers of identities share; nobody else includes this. */
#pragma once

#include "agent/config.h"

/* What errors call an identity: its name, or what it is when the name is none. */
static inline const char *config_spoken_id(const struct config_identity *i) {
    return i->id && config_id_valid(i->id) ? i->id : "this identity";
}

/* What was read of an identity becomes a whole one but for config_names(): it inherits (and
 * shares texts with defaults, which have to outlive it), and is judged. */
void config_identity_complete(struct config_identity *identity,
                              const struct config_identity *defaults, struct conf_errors *errors);

/* Frees what no table owns. */
void config_identity_clear(struct config_identity *identity);
