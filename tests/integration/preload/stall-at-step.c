/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * For tests that kill: the first worker that estcd forks stands still as soon as it has reported
 * the step named by ESTC_TEST_STEP, so that a test can kill it, its manager or both exactly there.
 * Workers after the first run through. Does nothing without the variable.
 */
#include <dlfcn.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

static char wanted[64];
static int workers; /* each has a pair of sockets, which other children have not */

__attribute__((constructor)) static void set_up(void) {
    const char *step = getenv("ESTC_TEST_STEP");

    if (step)
        snprintf(wanted, sizeof(wanted), "\"step\":\"%s\"", step);
}

int socketpair(int domain, int type, int protocol, int ends[2]) {
    int (*real)(int, int, int, int *);

    *(void **)&real = dlsym(RTLD_NEXT, "socketpair");
    workers++;
    return real(domain, type, protocol, ends);
}

/* Any white space that a JSON writer may have put in is left out. */
static int mentions_step(const void *message, size_t len) {
    char text[1024];
    size_t n = 0;

    for (size_t i = 0; i < len && n < sizeof(text) - 1; i++)
        if (((const char *)message)[i] != ' ')
            text[n++] = ((const char *)message)[i];
    text[n] = '\0';
    return strstr(text, wanted) != NULL;
}

ssize_t send(int fd, const void *message, size_t len, int flags) {
    ssize_t (*real)(int, const void *, size_t, int);

    *(void **)&real = dlsym(RTLD_NEXT, "send");
    ssize_t sent = real(fd, message, len, flags);
    if (wanted[0] && workers == 1 && mentions_step(message, len)) {
        /* The test sees this line in the daemon's log and acts. */
        static const char line[] = "worker stands still\n";
        fwrite(line, 1, sizeof(line) - 1, stderr);
        poll(NULL, 0, 60000);
    }
    return sent;
}
