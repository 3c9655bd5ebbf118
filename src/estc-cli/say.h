/* SPDX-License-Identifier: BSD-2-Clause */
/* Prose, to stderr. Whatever it quotes is made harmless for terminals. */
#pragma once

#include <estc/error.h>

/* "estc: ..." and a line feed. */
void say_error(const char *fmt, ...) ESTC_PRINTF(1, 2);
/* The line alone. */
void say_note(const char *fmt, ...) ESTC_PRINTF(1, 2);

/* An error of its own, and its exit code. */
int say_out_of_memory(void);
