/* SPDX-License-Identifier: BSD-2-Clause */
/* When is what due: rows of input and the plan that must come of them. */
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "schedule_rows.h"

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
    } rows[] = {{660, "two thirds of 90 d, jitter "},
                {667, "two thirds of 90 d, jitter "},
                {500, "50 % of 90 d, jitter "},
                {333, "33.3 % of 90 d, jitter "},
                {950, "95 % of 90 d"},
                {105, "10.5 % of 90 d, jitter "}};
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
        cmocka_unit_test(without_a_fit_certificate_it_enrolls_now),
        cmocka_unit_test(e09_other_names_are_a_renewal),
        cmocka_unit_test(asking_makes_it_due),
        cmocka_unit_test(each_action_has_a_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
