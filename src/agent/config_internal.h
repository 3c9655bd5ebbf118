/* SPDX-License-Identifier: BSD-2-Clause */
/* What the readers of identities share; nobody else includes this. */
#pragma once

#include "agent/config.h"

/* What was read of an identity becomes a whole one: it inherits, is judged, and gets what follows
 * from it. 0 or -ENOMEM, whatever is collected in errors. */
int config_identity_complete(struct config_identity *identity,
                             const struct config_identity *defaults, struct conf_errors *errors);

/* Frees what no table owns. */
void config_identity_clear(struct config_identity *identity);
