/* SPDX-License-Identifier: BSD-2-Clause */
/* For tests of the worker's cage: folders inside and outside of it, and children that enter it. */
#pragma once

#include "trouble.h"

#include <string.h>

#include "base/text.h"
#include "estcd/sandbox.h"

/* Below the place: own/ is writable, birth.pem readable; other/key.pem is out of reach. */
static inline int cage_setup(void **state) {
    if (place_setup(state))
        return -1;
    const struct place *place = *state;
    return mkdirat(place->fd, "own", 0700) || mkdirat(place->fd, "other", 0700) ||
           fs_write_atomic(place->fd, "birth.pem", "birth", 5, 0600, NULL) ||
           fs_write_atomic(place->fd, "own/key.pem", "own", 3, 0600, NULL) ||
           fs_write_atomic(place->fd, "other/key.pem", "other", 5, 0600, NULL);
}

#define CAGED(test) cmocka_unit_test_setup_teardown(test, cage_setup, place_teardown)

/* For good. */
static inline int cage_enter(const struct place *place) {
    char own[PATH_MAX], birth[PATH_MAX];
    snprintf(own, sizeof(own), "%s/own", place->path);
    snprintf(birth, sizeof(birth), "%s/birth.pem", place->path);
    const struct sandbox_paths paths = {
        .writable = (const char *const[]){own,
#ifdef ESTC_REPORTS
                                          ESTC_REPORTS,
#endif
                                          NULL},
        .readable = (const char *const[]){birth, "/nowhere/at/all", NULL},
    };
    struct estc_error err = {0};
    int rc = sandbox_enter(&paths, &err);
    if (rc)
        fprintf(stderr, "%s\n", err.text);
    return rc;
}

/* Runs probe in a child; with `caged` the child is in the cage. Its result, 1000 + the signal that
 * ended it, or -1. */
static inline int cage_run(int (*probe)(const struct place *), const struct place *place,
                           bool caged) {
    fflush(NULL);
    pid_t pid = fork();
    if (pid == 0)
        exit(caged && cage_enter(place) ? 1 : probe(place));
    int status = 0;
    if (pid < 0 || waitpid(pid, &status, 0) != pid)
        return -1;
    return WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status);
}

/* The probe succeeds in the cage, and outside of it not: it is the cage that makes the difference.
 */
static inline void cage_expect(int (*probe)(const struct place *), const struct place *place) {
    assert_int_equal(cage_run(probe, place, true), 0);
    fflush(NULL);
    int kept = dup(STDERR_FILENO), null = open("/dev/null", O_WRONLY | O_CLOEXEC);
    dup2(null, STDERR_FILENO); /* what it complains about is what we want to hear */
    int outside = cage_run(probe, place, false);
    dup2(kept, STDERR_FILENO);
    close(kept);
    close(null);
    assert_int_not_equal(outside, 0);
}

/* True when expression fails with that errno. */
#define REFUSED(expression, with) (errno = 0, (expression) < 0 && errno == (with))
