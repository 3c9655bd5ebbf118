/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Whether somebody should look at an identity. One pure function: an identity and the time go in, a
 * level, the reason and the time of the next change come out. Attempts under way change nothing, so
 * it does not flicker.
 */
#pragma once

#include <stdint.h>

#include "identity.h"

/* X(name, label) */
#define ALERT_LEVELS(X)                                                                \
    X(ALERT_NONE, "none")                                                              \
    X(ALERT_WARNING, "warning")   /* a certificate is in force, and may not stay so */ \
    X(ALERT_CRITICAL, "critical") /* there is none that works */

#define ALERT_ENUM(name, label) name,
enum alert_level { ALERT_LEVELS(ALERT_ENUM) ALERT_LEVEL_MAX_ };
#undef ALERT_ENUM
extern const char *const alert_level_names[];

struct alert {
    enum alert_level level;
    int64_t next; /* when it changes if nothing but time passes, later than now; INT64_MAX: never */
    char why[192]; /* "" for ALERT_NONE */
};

/*
 * Critical: the certificate has expired or cannot be used, or there is none and a file is unfit or
 * the server refuses. Warning, with a certificate in force: a file is unfit; refusals three times
 * in a row (what a CA rejects, what no anchor vouches for: neither mends itself); a renewal that
 * has not come although `alert_at` of the life has passed, counted from when it was issued to us.
 * Where renewals come so late that this would be no news, and after a rollback, a quarter of what
 * is left at the latest moment of a renewal has to pass as well.
 */
void alert_decide(const struct identity *identity, int64_t now, struct alert *out);
