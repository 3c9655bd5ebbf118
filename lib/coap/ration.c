/* SPDX-License-Identifier: BSD-2-Clause */
/* Counts in windows of time. Owns nothing, logs nothing. */
#include "coap/ration.h"

#include "base/clock.h"

#define RATION_BURST 20
#define RATION_WINDOW_MS 10000

bool ration_allows(struct ration *r, unsigned long *missed) {
    int64_t now = clock_boot_ms();
    *missed = 0;
    if (r->used == 0 || now - r->began >= RATION_WINDOW_MS) {
        *missed = r->suppressed;
        *r = (struct ration){.began = now};
    }
    if (r->used < RATION_BURST) {
        r->used++;
        return true;
    }
    r->suppressed++;
    return false;
}
