/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What time is believed, with clocks that say what a test wants (the program is linked with
 * --wrap=clock_real and --wrap=clock_boot_ms). The floor only rises, and is the process's: the
 * source is taken in whole, so that each test begins without knowing anything.
 */
#include "support.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"

#undef ESTC_SOURCE_DATE
#define ESTC_SOURCE_DATE INT64_C(1800000000)
#include "estcd/timebase.c"

#define DAY INT64_C(86400)

static int64_t real, boot_ms = 1000000;

int64_t __wrap_clock_real(void);
int64_t __wrap_clock_boot_ms(void);

int64_t __wrap_clock_real(void) {
    return real;
}

int64_t __wrap_clock_boot_ms(void) {
    return boot_ms;
}

static const int64_t source = ESTC_SOURCE_DATE;

static int begin(void **state) {
    (void)state;
    base.moment = source;
    base.heard_at = 0;
    base.witness = TIMEBASE_SOURCE;
    base.begun_with = base.begun_at = 0;
    boot_ms = 1000000;
    return 0;
}

static void pass(int64_t seconds) {
    boot_ms += seconds * 1000;
    real += seconds;
}

static void a_clock_from_before_the_program_is_not_believed(void **state) {
    (void)state;
    real = 5;
    assert_false(timebase_trusted());
    assert_int_equal(timebase_now(), source);
    assert_int_equal(timebase_for_dates(), -source);
    assert_int_equal(timebase_witness(), TIMEBASE_SOURCE);
    pass(DAY);
    assert_int_equal(timebase_now(), source + DAY);
    pass(30 * YEAR);
    assert_int_equal(timebase_now(), source + 30 * YEAR + DAY);
    assert_false(timebase_trusted());
}

/* The machine may have been up for months when a newer program starts. */
static void boot_time_before_the_start_proves_nothing(void **state) {
    (void)state;
    boot_ms = 400 * DAY * 1000;
    real = source + 60;
    assert_true(timebase_trusted());
    assert_int_equal(timebase_now(), source + 60);
    assert_int_equal(timebase_floor(), source);
}

static void a_clock_above_the_floor_counts(void **state) {
    (void)state;
    static const int64_t ahead[] = {0, 1, DAY, YEAR, 12 * YEAR, 24 * YEAR, 200 * YEAR};
    for (size_t i = 0; i < sizeof(ahead) / sizeof(ahead[0]); i++) {
        real = source + ahead[i];
        assert_true(timebase_trusted());
        assert_int_equal(timebase_now(), real);
        assert_int_equal(timebase_for_dates(), real);
        assert_null(timebase_explain());
    }
    /* It was years ahead, and nothing of it stays. */
    real = source + DAY;
    assert_true(timebase_trusted());
    assert_int_equal(timebase_now(), source + DAY);
    assert_int_equal(timebase_floor(), source);
}

static void witnesses_lift_the_floor_and_never_lower_it(void **state) {
    (void)state;
    real = 0;
    timebase_hear(source + YEAR, TIMEBASE_WATERMARK);
    assert_int_equal(timebase_now(), source + YEAR);
    assert_int_equal(timebase_witness(), TIMEBASE_WATERMARK);
    pass(100);
    timebase_hear(source + YEAR + 99, TIMEBASE_CERTIFICATE);
    assert_int_equal(timebase_witness(), TIMEBASE_WATERMARK);
    assert_int_equal(timebase_floor(), source + YEAR + 100);
    timebase_hear(source + 2 * YEAR, TIMEBASE_CERTIFICATE);
    assert_int_equal(timebase_witness(), TIMEBASE_CERTIFICATE);
    pass(10);
    assert_int_equal(timebase_floor(), source + 2 * YEAR + 10);
    timebase_hear(0, TIMEBASE_WATERMARK);
    timebase_hear(-1, TIMEBASE_WATERMARK);
    timebase_hear(INT64_MIN, TIMEBASE_WATERMARK);
    assert_int_equal(timebase_floor(), source + 2 * YEAR + 10);
}

static void no_date_is_no_witness(void **state) {
    (void)state;
    real = source + DAY;
    static const int64_t faults[] = {INT64_MAX, 253402300799, 10000000000};
    for (size_t i = 0; i < sizeof(faults) / sizeof(faults[0]); i++)
        timebase_hear(faults[i], TIMEBASE_CERTIFICATE);
    assert_true(timebase_trusted());
    assert_int_equal(timebase_floor(), source);
    timebase_hear(source + 99 * YEAR, TIMEBASE_CERTIFICATE);
    assert_int_equal(timebase_floor(), source + 99 * YEAR);
}

/* The CA's clock is ahead of ours by seconds: that makes ours no liar. */
static void a_little_behind_is_no_wrong_clock(void **state) {
    (void)state;
    real = source + YEAR;
    timebase_hear(real + 300, TIMEBASE_CERTIFICATE);
    assert_true(timebase_trusted());
    assert_int_equal(timebase_now(), real + 300);
    assert_int_equal(timebase_for_dates(), real + 300);
    timebase_hear(real + 301, TIMEBASE_CERTIFICATE);
    assert_false(timebase_trusted());
}

static void a_clock_that_is_set_is_believed(void **state) {
    (void)state;
    real = 3;
    assert_false(timebase_trusted());
    real = source + 40 * DAY;
    assert_true(timebase_trusted());
    assert_int_equal(timebase_now(), source + 40 * DAY);
    real = 3;
    assert_false(timebase_trusted());
    assert_int_equal(timebase_now(), source);
}

static void it_says_what_is_assumed(void **state) {
    (void)state;
    char floor[CLOCK_TEXT_MAX];
    real = 5;
    clock_text(source, floor);
    char *text = timebase_explain();
    assert_non_null(strstr(text, "says 1970-01-01T00:00:05Z"));
    assert_non_null(strstr(text, "the date of this program is later"));
    assert_non_null(strstr(text, floor));
    free(text);
    timebase_hear(source + YEAR, TIMEBASE_CERTIFICATE);
    text = timebase_explain();
    assert_non_null(strstr(text, "a certificate that was issued to us is later"));
    free(text);
    for (int i = 0; i < TIMEBASE_WITNESS_MAX_; i++)
        assert_non_null(timebase_witness_texts[i]);
}

/* A process that is forked knows what its parent knew, and tells it nothing. */
static void what_was_kept_is_of_unknown_age_until_something_is_heard(void **state) {
    (void)state;
    real = 5;
    timebase_hear(source + 10 * DAY, TIMEBASE_CERTIFICATE);
    timebase_begin();
    pass(DAY);
    assert_int_equal(timebase_unsure_since(), source + 10 * DAY);
    timebase_hear(source + 12 * DAY, TIMEBASE_CERTIFICATE);
    assert_int_equal(timebase_unsure_since(), 0);
}

static void with_a_clock_to_trust_nothing_is_unsure(void **state) {
    (void)state;
    real = source + DAY;
    timebase_begin();
    assert_int_equal(timebase_unsure_since(), 0);
    real = 5; /* and when it breaks, what was heard before counts as long as nothing else is */
    assert_int_equal(timebase_unsure_since(), source);
}

static void a_child_inherits(void **state) {
    (void)state;
    real = 5;
    timebase_hear(source + YEAR, TIMEBASE_WATERMARK);
    pid_t pid = fork();
    if (pid == 0) {
        bool good = timebase_floor() == source + YEAR;
        timebase_hear(source + 2 * YEAR, TIMEBASE_CERTIFICATE);
        _exit(good && timebase_floor() == source + 2 * YEAR ? 0 : 1);
    }
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
    assert_int_equal(timebase_floor(), source + YEAR);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(a_clock_from_before_the_program_is_not_believed, begin),
        cmocka_unit_test_setup(boot_time_before_the_start_proves_nothing, begin),
        cmocka_unit_test_setup(a_clock_above_the_floor_counts, begin),
        cmocka_unit_test_setup(witnesses_lift_the_floor_and_never_lower_it, begin),
        cmocka_unit_test_setup(no_date_is_no_witness, begin),
        cmocka_unit_test_setup(a_little_behind_is_no_wrong_clock, begin),
        cmocka_unit_test_setup(a_clock_that_is_set_is_believed, begin),
        cmocka_unit_test_setup(it_says_what_is_assumed, begin),
        cmocka_unit_test_setup(what_was_kept_is_of_unknown_age_until_something_is_heard, begin),
        cmocka_unit_test_setup(with_a_clock_to_trust_nothing_is_unsure, begin),
        cmocka_unit_test_setup(a_child_inherits, begin),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
