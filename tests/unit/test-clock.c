/* SPDX-License-Identifier: BSD-2-Clause */
#include "support.h"

#include <errno.h>
#include <poll.h>
#include <time.h>

#include <estc/transport.h>

#include "base/clock.h"

static void real_time_is_the_systems(void **state) {
    (void)state;
    int64_t before = time(NULL);
    int64_t now = clock_real();
    assert_true(now >= before && now <= before + 2);
}

static void boot_time_only_grows(void **state) {
    (void)state;
    int64_t a = clock_boot_ms();
    poll(NULL, 0, 20);
    int64_t b = clock_boot_ms();
    assert_true(b >= a + 19 && b < a + 5000);
}

static void waits_end_when_they_say(void **state) {
    (void)state;
    int64_t now = clock_boot_ms();
    struct estc_wait wait = estc_wait_in(1500);
    assert_true(wait.deadline >= now + 1500 && wait.deadline < now + 3000);
    assert_int_equal(wait.cancel_fd, -1);
    assert_true(estc_wait_in(INT64_MAX).deadline == INT64_MAX);
    assert_true(estc_wait_in(0).deadline <= clock_boot_ms());
}

static void text_of_known_moments(void **state) {
    (void)state;
    static const struct {
        int64_t real;
        const char *text;
    } cases[] = {
        {0, "1970-01-01T00:00:00Z"},
        {951782400, "2000-02-29T00:00:00Z"},
        {1803902400, "2027-03-01T12:00:00Z"},
        {2147483648, "2038-01-19T03:14:08Z"},
        {4107542399, "2100-02-28T23:59:59Z"},
        {4107542400, "2100-03-01T00:00:00Z"}, /* no leap day in 2100 */
        {253402300799, "9999-12-31T23:59:59Z"},
        {-1, "1969-12-31T23:59:59Z"},
        {-62167219200, "0000-01-01T00:00:00Z"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char buf[CLOCK_TEXT_MAX];
        int64_t back = 1;
        assert_string_equal(clock_text(cases[i].real, buf), cases[i].text);
        assert_int_equal(clock_parse(cases[i].text, &back), 0);
        assert_true(back == cases[i].real);
    }
}

static void years_without_four_digits_have_no_text(void **state) {
    (void)state;
    char buf[CLOCK_TEXT_MAX];
    assert_string_equal(clock_text(253402300800, buf), "-");
    assert_string_equal(clock_text(INT64_MAX, buf), "-");
    assert_string_equal(clock_text(-62167219201, buf), "-");
    assert_string_equal(clock_text(INT64_MIN, buf), "-");
}

/* Against the C library, a step of 13 hours and a bit over 130 years. */
static void agrees_with_the_c_library(void **state) {
    (void)state;
    for (int64_t t = -2208988800; t < 1893456000; t += 46861) {
        char ours[CLOCK_TEXT_MAX], theirs[CLOCK_TEXT_MAX];
        time_t tt = (time_t)t;
        struct tm tm;
        gmtime_r(&tt, &tm);
        strftime(theirs, sizeof(theirs), "%Y-%m-%dT%H:%M:%SZ", &tm);
        assert_string_equal(clock_text(t, ours), theirs);
        int64_t back;
        assert_int_equal(clock_parse(ours, &back), 0);
        assert_true(back == t);
    }
}

static void parse_refuses_what_is_no_date(void **state) {
    (void)state;
    static const char *const bad[] = {
        "",
        "2027",
        "2027-03-01 12:00:00Z",
        "2027-03-01T12:00:00",
        "2027-03-01T12:00:00+",
        "2027-03-01T12:00:00ZZ",
        "2027-13-01T12:00:00Z",
        "2027-00-01T12:00:00Z",
        "2027-02-29T12:00:00Z",
        "2100-02-29T12:00:00Z",
        "2027-04-31T12:00:00Z",
        "2027-03-00T12:00:00Z",
        "2027-03-32T12:00:00Z",
        "2027-03-01T24:00:00Z",
        "2027-03-01T12:60:00Z",
        "2027-03-01T12:00:60Z",
        "-027-03-01T12:00:00Z",
        "2027-03- 1T12:00:00Z",
        "2027-03-+1T12:00:00Z",
    };
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        int64_t out = 42;
        if (clock_parse(bad[i], &out) != -EINVAL)
            fail_msg("taken: %s", bad[i]);
        assert_int_equal(out, 42);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(real_time_is_the_systems),
        cmocka_unit_test(boot_time_only_grows),
        cmocka_unit_test(waits_end_when_they_say),
        cmocka_unit_test(text_of_known_moments),
        cmocka_unit_test(years_without_four_digits_have_no_text),
        cmocka_unit_test(agrees_with_the_c_library),
        cmocka_unit_test(parse_refuses_what_is_no_date),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
