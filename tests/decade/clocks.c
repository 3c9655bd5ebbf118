/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The clocks of this process's machine. They stand while anybody works, but for a microsecond with
 * each look at them: a program that waits in a loop for a clock to go on is not to wait for ever.
 */
#include "preload.h"

#include <errno.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <unistd.h>

#define CREEP 1000

/* What the clock is ahead of the world's; not held: a clock of processor time. */
int64_t clock_offset(clockid_t clock, bool *held) {
    const struct machine *m = member_machine();
    *held = true;
    switch (clock) {
    case CLOCK_REALTIME:
    case CLOCK_REALTIME_COARSE:
    case CLOCK_REALTIME_ALARM:
    case CLOCK_TAI:
        return m->real;
    case CLOCK_BOOTTIME:
    case CLOCK_BOOTTIME_ALARM:
        return -m->booted;
    case CLOCK_MONOTONIC:
    case CLOCK_MONOTONIC_RAW:
    case CLOCK_MONOTONIC_COARSE:
        return -m->booted - m->slept;
    default:
        *held = false;
        return 0;
    }
}

HELD int clock_gettime(clockid_t clock, struct timespec *ts) {
    bool held = false;
    int64_t offset = member_world() ? clock_offset(clock, &held) : 0;
    if (!held)
        return (int)syscall(SYS_clock_gettime, clock, ts);
    *ts = to_timespec((member_world()->now += CREEP) + offset);
    return 0;
}

HELD int gettimeofday(struct timeval *tv, void *zone) {
    (void)zone;
    struct timespec ts;
    int rc = clock_gettime(CLOCK_REALTIME, &ts);
    if (!rc)
        *tv = (struct timeval){.tv_sec = ts.tv_sec, .tv_usec = ts.tv_nsec / 1000};
    return rc;
}

HELD time_t time(time_t *out) {
    struct timespec ts = {0};
    clock_gettime(CLOCK_REALTIME, &ts);
    if (out)
        *out = ts.tv_sec;
    return ts.tv_sec;
}
