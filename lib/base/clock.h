/* SPDX-License-Identifier: BSD-2-Clause */
/* The two clocks: wall time for certificates, boot time for deadlines. */
#pragma once

#include <stdint.h>

int64_t clock_real(void);    /* CLOCK_REALTIME, seconds since 1970 */
int64_t clock_boot_ms(void); /* CLOCK_BOOTTIME, milliseconds */

/* 9999-12-31T23:59:59Z: the last time that RFC 3339 and X.509 can say, where it means "no
 * well-defined end" (RFC 5280 section 4.1.2.5). */
#define CLOCK_LAST INT64_C(253402300799)

#define CLOCK_TEXT_MAX 32
/* "2027-03-01T12:00:00Z"; buf holds CLOCK_TEXT_MAX bytes; returns buf. Years over 9999: "-". */
const char *clock_text(int64_t real, char *buf);
/* The reverse; 0 or -EINVAL. */
int clock_parse(const char *text, int64_t *out);
