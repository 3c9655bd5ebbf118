/* SPDX-License-Identifier: BSD-2-Clause */
/* One deployment: files, units, programs, in this order. */
#pragma once

#include "agent/config.h"
#include "state.h"

/* folder: a private one of ours, where hooks find key and certificates while they run. The outcome
 * is logged and reported to the daemon. */
int deploy_identity(const struct config *config, const struct state *state, const char *folder,
                    const struct config_identity *identity);

/* Whether it could be done: owners, folders and programs exist. Says what is wrong; how much that
 * is. */
size_t deploy_check(const struct config_identity *identity);
