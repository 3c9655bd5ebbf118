/* SPDX-License-Identifier: BSD-2-Clause */
/* How often something that a stranger can cause may be logged. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

/* Zero-initialise. */
struct ration {
    int64_t began; /* of the window, CLOCK_BOOTTIME */
    unsigned used;
    unsigned long suppressed;
};

/* True up to 20 times in 10 seconds. *missed (never NULL) is the number of refusals since the last
 * window, once, when a new one begins. */
bool ration_allows(struct ration *r, unsigned long *missed);
