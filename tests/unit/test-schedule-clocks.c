/* SPDX-License-Identifier: BSD-2-Clause */
/* What clocks do that were wrong or were set, and certificates that are older than they say. */
#include <limits.h>
#include <stdbool.h>

#include "schedule_rows.h"

/* A clock that was wrong, or was set, must neither stop an identity nor make it run. */
#define UNSURE(ago) .unsure_since = NOW - (ago)
static void without_a_clock_a_certificate_may_be_older_than_it_seems(void **state) {
    (void)state;
    static const struct row rows[] = {
        {"a twentieth of its life after the start",
         {ALIVE(HOUR, 40 * HOUR), UNSURE(HOUR)},
         SCHEDULE_RENEW,
         HOUR,
         HOUR,
         "older than it seems"},
        {"a day at the most", {ALIVE(WEEK, YEAR), UNSURE(0)}, SCHEDULE_RENEW, DAY, DAY, NULL},
        {"never later than otherwise",
         {ALIVE(70 * DAY, 90 * DAY), UNSURE(0)},
         SCHEDULE_RENEW,
         -YEAR,
         -1,
         "two thirds"},
        {"what has expired in any case",
         {ALIVE(50 * HOUR, 40 * HOUR), UNSURE(HOUR)},
         SCHEDULE_ENROLL,
         0,
         0,
         "has expired"},
        {"no answer says nothing of it",
         {ALIVE(HOUR, 40 * HOUR), UNSURE(3 * HOUR), FAILED(1, 0)},
         SCHEDULE_RENEW,
         30,
         36,
         NULL},
        {"refused",
         {ALIVE(HOUR, 40 * HOUR), UNSURE(3 * HOUR), .failures = 1, .last_attempt = NOW,
          .last_result = ESTC_E_REJECTED},
         SCHEDULE_ENROLL,
         30,
         36,
         "cannot tell whether"},
        {"refused again, for another reason perhaps",
         {ALIVE(HOUR, 40 * HOUR), UNSURE(3 * HOUR), .failures = 2, .last_attempt = NOW,
          .last_result = ESTC_E_REJECTED},
         SCHEDULE_RENEW,
         60,
         72,
         NULL},
        {"refused, with a clock",
         {ALIVE(30 * HOUR, 40 * HOUR), .failures = 1, .last_attempt = NOW,
          .last_result = ESTC_E_REJECTED},
         SCHEDULE_RENEW,
         300,
         360,
         NULL},
    };
    CHECK_ROWS(rows);
}

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

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(without_a_clock_a_certificate_may_be_older_than_it_seems),
        cmocka_unit_test(wrong_clocks),
        cmocka_unit_test(a_backdated_certificate_makes_no_loop),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
