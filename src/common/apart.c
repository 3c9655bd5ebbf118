/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * One forked child for one piece of work, and a pipe. The child ends with its parent, in its own
 * time at the latest, and by exit(), so that leak checkers and coverage see it. Its last byte says
 * that all came through.
 */
#include "common/apart.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fs.h"

#define SECONDS_MAX 20
#define READ_STEP 16384

static int write_all(int fd, const void *data, size_t len) {
    for (size_t at = 0; at < len;) {
        ssize_t n = write(fd, (const char *)data + at, len - at);
        if (n < 0 && errno != EINTR)
            return -errno;
        at += n > 0 ? (size_t)n : 0;
    }
    return 0;
}

/* The content, then what work returned. */
static _Noreturn void child(apart_fn work, void *arg, int fd, pid_t parent) {
    if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0 || getppid() != parent)
        _exit(EXIT_FAILURE);
    signal(SIGPIPE, SIG_IGN);
    signal(SIGALRM, SIG_DFL);
    alarm(SECONDS_MAX);
    struct estc_buf out = {0};
    int32_t result = work(&out, arg);
    if (!write_all(fd, out.data, out.len))
        write_all(fd, &result, sizeof(result));
    estc_buf_clear(&out);
    exit(EXIT_SUCCESS);
}

static int read_all(int fd, size_t max, struct estc_buf *out) {
    char step[READ_STEP];
    for (;;) {
        ssize_t n = read(fd, step, sizeof(step));
        if (n == 0)
            return 0;
        if (n < 0 && errno != EINTR)
            return -errno;
        if (n > 0 && (size_t)n > max - out->len)
            return -EFBIG;
        if (n > 0 && estc_buf_append(out, step, (size_t)n))
            return -ENOMEM;
    }
}

/* Takes the result off what came, or finds that it is not there. */
static int take_result(struct estc_buf *all) {
    int32_t result;
    if (all->len < sizeof(result))
        return -EIO;
    all->len -= sizeof(result);
    memcpy(&result, all->data + all->len, sizeof(result));
    all->data[all->len] = '\0';
    return result;
}

int apart_run(apart_fn work, void *arg, size_t max, struct estc_buf *out, struct estc_error *err) {
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) < 0)
        return estc_error_set(err, -errno, "cannot make a pipe: %m");
    _cleanup(fs_closep) int from = ends[0];
    _cleanup(fs_closep) int to = ends[1];
    fflush(NULL); /* or it would be written twice */
    pid_t parent = getpid(), pid = fork();
    if (pid < 0)
        return estc_error_set(err, -errno, "cannot fork: %m: raise TasksMax= or free some memory");
    if (pid == 0)
        child(work, arg, to, parent);
    fs_closep(&to);
    _cleanup(estc_buf_clear) struct estc_buf all = {0};
    int rc = read_all(from, max + sizeof(int32_t), &all), status = 0;
    if (rc)
        kill(pid, SIGKILL);
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
        ;
    if (!rc)
        rc = status == 0 ? take_result(&all) : -EIO;
    if (rc)
        return estc_error_set(err, rc, "a child process did not do its work: %s", strerror(-rc));
    *out = all;
    all = (struct estc_buf){0};
    return 0;
}
