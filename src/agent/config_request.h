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

/* Shares texts with config, which has to outlive it. All of it but config_names(), which is the
 * caller's to call before he looks at the errors. file: where the text stands, for these; NULL:
 * nowhere yet. 0 whatever is wrong with it, or -ENOMEM. */
int config_request_read(const char *id, const char *file, const void *text, size_t len,
                        const struct config *config, struct config_identity **out,
                        struct conf_errors *errors);
struct config_identity *config_request_free(struct config_identity *identity);
