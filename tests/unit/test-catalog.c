/* SPDX-License-Identifier: BSD-2-Clause */
/* Entries that can be found: what reaches the log of each event. journal_write() is this file's. */
#include "support.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "estcd/catalog.h"

static struct {
    enum estc_log_level level;
    char fields[1024], text[256];
} entry;

void __wrap_journal_write(enum estc_log_level level, const char *const *fields, const char *fmt,
                          ...) ESTC_PRINTF(3, 4);
void __wrap_journal_write(enum estc_log_level level, const char *const *fields, const char *fmt,
                          ...) {
    va_list args;
    entry.level = level;
    entry.fields[0] = '\0';
    for (; fields && *fields; fields++) {
        strncat(entry.fields, *fields, sizeof(entry.fields) - strlen(entry.fields) - 2);
        strcat(entry.fields, "\n");
    }
    va_start(args, fmt);
    vsnprintf(entry.text, sizeof(entry.text), fmt, args);
    va_end(args);
}

static void an_entry_says_what_and_whom(void **state) {
    (void)state;
    static const char *const more[] = {"ESTC_RESULT=timeout", "ESTC_FAILURES=3", NULL};
    catalog_log(CATALOG_FAILED, "gw-mqtt", more, "%s: 100 %% of %s", "gw-mqtt", "tries");
    assert_int_equal(entry.level, ESTC_LOG_WARNING);
    assert_string_equal(entry.text, "gw-mqtt: 100 % of tries");
    assert_string_equal(entry.fields, "MESSAGE_ID=4266157791254a6fb4b33b9c3ca71254\n"
                                      "ESTC_EVENT=failed\nESTC_ID=gw-mqtt\n"
                                      "ESTC_RESULT=timeout\nESTC_FAILURES=3\n");
}

static void the_daemons_own_name_no_identity(void **state) {
    (void)state;
    catalog_log(CATALOG_STARTED, NULL, NULL, "here");
    assert_int_equal(entry.level, ESTC_LOG_NOTICE);
    assert_string_equal(entry.fields, "MESSAGE_ID=f41cf87ec743457ea031a242866b136e\n"
                                      "ESTC_EVENT=started\n");
}

static void text_is_not_a_format(void **state) {
    (void)state;
    catalog_log(CATALOG_CLOCK_DOUBTED, NULL, NULL, "%s", "%s %n");
    assert_string_equal(entry.text, "%s %n");
}

static void more_fields_than_there_is_room_for_are_left_out(void **state) {
    (void)state;
    static const char *const many[] = {"A=1", "B=1", "C=1", "D=1", "E=1",
                                       "F=1", "G=1", "H=1", "I=1", NULL};
    catalog_log(CATALOG_ISSUED, "gw", many, "x");
    assert_non_null(strstr(entry.fields, "ESTC_ID=gw\nA=1\n"));
    assert_non_null(strstr(entry.fields, "H=1\n"));
    assert_null(strstr(entry.fields, "I=1"));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_entry_says_what_and_whom),
        cmocka_unit_test(the_daemons_own_name_no_identity),
        cmocka_unit_test(text_is_not_a_format),
        cmocka_unit_test(more_fields_than_there_is_room_for_are_left_out),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
