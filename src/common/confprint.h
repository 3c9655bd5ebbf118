/* SPDX-License-Identifier: BSD-2-Clause */
/* Values of a configuration as a file would say them, through the table that they were read by. */
#pragma once

#include <estc/buf.h>

#include "common/conf.h"

/* Appends "\"15m\"", "4", "[ \"a\", \"b\" ]", "( { name = \"x\"; } )"; nothing for what is not
 * said. Not for groups. 0 or -ENOMEM. */
int conf_value_print(const struct conf_key *key, const void *target, struct estc_buf *out);
