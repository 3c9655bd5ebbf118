/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * timerfd: an eventfd, to which the process that made it writes when its time has come. It can come
 * only while the process waits, so that is where it looks (waits.c). A child has no timers: the
 * descriptors that it may have inherited are its parent's to write to.
 */
#include "preload.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <unistd.h>

#define TIMERS_MAX 64

struct timer {
    int fd, flags;
    clockid_t clock;
    bool used, armed, wall, cancelled; /* wall: follows the wall clock wherever it is set to */
    int64_t when, interval;            /* wall: on that clock; otherwise of the world */
    uint32_t steps;                    /* of the clock, when it was armed */
};

static struct timer timers[TIMERS_MAX];
static _Atomic unsigned n_timers;
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;

static struct timer *find(int fd) {
    for (size_t i = 0; i < TIMERS_MAX && n_timers > 0; i++)
        if (timers[i].used && timers[i].fd == fd)
            return &timers[i];
    return NULL;
}

static int64_t due(const struct timer *t) {
    int64_t at;
    if (!t->armed)
        return WORLD_NEVER;
    if (!t->wall || t->when == WORLD_NEVER)
        return t->when;
    return __builtin_sub_overflow(t->when, member_machine()->real, &at) ? WORLD_NEVER : at;
}

static void add(struct timer *t, uint64_t count) {
    (void)syscall(SYS_write, t->fd, &count, sizeof(count));
}

static void fire(struct timer *t) {
    if (t->flags & TFD_TIMER_CANCEL_ON_SET && t->armed && !t->cancelled &&
        t->steps != member_machine()->steps) {
        t->cancelled = true;
        add(t, 1);
    }
    int64_t late = member_world()->now - due(t);
    if (!t->armed || late < 0)
        return;
    uint64_t count = 1;
    if (t->interval > 0) {
        count += (uint64_t)(late / t->interval);
        t->when += (int64_t)count * t->interval;
    } else {
        t->armed = false;
    }
    add(t, count);
}

void timers_fire(void) {
    if (n_timers == 0)
        return;
    pthread_mutex_lock(&mutex);
    for (size_t i = 0; i < TIMERS_MAX; i++)
        if (timers[i].used)
            fire(&timers[i]);
    pthread_mutex_unlock(&mutex);
}

int64_t timers_earliest(void) {
    int64_t earliest = WORLD_NEVER;
    if (n_timers == 0)
        return earliest;
    pthread_mutex_lock(&mutex);
    for (size_t i = 0; i < TIMERS_MAX; i++)
        if (timers[i].used && due(&timers[i]) < earliest)
            earliest = due(&timers[i]);
    pthread_mutex_unlock(&mutex);
    return earliest;
}

void timers_forget(void) {
    n_timers = 0;
    for (size_t i = 0; i < TIMERS_MAX; i++)
        timers[i] = (struct timer){0};
    pthread_mutex_init(&mutex, NULL);
}

void timers_close(unsigned first, unsigned last) {
    if (n_timers == 0)
        return;
    pthread_mutex_lock(&mutex);
    for (size_t i = 0; i < TIMERS_MAX; i++)
        if (timers[i].used && (unsigned)timers[i].fd >= first && (unsigned)timers[i].fd <= last) {
            timers[i] = (struct timer){0};
            n_timers--;
        }
    pthread_mutex_unlock(&mutex);
}

HELD int timerfd_create(int clock, int flags) {
    if (!member_world())
        return (int)syscall(SYS_timerfd_create, clock, flags);
    int how = (flags & TFD_NONBLOCK ? EFD_NONBLOCK : 0) | (flags & TFD_CLOEXEC ? EFD_CLOEXEC : 0);
    int fd = eventfd(0, how);
    if (fd < 0)
        return -1;
    pthread_mutex_lock(&mutex);
    struct timer *t = timers;
    while (t < timers + TIMERS_MAX && t->used)
        t++;
    if (t == timers + TIMERS_MAX)
        abort();
    *t = (struct timer){.fd = fd, .clock = clock, .used = true};
    n_timers++;
    pthread_mutex_unlock(&mutex);
    return fd;
}

static bool is_wall(const struct timer *t) {
    return t->clock == CLOCK_REALTIME || t->clock == CLOCK_REALTIME_ALARM;
}

static void drain(int fd) {
    uint64_t ignored;
    int flags = fcntl(fd, F_GETFL);
    fcntl(fd, F_SETFL, flags | O_NONBLOCK);
    (void)syscall(SYS_read, fd, &ignored, sizeof(ignored));
    fcntl(fd, F_SETFL, flags);
}

static void arm(struct timer *t, int flags, const struct itimerspec *value) {
    bool held, absolute = flags & TFD_TIMER_ABSTIME;
    int64_t at = from_timespec(&value->it_value);
    t->flags = flags;
    t->wall = absolute && is_wall(t);
    t->armed = at != 0;
    t->cancelled = false;
    t->steps = member_machine()->steps;
    t->interval = from_timespec(&value->it_interval);
    t->when = t->wall || at == WORLD_NEVER ? at
              : absolute                   ? at - clock_offset(t->clock, &held)
                                           : wait_deadline(at);
    drain(t->fd);
    fire(t);
}

static struct itimerspec left(const struct timer *t) {
    int64_t rest = t->armed ? due(t) - member_world()->now : 0;
    return (struct itimerspec){.it_interval = to_timespec(t->interval),
                               .it_value = to_timespec(rest)};
}

HELD int timerfd_settime(int fd, int flags, const struct itimerspec *value,
                         struct itimerspec *old) {
    if (!member_world())
        return (int)syscall(SYS_timerfd_settime, fd, flags, value, old);
    pthread_mutex_lock(&mutex);
    struct timer *t = find(fd);
    if (t && old)
        *old = left(t);
    if (t)
        arm(t, flags, value);
    pthread_mutex_unlock(&mutex);
    errno = t ? errno : EINVAL;
    return t ? 0 : -1;
}

HELD int timerfd_gettime(int fd, struct itimerspec *value) {
    if (!member_world())
        return (int)syscall(SYS_timerfd_gettime, fd, value);
    pthread_mutex_lock(&mutex);
    const struct timer *t = find(fd);
    if (t)
        *value = left(t);
    pthread_mutex_unlock(&mutex);
    errno = t ? errno : EINVAL;
    return t ? 0 : -1;
}

/* --- what happens to a descriptor that may be one --- */

static bool take_cancelled(int fd) {
    pthread_mutex_lock(&mutex);
    struct timer *t = find(fd);
    bool cancelled = t && t->cancelled;
    if (cancelled) {
        t->cancelled = false;
        t->steps = member_machine()->steps;
        drain(fd);
    }
    pthread_mutex_unlock(&mutex);
    return cancelled;
}

HELD ssize_t read(int fd, void *data, size_t size) {
    if (n_timers > 0 && take_cancelled(fd)) {
        errno = ECANCELED;
        return -1;
    }
    return syscall(SYS_read, fd, data, size);
}

ssize_t __read_chk(int fd, void *data, size_t size, size_t room);
HELD ssize_t __read_chk(int fd, void *data, size_t size, size_t room) {
    return read(fd, data, size < room ? size : room);
}

HELD int close(int fd) {
    timers_close((unsigned)fd, (unsigned)fd);
    return (int)syscall(SYS_close, fd);
}

HELD int close_range(unsigned first, unsigned last, int flags) {
    if (!(flags & 4)) /* CLOSE_RANGE_CLOEXEC closes nothing yet */
        timers_close(first, last);
    return (int)syscall(SYS_close_range, first, last, flags);
}

HELD int dup2(int fd, int target) {
    if (fd == target)
        return fcntl(fd, F_GETFD) < 0 ? -1 : fd;
    timers_close((unsigned)target, (unsigned)target);
    return (int)syscall(SYS_dup3, fd, target, 0);
}

HELD int dup3(int fd, int target, int flags) {
    timers_close((unsigned)target, (unsigned)target);
    return (int)syscall(SYS_dup3, fd, target, flags);
}
