/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A program of the configuration's as a process: no shell, a session of its own, nothing of ours
 * but what it is given. Whoever starts one waits for it, by its descriptors.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include <estc/error.h>

#define PROGRAM_GRACE_MS 2000 /* between SIGTERM and SIGKILL */
#define PROGRAM_PATH "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
#define PROGRAM_LANG "LANG=C.UTF-8"

struct program {
    char *name; /* what its lines in the log begin with */
    char *path; /* argv[0] */
    pid_t pid;
    int pidfd;  /* readable at its end */
    int output; /* what it says; -1 at the end of that */
    char line[512];
    size_t used;
    unsigned n_lines;
};
#define PROGRAM_NONE ((struct program){.pid = -1, .pidfd = -1, .output = -1})

/* Runs argv with exactly this environment (PATH in it finds argv[0]), from "/", without input. */
int program_start(char *const *argv, char *const *environment, const char *name,
                  struct program *out, struct estc_error *err);

/* In a child: every signal does what it does by itself, whatever the parent has ignored or
 * inherited as ignored, and none is blocked. */
void program_reset_signals(void);

/* Takes some of its output to the log, in clean lines, so many and no more. */
void program_read(struct program *program);

/* To it and all that it has started. */
void program_signal(const struct program *program, int number);

/* Ends whatever is left of it and frees it. 0 if it ended with status 0; -EIO with how it ended. */
int program_end(struct program *program, struct estc_error *err);

/* "NAME=VALUE" onto a NULL-ended environment: 0 or -ENOMEM. */
int program_add_pair(char ***environment, const char *name, const char *value);
