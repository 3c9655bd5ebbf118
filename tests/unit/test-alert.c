/* SPDX-License-Identifier: BSD-2-Clause */
/* When somebody should look, and that time alone brings it about at the moment that was foretold.
 */
#include "support.h"

#include <limits.h>
#include <string.h>

#include "estcd/alert.h"

#define T0 INT64_C(1800000000)
#define LIFE 1000000

static struct config_identity config;

/* Issued at T0 for LIFE, renewed at two thirds. */
static struct identity sound(void) {
    config = (struct config_identity){.renew_at = 660, .alert_at = 850};
    return (struct identity){
        .config = &config,
        .have_facts = true,
        .facts = {.not_before = T0, .not_after = T0 + LIFE, .issued_at = T0},
    };
}

static struct alert at(const struct identity *identity, int64_t now) {
    struct alert alert;
    alert_decide(identity, now, &alert);
    assert_true(alert.next > now);
    assert_int_equal(alert.level == ALERT_NONE, alert.why[0] == '\0');
    return alert;
}

static void rises_at_the_share_and_again_at_the_end(void **state) {
    (void)state;
    struct identity identity = sound();
    struct alert alert = at(&identity, T0);
    assert_int_equal(alert.level, ALERT_NONE);
    assert_int_equal(alert.next, T0 + 850000);
    assert_int_equal(at(&identity, T0 + 849999).level, ALERT_NONE);
    alert = at(&identity, T0 + 850000);
    assert_int_equal(alert.level, ALERT_WARNING);
    assert_int_equal(alert.next, T0 + LIFE);
    assert_non_null(strstr(alert.why, "2027-"));
    assert_int_equal(at(&identity, T0 + LIFE - 1).level, ALERT_WARNING);
    alert = at(&identity, T0 + LIFE);
    assert_int_equal(alert.level, ALERT_CRITICAL);
    assert_non_null(strstr(alert.why, "expired"));
    assert_int_equal(alert.next, INT64_MAX);
    /* What stands in the way of another one is said as well. */
    identity.attempts = (struct store_attempts){.failures = 3, .last_result = ESTC_E_REJECTED};
    assert_non_null(strstr(at(&identity, T0 + LIFE).why, "rejects the birth certificate"));
    identity.attempts = (struct store_attempts){.failures = 1, .last_result = ESTC_E_CREDENTIAL};
    assert_non_null(strstr(at(&identity, T0 + LIFE).why, "expired at "));
    assert_non_null(strstr(at(&identity, T0 + LIFE).why, "unfit"));
    identity.attempts = (struct store_attempts){.failures = 2, .last_result = ESTC_E_REJECTED};
    assert_null(strstr(at(&identity, T0 + LIFE).why, "rejects"));
}

/* No alert is due before a renewal at its latest moment can have come. */
static void late_renewals_raise_none_before_their_time(void **state) {
    (void)state;
    struct identity identity = sound();
    for (int64_t renew_at = 100; renew_at <= 950; renew_at += 10) {
        config.renew_at = renew_at;
        int64_t latest = renew_at + 50 < 950 ? renew_at + 50 : 950;
        int64_t rises = at(&identity, T0).next - T0;
        assert_true(rises >= 850000);
        assert_true(rises > latest * LIFE / 1000);
        assert_true(rises < LIFE);
    }
}

/* A rollback is renewed at the latest safe point only, and nothing is amiss before. */
static void a_rollback_raises_none_before_its_renewal(void **state) {
    (void)state;
    struct identity identity = sound();
    identity.facts.generation = 7;
    identity.attempts.rolled_back = 7;
    assert_int_equal(at(&identity, T0 + 850000).level, ALERT_NONE);
    assert_int_equal(at(&identity, T0).next, T0 + 962500);
    identity.facts.generation = 8; /* something newer came */
    assert_int_equal(at(&identity, T0).next, T0 + 850000);
}

/* Of a short life the point lies before its 95 %, for three tries to fit. */
static void a_short_life_is_news_after_its_latest_renewal(void **state) {
    (void)state;
    struct identity identity = sound();
    config.renew_at = 950;
    config.alert_at = 500;
    identity.facts.not_after = T0 + 100;
    assert_int_equal(schedule_latest(T0, T0 + 100), T0 + 70);
    assert_int_equal(at(&identity, T0).next, T0 + 77);
}

static void a_certificate_that_came_late_has_the_life_that_it_has_left(void **state) {
    (void)state;
    struct identity identity = sound();
    identity.facts.issued_at = T0 + 900000;
    assert_int_equal(at(&identity, T0 + 900000).next, T0 + 985000);
    identity.facts.issued_at = T0 + 2 * LIFE; /* a clock that was ahead: nothing to go by */
    assert_int_equal(at(&identity, T0).next, T0 + 850000);
}

static void alert_at_a_hundred_percent_is_the_expiry(void **state) {
    (void)state;
    struct identity identity = sound();
    config.alert_at = 1000;
    assert_int_equal(at(&identity, T0).next, T0 + LIFE);
}

static void refusals_count_when_they_repeat(void **state) {
    (void)state;
    static const struct {
        int result;
        unsigned failures;
        enum alert_level with, without; /* a certificate in force */
    } rows[] = {
        {ESTC_E_REJECTED, 2, ALERT_NONE, ALERT_NONE},
        {ESTC_E_REJECTED, 3, ALERT_WARNING, ALERT_CRITICAL},
        {ESTC_E_UNTRUSTED, 3, ALERT_WARNING, ALERT_CRITICAL},
        {ESTC_E_UNREACHABLE, 300, ALERT_NONE, ALERT_NONE},
        {ESTC_E_TIMEOUT, UINT_MAX, ALERT_NONE, ALERT_NONE},
        {ESTC_E_CREDENTIAL, 1, ALERT_WARNING, ALERT_CRITICAL},
        {0, 0, ALERT_NONE, ALERT_NONE},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct identity identity = sound();
        identity.attempts.last_result = rows[i].result;
        identity.attempts.failures = rows[i].failures;
        assert_int_equal(at(&identity, T0).level, rows[i].with);
        identity.have_facts = false;
        assert_int_equal(at(&identity, T0).level, rows[i].without);
    }
}

static void a_reason_stays_while_a_worker_runs_and_expiry_beats_it(void **state) {
    (void)state;
    struct identity identity = sound();
    identity.attempts.last_result = ESTC_E_REJECTED;
    identity.attempts.failures = 3;
    identity.working = true;
    struct alert alert = at(&identity, T0);
    assert_int_equal(alert.level, ALERT_WARNING);
    assert_non_null(strstr(alert.why, "rejects"));
    assert_int_equal(at(&identity, T0 + LIFE).level, ALERT_CRITICAL);
}

static void a_store_that_cannot_be_used_is_critical(void **state) {
    (void)state;
    struct identity identity = sound();
    identity.store_unfit = true;
    assert_int_equal(at(&identity, T0).level, ALERT_CRITICAL);
}

static void any_dates_will_do(void **state) {
    (void)state;
    static const int64_t dates[] = {INT64_MIN, -1, 0, 1, T0, INT64_MAX - 1, INT64_MAX};
    const size_t n = sizeof(dates) / sizeof(dates[0]);
    for (size_t i = 0; i < n * n * n * (n - 1); i++) {
        struct identity identity = sound();
        identity.facts.not_before = dates[i % n];
        identity.facts.not_after = dates[i / n % n];
        identity.facts.issued_at = dates[i / n / n % n];
        at(&identity, dates[i / n / n / n]); /* all but the end of time, when nothing is later */
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rises_at_the_share_and_again_at_the_end),
        cmocka_unit_test(late_renewals_raise_none_before_their_time),
        cmocka_unit_test(a_rollback_raises_none_before_its_renewal),
        cmocka_unit_test(a_short_life_is_news_after_its_latest_renewal),
        cmocka_unit_test(a_certificate_that_came_late_has_the_life_that_it_has_left),
        cmocka_unit_test(alert_at_a_hundred_percent_is_the_expiry),
        cmocka_unit_test(refusals_count_when_they_repeat),
        cmocka_unit_test(a_reason_stays_while_a_worker_runs_and_expiry_beats_it),
        cmocka_unit_test(a_store_that_cannot_be_used_is_critical),
        cmocka_unit_test(any_dates_will_do),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
