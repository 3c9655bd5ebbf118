/* SPDX-License-Identifier: BSD-2-Clause */
/* A disk that takes its time: every sync of a file takes SLOW_SYNC_MS more. */
#include <dlfcn.h>
#include <stdlib.h>
#include <unistd.h>

static void slow(void) {
    const char *ms = getenv("SLOW_SYNC_MS");
    if (ms)
        usleep((useconds_t)atoi(ms) * 1000);
}

static int next(const char *name, int fd) {
    int (*real)(int) = (int (*)(int))(unsigned long)dlsym(RTLD_NEXT, name);
    slow();
    return real(fd);
}

int fsync(int fd) {
    return next("fsync", fd);
}

int fdatasync(int fd) {
    return next("fdatasync", fd);
}
