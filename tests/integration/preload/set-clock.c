/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Puts the wall clock of a program somewhere else, without touching the machine's. The file named
 * by ESTC_TEST_CLOCK holds how many seconds it is ahead, as one native 64 bit number that may
 * change at any time. Where ESTC_TEST_CLOCK_SET names a FIFO, it takes the place of the timer by
 * which a program hears of a clock that was set: eight bytes written there are that news. Boot time
 * and monotonic time stay what they are.
 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

static const volatile int64_t *ahead;
static int (*real_gettime)(clockid_t, struct timespec *);
static int set_fd = -1; /* the FIFO, once it is in the timer's place */

__attribute__((constructor)) static void set_up(void) {
    const char *path = getenv("ESTC_TEST_CLOCK");
    int fd = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;

    *(void **)&real_gettime = dlsym(RTLD_NEXT, "clock_gettime");
    if (fd < 0)
        return;
    void *page = mmap(NULL, sizeof(*ahead), PROT_READ, MAP_SHARED, fd, 0);
    close(fd);
    if (page != MAP_FAILED)
        ahead = page;
}

int clock_gettime(clockid_t clock, struct timespec *out) {
    if (!real_gettime)
        *(void **)&real_gettime = dlsym(RTLD_NEXT, "clock_gettime");
    int rc = real_gettime(clock, out);
    if (rc == 0 && ahead && clock == CLOCK_REALTIME)
        out->tv_sec += *ahead;
    return rc;
}

time_t time(time_t *out) {
    struct timespec now = {0};

    clock_gettime(CLOCK_REALTIME, &now);
    if (out)
        *out = now.tv_sec;
    return now.tv_sec;
}

int gettimeofday(struct timeval *restrict out, void *restrict zone) {
    struct timespec now = {0};

    (void)zone;
    clock_gettime(CLOCK_REALTIME, &now);
    *out = (struct timeval){now.tv_sec, now.tv_nsec / 1000};
    return 0;
}

int timerfd_create(int clock, int flags) {
    int (*real)(int, int);
    const char *path = getenv("ESTC_TEST_CLOCK_SET");

    *(void **)&real = dlsym(RTLD_NEXT, "timerfd_create");
    if (clock != CLOCK_REALTIME || !path || set_fd >= 0)
        return real(clock, flags);
    set_fd = open(path, O_RDWR | O_NONBLOCK | O_CLOEXEC);
    return set_fd;
}

int timerfd_settime(int fd, int flags, const struct itimerspec *when, struct itimerspec *was) {
    int (*real)(int, int, const struct itimerspec *, struct itimerspec *);

    *(void **)&real = dlsym(RTLD_NEXT, "timerfd_settime");
    return fd >= 0 && fd == set_fd ? 0 : real(fd, flags, when, was);
}
