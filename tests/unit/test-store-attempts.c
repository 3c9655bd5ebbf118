/* SPDX-License-Identifier: BSD-2-Clause */
/* The record of attempts, which lies in a folder that workers write in. */
#include "store_fixture.h"

static void attempts_are_read_back(void **state) {
    struct site *site = *state;
    const struct store_attempts made = {
        .failures = 7,
        .last_attempt = 1800000000,
        .last_result = ESTC_E_UNREACHABLE,
        .last_error = (char[]){"no reply: \"maybe\" later"},
        .last_action = (char[]){"renew"},
        .last_server = (char[]){"coaps://b.example"},
        .pending_until = 1800000060,
        .pending_since = 1799999000,
        .rolled_back = 12,
    };
    struct store_attempts seen = {0};
    assert_int_equal(store_save_attempts(site->state, ID, &made, NULL), 0);
    assert_int_equal(site_mode(site, "attempts.json"), 0644);
    store_load_attempts(site->state, ID, &seen);
    assert_int_equal(seen.failures, 7);
    assert_int_equal(seen.last_attempt, 1800000000);
    assert_int_equal(seen.last_result, ESTC_E_UNREACHABLE);
    assert_string_equal(seen.last_error, made.last_error);
    assert_string_equal(seen.last_action, "renew");
    assert_string_equal(seen.last_server, "coaps://b.example");
    assert_int_equal(seen.pending_until, 1800000060);
    assert_int_equal(seen.pending_since, 1799999000);
    assert_int_equal(seen.rolled_back, 12);
    store_attempts_clear(&seen);
    assert_null(seen.last_error);
    const struct store_attempts none = {.last_result = -EIO};
    assert_int_equal(store_save_attempts(site->state, ID, &none, NULL), 0);
    store_load_attempts(site->state, ID, &seen);
    assert_int_equal(seen.last_result, -EIO);
    assert_null(seen.last_error);
    assert_null(seen.last_action);
    assert_null(seen.last_server);
}

/* It lies in a folder that workers write in. */
static void hostile_attempts_are_bounded(void **state) {
    struct site *site = *state;
    static const struct {
        const char *text;
        struct store_attempts seen;
    } rows[] = {
        {"", {0}},
        {"[]", {0}},
        {"{}", {0}},
        {"{\"failures\": 3", {0}},
        {"{\"failures\": -1, \"last_attempt\": -1, \"pending_until\": -1}", {0}},
        {"{\"failures\": \"3\", \"last_attempt\": 1.5, \"last_error\": 7}", {0}},
        {"{\"failures\": 9223372036854775807, \"last_attempt\": 9223372036854775807}",
         {.failures = 1000000000, .last_attempt = 253402300799}},
        {"{\"pending_until\": 9223372036854775807}", {.pending_until = 253402300799}},
        {"{\"pending_since\": 9223372036854775807}", {.pending_since = 253402300799}},
        {"{\"pending_since\": -1}", {0}},
        {"{\"last_result\": 9223372036854775807}", {.last_result = ESTC_E_MAX_ - 1}},
        {"{\"last_result\": -9223372036854775807}", {.last_result = INT32_MIN}},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct store_attempts seen = {.failures = 1};
        site_write(site, "attempts.json", rows[i].text, 0644);
        store_load_attempts(site->state, ID, &seen);
        assert_memory_equal(&seen, &rows[i].seen, sizeof(seen));
    }
}

static void texts_of_attempts_are_clean(void **state) {
    struct site *site = *state;
    struct store_attempts seen = {0};
    char text[2000];
    int at = snprintf(text, sizeof(text), "{\"last_error\": \"\\u001b[31m");
    memset(text + at, 'x', 1500);
    snprintf(text + at + 1500, 100, "\"}");
    site_write(site, "attempts.json", text, 0644);
    store_load_attempts(site->state, ID, &seen);
    assert_int_equal(strlen(seen.last_error), 1024);
    assert_memory_equal(seen.last_error, "?[31mxxx", 8);
    store_attempts_clear(&seen);
}

static void a_record_that_is_no_file_counts_as_none(void **state) {
    struct site *site = *state;
    struct store_attempts seen = {0};
    int fd = site_identity(site);
    site_write(site, "elsewhere", "{\"failures\": 3}", 0644);
    assert_int_equal(symlinkat("elsewhere", fd, "attempts.json"), 0);
    store_load_attempts(site->state, ID, &seen);
    assert_int_equal(seen.failures, 0);
    /* Writing puts a file there and leaves what the link led to. */
    const struct store_attempts made = {.failures = 5};
    assert_int_equal(store_save_attempts(site->state, ID, &made, NULL), 0);
    assert_content(fd, "elsewhere", "{\"failures\": 3}");
    store_load_attempts(site->state, ID, &seen);
    assert_int_equal(seen.failures, 5);
    assert_int_equal(unlinkat(fd, "attempts.json", 0), 0);
    assert_int_equal(mkfifoat(fd, "attempts.json", 0600), 0);
    store_load_attempts(site->state, ID, &seen);
    assert_int_equal(seen.failures, 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        SITED(attempts_are_read_back),
        SITED(hostile_attempts_are_bounded),
        SITED(texts_of_attempts_are_clean),
        SITED(a_record_that_is_no_file_counts_as_none),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
