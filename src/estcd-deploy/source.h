/* SPDX-License-Identifier: BSD-2-Clause */
/* Whether a configuration may be obeyed as root. */
#pragma once

#include <estc/error.h>

/* The file, its folder, and what lies in conf.d beside it: they belong to root (or to us), and
 * nobody else can write them. ESTC_E_CONFIG. */
int source_check(const char *path, struct estc_error *err);
