/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What somebody asks for over the control socket, as the text of an identity (config_request.h).
 * One table says which members there are and which keys they are; nothing else can get into the
 * text.
 */
#pragma once

#include <jansson.h>

#include "common/conf.h"
#include "ctl/ctl.h"

/* The members, beside the id. */
extern const struct ctl_field request_fields[];

/* malloc'd; NULL when out of memory, or with errors when a member cannot be said in a file. */
char *request_text(const json_t *params, struct conf_errors *errors);
