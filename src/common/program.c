/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Starts and ends one program. Whatever it leaves running is ended with it, so a hook cannot pile
 * up processes. Its output is somebody's text: clean lines, so many and no more.
 */
#include "common/program.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fs.h"
#include "base/text.h"
#include "common/journal.h"

#define LINES_MAX 100
#define STEP 65536 /* what a pipe holds */

/* --- the child --- */

void program_reset_signals(void) {
    sigset_t none;
    sigemptyset(&none);
    for (int sig = 1; sig < NSIG; sig++)
        signal(sig, SIG_DFL); /* fails for those that cannot be changed, which is fine */
    sigprocmask(SIG_SETMASK, &none, NULL);
}

static void become_program(char *const *argv, char *const *environment, int output) {
    program_reset_signals();
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

int program_start(char *const *argv, char *const *environment, const char *name,
                  struct program *out, struct estc_error *err) {
    int ends[2];
    *out = PROGRAM_NONE;
    out->name = strdup(name);
    out->path = strdup(argv[0]);
    if (!out->name || !out->path)
        return estc_error_set(err, -ENOMEM, "out of memory");
    if (pipe2(ends, O_CLOEXEC) < 0)
        return estc_error_set(err, -errno, "cannot make a pipe: %m");
    out->pid = fork();
    if (out->pid == 0)
        become_program(argv, environment, ends[1]);
    int error = errno;
    close(ends[1]);
    out->output = ends[0];
    if (out->pid < 0)
        return estc_error_set(err, -error, "cannot fork: %s", strerror(error));
    fcntl(out->output, F_SETFL, O_NONBLOCK);
    out->pidfd = pidfd_open(out->pid, 0);
    return out->pidfd < 0 ? estc_error_set(err, -errno, "cannot watch %s: %m", argv[0]) : 0;
}

int program_add_pair(char ***environment, const char *name, const char *value) {
    _cleanup(freep) char *pair = text_format("%s=%s", name, value);
    return pair ? text_list_add(environment, pair) : -ENOMEM;
}

/* --- what it says --- */

static void log_line(struct program *p) {
    if (p->used > 0 && p->n_lines < LINES_MAX)
        journal_info("%s: %.*s", p->name, (int)p->used, p->line);
    else if (p->used > 0 && p->n_lines == LINES_MAX)
        journal_info("%s: says more than is logged", p->name);
    p->n_lines += p->used > 0;
    p->used = 0;
}

/* Not all that is there, since it may never end; long lines become several. */
void program_read(struct program *p) {
    char step[STEP];
    ssize_t n = read(p->output, step, sizeof(step));
    for (ssize_t i = 0; i < n; i++) {
        if (step[i] == '\n' || p->used == sizeof(p->line))
            log_line(p);
        if (step[i] != '\n')
            p->line[p->used++] = step[i];
    }
    if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR))
        fs_closep(&p->output);
}

/* --- how it ends --- */

void program_signal(const struct program *p, int number) {
    kill(-p->pid, number);
}

static int judge_end(int status, const char *path, struct estc_error *err) {
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
        return 0;
    if (WIFEXITED(status))
        return estc_error_set(err, -EIO, "%s ended with status %d", path, WEXITSTATUS(status));
    return estc_error_set(err, -EIO, "%s was killed by signal %d (%s)", path, WTERMSIG(status),
                          strsignal(WTERMSIG(status)));
}

int program_end(struct program *p, struct estc_error *err) {
    int status = 0;
    if (p->pid > 0) {
        program_signal(p, SIGKILL); /* and whatever it has started */
        kill(p->pid, SIGKILL);      /* where it had no group yet */
        waitpid(p->pid, &status, 0);
    }
    if (p->output >= 0)
        program_read(p);
    log_line(p);
    int rc = p->pid > 0 ? judge_end(status, p->path, err) : 0;
    fs_closep(&p->output);
    fs_closep(&p->pidfd);
    free(p->name);
    free(p->path);
    *p = PROGRAM_NONE;
    return rc;
}
