/* SPDX-License-Identifier: BSD-2-Clause */
/* Times, and what is known of identities at one of them, for the tests of the schedule. */
#pragma once

#include <stdint.h>

#include "estcd/schedule.h"

#define MINUTE INT64_C(60)
#define HOUR (60 * MINUTE)
#define DAY (24 * HOUR)
#define WEEK (7 * DAY)
#define YEAR (365 * DAY)
#define NOW INT64_C(1800000000)
#define FOREVER INT64_C(253402300799) /* 99991231235959Z */

/* A certificate that has lived for `age` of `life` at NOW. */
#define ALIVE(age, life)                                                   \
    .id = "gw", .seed = "5E57", .have_certificate = true, .renew_at = 660, \
    .not_before = NOW - (age), .not_after = NOW - (age) + (life)
#define NONE .id = "gw", .seed = "machine", .renew_at = 660
#define FAILED(times, ago) \
    .failures = (times), .last_attempt = NOW - (ago), .last_result = ESTC_E_UNREACHABLE
#define UNFIT(times, ago) \
    .failures = (times), .last_attempt = NOW - (ago), .last_result = ESTC_E_CREDENTIAL
