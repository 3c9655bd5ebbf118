/* SPDX-License-Identifier: BSD-2-Clause */
/* The record of a deployment: when it is asked for, and when again. */
#include "support.h"

#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "ctl/json.h"
#include "estcd/deploy.h"

static const struct config_deploy wanted = {.digest = (char[]){"D1"}},
                                  changed = {.digest = (char[]){"D2"}};

static void asked_for_once_and_anew_for_what_is_new(void **state) {
    (void)state;
    _cleanup(deploy_clear) struct deploy_record record = {0};
    assert_true(deploy_is_new(&record, &wanted, 1));
    assert_int_equal(deploy_begin(&record, &wanted, 1), 0);
    assert_int_equal(record.state, DEPLOY_WAITING);
    assert_false(deploy_is_new(&record, &wanted, 1));
    assert_true(deploy_is_new(&record, &wanted, 2));
    assert_true(deploy_is_new(&record, &changed, 1));
    assert_true(deploy_end(&record, 1, "broken"));
    assert_false(deploy_is_new(&record, &wanted, 1)); /* its time will come */
    assert_int_equal(deploy_begin(&record, &wanted, 2), 0);
    assert_int_equal(record.failures, 0);
    assert_null(record.last_error);
}

static void an_outcome_counts_for_its_generation(void **state) {
    (void)state;
    _cleanup(deploy_clear) struct deploy_record record = {0};
    assert_false(deploy_end(&record, 1, NULL)); /* nobody asked */
    assert_int_equal(record.state, DEPLOY_NONE);
    assert_int_equal(deploy_begin(&record, &wanted, 5), 0);
    assert_false(deploy_end(&record, 4, NULL));
    assert_int_equal(record.state, DEPLOY_WAITING);
    assert_true(deploy_end(&record, 0, "could not even look\033[31m"));
    assert_true(deploy_end(&record, 5, "again"));
    assert_int_equal(record.state, DEPLOY_FAILED);
    assert_int_equal(record.failures, 2);
    assert_true(deploy_end(&record, 5, NULL));
    assert_int_equal(record.state, DEPLOY_DONE);
    assert_int_equal(record.failures, 0);
    assert_null(record.last_error);
}

static void the_wait_doubles_up_to_six_hours(void **state) {
    (void)state;
    static const int64_t waits[] = {60, 120, 240, 480, 960, 1920, 3840, 7680, 15360, 21600, 21600};
    _cleanup(deploy_clear) struct deploy_record record = {0};
    assert_int_equal(deploy_begin(&record, &wanted, 1), 0);
    for (size_t i = 0; i < sizeof(waits) / sizeof(waits[0]); i++) {
        assert_true(deploy_end(&record, 1, "x"));
        assert_int_equal(deploy_wait(&record, &wanted), waits[i]);
    }
    record.failures = 1000000000;
    assert_int_equal(deploy_wait(&record, &wanted), 21600);
    assert_true(deploy_end(&record, 1, "x"));
    assert_int_equal(record.failures, 1000000000);
}

/* Whoever takes as long as he may has not been silent. */
static void silence_begins_after_the_longest_deployment(void **state) {
    (void)state;
    struct config_exec programs[] = {{.timeout = 3600}, {.timeout = 60}};
    char *units[] = {(char[]){"a.service"}, (char[]){"b.service"}, NULL};
    const struct config_deploy deploy = {
        .exec = {.items = programs, .n = 2}, .reload = units, .restart = units};
    const struct deploy_record record = {.state = DEPLOY_WAITING};
    assert_int_equal(deploy_wait(&record, &deploy), 600 + 3660 + 4 * 90);
}

static void survives_being_written_and_read(void **state) {
    (void)state;
    _cleanup(deploy_clear) struct deploy_record record = {0}, back = {0};
    assert_int_equal(deploy_begin(&record, &wanted, 7), 0);
    assert_true(deploy_end(&record, 7, "hook ended with status 3"));
    record.next = 1900000000;
    _cleanup(json_freep) json_t *json = deploy_to_json(&record);
    deploy_from_json(json, &back);
    assert_int_equal(back.generation, 7);
    assert_int_equal(back.state, DEPLOY_FAILED);
    assert_int_equal(back.failures, 1);
    assert_int_equal(back.next, 1900000000);
    assert_string_equal(back.digest, "D1");
    assert_string_equal(back.last_error, "hook ended with status 3");
}

static void nonsense_on_disk_means_once_more(void **state) {
    (void)state;
    static const char *const texts[] = {
        "{}",
        "{\"state\": \"doing\", \"generation\": \"7\", \"digest\": 3}",
        "{\"state\": 3, \"generation\": -7, \"failures\": -1, \"next\": -1}",
        "{\"state\": \"done\", \"generation\": 1, \"digest\": null, \"failures\": 1e99}",
    };
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        _cleanup(json_freep) json_t *json = ctl_json_object(texts[i], strlen(texts[i]));
        _cleanup(deploy_clear) struct deploy_record record = {0};
        assert_non_null(json);
        deploy_from_json(json, &record);
        assert_true(deploy_is_new(&record, &wanted, 1));
        assert_int_equal(record.failures, 0);
        assert_int_equal(record.next, 0);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(asked_for_once_and_anew_for_what_is_new),
        cmocka_unit_test(an_outcome_counts_for_its_generation),
        cmocka_unit_test(the_wait_doubles_up_to_six_hours),
        cmocka_unit_test(silence_begins_after_the_longest_deployment),
        cmocka_unit_test(survives_being_written_and_read),
        cmocka_unit_test(nonsense_on_disk_means_once_more),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
