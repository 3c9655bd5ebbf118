/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Waiting. Nobody sleeps in the kernel's poll() here: a thread that waits sleeps on the world's
 * counter, and looks at its descriptors, without waiting, each time something may have changed. So
 * what it waits for is asked of the kernel always, and when time is to move it has just been asked.
 */
#include "preload.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/select.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Descriptors can become ready by somebody who is not of this world. */
#define STRANGERS (SECOND / 20)

int64_t wait_deadline(int64_t nanoseconds) {
    int64_t sum;
    return nanoseconds < 0 || __builtin_add_overflow(member_world()->now, nanoseconds, &sum)
               ? WORLD_NEVER
               : sum;
}

static int64_t least(int64_t a, int64_t b) {
    return a < b ? a : b;
}

/* The first count, which says that what ran before may have mattered to others. */
static uint32_t begin(struct world *w, struct slot *slot, const char *where) {
    world_lock(w);
    strncpy(slot->where, where, sizeof(slot->where) - 1);
    slot->checked = w->seq; /* of the past by the next line */
    slot->deadline = WORLD_NEVER;
    slot->state = SLOT_WAITS;
    world_count(w);
    uint32_t seq = w->seq;
    world_unlock(w);
    return seq;
}

static int end(struct world *w, struct slot *slot, int result) {
    world_lock(w);
    slot->state = SLOT_RUNS;
    strcpy(slot->where, "runs");
    world_unlock(w);
    return result;
}

/* Nothing found at this count. */
static void found_nothing(struct world *w, struct slot *slot, uint32_t seq, int64_t deadline) {
    world_lock(w);
    slot->checked = seq;
    slot->deadline = deadline;
    bool quiet = w->seq == seq && world_quiet(w);
    world_unlock(w);
    if (quiet)
        world_ring(w);
}

int wait_for(const char *where, world_look_fn look, void *arg, int64_t deadline) {
    struct world *w = member_world();
    timers_fire();
    int found = look(arg);
    if (found || deadline <= w->now)
        return found;
    struct slot *slot = member_slot();
    struct machine *m = member_machine();
    uint32_t seq = begin(w, slot, where);
    for (;;) {
        int64_t wake = WORLD_NEVER;
        if (!m->sleeps) {
            member_ring_alarm();
            timers_fire();
            found = look(arg);
            if (found || deadline <= w->now)
                return end(w, slot, found);
            wake = least(deadline, least(timers_earliest(), member_alarm()));
        }
        found_nothing(w, slot, seq, wake);
        int rc = world_futex_wait(&w->seq, seq, STRANGERS);
        if (rc == -EINTR)
            return end(w, slot, -EINTR);
        seq = w->seq;
    }
}

static int answer(int found) {
    if (found >= 0)
        return found;
    errno = -found;
    return -1;
}

/* --- the calls --- */

static const struct timespec at_once;

static int checked(long rc) {
    return rc < 0 ? -errno : (int)rc;
}

struct polled {
    struct pollfd *fds;
    nfds_t n;
    const sigset_t *mask;
};

static int look_poll(void *arg) {
    const struct polled *p = arg;
    struct timespec zero = at_once;
    return checked(syscall(SYS_ppoll, p->fds, p->n, &zero, p->mask, _NSIG / 8));
}

static int poll_for(struct pollfd *fds, nfds_t n, int64_t ns, const sigset_t *mask) {
    struct polled p = {fds, n, mask};
    if (member_world())
        return answer(wait_for("poll", look_poll, &p, wait_deadline(ns)));
    struct timespec ts = to_timespec(ns);
    return (int)syscall(SYS_ppoll, fds, n, ns < 0 ? NULL : &ts, mask, _NSIG / 8);
}

HELD int poll(struct pollfd *fds, nfds_t n, int ms) {
    return poll_for(fds, n, (int64_t)ms * 1000000, NULL);
}

HELD int ppoll(struct pollfd *fds, nfds_t n, const struct timespec *ts, const sigset_t *mask) {
    return poll_for(fds, n, ts ? from_timespec(ts) : -1, mask);
}

/* The same, of programs that were made with _FORTIFY_SOURCE. */
int __poll_chk(struct pollfd *fds, nfds_t n, int ms, size_t size);
HELD int __poll_chk(struct pollfd *fds, nfds_t n, int ms, size_t size) {
    (void)size;
    return poll(fds, n, ms);
}

int __ppoll_chk(struct pollfd *fds, nfds_t n, const struct timespec *ts, const sigset_t *mask,
                size_t size);
HELD int __ppoll_chk(struct pollfd *fds, nfds_t n, const struct timespec *ts, const sigset_t *mask,
                     size_t size) {
    (void)size;
    return ppoll(fds, n, ts, mask);
}

struct epolled {
    int fd, max;
    struct epoll_event *events;
    const sigset_t *mask;
};

static int look_epoll(void *arg) {
    const struct epolled *e = arg;
    return checked(syscall(SYS_epoll_pwait, e->fd, e->events, e->max, 0, e->mask, _NSIG / 8));
}

static int epoll_for(int fd, struct epoll_event *events, int max, int64_t ns,
                     const sigset_t *mask) {
    struct epolled e = {fd, max, events, mask};
    if (member_world())
        return answer(wait_for("epoll_wait", look_epoll, &e, wait_deadline(ns)));
    int ms = ns < 0 ? -1 : (int)(ns / 1000000);
    return (int)syscall(SYS_epoll_pwait, fd, events, max, ms, mask, _NSIG / 8);
}

HELD int epoll_wait(int fd, struct epoll_event *events, int max, int ms) {
    return epoll_for(fd, events, max, (int64_t)ms * 1000000, NULL);
}

HELD int epoll_pwait(int fd, struct epoll_event *events, int max, int ms, const sigset_t *mask) {
    return epoll_for(fd, events, max, (int64_t)ms * 1000000, mask);
}

HELD int epoll_pwait2(int fd, struct epoll_event *events, int max, const struct timespec *ts,
                      const sigset_t *mask) {
    return epoll_for(fd, events, max, ts ? from_timespec(ts) : -1, mask);
}

struct selected {
    int n;
    fd_set *sets[3], wanted[3];
    const sigset_t *mask;
};

static int look_select(void *arg) {
    struct selected *s = arg;
    struct timespec zero = at_once;
    struct {
        const sigset_t *mask;
        size_t size;
    } mask = {s->mask, _NSIG / 8};
    for (int i = 0; i < 3; i++)
        if (s->sets[i])
            *s->sets[i] = s->wanted[i];
    return checked(syscall(SYS_pselect6, s->n, s->sets[0], s->sets[1], s->sets[2], &zero, &mask));
}

HELD int pselect(int n, fd_set *reads, fd_set *writes, fd_set *others, const struct timespec *ts,
                 const sigset_t *mask) {
    struct selected s = {.n = n, .sets = {reads, writes, others}, .mask = mask};
    for (int i = 0; i < 3; i++)
        if (s.sets[i])
            s.wanted[i] = *s.sets[i];
    if (member_world())
        return answer(
            wait_for("select", look_select, &s, wait_deadline(ts ? from_timespec(ts) : -1)));
    struct timespec limit = ts ? *ts : at_once;
    struct {
        const sigset_t *mask;
        size_t size;
    } masked = {mask, _NSIG / 8};
    return (int)syscall(SYS_pselect6, n, reads, writes, others, ts ? &limit : NULL, &masked);
}

HELD int select(int n, fd_set *reads, fd_set *writes, fd_set *others, struct timeval *tv) {
    struct timespec ts = {0};
    if (tv)
        ts = (struct timespec){.tv_sec = tv->tv_sec, .tv_nsec = tv->tv_usec * 1000};
    return pselect(n, reads, writes, others, tv ? &ts : NULL, NULL);
}

/* --- sleeping --- */

static int look_at_nothing(void *arg) {
    (void)arg;
    return 0;
}

HELD int clock_nanosleep(clockid_t clock, int flags, const struct timespec *want,
                         struct timespec *left) {
    bool held = false;
    int64_t offset = member_world() ? clock_offset(clock, &held) : 0;
    if (!held)
        return syscall(SYS_clock_nanosleep, clock, flags, want, left) < 0 ? errno : 0;
    int64_t until = from_timespec(want);
    int64_t deadline = flags & TIMER_ABSTIME ? until - offset : wait_deadline(until);
    int rc = wait_for("sleep", look_at_nothing, NULL, deadline);
    if (rc && left && !(flags & TIMER_ABSTIME))
        *left = to_timespec(deadline - member_world()->now);
    return -rc;
}

HELD int nanosleep(const struct timespec *want, struct timespec *left) {
    int rc = clock_nanosleep(CLOCK_MONOTONIC, 0, want, left);
    errno = rc ? rc : errno;
    return rc ? -1 : 0;
}

HELD int usleep(useconds_t us) {
    struct timespec ts = to_timespec((int64_t)us * 1000);
    return nanosleep(&ts, NULL);
}

HELD unsigned sleep(unsigned seconds) {
    struct timespec ts = {.tv_sec = seconds}, left = {0};
    return nanosleep(&ts, &left) ? (unsigned)left.tv_sec + 1 : 0;
}
