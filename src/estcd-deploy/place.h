/* SPDX-License-Identifier: BSD-2-Clause */
/* One file into its place: whole or not at all, its owner's from the first byte. */
#pragma once

#include <estc/buf.h>
#include <estc/error.h>

#include "agent/config_deploy.h"

int place_file(const struct config_install *install, const struct estc_buf *data,
               struct estc_error *err);

/* Whether it could be placed: its folder is there, owner and group are known. */
int place_check(const struct config_install *install, struct estc_error *err);
