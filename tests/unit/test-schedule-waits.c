/* SPDX-License-Identifier: BSD-2-Clause */
/* How long it waits: after a failure, for a CA, for a file, and at a start. */
#include <limits.h>
#include <stdbool.h>

#include "schedule_rows.h"

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
        {"tried before its time, as somebody wanted",
         {ALIVE(0, 90 * DAY), FAILED(1, 0)},
         SCHEDULE_RENEW,
         30,
         36,
         "try 1 failed"},
        {"rejected for ever, without one",
         {NONE, .failures = 50, .last_attempt = NOW, .last_result = ESTC_E_REJECTED},
         SCHEDULE_ENROLL,
         6 * HOUR,
         6 * HOUR + 72 * MINUTE,
         NULL},
        {"rejected",
         {ALIVE(70 * DAY, 90 * DAY), .failures = 1, .last_attempt = NOW,
          .last_result = ESTC_E_REJECTED},
         SCHEDULE_RENEW,
         5 * MINUTE,
         6 * MINUTE,
         "try 1 failed"},
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
#define SINCE(ago) .pending_since = NOW - (ago)
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
        {"at once, for a day", {NONE, PENDING(0), SINCE(DAY)}, SCHEDULE_POLL, 864, 864, NULL},
        {"at once, for a month", {NONE, PENDING(0), SINCE(30 * DAY)}, SCHEDULE_POLL, HOUR, HOUR},
        {"in a day, for a month", {NONE, PENDING(DAY), SINCE(30 * DAY)}, SCHEDULE_POLL, DAY, DAY},
        {"at once, since the future", {NONE, PENDING(0), SINCE(-DAY)}, SCHEDULE_POLL, 5, 5, NULL},
    };
    CHECK_ROWS(rows);
}

static void unfit_files_are_looked_at_again(void **state) {
    (void)state;
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

/* A link that comes up ends a wait that it may have been the cause of. */
static void a_nudge_ends_a_wait(void **state) {
    (void)state;
#define NUDGED(ago) .nudged_at = NOW - (ago)
    static const struct row rows[] = {
        {"waiting for an hour", {NONE, FAILED(9, 600), NUDGED(0)}, SCHEDULE_ENROLL, 0, 5, "a link"},
        {"just failed", {NONE, FAILED(9, 0), NUDGED(0)}, SCHEDULE_ENROLL, 60, 65, "a link came up"},
        {"its own time comes first",
         {NONE, FAILED(1, 0), NUDGED(0)},
         SCHEDULE_ENROLL,
         30,
         36,
         "again after"},
        {"a renewal",
         {ALIVE(70 * DAY, 90 * DAY), FAILED(20, HOUR), NUDGED(0)},
         SCHEDULE_RENEW,
         0,
         5,
         "a link"},
        {"what was wanted before its time",
         {ALIVE(0, 90 * DAY), FAILED(9, HOUR), NUDGED(0)},
         SCHEDULE_RENEW,
         0,
         5,
         "a link"},
        {"not before Max-Age",
         {NONE, FAILED(9, 600), NUDGED(0), .pending_until = NOW + 900},
         SCHEDULE_POLL,
         900,
         900,
         NULL},
        {"nothing has failed",
         {ALIVE(0, DAY), .last_attempt = NOW - 60, NUDGED(0)},
         SCHEDULE_RENEW,
         15 * HOUR,
         18 * HOUR,
         NULL},
        {"refused",
         {NONE, .failures = 9, .last_attempt = NOW, .last_result = ESTC_E_REJECTED, NUDGED(0)},
         SCHEDULE_ENROLL,
         6 * HOUR,
         6 * HOUR + 72 * MINUTE,
         NULL},
        {"an unfit file", {NONE, UNFIT(50, 0), NUDGED(0)}, SCHEDULE_REPAIR, HOUR, HOUR, NULL},
        {"no route",
         {NONE, .failures = 9, .last_attempt = NOW - 600, .last_result = -101, NUDGED(0)},
         SCHEDULE_ENROLL,
         0,
         5,
         NULL},
        {"not trusted by a wrong clock",
         {NONE, .failures = 9, .last_attempt = NOW - 600, .last_result = ESTC_E_UNTRUSTED,
          NUDGED(0)},
         SCHEDULE_ENROLL,
         0,
         5,
         NULL},
    };
    CHECK_ROWS(rows);
}

/* Everybody's power comes back at once. */
static void what_is_overdue_at_the_start_is_spread(void **state) {
    (void)state;
#define STARTED(ago) .started = NOW - (ago), .spread = 30
    static const struct row rows[] = {
        {"the first one", {NONE, STARTED(0)}, SCHEDULE_ENROLL, 0, 30, "after the start"},
        {"the first one, later", {NONE, STARTED(100)}, SCHEDULE_ENROLL, -100, -70, NULL},
        {"asked for", {NONE, STARTED(0), .asked = true}, SCHEDULE_ENROLL, 0, 0, "asked for"},
        {"no spread", {NONE, .started = NOW}, SCHEDULE_ENROLL, 0, 0, "no certificate yet"},
        {"tried since", {NONE, FAILED(1, 0), STARTED(10)}, SCHEDULE_ENROLL, 30, 36, "try 1"},
        {"failed before",
         {NONE, FAILED(1, DAY), STARTED(0)},
         SCHEDULE_ENROLL,
         0,
         30,
         "after the start"},
        {"overdue, 90 days",
         {ALIVE(70 * DAY, 90 * DAY), STARTED(0)},
         SCHEDULE_RENEW,
         0,
         HOUR,
         "two thirds of 90 d"},
        {"overdue, a day", {ALIVE(20 * HOUR, DAY), STARTED(0)}, SCHEDULE_RENEW, 0, 86, NULL},
        {"overdue, a minute", {ALIVE(40, MINUTE), STARTED(0)}, SCHEDULE_RENEW, 0, 1, NULL},
        {"a second is left", {ALIVE(DAY - 1, DAY), STARTED(0)}, SCHEDULE_RENEW, 0, 0, NULL},
        {"due after the start",
         {ALIVE(0, DAY), STARTED(10 * HOUR)},
         SCHEDULE_RENEW,
         15 * HOUR,
         18 * HOUR,
         "two thirds"},
        {"waiting since before",
         {NONE, FAILED(9, 100), STARTED(0)},
         SCHEDULE_ENROLL,
         HOUR - 100,
         HOUR + 620,
         "try 9 failed"},
        {"expired", {ALIVE(2 * DAY, DAY), STARTED(0)}, SCHEDULE_ENROLL, 0, 30, "expired"},
        {"overdue poll",
         {NONE, .last_attempt = NOW - DAY, .last_result = ESTC_E_PENDING,
          .pending_until = NOW - HOUR, STARTED(0)},
         SCHEDULE_POLL,
         0,
         30,
         "the CA has not decided"},
    };
    CHECK_ROWS(rows);
}

static void one_attempt_leaves_time_for_others(void **state) {
    (void)state;
    static const struct {
        int64_t timeout, remaining, limit;
    } rows[] = {{300, 0, 300},   {300, -5, 300},       {300, DAY, 300}, {300, 1200, 300},
                {300, 400, 100}, {300, 20, 5},         {300, 16, 4},    {300, 1, 4},
                {3, 1, 3},       {300, INT64_MAX, 300}};
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        assert_int_equal(schedule_attempt_limit(rows[i].timeout, rows[i].remaining), rows[i].limit);
}

static void backoff_by_itself(void **state) {
    (void)state;
    static const struct {
        unsigned failures;
        bool rejected;
        int64_t remaining, wait;
    } rows[] = {
        {0, 0, 0},
        {0, YEAR, 0},
        {1, false, 0, 30},
        {2, false, 0, 60},
        {3, false, 0, 120},
        {7, false, 0, 1920},
        {8, false, 0, HOUR},
        {UINT_MAX, false, 0, HOUR},
        {8, false, -YEAR, HOUR},
        {8, false, INT64_MIN, HOUR},
        {1, false, YEAR, 30},
        {12, false, YEAR, 61440},
        {13, false, YEAR, DAY},
        {UINT_MAX, false, YEAR, DAY},
        {UINT_MAX, false, INT64_MAX, DAY},
        {1, false, 300, 30},
        {1, false, 299, 29},
        {1, false, 100, 10},
        {1, false, 50, 5},
        {1, false, 49, 5},
        {1, false, 1, 5},
        {20, false, HOUR, 360},
        {20, false, MINUTE, 6},
        {20, false, 5 * DAY, DAY / 2},
        {1, true, 0, 300},
        {4, true, 0, 2400},
        {5, true, 0, 4800},
        {UINT_MAX, true, 0, 6 * HOUR},
        {1, true, YEAR, 300},
        {10, true, YEAR, DAY},
        {1, true, HOUR, 300},
        {1, true, 20 * MINUTE, 120},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        assert_int_equal(schedule_backoff(rows[i].failures, rows[i].rejected, rows[i].remaining),
                         rows[i].wait);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(after_a_failure_it_waits),
        cmocka_unit_test(d04_d07_the_ca_decides_when_it_is_asked_again),
        cmocka_unit_test(unfit_files_are_looked_at_again),
        cmocka_unit_test(a_nudge_ends_a_wait),
        cmocka_unit_test(what_is_overdue_at_the_start_is_spread),
        cmocka_unit_test(one_attempt_leaves_time_for_others),
        cmocka_unit_test(backoff_by_itself),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
