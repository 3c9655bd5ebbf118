/* SPDX-License-Identifier: BSD-2-Clause */
/* So many a minute for each, whoever else there is. */
#include "support.h"

#include "coap/quota.h"

static void a_minutes_worth_at_once_and_no_more(void **state) {
    (void)state;
    _cleanup(quota_freep) struct quota *q = quota_new(60);
    int64_t wait, now = 1000000;
    for (int i = 0; i < 60; i++)
        assert_true(quota_take(q, "a", 1, now, &wait));
    for (int i = 0; i < 3; i++) { /* being refused costs nothing */
        assert_false(quota_take(q, "a", 1, now, &wait));
        assert_int_equal(wait, 1000);
    }
    assert_true(quota_take(q, "b", 1, now, &wait)); /* another */
    assert_false(quota_take(q, "a", 1, now + 999, &wait));
    assert_int_equal(wait, 1);
    assert_true(quota_take(q, "a", 1, now + 1000, &wait));
}

static void waiting_is_what_pays(void **state) {
    (void)state;
    _cleanup(quota_freep) struct quota *q = quota_new(600);
    int64_t wait, now = 1;
    unsigned had = 0;
    for (; now < 10 * 60000; now += 10) /* asks ten times as often as it may */
        had += quota_take(q, "a", 1, now, &wait);
    assert_in_range(had, 600 + 5990, 600 + 6001);
    now += 60000;
    for (int i = 0; i < 600; i++)
        assert_true(quota_take(q, "a", 1, now, &wait));
    assert_false(quota_take(q, "a", 1, now, &wait));
}

static void no_bound(void **state) {
    (void)state;
    _cleanup(quota_freep) struct quota *q = quota_new(0);
    int64_t wait;
    for (int i = 0; i < 10000; i++)
        assert_true(quota_take(q, "a", 1, 1, &wait));
}

/* Far more than the table has places: whoever has taken most is remembered longest. */
static void many_others_do_not_wash_it_away(void **state) {
    (void)state;
    _cleanup(quota_freep) struct quota *q = quota_new(10);
    int64_t wait;
    for (int i = 0; i < 10; i++)
        assert_true(quota_take(q, "a", 1, 1, &wait));
    for (int i = 0; i < 100000; i++)
        assert_true(quota_take(q, &i, sizeof(i), 1, &wait));
    assert_false(quota_take(q, "a", 1, 1, &wait));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_minutes_worth_at_once_and_no_more),
        cmocka_unit_test(waiting_is_what_pays),
        cmocka_unit_test(no_bound),
        cmocka_unit_test(many_others_do_not_wash_it_away),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
