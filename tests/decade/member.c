/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * This process as a member of the world: finding the page, a slot for each thread, births. Deaths
 * are the keeper's to notice, since the dead say nothing. The page is mapped when the program
 * starts, before it can give up any right; a child that gives up rights has it by inheritance, and
 * nothing here needs a descriptor later.
 */
#include "preload.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

static struct world *world;
static unsigned machine;
static _Atomic int64_t alarm_at = WORLD_NEVER;
static __thread struct slot *self __attribute__((tls_model("initial-exec")));

static _Noreturn void die(const char *why) {
    fprintf(stderr, "preload of tests/decade: %s: %s\n", why, strerror(errno));
    _exit(99);
}

struct world *member_world(void) {
    return world;
}

struct machine *member_machine(void) {
    return &world->machines[machine];
}

static struct slot *take(pid_t pid) {
    world_lock(world);
    struct slot *slot = world_take(world, pid, machine);
    if (slot)
        world_count(world);
    world_unlock(world);
    if (!slot)
        die("no free slot");
    return slot;
}

static void release(void *arg) {
    struct slot *slot = arg;
    world_lock(world);
    slot->state = SLOT_FREE;
    world_count(world);
    world_unlock(world);
    world_ring(world);
}

struct slot *member_slot(void) {
    if (!self)
        self = take(getpid());
    return self;
}

/* After exec() the slot is there already. */
static struct slot *mine(void) {
    struct slot *found = NULL;
    world_lock(world);
    for (size_t i = 0; i < WORLD_SLOTS; i++)
        if (world->slots[i].state != SLOT_FREE && world->slots[i].pid == getpid())
            found = &world->slots[i];
    if (found)
        found->state = SLOT_RUNS;
    world_unlock(world);
    return found ? found : take(getpid());
}

__attribute__((constructor)) static void join(void) {
    const char *path = getenv("DECADE_WORLD");
    const char *number = getenv("DECADE_MACHINE");
    if (!path)
        return;
    int fd = open(path, O_RDWR | O_CLOEXEC);
    void *page = fd < 0
                     ? MAP_FAILED
                     : mmap(NULL, sizeof(struct world), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (page == MAP_FAILED)
        die(path);
    syscall(SYS_close, fd);
    if (((struct world *)page)->magic != WORLD_MAGIC)
        die("no world");
    machine = number ? (unsigned)atoi(number) % WORLD_MACHINES : 0;
    world = page;
    if (getppid() == world->driver) /* nobody is to wait in a world that has ended */
        prctl(PR_SET_PDEATHSIG, SIGKILL);
    self = mine();
}

/* --- births --- */

HELD pid_t fork(void) {
    pid_t (*real)(void);
    *(void **)&real = dlsym(RTLD_NEXT, "fork");
    struct slot *child = world ? take(0) : NULL;
    pid_t pid = real();
    if (!child)
        return pid;
    if (pid < 0) {
        int error = errno;
        release(child);
        errno = error;
    } else if (pid > 0) {
        child->pid = pid;
    } else {
        child->pid = getpid();
        self = child;
        alarm_at = WORLD_NEVER;
        timers_forget();
    }
    return pid;
}

/* What begins in a thread: its slot exists before it does, so that nobody believes it waits. */
struct birth {
    void *(*start)(void *);
    void *arg;
    struct slot *slot;
};

static void *begin(void *arg) {
    struct birth birth = *(struct birth *)arg;
    free(arg);
    self = birth.slot;
    void *result;
    pthread_cleanup_push(release, birth.slot);
    result = birth.start(birth.arg);
    pthread_cleanup_pop(1);
    return result;
}

HELD int pthread_create(pthread_t *thread, const pthread_attr_t *attr, void *(*start)(void *),
                        void *arg) {
    int (*real)(pthread_t *, const pthread_attr_t *, void *(*)(void *), void *);
    *(void **)&real = dlsym(RTLD_NEXT, "pthread_create");
    struct birth *birth = world ? malloc(sizeof(*birth)) : NULL;
    if (!birth)
        return real(thread, attr, start, arg);
    struct slot *slot = take(getpid());
    *birth = (struct birth){start, arg, slot};
    int rc = real(thread, attr, begin, birth);
    if (rc) {
        free(birth);
        release(slot);
    }
    return rc;
}

/* --- the alarm clock --- */

HELD unsigned alarm(unsigned seconds) {
    if (!world)
        return 0;
    int64_t now = world->now;
    int64_t left = alarm_at == WORLD_NEVER ? 0 : (alarm_at - now + SECOND - 1) / SECOND;
    alarm_at = seconds == 0 ? WORLD_NEVER : now + (int64_t)seconds * SECOND;
    return left > 0 ? (unsigned)left : 0;
}

int64_t member_alarm(void) {
    return alarm_at;
}

void member_ring_alarm(void) {
    if (alarm_at > world->now)
        return;
    alarm_at = WORLD_NEVER;
    kill(getpid(), SIGALRM);
}
