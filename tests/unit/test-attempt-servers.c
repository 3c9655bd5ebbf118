/* SPDX-License-Identifier: BSD-2-Clause */
/* Several servers: who is next and for how long, what is an answer, and what is said of all. */
#include "support.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "estcd/attempt_servers.h"

static char *const urls[] = {(char[]){"coaps://a"}, (char[]){"coaps://b"}, (char[]){"coaps://c"},
                             NULL};

static struct attempt_servers three(void) {
    return (struct attempt_servers){
        .urls = urls, .n = 3, .wait = {.deadline = 1000 + 90000, .cancel_fd = -1}};
}

static void they_are_asked_in_order_each_for_its_share(void **state) {
    (void)state;
    _cleanup(servers_clear) struct attempt_servers s = three();
    assert_int_equal(servers_pick(&s, NULL, 1000).deadline, 1000 + 30000);
    assert_int_equal(s.asked, 0);
    assert_true(servers_failed(&s, ESTC_E_UNREACHABLE, "no reply"));
    /* What the first has left over is for the others. */
    assert_int_equal(servers_pick(&s, NULL, 11000).deadline, 11000 + 40000);
    assert_int_equal(s.asked, 1);
    assert_true(servers_failed(&s, ESTC_E_TIMEOUT, "late"));
    assert_int_equal(servers_pick(&s, NULL, 51000).deadline, 91000);
    assert_int_equal(s.asked, 2);
    assert_false(servers_failed(&s, ESTC_E_UNTRUSTED, "stranger"));
}

static void no_time_left_is_no_time_longer(void **state) {
    (void)state;
    _cleanup(servers_clear) struct attempt_servers s = three();
    assert_int_equal(servers_pick(&s, NULL, 200000).deadline, 91000);
    assert_int_equal(servers_pick(&s, NULL, INT64_MAX).deadline, 91000);
}

static void one_server_has_all_the_time(void **state) {
    (void)state;
    _cleanup(servers_clear) struct attempt_servers s = three();
    s.n = 1;
    assert_int_equal(servers_pick(&s, "coaps://a", 1000).deadline, 91000);
    assert_false(servers_failed(&s, ESTC_E_TIMEOUT, "late"));
}

static void where_a_request_waits_is_asked_first(void **state) {
    (void)state;
    _cleanup(servers_clear) struct attempt_servers s = three();
    servers_pick(&s, "coaps://c", 0);
    assert_int_equal(s.asked, 2);
    assert_true(servers_failed(&s, ESTC_E_UNREACHABLE, "away"));
    servers_pick(&s, "coaps://c", 0);
    assert_int_equal(s.asked, 0);
    assert_true(servers_failed(&s, ESTC_E_UNREACHABLE, "away"));
    servers_pick(&s, "coaps://c", 0);
    assert_int_equal(s.asked, 1);
    /* One that is not configured any more is nobody. */
    _cleanup(servers_clear) struct attempt_servers other = three();
    servers_pick(&other, "coaps://d", 0);
    assert_int_equal(other.asked, 0);
}

static void what_the_ca_has_said_is_an_answer(void **state) {
    (void)state;
    static const struct {
        enum attempt_step step;
        int code;
        bool another;
    } rows[] = {
        {ATTEMPT_CONNECT, ESTC_E_UNREACHABLE, true},
        {ATTEMPT_CONNECT, ESTC_E_TIMEOUT, true},
        {ATTEMPT_CONNECT, ESTC_E_UNTRUSTED, true},
        {ATTEMPT_CONNECT, ESTC_E_REJECTED, true}, /* by an alert */
        {ATTEMPT_CACERTS, ESTC_E_TIMEOUT, true},
        {ATTEMPT_CACERTS, ESTC_E_NOT_FOUND, true},
        {ATTEMPT_ENROLL, ESTC_E_TIMEOUT, true},
        {ATTEMPT_ENROLL, ESTC_E_SERVER, true},
        {ATTEMPT_PROVE, ESTC_E_UNREACHABLE, true},
        {ATTEMPT_ENROLL, ESTC_E_REJECTED, false},
        {ATTEMPT_ENROLL, ESTC_E_PENDING, false},
        {ATTEMPT_ENROLL, 0, false},
        {ATTEMPT_CHECK, ESTC_E_UNTRUSTED, false}, /* the certificate, not the server */
        {ATTEMPT_PROVE, ESTC_E_REJECTED, false},
        {ATTEMPT_OPEN, ESTC_E_CREDENTIAL, false},
        {ATTEMPT_CREDENTIALS, ESTC_E_CREDENTIAL, false},
        {ATTEMPT_CONNECT, ESTC_E_CREDENTIAL, false},
        {ATTEMPT_CONNECT, ESTC_E_CANCELLED, false},
        {ATTEMPT_CONNECT, -ENOMEM, false},
        {ATTEMPT_COMMIT, -EIO, false},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        if (servers_may_differ(rows[i].step, rows[i].code) != rows[i].another)
            fail_msg("row %zu", i);
}

static void all_are_named_and_the_most_telling_counts(void **state) {
    (void)state;
    _cleanup(servers_clear) struct attempt_servers s = three();
    static const int codes[] = {ESTC_E_UNREACHABLE, ESTC_E_UNTRUSTED, ESTC_E_TIMEOUT};
    static const char *const texts[] = {"no reply", "unknown issuer", "late"};
    for (size_t i = 0; i < 3; i++) {
        servers_pick(&s, NULL, 0);
        servers_failed(&s, codes[i], texts[i]);
    }
    _cleanup(freep) char *text = NULL;
    assert_int_equal(servers_sum(&s, &text), ESTC_E_UNTRUSTED);
    assert_string_equal(text, "none of the 3 servers helps: coaps://a: no reply; "
                              "coaps://b: unknown issuer; coaps://c: late");
}

static void the_text_is_bounded(void **state) {
    (void)state;
    char *many[CONFIG_URLS_MAX + 1] = {NULL};
    char url[600], why[600], short_url[] = "coaps://short";
    memset(url, 'u', sizeof(url) - 1);
    memset(why, 'w', sizeof(why) - 1);
    url[sizeof(url) - 1] = why[sizeof(why) - 1] = 0;
    for (size_t i = 0; i < CONFIG_URLS_MAX; i++)
        many[i] = i % 2 ? url : short_url;
    _cleanup(servers_clear) struct attempt_servers s = {.urls = many, .n = CONFIG_URLS_MAX};
    for (size_t i = 0; i < CONFIG_URLS_MAX; i++) {
        servers_pick(&s, NULL, 0);
        assert_int_equal(servers_failed(&s, ESTC_E_TIMEOUT, why), i + 1 < CONFIG_URLS_MAX);
    }
    _cleanup(freep) char *text = NULL;
    assert_int_equal(servers_sum(&s, &text), ESTC_E_TIMEOUT);
    assert_in_range(strlen(text), 900, 1024);
    assert_non_null(strstr(text, "; coaps://short: www"));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(they_are_asked_in_order_each_for_its_share),
        cmocka_unit_test(no_time_left_is_no_time_longer),
        cmocka_unit_test(one_server_has_all_the_time),
        cmocka_unit_test(where_a_request_waits_is_asked_first),
        cmocka_unit_test(what_the_ca_has_said_is_an_answer),
        cmocka_unit_test(all_are_named_and_the_most_telling_counts),
        cmocka_unit_test(the_text_is_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
