/* SPDX-License-Identifier: BSD-2-Clause */
/* When is what due: properties that hold for any input, tried with a generator whose seed is fixed.
 */
#include "support.h"

#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "schedule_input.h"

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
            .names_only = next_random(&x) & 1,
            .asked = next_random(&x) % 8 == 0,
            .failures = (unsigned)any_number(&x),
            .last_attempt = any_number(&x),
            .last_result = (int)(next_random(&x) % 16),
            .pending_until = next_random(&x) % 4 ? 0 : any_number(&x),
            .pending_since = next_random(&x) % 2 ? 0 : any_number(&x),
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
        in.names_only = next_random(&x) & 1;
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

/* However soon a CA wants to be asked again, and for how long: nobody is asked without end. */
static void d07_polls_of_a_month_are_counted(void **state) {
    (void)state;
    static const int64_t max_ages[] = {0, 1, 5, 60};
    for (size_t i = 0; i < sizeof(max_ages) / sizeof(max_ages[0]); i++) {
        struct schedule_input in = {NONE, .last_result = ESTC_E_PENDING, .pending_since = NOW};
        unsigned polls = 0;
        for (int64_t now = NOW; now < NOW + 30 * DAY; polls++) {
            struct schedule_plan plan;
            in.last_attempt = now;
            in.pending_until = now + max_ages[i];
            schedule_plan(&in, now, &plan);
            assert_int_equal(plan.action, SCHEDULE_POLL);
            assert_in_range(plan.due - now, max_ages[i] > 5 ? max_ages[i] : 5, HOUR);
            now = plan.due;
        }
        assert_in_range(polls, 1000, 1500);
    }
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

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(any_input_gives_a_plan),
        cmocka_unit_test(a_renewal_is_due_while_the_certificate_lives),
        cmocka_unit_test(nothing_ever_runs_in_a_circle),
        cmocka_unit_test(it_never_gives_up),
        cmocka_unit_test(d07_polls_of_a_month_are_counted),
        cmocka_unit_test(jitter_is_stable_and_spreads),
        cmocka_unit_test(each_try_and_each_machine_waits_differently),
        cmocka_unit_test(ids_and_seeds_both_count),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
