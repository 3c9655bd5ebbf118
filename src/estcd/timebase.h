/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What time it is, on a machine whose clock may not know. It is never earlier than the floor: the
 * latest moment that something other than this machine's own clock bears witness to, and the boot
 * time that has passed since that was heard. The system clock counts unless it lies below.
 *
 * The state is the process's, as a clock is; a process that is forked has what its parent knew.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

/* X(name, text): what bears witness. Never our own clock: one that was years ahead would lift the
 * floor, and with it the world would be refused after the clock is mended. */
#define TIMEBASE_WITNESSES(X)                                                      \
    X(TIMEBASE_SOURCE, "the date of this program")                                 \
    X(TIMEBASE_WATERMARK, "the time that was known when it was last written down") \
    X(TIMEBASE_CERTIFICATE, "the beginning of a certificate that was issued to us")

#define TIMEBASE_ENUM(name, text) name,
enum timebase_witness { TIMEBASE_WITNESSES(TIMEBASE_ENUM) TIMEBASE_WITNESS_MAX_ };
#undef TIMEBASE_ENUM
extern const char *const timebase_witness_texts[];

/* It is not earlier than this: seconds since 1970. What is no later than the floor changes
 * nothing, and neither does what lies more than a hundred years after the date of the source. */
void timebase_hear(int64_t moment, enum timebase_witness witness);

int64_t timebase_now(void);   /* the believed time, seconds since 1970 */
int64_t timebase_floor(void); /* as it has grown until now */
enum timebase_witness timebase_witness(void);

/* The process has heard all that it keeps, and goes by it from here. */
void timebase_begin(void);

/* How old what it keeps was then, nobody knows whose clock is not to be trusted. The believed time
 * at the beginning, as long as that is so and nothing else was heard; 0: it is known. */
int64_t timebase_unsure_since(void);

/* Whether the system clock is not below the floor, by five minutes or more. */
bool timebase_trusted(void);

/* timebase_now(), for validations: estc_at_least() of it when the clock is not to be trusted. */
int64_t timebase_for_dates(void);

/* What is assumed, for people: "the system clock says ..., which cannot be: ..."; malloc'd. NULL
 * when the clock is trusted, or without memory. */
char *timebase_explain(void);
