/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * When is what due: rows of input and the plan that must come of them, and then properties that
 * hold for any input, tried with a generator whose seed is fixed.
 */
#include "support.h"

#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

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

struct row {
    const char *what;
    struct schedule_input in;
    enum schedule_action action;
    int64_t earliest, latest; /* of due, relative to NOW */
    const char *why;          /* a part of it */
};

static void check_rows(const struct row *rows, size_t n) {
    for (size_t i = 0; i < n; i++) {
        const struct row *r = &rows[i];
        struct schedule_plan plan = {0};
        schedule_plan(&r->in, NOW, &plan);
        int64_t due = plan.due - NOW;
        if (plan.action != r->action || due < r->earliest || due > r->latest)
            fail_msg("%s: %s in %lld s (%s), expected %s in %lld to %lld s", r->what,
                     schedule_action_names[plan.action], (long long)due, plan.why,
                     schedule_action_names[r->action], (long long)r->earliest,
                     (long long)r->latest);
        if (r->why && !strstr(plan.why, r->why))
            fail_msg("%s: \"%s\" does not say \"%s\"", r->what, plan.why, r->why);
    }
}

#define CHECK_ROWS(rows) check_rows(rows, sizeof(rows) / sizeof((rows)[0]))

/* --- rows --- */

static void renewal_at_a_share_of_the_issued_life(void **state) {
    (void)state;
    static const struct row rows[] = {
        {"a minute", {ALIVE(0, MINUTE)}, SCHEDULE_RENEW, 39, 39 + 3, "66.0 % of 1 min"},
        {"ten minutes", {ALIVE(0, 10 * MINUTE)}, SCHEDULE_RENEW, 396, 396 + 30, "jitter"},
        {"an hour", {ALIVE(0, HOUR)}, SCHEDULE_RENEW, 2376, 2376 + 180, NULL},
        {"an hour, half gone", {ALIVE(1800, HOUR)}, SCHEDULE_RENEW, 576, 576 + 180, NULL},
        {"a day", {ALIVE(0, DAY)}, SCHEDULE_RENEW, 57024, 57024 + 4320, NULL},
        {"90 days", {ALIVE(0, 90 * DAY)}, SCHEDULE_RENEW, 5132160, 5132160 + DAY, "of 90 d"},
        {"a year", {ALIVE(0, YEAR)}, SCHEDULE_RENEW, 20813760, 20813760 + DAY, "of 1 y"},
        {"30 years", {ALIVE(0, 30 * YEAR)}, SCHEDULE_RENEW, 624412800, 624412800 + DAY, NULL},
        {"overdue", {ALIVE(80 * DAY, 90 * DAY)}, SCHEDULE_RENEW, -2 * WEEK - 8 * DAY, -1, NULL},
        {"without an end",
         {.id = "gw",
          .seed = "s",
          .have_certificate = true,
          .renew_at = 660,
          .not_before = NOW,
          .not_after = FOREVER},
         SCHEDULE_RENEW,
         (FOREVER - NOW) / 100 * 65,
         (FOREVER - NOW) / 100 * 67,
         NULL},
        {"born in 1970, without an end",
         {.id = "gw", .seed = "s", .have_certificate = true, .renew_at = 950, .not_after = FOREVER},
         SCHEDULE_RENEW,
         FOREVER / 100 * 95 - NOW,
         FOREVER / 100 * 96 - NOW,
         NULL},
        {"before 1970",
         {.id = "gw",
          .seed = "s",
          .have_certificate = true,
          .renew_at = 500,
          .not_before = -NOW,
          .not_after = NOW + 2},
         SCHEDULE_RENEW,
         -NOW,
         -NOW + DAY + 1,
         NULL},
        {"not yet valid", {ALIVE(-HOUR, DAY)}, SCHEDULE_RENEW, HOUR, DAY, NULL},
        {"one second", {ALIVE(0, 1)}, SCHEDULE_RENEW, 0, 0, NULL},
        {"two seconds", {ALIVE(0, 2)}, SCHEDULE_RENEW, 0, 1, NULL},
    };
    CHECK_ROWS(rows);
}

static void the_share_can_be_chosen(void **state) {
    (void)state;
    static const struct {
        int64_t renew_at, earliest, latest;
    } rows[] = {
        {100, 10 * DAY, 11 * DAY},
        {500, 50 * DAY, 51 * DAY},
        {665, 66 * DAY, 68 * DAY},
        {945, 94 * DAY, 95 * DAY},
        {950, 95 * DAY, 95 * DAY},
        /* Never later than 95 %, never before the beginning, whatever it says. */
        {1000, 95 * DAY, 95 * DAY},
        {INT64_MAX, 95 * DAY, 95 * DAY},
        {0, 0, DAY},
        {-5, 0, DAY},
        {INT64_MIN, 0, DAY},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct schedule_input in = {ALIVE(0, 100 * DAY)};
        struct schedule_plan plan = {0};
        in.renew_at = rows[i].renew_at;
        schedule_plan(&in, NOW, &plan);
        assert_int_equal(plan.action, SCHEDULE_RENEW);
        assert_in_range(plan.due - NOW, rows[i].earliest, rows[i].latest);
        assert_in_range(plan.jitter, 0, DAY);
    }
}

static void without_a_fit_certificate_it_enrolls_now(void **state) {
    (void)state;
    static const struct row rows[] = {
        {"none", {NONE}, SCHEDULE_ENROLL, 0, 0, "no certificate yet"},
        {"expired now", {ALIVE(DAY, DAY)}, SCHEDULE_ENROLL, 0, 0, "expired"},
        {"expired a year ago", {ALIVE(2 * YEAR, YEAR)}, SCHEDULE_ENROLL, 0, 0, "expired"},
        {"ends before it begins",
         {.id = "gw",
          .have_certificate = true,
          .renew_at = 660,
          .not_before = NOW + 2 * DAY,
          .not_after = NOW + DAY},
         SCHEDULE_ENROLL,
         0,
         0,
         "expired"},
        {"another request",
         {ALIVE(0, DAY), .request_changed = true},
         SCHEDULE_ENROLL,
         0,
         0,
         "the configuration asks for another"},
        {"a second is left", {ALIVE(DAY - 1, DAY)}, SCHEDULE_RENEW, -DAY, 0, NULL},
        {"just got one that is no good",
         {ALIVE(DAY, DAY), .last_attempt = NOW},
         SCHEDULE_ENROLL,
         5,
         5,
         NULL},
    };
    CHECK_ROWS(rows);
}

static void after_a_failure_it_waits(void **state) {
    (void)state;
    static const struct row rows[] = {
        {"first, no certificate", {NONE, FAILED(1, 0)}, SCHEDULE_ENROLL, 30, 36, "try 1 failed"},
        {"second",
         {NONE, FAILED(2, 0)},
         SCHEDULE_ENROLL,
         60,
         72,
         "try 2 failed, again after 1 min"},
        {"fifth", {NONE, FAILED(5, 0)}, SCHEDULE_ENROLL, 480, 576, NULL},
        {"eighth", {NONE, FAILED(8, 0)}, SCHEDULE_ENROLL, HOUR, HOUR + 720, NULL},
        {"the millionth", {NONE, FAILED(1000000, 0)}, SCHEDULE_ENROLL, HOUR, HOUR + 720, NULL},
        {"no more tries counted",
         {NONE, FAILED(UINT_MAX, 0)},
         SCHEDULE_ENROLL,
         HOUR,
         HOUR + 720,
         NULL},
        {"half of the wait is over", {NONE, FAILED(2, 30)}, SCHEDULE_ENROLL, 30, 42, NULL},
        {"all of it", {NONE, FAILED(2, 100)}, SCHEDULE_ENROLL, 0, 0, NULL},
        {"a 90 day one, third",
         {ALIVE(70 * DAY, 90 * DAY), FAILED(3, 0)},
         SCHEDULE_RENEW,
         120,
         144,
         "try 3 failed"},
        {"the same, twentieth",
         {ALIVE(70 * DAY, 90 * DAY), FAILED(20, 0)},
         SCHEDULE_RENEW,
         DAY,
         DAY + DAY / 5,
         NULL},
        {"five days are left",
         {ALIVE(85 * DAY, 90 * DAY), FAILED(20, 0)},
         SCHEDULE_RENEW,
         DAY / 2,
         DAY / 2 + DAY / 10,
         NULL},
        {"an hour is left",
         {ALIVE(89 * DAY + 23 * HOUR, 90 * DAY), FAILED(20, 0)},
         SCHEDULE_RENEW,
         360,
         432,
         NULL},
        {"a minute is left", {ALIVE(DAY - MINUTE, DAY), FAILED(20, 0)}, SCHEDULE_RENEW, 6, 7, NULL},
        {"ten seconds are left", {ALIVE(DAY - 10, DAY), FAILED(9, 0)}, SCHEDULE_RENEW, 5, 6, NULL},
        {"a one-hour one gets a second try",
         {ALIVE(2580, HOUR), FAILED(1, 0)},
         SCHEDULE_RENEW,
         30,
         36,
         NULL},
        {"a one-minute one as well", {ALIVE(40, MINUTE), FAILED(1, 0)}, SCHEDULE_RENEW, 5, 6, NULL},
        {"expired meanwhile", {ALIVE(DAY + 5, DAY), FAILED(9, 10)}, SCHEDULE_ENROLL, 0, 0, NULL},
        {"expired before the try",
         {ALIVE(DAY + 60, DAY), FAILED(9, 0)},
         SCHEDULE_ENROLL,
         HOUR,
         HOUR + 720,
         NULL},
        {"tried before its time: its time comes",
         {ALIVE(0, 90 * DAY), FAILED(1, 0)},
         SCHEDULE_RENEW,
         59 * DAY,
         61 * DAY,
         "of 90 d"},
        {"another request",
         {ALIVE(0, DAY), .request_changed = true, FAILED(1, 0)},
         SCHEDULE_ENROLL,
         30,
         36,
         NULL},
    };
    CHECK_ROWS(rows);
}

static void d04_d07_the_ca_decides_when_it_is_asked_again(void **state) {
    (void)state;
#define PENDING(until) \
    .last_attempt = NOW, .last_result = ESTC_E_PENDING, .pending_until = NOW + (until)
    static const struct row rows[] = {
        {"in a minute", {NONE, PENDING(60)}, SCHEDULE_POLL, 60, 60, "the CA has not decided"},
        {"at once", {NONE, PENDING(0)}, SCHEDULE_POLL, 5, 5, NULL},
        {"in a second", {NONE, PENDING(1)}, SCHEDULE_POLL, 5, 5, NULL},
        {"in four days", {NONE, PENDING(4 * DAY)}, SCHEDULE_POLL, 4 * DAY, 4 * DAY, NULL},
        {"in 136 years", {NONE, PENDING(UINT32_MAX)}, SCHEDULE_POLL, WEEK, WEEK, NULL},
        {"beyond time",
         {NONE, .last_attempt = NOW, .pending_until = INT64_MAX},
         SCHEDULE_POLL,
         WEEK,
         WEEK,
         NULL},
        {"a renewal", {ALIVE(70 * DAY, 90 * DAY), PENDING(60)}, SCHEDULE_POLL, 60, 60, NULL},
        {"an expired one", {ALIVE(99 * DAY, 90 * DAY), PENDING(60)}, SCHEDULE_POLL, 60, 60, NULL},
        {"and then the way is broken",
         {NONE, FAILED(2, 0), .pending_until = NOW - 5},
         SCHEDULE_POLL,
         60,
         72,
         "try 2 failed"},
        {"broken, and it was not time yet",
         {NONE, FAILED(1, 0), .pending_until = NOW + HOUR},
         SCHEDULE_POLL,
         HOUR,
         HOUR,
         NULL},
        {"asked for", {NONE, PENDING(HOUR), .asked = true}, SCHEDULE_POLL, 0, 0, "asked for"},
    };
    CHECK_ROWS(rows);
}

static void unfit_files_are_looked_at_again(void **state) {
    (void)state;
#define UNFIT(times, ago) \
    .failures = (times), .last_attempt = NOW - (ago), .last_result = ESTC_E_CREDENTIAL
    static const struct row rows[] = {
        {"first", {NONE, UNFIT(1, 0)}, SCHEDULE_REPAIR, 60, 60, "when it changes"},
        {"fourth", {NONE, UNFIT(4, 0)}, SCHEDULE_REPAIR, 240, 288, NULL},
        {"fiftieth", {NONE, UNFIT(50, 0)}, SCHEDULE_REPAIR, HOUR, HOUR, NULL},
        {"with years left", {ALIVE(0, YEAR), UNFIT(50, 0)}, SCHEDULE_REPAIR, HOUR, HOUR, NULL},
        {"with a minute left", {ALIVE(DAY - 60, DAY), UNFIT(5, 0)}, SCHEDULE_REPAIR, 60, 60, NULL},
        {"asked for", {NONE, UNFIT(4, 0), .asked = true}, SCHEDULE_ENROLL, 0, 0, "asked for"},
        {"asked for, alive",
         {ALIVE(0, DAY), UNFIT(4, 0), .asked = true},
         SCHEDULE_RENEW,
         0,
         0,
         NULL},
        {"asked for, expired",
         {ALIVE(DAY, DAY), UNFIT(4, 0), .asked = true},
         SCHEDULE_ENROLL,
         0,
         0,
         NULL},
        {"asked for, another request",
         {ALIVE(0, DAY), UNFIT(4, 0), .asked = true, .request_changed = true},
         SCHEDULE_ENROLL,
         0,
         0,
         NULL},
    };
    CHECK_ROWS(rows);
}

static void asking_makes_it_due(void **state) {
    (void)state;
    static const struct row rows[] = {
        {"fresh", {ALIVE(0, YEAR), .asked = true}, SCHEDULE_RENEW, 0, 0, "asked for"},
        {"backing off", {NONE, FAILED(9, 0), .asked = true}, SCHEDULE_ENROLL, 0, 0, "asked for"},
        {"just done",
         {ALIVE(0, YEAR), .asked = true, .last_attempt = NOW},
         SCHEDULE_RENEW,
         0,
         0,
         "asked for"},
    };
    CHECK_ROWS(rows);
}

/* A clock that was wrong, or was set, must neither stop an identity nor make it run. */
static void wrong_clocks(void **state) {
    (void)state;
    static const struct row rows[] = {
        {"failed in the future",
         {NONE, FAILED(9, -YEAR)},
         SCHEDULE_ENROLL,
         0,
         0,
         "the clock was set back"},
        {"unfit in the future", {NONE, UNFIT(9, -YEAR)}, SCHEDULE_REPAIR, 0, 0, NULL},
        {"pending in the future",
         {NONE, .last_attempt = NOW + YEAR, .last_result = ESTC_E_PENDING,
          .pending_until = NOW + YEAR + 60},
         SCHEDULE_POLL,
         0,
         0,
         "the clock was set back"},
        {"pending since the future, asked again meanwhile",
         {NONE, FAILED(1, 0), .pending_until = NOW + YEAR},
         SCHEDULE_POLL,
         WEEK,
         WEEK,
         NULL},
        {"a success in the future",
         {ALIVE(0, YEAR), .last_attempt = NOW + YEAR},
         SCHEDULE_RENEW,
         240 * DAY,
         242 * DAY,
         NULL},
        {"failed in 1970",
         {NONE, .failures = 3, .last_attempt = 60, .last_result = -5},
         SCHEDULE_ENROLL,
         0,
         0,
         NULL},
        {"issued in 1970",
         {ALIVE(0, YEAR), .last_attempt = 60},
         SCHEDULE_RENEW,
         240 * DAY,
         242 * DAY,
         NULL},
    };
    CHECK_ROWS(rows);
}

/* What a CA issues with most of its life behind it is renewed by the life that was left. */
static void a_backdated_certificate_makes_no_loop(void **state) {
    (void)state;
    static const struct row rows[] = {
        {"got just now, 80 of 90 days gone",
         {ALIVE(80 * DAY, 90 * DAY), .last_attempt = NOW},
         SCHEDULE_RENEW,
         10 * DAY * 66 / 100,
         10 * DAY * 72 / 100,
         "of 10 d"},
        {"got just now, a second is left",
         {ALIVE(DAY - 1, DAY), .last_attempt = NOW},
         SCHEDULE_RENEW,
         5,
         5,
         NULL},
        {"got 8 days ago, 80 of 90 days gone",
         {ALIVE(88 * DAY, 90 * DAY), .last_attempt = NOW - 8 * DAY},
         SCHEDULE_RENEW,
         -2 * DAY,
         0,
         NULL},
        {"backdated by an hour, as many are",
         {ALIVE(HOUR, DAY + HOUR), .last_attempt = NOW},
         SCHEDULE_RENEW,
         15 * HOUR,
         17 * HOUR,
         "of 1 d 1 h"},
    };
    CHECK_ROWS(rows);
}

static void backoff_by_itself(void **state) {
    (void)state;
    static const struct {
        unsigned failures;
        int64_t remaining, wait;
    } rows[] = {
        {0, 0, 0},
        {0, YEAR, 0},
        {1, 0, 30},
        {2, 0, 60},
        {3, 0, 120},
        {7, 0, 1920},
        {8, 0, HOUR},
        {UINT_MAX, 0, HOUR},
        {8, -YEAR, HOUR},
        {8, INT64_MIN, HOUR},
        {1, YEAR, 30},
        {12, YEAR, 61440},
        {13, YEAR, DAY},
        {UINT_MAX, YEAR, DAY},
        {UINT_MAX, INT64_MAX, DAY},
        {1, 300, 30},
        {1, 299, 29},
        {1, 100, 10},
        {1, 50, 5},
        {1, 49, 5},
        {1, 1, 5},
        {20, HOUR, 360},
        {20, MINUTE, 6},
        {20, 5 * DAY, DAY / 2},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        assert_int_equal(schedule_backoff(rows[i].failures, rows[i].remaining), rows[i].wait);
}

/* --- properties --- */

/* xorshift64*: the same numbers in each run. */
static uint64_t next_random(uint64_t *x) {
    *x ^= *x >> 12;
    *x ^= *x << 25;
    *x ^= *x >> 27;
    return *x * UINT64_C(2685821657736338717);
}

/* Numbers of all magnitudes, of both signs, and the extremes. */
static int64_t any_number(uint64_t *x) {
    static const int64_t extremes[] = {INT64_MIN,     INT64_MIN + 1, -1,      0,  1,
                                       INT64_MAX - 1, INT64_MAX,     FOREVER, NOW};
    uint64_t r = next_random(x);
    if (r % 8 == 0)
        return extremes[r / 8 % (sizeof(extremes) / sizeof(extremes[0]))];
    int64_t n = (int64_t)(next_random(x) >> (r % 64));
    return r & 64 ? n : -(n / 2);
}

/* It runs clean under the undefined behaviour sanitizer, and says something that can be acted on.
 */
static void any_input_gives_a_plan(void **state) {
    (void)state;
    uint64_t x = 9148;
    for (int i = 0; i < 200000; i++) {
        const struct schedule_input in = {
            .id = next_random(&x) % 4 ? "gw" : NULL,
            .seed = next_random(&x) % 4 ? "seed" : NULL,
            .have_certificate = next_random(&x) & 1,
            .not_before = any_number(&x),
            .not_after = any_number(&x),
            .renew_at = any_number(&x),
            .request_changed = next_random(&x) % 4 == 0,
            .asked = next_random(&x) % 8 == 0,
            .failures = (unsigned)any_number(&x),
            .last_attempt = any_number(&x),
            .last_result = (int)(next_random(&x) % 16),
            .pending_until = next_random(&x) % 4 ? 0 : any_number(&x),
        };
        int64_t now = any_number(&x);
        struct schedule_plan plan = {.action = SCHEDULE_ACTION_MAX_}, again = {0};
        schedule_plan(&in, now, &plan);
        schedule_plan(&in, now, &again);
        assert_memory_equal(&plan, &again, sizeof(plan));
        assert_true(plan.action < SCHEDULE_ACTION_MAX_);
        assert_true(plan.jitter >= 0 && plan.jitter <= DAY);
        assert_in_range(strlen(plan.why), 5, sizeof(plan.why) - 1);
        if (in.asked)
            assert_true(plan.due == now && plan.action != SCHEDULE_REPAIR);
    }
}

/* Inputs as they come in life: a certificate of a minute to 30 years, at any time of it. */
static struct schedule_input likely_input(uint64_t *x, int64_t *now) {
    int64_t life = MINUTE + (int64_t)(next_random(x) % (uint64_t)(1 << next_random(x) % 30));
    *now = NOW + (int64_t)(next_random(x) % (uint64_t)life);
    struct schedule_input in = {
        .id = "gw",
        .seed = "5E57",
        .have_certificate = true,
        .not_before = NOW,
        .not_after = NOW + life,
        .renew_at = 100 + (int64_t)(next_random(x) % 851),
    };
    if (next_random(x) & 1) {
        in.failures = (unsigned)(next_random(x) % 40);
        in.last_attempt = *now - (int64_t)(next_random(x) % (uint64_t)(*now - NOW + 1));
        in.last_result = in.failures ? ESTC_E_TIMEOUT : 0;
    }
    return in;
}

static void a_renewal_is_due_while_the_certificate_lives(void **state) {
    (void)state;
    uint64_t x = 7030;
    for (int i = 0; i < 100000; i++) {
        int64_t now;
        struct schedule_input in = likely_input(&x, &now);
        struct schedule_plan plan;
        schedule_plan(&in, now, &plan);
        assert_int_equal(plan.action, SCHEDULE_RENEW);
        /* A try in the last seconds of a life has no time for another. */
        if (in.last_attempt == 0 || in.not_after - in.last_attempt > 6)
            assert_true(plan.due < in.not_after);
    }
}

/* Simulated: the daemon does what is due at once, and it fails, or succeeds and changes nothing. */
static void nothing_ever_runs_in_a_circle(void **state) {
    (void)state;
    uint64_t x = 5272;
    for (int i = 0; i < 2000; i++) {
        int64_t now;
        struct schedule_input in = likely_input(&x, &now);
        bool fails = next_random(&x) & 1;
        in.have_certificate = next_random(&x) % 4 != 0;
        in.request_changed = next_random(&x) % 4 == 0;
        for (int step = 0; step < 50; step++) {
            struct schedule_plan plan;
            schedule_plan(&in, now, &plan);
            if (step > 0)
                assert_true(plan.due >= in.last_attempt + 5);
            now = plan.due > now ? plan.due : now;
            in.last_attempt = now;
            in.failures = fails ? in.failures + 1 : 0;
            in.last_result = fails ? ESTC_E_TIMEOUT : 0;
        }
    }
}

/* Retried for ever, oftener and oftener, until it has expired; then at least once in 72 minutes. */
static void it_never_gives_up(void **state) {
    (void)state;
    struct schedule_input in = {ALIVE(0, 90 * DAY)};
    struct schedule_plan plan;
    int64_t now = NOW;
    unsigned before_expiry = 0, last_day = 0, after = 0;
    while (now < in.not_after + 10 * DAY) {
        schedule_plan(&in, now, &plan);
        assert_true(plan.due >= now);
        now = plan.due;
        schedule_plan(&in, now, &plan);
        assert_true(plan.due <= now);
        assert_int_equal(plan.action, now < in.not_after ? SCHEDULE_RENEW : SCHEDULE_ENROLL);
        before_expiry += now < in.not_after;
        last_day += now < in.not_after && now > in.not_after - DAY;
        after += now >= in.not_after;
        in.failures++;
        in.last_attempt = now;
        in.last_result = ESTC_E_UNREACHABLE;
    }
    assert_in_range(before_expiry, 60, 200);
    assert_in_range(last_day, 20, 100);
    assert_in_range(after, 200, 250);
}

static void jitter_is_stable_and_spreads(void **state) {
    (void)state;
    enum { MACHINES = 1000, BINS = 10 };
    unsigned bins[BINS] = {0};
    struct schedule_plan plan, again;
    for (int i = 0; i < MACHINES; i++) {
        char seed[80], id[32];
        snprintf(seed, sizeof(seed), "%064X", i);
        snprintf(id, sizeof(id), "gw-%d", i);
        struct schedule_input in = {ALIVE(0, 90 * DAY)};
        in.seed = seed;
        schedule_plan(&in, NOW, &plan);
        schedule_plan(&in, NOW + 40 * DAY, &again);
        assert_int_equal(plan.due, again.due);
        in.id = id;
        schedule_plan(&in, NOW, &plan);
        assert_in_range(plan.jitter, 0, DAY);
        bins[plan.jitter * BINS / (DAY + 1)]++;
    }
    for (int i = 0; i < BINS; i++)
        assert_in_range(bins[i], MACHINES / BINS / 2, MACHINES / BINS * 2);
}

static void each_try_and_each_machine_waits_differently(void **state) {
    (void)state;
    struct schedule_plan plan;
    unsigned same = 0;
    int64_t last = 0;
    for (int i = 0; i < 100; i++) {
        char seed[16];
        snprintf(seed, sizeof(seed), "machine-%d", i);
        struct schedule_input in = {NONE, FAILED(8, 0)};
        in.seed = seed;
        schedule_plan(&in, NOW, &plan);
        same += plan.due == last;
        last = plan.due;
    }
    assert_in_range(same, 0, 5);
}

/* Two identities of one machine, and one identity on two machines, are not due together. */
static void ids_and_seeds_both_count(void **state) {
    (void)state;
    struct schedule_input a = {ALIVE(0, 90 * DAY)}, b = a, c = a;
    b.id = "gx";
    c.seed = "5E58";
    struct schedule_plan pa, pb, pc;
    schedule_plan(&a, NOW, &pa);
    schedule_plan(&b, NOW, &pb);
    schedule_plan(&c, NOW, &pc);
    assert_int_not_equal(pa.due, pb.due);
    assert_int_not_equal(pa.due, pc.due);
    assert_int_not_equal(pb.due, pc.due);
}

static void each_action_has_a_name(void **state) {
    (void)state;
    for (int i = 0; i < SCHEDULE_ACTION_MAX_; i++)
        assert_non_null(schedule_action_names[i]);
    assert_null(schedule_action_names[SCHEDULE_ACTION_MAX_]);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(renewal_at_a_share_of_the_issued_life),
        cmocka_unit_test(the_share_can_be_chosen),
        cmocka_unit_test(without_a_fit_certificate_it_enrolls_now),
        cmocka_unit_test(after_a_failure_it_waits),
        cmocka_unit_test(d04_d07_the_ca_decides_when_it_is_asked_again),
        cmocka_unit_test(unfit_files_are_looked_at_again),
        cmocka_unit_test(asking_makes_it_due),
        cmocka_unit_test(wrong_clocks),
        cmocka_unit_test(a_backdated_certificate_makes_no_loop),
        cmocka_unit_test(backoff_by_itself),
        cmocka_unit_test(any_input_gives_a_plan),
        cmocka_unit_test(a_renewal_is_due_while_the_certificate_lives),
        cmocka_unit_test(nothing_ever_runs_in_a_circle),
        cmocka_unit_test(it_never_gives_up),
        cmocka_unit_test(jitter_is_stable_and_spreads),
        cmocka_unit_test(each_try_and_each_machine_waits_differently),
        cmocka_unit_test(ids_and_seeds_both_count),
        cmocka_unit_test(each_action_has_a_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
