/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Real failures for tests of files: a full or a read-only file system in a name space of a child's
 * own, and children that give up rights.
 */
#pragma once

#include "place.h"

#include <errno.h>
#include <limits.h>
#include <sched.h>
#include <stdio.h>
#include <sys/mount.h>
#include <sys/wait.h>

#define SKIPPED 77

/* Runs fn in a child, so that it can give up rights for good; its result, or -1. */
static inline int in_child(int (*fn)(const struct place *place), const struct place *place) {
    fflush(NULL);
    pid_t pid = fork();
    if (pid == 0)
        exit(fn(place));
    int status = 0;
    if (pid < 0 || waitpid(pid, &status, 0) != pid || !WIFEXITED(status))
        return -1;
    return WEXITSTATUS(status);
}

/* For use in children, where cmocka's assertions have nobody to tell. */
#define CHECK(condition)                                                    \
    do {                                                                    \
        if (!(condition)) {                                                 \
            fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition); \
            return 1;                                                       \
        }                                                                   \
    } while (0)

/* A small file system of the child's own on the folder "m". */
static inline int mount_small(const struct place *place, const char *options) {
    char path[PATH_MAX];
    snprintf(path, sizeof(path), "%s/m", place->path);
    if (mkdirat(place->fd, "m", 0700) < 0 || unshare(CLONE_NEWNS) < 0 ||
        mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
        mount("tmpfs", path, "tmpfs", 0, options) < 0)
        return -1;
    return open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

/* The child's result; where the machine did not let it try, that is said. */
static inline void expect_done(int rc, const char *what) {
    if (rc == SKIPPED) {
        print_message("# skipped: %s is not allowed here\n", what);
        skip();
    }
    assert_int_equal(rc, 0);
}
