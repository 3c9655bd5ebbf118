/* SPDX-License-Identifier: BSD-2-Clause */
/* Error texts and the library's log, which clean in the same way. */
#include "support.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include <estc/error.h>

#include "base/log.h"

static void says_what_it_was_told(void **state) {
    (void)state;
    struct estc_error err = {0};
    assert_int_equal(estc_error_set(&err, ESTC_E_TIMEOUT, "%s after %d s", "gave up", 7),
                     ESTC_E_TIMEOUT);
    assert_int_equal(err.code, ESTC_E_TIMEOUT);
    assert_string_equal(err.text, "gave up after 7 s");
    assert_int_equal(estc_error_set(NULL, -EIO, "nobody listens"), -EIO);
}

static void replaces_what_could_harm(void **state) {
    (void)state;
    static const struct {
        const char *in, *out;
    } cases[] = {
        {"a\nb\tc\033[31m", "a?b?c?[31m"},
        {"\x7f", "?"},
        {"caf\xc3\xa9 \xe2\x82\xac \xf0\x9f\x98\x80", "caf\xc3\xa9 \xe2\x82\xac \xf0\x9f\x98\x80"},
        {"\xc2\x9b"
         "1m",
         "?1m"},                      /* a C1 control in UTF-8 */
        {"\xff\xfe", "??"},           /* never UTF-8 */
        {"\xc0\xaf", "??"},           /* overlong */
        {"\xed\xa0\x80", "???"},      /* a surrogate */
        {"\xf4\x90\x80\x80", "????"}, /* beyond Unicode */
        {"x\xe2\x82", "x??"},         /* cut short */
        {"\xe2\x80\xae", "?"},        /* turns the direction of writing */
        {"\xe2\x80\xa8", "?"},        /* a line separator */
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct estc_error err = {0};
        estc_error_set(&err, 1, "%s", cases[i].in);
        assert_string_equal(err.text, cases[i].out);
    }
}

static void cuts_long_texts_between_characters(void **state) {
    (void)state;
    char text[4000];
    struct estc_error err = {0};
    memset(text, 'a', sizeof(text));
    for (size_t len = ESTC_ERROR_TEXT_MAX - 2; len < sizeof(text); len++) {
        estc_error_set(&err, 1, "%.*s", (int)len, text);
        bool cut = len >= ESTC_ERROR_TEXT_MAX;
        assert_int_equal(strlen(err.text), cut ? ESTC_ERROR_TEXT_MAX - 1 : len);
        assert_int_equal(strstr(err.text, "...") != NULL, cut);
    }
    /* Two-byte characters at both parities of the cut. */
    for (size_t at = 0; at + 1 < sizeof(text); at += 2)
        memcpy(text + at, "\xc3\xa9", 2);
    for (int shift = 0; shift < 2; shift++) {
        estc_error_set(&err, 1, "%s%.*s", shift ? "x" : "", (int)sizeof(text) - 2, text);
        assert_null(strchr(err.text, '?'));
        assert_string_equal(err.text + strlen(err.text) - 3, "...");
    }
}

static void prefixes_and_keeps_the_code(void **state) {
    (void)state;
    struct estc_error err = {0};
    estc_error_set(&err, ESTC_E_MALFORMED, "not PKCS#7");
    assert_int_equal(estc_error_prefix(&err, "/%s", "crts"), ESTC_E_MALFORMED);
    assert_string_equal(err.text, "/crts: not PKCS#7");
    assert_true(estc_error_prefix(NULL, "lost") < 0);
    for (int i = 0; i < 300; i++)
        estc_error_prefix(&err, "again\n");
    assert_int_equal(strlen(err.text), ESTC_ERROR_TEXT_MAX - 1);
    assert_int_equal(strncmp(err.text, "again?: again?: ", 16), 0);
}

static void may_quote_itself(void **state) {
    (void)state;
    struct estc_error err = {0};
    estc_error_set(&err, 1, "inner");
    estc_error_set(&err, 2, "outer (%s)", err.text);
    assert_string_equal(err.text, "outer (inner)");
}

static void has_a_stable_name_for_each_code(void **state) {
    (void)state;
    assert_string_equal(estc_status_name(0), "ok");
    assert_string_equal(estc_status_name(-EIO), "system");
    assert_string_equal(estc_status_name(ESTC_E_PENDING), "pending");
    assert_string_equal(estc_status_name(ESTC_E_TOO_LARGE), "too-large");
    assert_string_equal(estc_status_name(ESTC_E_CANCELLED), "cancelled");
    assert_string_equal(estc_status_name(ESTC_E_STALE), "stale");
    assert_string_equal(estc_status_name(ESTC_E_MAX_), "unknown");
    for (int i = 0; i < ESTC_E_MAX_; i++)
        for (int j = 0; j < i; j++)
            assert_string_not_equal(estc_status_name(i), estc_status_name(j));
}

struct heard {
    int count;
    enum estc_log_level level;
    char text[2048];
};

static void hear(enum estc_log_level level, const char *text, void *arg) {
    struct heard *heard = arg;
    heard->count++;
    heard->level = level;
    snprintf(heard->text, sizeof(heard->text), "%s", text);
}

static void log_goes_where_it_is_told(void **state) {
    (void)state;
    struct heard heard = {0};
    log_error("nobody hears this");
    estc_log_set_handler(hear, &heard);
    log_warning("one\ntwo %d", 3);
    assert_int_equal(heard.count, 1);
    assert_int_equal(heard.level, ESTC_LOG_WARNING);
    assert_string_equal(heard.text, "one?two 3");
    char big[4000];
    memset(big, 'b', sizeof(big) - 1);
    big[sizeof(big) - 1] = '\0';
    log_debug("%s", big);
    assert_int_equal(heard.level, ESTC_LOG_DEBUG);
    assert_string_equal(heard.text + strlen(heard.text) - 4, "b...");
    estc_log_set_handler(NULL, NULL);
    log_error("nor this");
    assert_int_equal(heard.count, 2);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(says_what_it_was_told),
        cmocka_unit_test(replaces_what_could_harm),
        cmocka_unit_test(cuts_long_texts_between_characters),
        cmocka_unit_test(prefixes_and_keeps_the_code),
        cmocka_unit_test(may_quote_itself),
        cmocka_unit_test(has_a_stable_name_for_each_code),
        cmocka_unit_test(log_goes_where_it_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
