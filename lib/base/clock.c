/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The two clocks of the system. Boot time runs through suspend and never steps, so every deadline
 * is on it; wall time is for certificates only.
 */
#include "base/clock.h"

#include <time.h>

int64_t clock_real(void) {
    struct timespec ts = {0};
    clock_gettime(CLOCK_REALTIME, &ts);
    return ts.tv_sec;
}

int64_t clock_boot_ms(void) {
    struct timespec ts = {0};
    clock_gettime(CLOCK_BOOTTIME, &ts);
    return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}
