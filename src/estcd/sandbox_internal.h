/* SPDX-License-Identifier: BSD-2-Clause */
/* What the two halves of the cage share; nobody else includes this. */
#pragma once

#include "sandbox.h"

/* sandbox_calls.c: the system call filter. */
int sandbox_restrict_calls(struct estc_error *err);
