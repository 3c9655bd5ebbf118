/* SPDX-License-Identifier: BSD-2-Clause */
/* A program of the configuration's, run to its end. */
#pragma once

#include <stdint.h>

#include <estc/error.h>

/* Runs argv in a process group of its own with exactly this environment (PATH in it finds argv[0]),
 * from "/", without input; its output goes to the log in lines that begin with `name`, bounded.
 * After timeout_s seconds it is ended, all of its group. 0 if it ends with status 0;
 * ESTC_E_TIMEOUT, or -EIO with how it ended. */
int command_run(char *const *argv, char *const *environment, int64_t timeout_s, const char *name,
                struct estc_error *err);
