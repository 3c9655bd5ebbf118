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
            .nudged_at = next_random(&x) % 2 ? 0 : any_number(&x),
            .started = next_random(&x) % 2 ? 0 : any_number(&x),
            .spread = next_random(&x) % 2 ? 0 : any_number(&x),
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

/* --- a whole life, simulated ----------------------------------------------------------------- */

/* Runs what is due until it succeeds or the certificate has expired. While the server is away an
 * attempt hangs for as long as it may; otherwise it takes two seconds. The number of tries. */
static unsigned live(struct schedule_input *in, int64_t timeout, int64_t away, int64_t back,
                     int64_t *renewed) {
    struct schedule_plan plan;
    int64_t now = in->not_before;
    unsigned tries = 0;
    *renewed = INT64_MAX;
    for (;;) {
        schedule_plan(in, now, &plan);
        now = plan.due > now ? plan.due : now;
        if (now >= in->not_after || plan.action != SCHEDULE_RENEW)
            return tries;
        tries++;
        int64_t limit = schedule_attempt_limit(timeout, in->not_after - now);
        bool good = now + 2 <= away || now >= back;
        now += good ? 2 : limit;
        in->last_attempt = now;
        in->failures = good ? 0 : in->failures + 1;
        in->last_result = good ? 0 : ESTC_E_TIMEOUT;
        if (good) {
            *renewed = now;
            return tries;
        }
    }
}

static struct schedule_input fresh_input(uint64_t *x, int64_t least_life) {
    int64_t span = INT64_C(1) << next_random(x) % 31;
    int64_t life = least_life + (int64_t)(next_random(x) % (uint64_t)span) % (30 * YEAR);
    static char seed[32];
    snprintf(seed, sizeof(seed), "%llx", (unsigned long long)next_random(x));
    return (struct schedule_input){.id = "gw",
                                   .seed = seed,
                                   .have_certificate = true,
                                   .not_before = NOW,
                                   .not_after = NOW + life,
                                   .renew_at = 100 + (int64_t)(next_random(x) % 851)};
}

/* From a minute to 30 years, whatever share was chosen, when every attempt hangs. */
static void a_second_and_a_third_try_fit(void **state) {
    (void)state;
    uint64_t x = 7030;
    for (int i = 0; i < 20000; i++) {
        struct schedule_input in = fresh_input(&x, MINUTE);
        int64_t timeout = 10 + (int64_t)(next_random(&x) % 3590), renewed;
        int64_t life = in.not_after - NOW;
        unsigned tries = live(&in, timeout, NOW, INT64_MAX, &renewed);
        if (tries < 3)
            fail_msg("%u tries in a life of %lld s, renewed at %lld, timeout %lld", tries,
                     (long long)life, (long long)in.renew_at, (long long)timeout);
    }
}

/* However long the server was away: when it is back twenty seconds before the end, that is enough.
 */
static void it_is_never_late_when_the_server_was_back_in_time(void **state) {
    (void)state;
    uint64_t x = 8152;
    for (int i = 0; i < 20000; i++) {
        struct schedule_input in = fresh_input(&x, MINUTE);
        int64_t life = in.not_after - NOW, renewed;
        int64_t away = NOW + (int64_t)(next_random(&x) % (uint64_t)life);
        int64_t back = away + (int64_t)(next_random(&x) % (uint64_t)life);
        if (back > in.not_after - 20)
            back = in.not_after - 20;
        live(&in, 10 + (int64_t)(next_random(&x) % 3590), away, back, &renewed);
        if (renewed > in.not_after)
            fail_msg("a life of %lld s, away from %lld to %lld: not renewed", (long long)life,
                     (long long)(away - NOW), (long long)(back - NOW));
    }
}

/* A start in the middle of a life puts off by a twentieth of what is left at the most, and what is
 * not due is not touched. */
static void a_start_makes_nothing_late(void **state) {
    (void)state;
    uint64_t x = 9483;
    for (int i = 0; i < 20000; i++) {
        struct schedule_input in = fresh_input(&x, MINUTE);
        struct schedule_plan calm, plan;
        int64_t now = NOW + (int64_t)(next_random(&x) % (uint64_t)(in.not_after - NOW));
        schedule_plan(&in, now, &calm);
        in.started = now;
        in.spread = 1 + (int64_t)(next_random(&x) % 3600);
        schedule_plan(&in, now, &plan);
        if (calm.due >= now)
            assert_int_equal(plan.due, calm.due);
        else
            assert_in_range(plan.due - now, 0, (in.not_after - now) / 20);
        for (int later = 0; later < 3 && now + later < in.not_after; later++) {
            struct schedule_plan again;
            schedule_plan(&in, now + later, &again);
            assert_int_equal(plan.due, again.due);
        }
    }
}

static void machines_that_start_together_spread(void **state) {
    (void)state;
    enum { MACHINES = 3000, BINS = 10 };
    unsigned bins[BINS] = {0};
    for (int i = 0; i < MACHINES; i++) {
        char seed[80];
        struct schedule_plan plan;
        snprintf(seed, sizeof(seed), "%064X", i);
        struct schedule_input in = {NONE, .started = NOW, .spread = 29};
        in.seed = seed;
        schedule_plan(&in, NOW, &plan);
        assert_in_range(plan.due - NOW, 0, 29);
        bins[(plan.due - NOW) / 3]++;
    }
    for (int i = 0; i < BINS; i++)
        assert_in_range(bins[i], MACHINES / BINS / 2, MACHINES / BINS * 2);
}

/* A link that comes up every second costs one attempt a minute, or what the waiting costs. */
static void a_link_that_flaps_makes_no_loop(void **state) {
    (void)state;
    uint64_t x = 6690;
    for (int i = 0; i < 500; i++) {
        struct schedule_input in = fresh_input(&x, HOUR);
        in.have_certificate = next_random(&x) & 1;
        int64_t now = in.not_before;
        for (int tries = 0; tries < 30 && now < in.not_after - HOUR; tries++) {
            struct schedule_plan plan;
            in.nudged_at = now;
            schedule_plan(&in, now, &plan);
            if (tries > 1)
                assert_true(plan.due >= in.last_attempt + 30);
            if (tries > 2)
                assert_true(plan.due >= in.last_attempt + 60);
            now = plan.due > now ? plan.due : now;
            in.last_attempt = now;
            in.last_result = ESTC_E_UNREACHABLE;
            in.failures++;
        }
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
        cmocka_unit_test(a_second_and_a_third_try_fit),
        cmocka_unit_test(it_is_never_late_when_the_server_was_back_in_time),
        cmocka_unit_test(a_start_makes_nothing_late),
        cmocka_unit_test(machines_that_start_together_spread),
        cmocka_unit_test(a_link_that_flaps_makes_no_loop),
        cmocka_unit_test(jitter_is_stable_and_spreads),
        cmocka_unit_test(each_try_and_each_machine_waits_differently),
        cmocka_unit_test(ids_and_seeds_both_count),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
