/* SPDX-License-Identifier: BSD-2-Clause */
/* The shared page: its lock, its slots and its futexes. Both sides of it are made with this. */
#include "world.h"

#include <errno.h>
#include <linux/futex.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

void world_lock(struct world *w) {
    if (pthread_mutex_lock(&w->lock) == EOWNERDEAD)
        pthread_mutex_consistent(&w->lock); /* slots are written in one go, or belong to the dead */
}

void world_unlock(struct world *w) {
    pthread_mutex_unlock(&w->lock);
}

int world_futex_wait(_Atomic uint32_t *word, uint32_t value, int64_t nanoseconds) {
    const struct timespec limit = {.tv_sec = nanoseconds / SECOND, .tv_nsec = nanoseconds % SECOND};
    return syscall(SYS_futex, word, FUTEX_WAIT, value, &limit, NULL, 0) < 0 ? -errno : 0;
}

void world_futex_wake(_Atomic uint32_t *word) {
    syscall(SYS_futex, word, FUTEX_WAKE, INT32_MAX, NULL, NULL, 0);
}

void world_ring(struct world *w) {
    w->bell++;
    world_futex_wake(&w->bell);
}

/* Something may have changed for somebody: all look again. */
void world_count(struct world *w) {
    w->seq++;
    w->rounds++;
    world_futex_wake(&w->seq);
}

bool world_quiet(const struct world *w) {
    for (size_t i = 0; i < WORLD_SLOTS; i++) {
        const struct slot *slot = &w->slots[i];
        if (slot->state == SLOT_RUNS || (slot->state == SLOT_WAITS && slot->checked != w->seq))
            return false;
    }
    return true;
}

struct slot *world_take(struct world *w, pid_t pid, unsigned machine) {
    for (size_t i = 0; i < WORLD_SLOTS; i++) {
        struct slot *slot = &w->slots[i];
        if (slot->state == SLOT_FREE) {
            slot->pid = pid;
            slot->parent = getpid();
            slot->machine = machine;
            slot->deadline = WORLD_NEVER;
            strcpy(slot->where, "runs");
            slot->state = SLOT_RUNS;
            return slot;
        }
    }
    return NULL;
}
