/* SPDX-License-Identifier: BSD-2-Clause */
/* Whether a certificate that has been issued is put in force. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "agent/config.h"

/* `works`: there is one in force that has not expired. `proof`: how a handshake with the new one
 * ended, 0, ESTC_E_* or a negative errno. Pure. */
bool prove_accepts(enum config_prove prove, bool works, int proof);

/* A certificate that has come, and the one in force. */
struct prove_dates {
    int64_t begins, came;               /* the new one's notBefore, and when it was issued to us */
    bool have_current;                  /* there is one in force, and it is ... */
    int64_t not_before, not_after, now; /* ... of these dates; the time by our clock */
};

/* Whether the new one may be put in force. One of the two clocks is wrong when it begins in our
 * future, and which, nobody knows: it may when it has begun, or when the one in force comes to its
 * latest safe point by the clock of the CA, which was at `begins` when it came. Pure. */
bool prove_has_begun(const struct prove_dates *dates);
