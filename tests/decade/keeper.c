/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The driver's side of the world, called from Python: makes the page, moves time, notices the dead.
 * The keeper's thread moves time when the world is quiet; the other one waits for processes to end,
 * because whoever is killed cannot take itself off the list. The driver has a slot like everybody:
 * time stands while it works.
 *
 * A datagram has left its sender and is not yet in a socket only while it stands in the queue of
 * the processor that it was sent on, which is usually emptied before sendto() returns, but not
 * always. These queues keep their order. So before time moves, one datagram of the keeper's own
 * goes through each of them, and then everybody looks once more.
 */
#include "keeper.h"

#include "world.h"

#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define API __attribute__((visibility("default")))
#define PATIENCE (60 * SECOND) /* of the real clock: then something hangs */
#define REAP_MS 1

static struct world *world;
static struct slot *driver;
static int queue_fd = -1;
static struct sockaddr_in queue_address;

static int64_t real_now(void) {
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return ts.tv_sec * SECOND + ts.tv_nsec;
}

/* --- datagrams on their way --- */

static int open_queue(void) {
    socklen_t size = sizeof(queue_address);
    queue_address =
        (struct sockaddr_in){.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    queue_fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    return queue_fd < 0 || bind(queue_fd, (struct sockaddr *)&queue_address, size) < 0 ||
                   getsockname(queue_fd, (struct sockaddr *)&queue_address, &size) < 0
               ? -errno
               : 0;
}

/* Returns when all that was sent before has arrived. */
static void pass_through_queues(void) {
    cpu_set_t all, one;
    char byte = 0;
    if (sched_getaffinity(0, sizeof(all), &all) < 0)
        return;
    for (int cpu = 0; cpu < CPU_SETSIZE; cpu++) {
        if (!CPU_ISSET(cpu, &all))
            continue;
        CPU_ZERO(&one);
        CPU_SET(cpu, &one);
        sched_setaffinity(0, sizeof(one), &one);
        if (sendto(queue_fd, &byte, 1, 0, (struct sockaddr *)&queue_address,
                   sizeof(queue_address)) == 1)
            (void)recv(queue_fd, &byte, 1, 0);
    }
    sched_setaffinity(0, sizeof(all), &all);
}

/* --- moving time --- */

static int64_t earliest(const struct world *w) {
    int64_t at = WORLD_NEVER;
    for (size_t i = 0; i < WORLD_SLOTS; i++)
        if (w->slots[i].state == SLOT_WAITS && w->slots[i].deadline < at)
            at = w->slots[i].deadline;
    return at;
}

/* True when time has moved, or everybody was asked to look once more. */
static bool move(struct world *w, uint64_t *arrived) {
    world_lock(w);
    bool quiet = world_quiet(w);
    uint64_t sent = w->sent;
    if (quiet && sent == *arrived) {
        int64_t at = earliest(w);
        if (at != WORLD_NEVER) {
            if (at > w->now)
                w->now = at;
            w->jumps++;
            world_count(w);
        }
        quiet = at != WORLD_NEVER;
    } else if (quiet) {
        world_unlock(w);
        pass_through_queues();
        *arrived = sent;
        world_lock(w);
        world_count(w);
    }
    world_unlock(w);
    return quiet;
}

static void *keep(void *arg) {
    struct world *w = arg;
    uint64_t arrived = UINT64_MAX;
    int64_t moved = real_now();
    for (;;) {
        uint32_t bell = w->bell;
        if (move(w, &arrived) || driver->state == SLOT_RUNS)
            moved = real_now();
        else if (real_now() - moved > PATIENCE)
            w->stalled = 1;
        world_futex_wait(&w->bell, bell, SECOND / 50);
    }
    return NULL;
}

/* --- the dead --- */

struct watch {
    pid_t pid;
    int fd;
};

static bool leaves_unborn(const struct world *w, pid_t parent) {
    for (size_t i = 0; i < WORLD_SLOTS; i++)
        if (w->slots[i].state != SLOT_FREE && w->slots[i].pid == 0 && w->slots[i].parent == parent)
            return true;
    return false;
}

static void bury(struct world *w, pid_t pid) {
    if (leaves_unborn(w, pid)) /* killed in fork(): if there is a child it says so now */
        poll(NULL, 0, 20);
    world_lock(w);
    for (size_t i = 0; i < WORLD_SLOTS; i++) {
        struct slot *slot = &w->slots[i];
        if (slot->state != SLOT_FREE &&
            (slot->pid == pid || (slot->pid == 0 && slot->parent == pid)))
            slot->state = SLOT_FREE;
    }
    world_count(w);
    world_unlock(w);
    world_ring(w);
}

static bool is_watched(const struct watch *watched, size_t n, pid_t pid) {
    for (size_t i = 0; i < n; i++)
        if (watched[i].pid == pid)
            return true;
    return false;
}

static size_t take_up(struct world *w, struct watch *watched, size_t n) {
    for (size_t i = 0; i < WORLD_SLOTS; i++) {
        pid_t pid = w->slots[i].state == SLOT_FREE ? 0 : w->slots[i].pid;
        if (pid == 0 || pid == getpid() || is_watched(watched, n, pid))
            continue;
        int fd = (int)syscall(SYS_pidfd_open, pid, 0);
        if (fd >= 0)
            watched[n++] = (struct watch){pid, fd};
        else
            bury(w, pid);
    }
    return n;
}

static void *reap(void *arg) {
    struct world *w = arg;
    static struct watch watched[WORLD_SLOTS];
    static struct pollfd fds[WORLD_SLOTS];
    size_t n = 0;
    for (;;) {
        n = take_up(w, watched, n);
        for (size_t i = 0; i < n; i++)
            fds[i] = (struct pollfd){.fd = watched[i].fd, .events = POLLIN};
        poll(fds, n, REAP_MS);
        size_t left = 0;
        for (size_t i = 0; i < n; i++) {
            if (fds[i].revents == 0) {
                watched[left++] = watched[i];
                continue;
            }
            close(watched[i].fd);
            bury(w, watched[i].pid);
        }
        n = left;
    }
    return NULL;
}

/* --- what the driver calls --- */

static int make_page(void) {
    int fd = memfd_create("decade", MFD_CLOEXEC);
    if (fd < 0 || ftruncate(fd, sizeof(struct world)) < 0)
        return -errno;
    void *page = mmap(NULL, sizeof(struct world), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (page == MAP_FAILED)
        return -errno;
    world = page;
    pthread_mutexattr_t how;
    pthread_mutexattr_init(&how);
    pthread_mutexattr_setpshared(&how, PTHREAD_PROCESS_SHARED);
    pthread_mutexattr_setrobust(&how, PTHREAD_MUTEX_ROBUST);
    pthread_mutex_init(&world->lock, &how);
    return fd;
}

API int decade_begin(int64_t real) {
    pthread_t thread;
    int fd = world ? -EBUSY : make_page();
    int rc = fd < 0 ? fd : open_queue();
    if (rc < 0)
        return rc;
    for (size_t i = 0; i < WORLD_MACHINES; i++)
        world->machines[i] = (struct machine){.real = real * SECOND, .booted = -100 * SECOND};
    driver = world_take(world, getpid(), 0);
    world->driver = getpid();
    world->magic = WORLD_MAGIC;
    if (pthread_create(&thread, NULL, keep, world) || pthread_create(&thread, NULL, reap, world))
        return -EAGAIN;
    return fd;
}

API int64_t decade_now(void) {
    return world->now;
}

API int decade_wait(int64_t until) {
    int rc = 0;
    world_lock(world);
    driver->checked = world->seq;
    driver->deadline = until;
    driver->state = SLOT_WAITS;
    world_count(world);
    world_unlock(world);
    while (!rc && world->now < until) {
        world_lock(world);
        uint32_t seq = world->seq;
        driver->checked = seq;
        bool quiet = world_quiet(world);
        world_unlock(world);
        if (quiet)
            world_ring(world);
        rc = world_futex_wait(&world->seq, seq, SECOND / 20);
        rc = world->stalled ? -ETIMEDOUT : rc == -EINTR ? rc : 0;
    }
    world_lock(world);
    driver->state = SLOT_RUNS;
    world_unlock(world);
    return rc;
}

API void decade_poke(void) {
    world_lock(world);
    world_count(world);
    world_unlock(world);
}

API void decade_step(unsigned machine, int64_t by) {
    world_lock(world);
    world->machines[machine].real += by;
    world->machines[machine].steps++;
    world_count(world);
    world_unlock(world);
}

API void decade_boot(unsigned machine, int64_t real) {
    world_lock(world);
    struct machine *m = &world->machines[machine];
    m->real = real - world->now;
    m->booted = world->now - 5 * SECOND;
    m->slept = 0;
    world_count(world);
    world_unlock(world);
}

API void decade_suspend(unsigned machine, int sleeps) {
    world_lock(world);
    struct machine *m = &world->machines[machine];
    if (sleeps)
        m->slept_from = world->now;
    else if (m->sleeps)
        m->slept += world->now - m->slept_from;
    m->sleeps = sleeps != 0;
    world_count(world);
    world_unlock(world);
}

API void decade_link(unsigned state, unsigned loss_permille) {
    world->link = state;
    world->loss = loss_permille;
}

API uint64_t decade_counter(unsigned machine, unsigned which) {
    const struct machine *m = &world->machines[machine];
    const uint64_t counters[] = {m->datagrams, m->octets,    m->hellos,
                                 world->lost,  world->jumps, world->rounds};
    return which < sizeof(counters) / sizeof(counters[0]) ? counters[which] : 0;
}

API int decade_slot(unsigned i, char *text, size_t size) {
    if (i >= WORLD_SLOTS)
        return -1;
    const struct slot *s = &world->slots[i];
    text[0] = '\0';
    if (s->state != SLOT_FREE)
        snprintf(text, size, "process %d %s%s, due in %.3f s", (int)s->pid,
                 s->state == SLOT_RUNS ? "runs" : "waits in ",
                 s->state == SLOT_RUNS ? "" : s->where,
                 s->deadline == WORLD_NEVER ? -1.0 : (double)(s->deadline - world->now) / 1e9);
    return 0;
}
