/* SPDX-License-Identifier: BSD-2-Clause */
/* Shared by fs.c and fs_tree.c only. */
#pragma once

#include <estc/error.h>

/* Fills err with "cannot WHAT PATH: CAUSE: REMEDY" for an errno and returns it negated. */
int fs_fail(struct estc_error *err, int error, const char *what, const char *path);
