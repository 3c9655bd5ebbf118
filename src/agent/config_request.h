/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * An identity that was made at run time: the keys of one in estcd.conf, by themselves in a text,
 * but for its id and for all that root would do (install, reload, restart, exec), which it can
 * never have. It inherits from "defaults" and is judged like any other.
 */
#pragma once

#include "agent/config.h"

/* The table behind it. */
extern const struct conf_key config_request_keys[];

/* file: where the text stands, for errors; NULL: nowhere yet. ESTC_E_CONFIG with all that is wrong
 * in errors; -ENOMEM. */
int config_request_read(const char *id, const char *file, const void *text, size_t len,
                        const struct config *config, struct config_identity **out,
                        struct conf_errors *errors);
struct config_identity *config_request_free(struct config_identity *identity);
