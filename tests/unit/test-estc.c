/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The program estc, run as it is, against a control socket whose daemon plays one part for each
 * identity: what goes to stdout, what to stderr, and what it exits with.
 */
#include "estc_run.h"

static void looking_is_done_whatever_it_shows(void **state) {
    (void)state;
    expect("list", EXIT_DONE, "ID       STATE    EXPIRES            LEFT", "");
    expect("list", EXIT_DONE, "\n8 identities, 3 need attention.\n", "");
    expect("list --no-legend", EXIT_DONE, "good     valid    2099-03-01 12:00Z", "");
    struct result r = run("list --no-legend");
    assert_null(strstr(r.out, "STATE"));
    assert_null(strstr(r.out, "attention"));
    result_clear(&r);
    expect("show lost", EXIT_DONE, "State        failing\n", "");
    expect("cacerts good", EXIT_DONE, "-----BEGIN\n?[31m\n-----END\n", "");
    expect("version", EXIT_DONE, "\nestcd 9.9.9 (running)\n", "");
}

static void json_has_the_stated_shapes(void **state) {
    (void)state;
    json_t *list = json_of("list --json", EXIT_DONE);
    assert_int_equal(json_array_size(list), 8);
    json_decref(list);
    json_t *one = json_of("--json show good", EXIT_DONE);
    assert_string_equal(json_string_value(json_object_get(one, "id")), "good");
    json_decref(one);
    json_t *pem = json_of("cacerts good --json", EXIT_DONE);
    assert_true(json_is_string(json_object_get(pem, "pem")));
    json_decref(pem);
    json_t *versions = json_of("version --json", EXIT_DONE);
    assert_true(json_is_string(json_object_get(versions, "estc")));
    assert_string_equal(json_string_value(json_object_get(versions, "estcd")), "9.9.9");
    json_decref(versions);
    json_t *outcomes = json_of("enroll --json good refused", EXIT_REJECTED);
    assert_int_equal(json_array_size(outcomes), 2);
    json_decref(outcomes);
    json_t *single = json_of("renew --json good", EXIT_DONE);
    assert_int_equal(json_array_size(single), 1);
    json_decref(single);
    json_t *none = json_of("enroll --json nobody", EXIT_FAILED);
    assert_int_equal(json_array_size(none), 0);
    json_decref(none);
}

static void each_outcome_has_its_code_and_words(void **state) {
    (void)state;
    static const struct {
        const char *line;
        int status;
        const char *err;
    } cases[] = {
        {"enroll good", EXIT_DONE,
         "good: started (enroll)\ngood: DTLS session established\n"
         "good: certificate 0A1B, valid until 2099-03-01 12:00Z\n"},
        {"renew fresh", EXIT_DONE,
         "fresh: not due: renewal is planned for 2099-02-01; 'estc renew --force fresh' does it "
         "all the same\n"},
        {"enroll fresh", EXIT_DONE, "'estc enroll --force fresh' does it all the same\n"},
        {"enroll fresh --force", EXIT_DONE, "fresh: certificate 0A1B"},
        {"enroll later", EXIT_WORKING,
         "later: pending: 5.03 awaiting approval\nlater: next: poll now (Max-Age)\n"},
        {"enroll refused", EXIT_REJECTED,
         "refused: failed: 4.03 ?[31mno\nrefused: next: retry now (try 2)\n"},
        {"enroll lost", EXIT_UNREACHABLE, "lost: failed: no reply\n"},
        {"enroll odd", EXIT_FAILED, "odd: failed: a bug\n"},
        {"enroll unfit", EXIT_BAD_CONFIG, "unfit: config: key.pem: missing\n"},
        {"enroll slow --timeout 1s", EXIT_WORKING, "slow: still under way after 1s; estcd goes on"},
        {"enroll slow --no-wait", EXIT_DONE, "slow: started (enroll)\n"},
        {"enroll nobody", EXIT_FAILED, "there is no identity 'nobody': 'estc list' shows all"},
        {"show nobody", EXIT_FAILED, "there is no identity 'nobody'"},
        {"renew unfit", EXIT_FAILED, "unfit has no certificate yet: 'estc enroll unfit' gets one"},
        {"cacerts lost", EXIT_FAILED, "lost has no certificate yet"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        expect(cases[i].line, cases[i].status, "", cases[i].err);
}

/* 4, 2, 3, 1, 5, 0. */
static void of_several_the_worst_counts(void **state) {
    (void)state;
    expect("enroll good unfit refused lost odd later", EXIT_BAD_CONFIG, "", NULL);
    expect("enroll later odd lost refused good", EXIT_REJECTED, "", NULL);
    expect("enroll good odd lost later", EXIT_UNREACHABLE, "", NULL);
    expect("enroll later nobody good", EXIT_FAILED, "", NULL);
    expect("enroll good later good", EXIT_WORKING, "", NULL);
    expect("enroll good fresh good", EXIT_DONE, "", NULL);
    /* More than are watched at once. */
    expect("enroll good good good good good good good good good good good good good good good good "
           "good good good refused",
           EXIT_REJECTED, "", "refused: failed");
    /* One that takes its time holds nobody else up. */
    expect("enroll slow good refused --timeout 4s", EXIT_REJECTED, "", "good: certificate 0A1B");
}

static void a_timeout_still_tells_the_state(void **state) {
    (void)state;
    json_t *list = json_of("enroll slow --timeout 1s --json", EXIT_WORKING);
    assert_string_equal(json_string_value(json_object_get(json_array_get(list, 0), "state")),
                        "working");
    json_decref(list);
}

static void reload_says_what_is_wrong(void **state) {
    (void)state;
    expect("reload", EXIT_DONE, "", "The configuration was read again: 8 identities.\n");
    expect("reload", EXIT_BAD_CONFIG, "",
           "estcd.conf:3: urll: unknown key\nestcd.conf:4: url: empty\n"
           "estc: the configuration has 2 errors; the old one stays in force\n");
    json_t *good = json_of("reload --json", EXIT_DONE);
    assert_int_equal(json_integer_value(json_object_get(good, "identities")), 8);
    json_decref(good);
    json_t *bad = json_of("reload --json", EXIT_BAD_CONFIG);
    assert_int_equal(json_array_size(json_object_get(bad, "errors")), 2);
    json_decref(bad);
}

static void events_come_line_by_line(void **state) {
    (void)state;
    struct result r = run("events");
    assert_int_equal(r.status, EXIT_DONE);
    assert_string_equal(r.out,
                        "2026-12-30T12:00:00Z  good              started        enroll\n"
                        "2026-12-30T12:00:00Z  good              failed         a?b ?[31m\n");
    result_clear(&r);
    r = run("events --json");
    char *second = strchr(r.out, '\n');
    assert_non_null(second);
    json_t *event = json_loads(second + 1, 0, NULL);
    assert_string_equal(json_string_value(json_object_get(event, "text")), "a\nb \033[31m");
    assert_null(strchr(r.out, '\033'));
    json_decref(event);
    result_clear(&r);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(looking_is_done_whatever_it_shows),
        cmocka_unit_test(json_has_the_stated_shapes),
        cmocka_unit_test(each_outcome_has_its_code_and_words),
        cmocka_unit_test(of_several_the_worst_counts),
        cmocka_unit_test(a_timeout_still_tells_the_state),
        cmocka_unit_test(reload_says_what_is_wrong),
        cmocka_unit_test(events_come_line_by_line),
    };
    return cmocka_run_group_tests(tests, start_daemon, stop_daemon);
}
