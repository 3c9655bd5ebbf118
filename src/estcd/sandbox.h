/* SPDX-License-Identifier: BSD-2-Clause */
/* What a worker gives up before it speaks to anybody. */
#pragma once

#include <stdbool.h>

#include <estc/error.h>

struct sandbox_paths {
    const char *const *writable; /* folders, with all below them; NULL-ended */
    const char *const *readable; /* files or folders; absent ones are passed over */
};

/*
 * For the calling process, for good: no new privileges, no other file than those named (Landlock,
 * where the kernel has it), no programs, no other processes, no signals to others, no sockets but
 * IP ones (seccomp). A kernel without Landlock is accepted; all else is an error.
 */
int sandbox_enter(const struct sandbox_paths *paths, struct estc_error *err);

/* Whether this kernel keeps files out of reach; why not is said in the log. For the daemon's start,
 * so that it is said once. */
bool sandbox_has_landlock(void);
