/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a fuzz target is: a function that takes any bytes and must neither crash nor leak nor break
 * what it asserts. libFuzzer calls it (./dev fuzz), and so does driver.c, as a test of every build.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

/* A property that holds for all bytes. */
#define FUZZ_CHECK(what)                                               \
    do {                                                               \
        if (!(what)) {                                                 \
            fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #what); \
            abort();                                                   \
        }                                                              \
    } while (0)
