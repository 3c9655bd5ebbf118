/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A world whose time moves only while everybody in it waits. It is one shared page: a clock for
 * each machine, and a slot for each thread of each process, which says whether it runs or waits,
 * and for what time. Programs get into it by the preload library (waits.c and others), unmodified;
 * the driver of a test makes the page and keeps the clock (keeper.c).
 *
 * How "everybody waits" is decided. `seq` counts what may have changed something for others. A
 * thread that begins to wait has done things, so it counts on; with each count all who wait look at
 * their descriptors again, and note in their slot at which count they found nothing. When all slots
 * wait and all have found nothing at the present count, nobody can have anything to do: a datagram
 * that lies in a socket is found by whose it is before time can move. A call that is not known
 * here, a read from a disk or a wait for a child, leaves its slot running: it is work, and time
 * stands.
 *
 * Times are in nanoseconds of the world, which begins at 0 and never goes back.
 */
#pragma once

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#define WORLD_MAGIC 0x64656331U
#define WORLD_SLOTS 256
#define WORLD_MACHINES 4
#define WORLD_NEVER INT64_MAX
#define SECOND INT64_C(1000000000)

enum slot_state { SLOT_FREE, SLOT_RUNS, SLOT_WAITS };

struct slot {
    _Atomic pid_t pid; /* 0: a child that is not born yet */
    pid_t parent;
    uint32_t state, checked, machine;
    int64_t deadline;
    char where[16];
};

struct machine {
    int64_t real;   /* what CLOCK_REALTIME is ahead of the world */
    int64_t booted; /* when, in the world's time */
    int64_t slept;  /* suspended since then: what CLOCK_MONOTONIC does not count */
    int64_t slept_from;
    uint32_t steps; /* how often somebody set the clock */
    uint32_t sleeps;
    uint64_t datagrams, octets, hellos;
};

enum link_state { LINK_UP, LINK_SILENT, LINK_UNREACHABLE };

struct world {
    uint32_t magic;
    pid_t driver;
    pthread_mutex_t lock;  /* shared and robust: whoever holds it may be killed */
    _Atomic uint32_t seq;  /* futex */
    _Atomic uint32_t bell; /* futex: the keeper's */
    _Atomic int64_t now;
    _Atomic uint64_t sent; /* datagrams handed to the kernel */
    _Atomic uint32_t stalled;
    _Atomic uint64_t jumps, rounds, lost;
    uint32_t link, loss; /* enum link_state; per mille */
    struct machine machines[WORLD_MACHINES];
    struct slot slots[WORLD_SLOTS];
};

/* world.c, with the lock held */
void world_count(struct world *w);
bool world_quiet(const struct world *w);
struct slot *world_take(struct world *w, pid_t pid, unsigned machine);

void world_lock(struct world *w);
void world_unlock(struct world *w);
int world_futex_wait(_Atomic uint32_t *word, uint32_t value, int64_t nanoseconds);
void world_futex_wake(_Atomic uint32_t *word);
void world_ring(struct world *w);

/* One of a thread's looks at what it waits for: not 0 when there is something. */
typedef int (*world_look_fn)(void *arg);
