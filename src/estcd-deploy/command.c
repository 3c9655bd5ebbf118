/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Runs one program without a shell and watches it: time, output, end. Whatever it leaves running is
 * ended with it, so a hook cannot pile up processes. Its output is somebody's text: clean lines, so
 * many and no more.
 */
#include "command.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/fs.h"
#include "base/text.h"
#include "common/journal.h"

#define GRACE_MS 2000 /* between SIGTERM and SIGKILL */
#define LINE_SIZE 512
#define LINES_MAX 100
#define STEP 65536 /* what a pipe holds */

struct running {
    const char *name;
    pid_t pid;
    int pidfd, output; /* output: -1 at its end */
    char line[LINE_SIZE];
    size_t used;
    unsigned n_lines;
};

/* --- the child --- */

static void become_program(char *const *argv, char *const *environment, int output) {
    sigset_t none;
    sigemptyset(&none);
    signal(SIGPIPE, SIG_DFL);
    sigprocmask(SIG_SETMASK, &none, NULL);
    int input = open("/dev/null", O_RDONLY);
    if (setsid() < 0 || chdir("/") < 0 || input < 0 || dup2(input, STDIN_FILENO) < 0 ||
        dup2(output, STDOUT_FILENO) < 0 || dup2(output, STDERR_FILENO) < 0)
        _exit(126);
    close_range(STDERR_FILENO + 1, ~0U, 0);
    umask(022);
    environ = (char **)(uintptr_t)environment;
    execvp(argv[0], argv);
    dprintf(STDERR_FILENO, "cannot run %s: %m\n", argv[0]);
    _exit(127);
}

static int start(char *const *argv, char *const *environment, struct running *run,
                 struct estc_error *err) {
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) < 0)
        return estc_error_set(err, -errno, "cannot make a pipe: %m");
    run->pid = fork();
    if (run->pid == 0)
        become_program(argv, environment, ends[1]);
    int error = errno;
    close(ends[1]);
    run->output = ends[0];
    if (run->pid < 0)
        return estc_error_set(err, -error, "cannot fork: %s", strerror(error));
    fcntl(run->output, F_SETFL, O_NONBLOCK);
    run->pidfd = pidfd_open(run->pid, 0);
    return run->pidfd < 0 ? estc_error_set(err, -errno, "cannot watch %s: %m", argv[0]) : 0;
}

/* --- what it says --- */

static void log_line(struct running *run) {
    if (run->used > 0 && run->n_lines < LINES_MAX)
        journal_info("%s: %.*s", run->name, (int)run->used, run->line);
    else if (run->used > 0 && run->n_lines == LINES_MAX)
        journal_info("%s: says more than is logged", run->name);
    run->n_lines += run->used > 0;
    run->used = 0;
}

/* Takes some of what is there, not more, since it may never end; long lines become several. */
static void take_output(struct running *run) {
    char step[STEP];
    ssize_t n = read(run->output, step, sizeof(step));
    for (ssize_t i = 0; i < n; i++) {
        if (step[i] == '\n' || run->used == sizeof(run->line))
            log_line(run);
        if (step[i] != '\n')
            run->line[run->used++] = step[i];
    }
    if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR))
        fs_closep(&run->output);
}

/* --- how it ends --- */

/* True when it has ended by the deadline (boot time, ms). */
static bool watch(struct running *run, int64_t deadline) {
    for (;;) {
        struct pollfd fds[] = {{.fd = run->pidfd, .events = POLLIN},
                               {.fd = run->output, .events = POLLIN}};
        int64_t left = deadline - clock_boot_ms();
        if (left <= 0)
            return false;
        if (poll(fds, 2, (int)left) < 0)
            continue;
        if (fds[1].revents)
            take_output(run);
        if (fds[0].revents)
            return true;
    }
}

static int judge_end(int status, const char *program, struct estc_error *err) {
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
        return 0;
    if (WIFEXITED(status))
        return estc_error_set(err, -EIO, "%s ended with status %d", program, WEXITSTATUS(status));
    return estc_error_set(err, -EIO, "%s was killed by signal %d (%s)", program, WTERMSIG(status),
                          strsignal(WTERMSIG(status)));
}

int command_run(char *const *argv, char *const *environment, int64_t timeout_s, const char *name,
                struct estc_error *err) {
    struct running run = {.name = name, .pid = -1, .pidfd = -1, .output = -1};
    int status = 0;
    int rc = start(argv, environment, &run, err);
    bool in_time = rc || watch(&run, clock_boot_ms() + timeout_s * 1000);
    if (!in_time) {
        kill(-run.pid, SIGTERM);
        watch(&run, clock_boot_ms() + GRACE_MS);
    }
    if (run.pid > 0) {
        kill(-run.pid, SIGKILL); /* and whatever it has started */
        kill(run.pid, SIGKILL);  /* where it had no group yet */
        waitpid(run.pid, &status, 0);
    }
    if (run.output >= 0)
        take_output(&run);
    log_line(&run);
    fs_closep(&run.output);
    fs_closep(&run.pidfd);
    if (!in_time)
        return estc_error_set(err, ESTC_E_TIMEOUT, "%s hung and was ended after %lld s", argv[0],
                              (long long)timeout_s);
    return rc ? rc : judge_end(status, argv[0], err);
}
