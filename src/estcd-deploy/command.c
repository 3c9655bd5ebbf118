/* SPDX-License-Identifier: BSD-2-Clause */
/* Runs one program and waits for it: its time, its output, its end. */
#include "command.h"

#include <poll.h>
#include <signal.h>

#include "base/clock.h"
#include "common/program.h"

/* True when it has ended by the deadline (boot time, ms). */
static bool watch(struct program *program, int64_t deadline) {
    for (;;) {
        struct pollfd fds[] = {{.fd = program->pidfd, .events = POLLIN},
                               {.fd = program->output, .events = POLLIN}};
        int64_t left = deadline - clock_boot_ms();
        if (left <= 0)
            return false;
        if (poll(fds, 2, (int)left) < 0)
            continue;
        if (fds[1].revents)
            program_read(program);
        if (fds[0].revents)
            return true;
    }
}

int command_run(char *const *argv, char *const *environment, int64_t timeout_s, const char *name,
                struct estc_error *err) {
    struct program program;
    int rc = program_start(argv, environment, name, &program, err);
    bool in_time = rc || watch(&program, clock_boot_ms() + timeout_s * 1000);
    if (!in_time) {
        program_signal(&program, SIGTERM);
        watch(&program, clock_boot_ms() + PROGRAM_GRACE_MS);
    }
    int end = program_end(&program, rc ? NULL : err);
    if (!in_time)
        return estc_error_set(err, ESTC_E_TIMEOUT, "%s hung and was ended after %lld s", argv[0],
                              (long long)timeout_s);
    return rc ? rc : end;
}
