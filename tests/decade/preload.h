/* SPDX-License-Identifier: BSD-2-Clause */
/* What the parts of the preload library know of each other. */
#pragma once

#include "world.h"

#include <time.h>

/* A symbol that programs find instead of the C library's. */
#define HELD __attribute__((visibility("default")))

/* member.c: this process and its threads in the world. NULL outside of one: nothing is held then.
 */
struct world *member_world(void);
struct machine *member_machine(void);
struct slot *member_slot(void);
int64_t member_alarm(void);
void member_ring_alarm(void);

/* waits.c: calls look() until it says something or the deadline has come; then 0. -EINTR when a
 * signal was handled meanwhile. */
int wait_for(const char *where, world_look_fn look, void *arg, int64_t deadline);
int64_t wait_deadline(int64_t nanoseconds); /* from now; below 0: never */

/* timers.c */
void timers_fire(void);
int64_t timers_earliest(void);
void timers_forget(void);
void timers_close(unsigned first, unsigned last);

/* clocks.c: a clock of this machine in world time, and back. */
int64_t clock_offset(clockid_t clock, bool *held);

static inline int64_t from_timespec(const struct timespec *ts) {
    int64_t sum;
    return __builtin_mul_overflow((int64_t)ts->tv_sec, SECOND, &sum) ||
                   __builtin_add_overflow(sum, (int64_t)ts->tv_nsec, &sum)
               ? WORLD_NEVER
               : sum;
}

static inline struct timespec to_timespec(int64_t ns) {
    return (struct timespec){.tv_sec = ns / SECOND, .tv_nsec = ns % SECOND};
}
