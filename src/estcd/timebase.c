/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The floor below the system clock: where it is, since when, and by whose word. It only rises.
 * Reads both clocks and nothing else, writes nothing down (see store_clock.c), and never takes the
 * system clock's own word for the floor.
 */
#include "timebase.h"

#include <estc/trust.h>

#include "base/clock.h"
#include "base/text.h"

#define YEAR (INT64_C(365) * 24 * 3600)
#define WITNESS_REACH (100 * YEAR) /* beyond that it is no date but a fault */
/* So much behind is no wrong clock: a CA's may be ahead, and its certificates are witnesses. */
#define SLACK INT64_C(300)

#define TIMEBASE_TEXT(name, text) [name] = text,
const char *const timebase_witness_texts[] = {TIMEBASE_WITNESSES(TIMEBASE_TEXT)};
#undef TIMEBASE_TEXT

/* A clock has one state for the whole process; it is changed by one thread, the event loop's. */
static struct {
    int64_t moment;   /* what was borne witness to */
    int64_t heard_at; /* boot time, milliseconds; 0: nobody has asked yet */
    enum timebase_witness witness;
    int64_t begun_with, begun_at; /* the moment known then, and the floor */
} base = {.moment = ESTC_SOURCE_DATE, .witness = TIMEBASE_SOURCE};

/* How long the machine was up before this program ran proves nothing about the program's date. */
static int64_t passed(void) {
    int64_t boot = clock_boot_ms();
    if (base.heard_at == 0)
        base.heard_at = boot;
    return (boot - base.heard_at) / 1000;
}

int64_t timebase_floor(void) {
    return base.moment + passed();
}

void timebase_hear(int64_t moment, enum timebase_witness witness) {
    if (moment <= timebase_floor() || moment > ESTC_SOURCE_DATE + WITNESS_REACH)
        return;
    base.moment = moment;
    base.heard_at = clock_boot_ms();
    base.witness = witness;
}

enum timebase_witness timebase_witness(void) {
    return base.witness;
}

int64_t timebase_now(void) {
    int64_t real = clock_real(), floor = timebase_floor();
    return real > floor ? real : floor;
}

bool timebase_trusted(void) {
    return clock_real() >= timebase_floor() - SLACK;
}

void timebase_begin(void) {
    base.begun_at = timebase_floor();
    base.begun_with = base.moment;
}

int64_t timebase_unsure_since(void) {
    return timebase_trusted() || base.moment != base.begun_with ? 0 : base.begun_at;
}

int64_t timebase_for_dates(void) {
    return timebase_trusted() ? timebase_now() : estc_at_least(timebase_floor());
}

char *timebase_explain(void) {
    int64_t real = clock_real(), floor = timebase_floor();
    char says[CLOCK_TEXT_MAX], assumed[CLOCK_TEXT_MAX];
    if (timebase_trusted())
        return NULL;
    return text_format("the system clock says %s, which cannot be: %s is later. Until it is set, "
                       "dates are judged as of %s, and what begins later is taken as in force",
                       clock_text(real, says), timebase_witness_texts[base.witness],
                       clock_text(floor, assumed));
}
