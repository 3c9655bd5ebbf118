/* SPDX-License-Identifier: BSD-2-Clause */
/* Shows that the sanitizer run bites: every child that a program forks leaks a block of memory. */
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

static void plant(void) {
    char *volatile block = malloc(4321);

    if (block)
        memset(block, 0x5a, 4321);
    block = NULL;
}

__attribute__((constructor)) static void set_up(void) {
    pthread_atfork(NULL, NULL, plant);
}
