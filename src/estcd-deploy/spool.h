/* SPDX-License-Identifier: BSD-2-Clause */
/* The requests that the daemon has put down: names, nothing else. */
#pragma once

#include "agent/config.h"
#include "state.h"

/*
 * Takes all requests away and hands out the identities that they name, each once, NULL-ended and
 * malloc'd (the identities belong to config). What names none is taken away and not obeyed.
 * *left: something is still there that cannot be taken away.
 */
int spool_take(const struct state *state, const struct config *config,
               const struct config_identity ***out, bool *left, struct estc_error *err);
