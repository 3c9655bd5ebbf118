/* SPDX-License-Identifier: BSD-2-Clause */
/* When is what due: rows of input and the plan that must come of them. */
#include "support.h"

#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "schedule_input.h"

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
        {"a minute", {ALIVE(0, MINUTE)}, SCHEDULE_RENEW, 30, 30, "two thirds of 1 min"},
        {"a minute and a half", {ALIVE(0, 90)}, SCHEDULE_RENEW, 59, 60, NULL},
        {"half a minute", {ALIVE(0, 30)}, SCHEDULE_RENEW, 15, 15, NULL},
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

static void what_was_rolled_back_to_is_renewed_late(void **state) {
    (void)state;
#define BACK .rolled_back = true
    static const struct row rows[] = {
        {"90 days",
         {ALIVE(0, 90 * DAY), BACK},
         SCHEDULE_RENEW,
         90 * DAY / 100 * 95,
         90 * DAY / 100 * 95,
         "rolled back, so as late as is safe: 95 % of 90 d"},
        {"past two thirds",
         {ALIVE(80 * DAY, 90 * DAY), BACK},
         SCHEDULE_RENEW,
         DAY * 11 / 2,
         DAY * 11 / 2,
         NULL},
        {"of another request",
         {ALIVE(0, 90 * DAY), BACK, .request_changed = true},
         SCHEDULE_ENROLL,
         90 * DAY / 100 * 95,
         90 * DAY / 100 * 95,
         "rolled back"},
        {"with other names",
         {ALIVE(0, 90 * DAY), BACK, .request_changed = true, .names_only = true},
         SCHEDULE_RENEW,
         90 * DAY / 100 * 95,
         90 * DAY / 100 * 95,
         NULL},
        {"just now, and past 95 %",
         {ALIVE(99 * DAY, 100 * DAY), BACK, .last_attempt = NOW},
         SCHEDULE_RENEW,
         DAY / 100 * 95,
         DAY / 100 * 95,
         NULL},
        {"expired", {ALIVE(DAY, DAY), BACK}, SCHEDULE_ENROLL, 0, 0, "expired"},
    };
#undef BACK
    CHECK_ROWS(rows);
}

/* What `estc show` prints. */
static void the_reason_is_whole(void **state) {
    (void)state;
    static const struct {
        int64_t renew_at;
        const char *why;
    } rows[] = {{660, "two thirds of 90 d, jitter "}, {667, "two thirds of 90 d, jitter "},
                {500, "50 % of 90 d, jitter "},       {333, "33.3 % of 90 d, jitter "},
                {950, "95 % of 90 d, jitter 0 s"},    {105, "10.5 % of 90 d, jitter "}};
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct schedule_input in = {ALIVE(0, 90 * DAY)};
        struct schedule_plan plan = {0};
        in.renew_at = rows[i].renew_at;
        schedule_plan(&in, NOW, &plan);
        if (strncmp(plan.why, rows[i].why, strlen(rows[i].why)) != 0)
            fail_msg("\"%s\" is not \"%s\"", plan.why, rows[i].why);
    }
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
        {"other names, once it has expired",
         {ALIVE(DAY, DAY), .request_changed = true, .names_only = true},
         SCHEDULE_ENROLL,
         0,
         0,
         "expired"},
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

/* As long as the certificate lives, it can ask for its successor under other names. */
static void e09_other_names_are_a_renewal(void **state) {
    (void)state;
#define RENAMED .request_changed = true, .names_only = true
    static const struct row rows[] = {
        {"at once", {ALIVE(0, DAY), RENAMED}, SCHEDULE_RENEW, 0, 0, "asks for other names"},
        {"after a failure", {ALIVE(0, DAY), RENAMED, FAILED(1, 0)}, SCHEDULE_RENEW, 30, 36, NULL},
        {"a file was unfit",
         {ALIVE(0, DAY), RENAMED, .failures = 4, .last_result = ESTC_E_CREDENTIAL, .asked = true},
         SCHEDULE_RENEW,
         0,
         0,
         "asked for"},
        {"no names of ours have come: no loop",
         {ALIVE(0, DAY), RENAMED, .last_attempt = NOW},
         SCHEDULE_RENEW,
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
         30,
         36,
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
        {"not before its time",
         {ALIVE(0, 90 * DAY), FAILED(9, HOUR), NUDGED(0)},
         SCHEDULE_RENEW,
         59 * DAY,
         61 * DAY,
         "of 90 d"},
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
         HOUR,
         HOUR + 720,
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

static void each_action_has_a_name(void **state) {
    (void)state;
    for (int i = 0; i < SCHEDULE_ACTION_MAX_; i++)
        assert_non_null(schedule_action_names[i]);
    assert_null(schedule_action_names[SCHEDULE_ACTION_MAX_]);
}

/* RFC 7030 section 4.1.2: the CA's certificates are fetched again before they end. */
static void c12_renewal_before_the_anchors_end(void **state) {
    (void)state;
    static const struct row rows[] = {
        {"long after",
         {ALIVE(0, 90 * DAY), .trust_until = NOW + YEAR},
         SCHEDULE_RENEW,
         5132160,
         5132160 + DAY,
         "of 90 d,"},
        {"before",
         {ALIVE(0, 90 * DAY), .trust_until = NOW + 10 * DAY},
         SCHEDULE_RENEW,
         570240,
         570240 + DAY,
         "of 10 d until the CA certificates end"},
        {"in the last hour",
         {ALIVE(0, 90 * DAY), .trust_until = NOW + 1800},
         SCHEDULE_RENEW,
         5132160,
         5132160 + DAY,
         "of 90 d,"},
        {"over",
         {ALIVE(0, 90 * DAY), .trust_until = NOW - DAY},
         SCHEDULE_RENEW,
         5132160,
         5132160 + DAY,
         "of 90 d,"},
        {"not known", {ALIVE(0, 90 * DAY)}, SCHEDULE_RENEW, 5132160, 5132160 + DAY, NULL},
    };
    CHECK_ROWS(rows);
    /* A CA that goes on with anchors that end is asked again, and again, but in no loop. */
    struct schedule_input in = {ALIVE(0, YEAR), .trust_until = NOW + 100 * DAY};
    int64_t now = NOW;
    int renewals = 0;
    for (; renewals < 100 && now < NOW + 100 * DAY; renewals++) {
        struct schedule_plan plan = {0};
        in.not_before = in.last_attempt = now;
        in.not_after = now + YEAR;
        schedule_plan(&in, now, &plan);
        assert_true(plan.due > now + HOUR / 3);
        now = plan.due;
    }
    assert_true(renewals < 20);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(c12_renewal_before_the_anchors_end),
        cmocka_unit_test(renewal_at_a_share_of_the_issued_life),
        cmocka_unit_test(what_was_rolled_back_to_is_renewed_late),
        cmocka_unit_test(the_reason_is_whole),
        cmocka_unit_test(the_share_can_be_chosen),
        cmocka_unit_test(a_nudge_ends_a_wait),
        cmocka_unit_test(what_is_overdue_at_the_start_is_spread),
        cmocka_unit_test(one_attempt_leaves_time_for_others),
        cmocka_unit_test(without_a_fit_certificate_it_enrolls_now),
        cmocka_unit_test(e09_other_names_are_a_renewal),
        cmocka_unit_test(after_a_failure_it_waits),
        cmocka_unit_test(d04_d07_the_ca_decides_when_it_is_asked_again),
        cmocka_unit_test(unfit_files_are_looked_at_again),
        cmocka_unit_test(asking_makes_it_due),
        cmocka_unit_test(without_a_clock_a_certificate_may_be_older_than_it_seems),
        cmocka_unit_test(wrong_clocks),
        cmocka_unit_test(a_backdated_certificate_makes_no_loop),
        cmocka_unit_test(backoff_by_itself),
        cmocka_unit_test(each_action_has_a_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
