/* SPDX-License-Identifier: BSD-2-Clause */
#include "support.h"

#include <stdlib.h>
#include <string.h>

#include "base/text.h"

static void assert_clean(const void *in, size_t len, size_t max, const char *expected) {
    char *out = text_clean(in, len, max);
    assert_non_null(out);
    assert_string_equal(out, expected);
    free(out);
}

static void cleans_and_bounds(void **state) {
    (void)state;
    assert_clean("hello", 5, 10, "hello");
    assert_clean("hello", 5, 5, "hello");
    assert_clean("hello", 5, 4, "h...");
    assert_clean("hello", 5, 3, "...");
    assert_clean("hello", 5, 2, "..");
    assert_clean("hello", 5, 0, "");
    assert_clean("", 0, 10, "");
    assert_clean("a\0b", 3, 10, "a?b");
    assert_clean("a\r\nb", 4, 10, "a??b");
    assert_clean("\xe2\x82\xac\xe2\x82\xac", 6, 6, "\xe2\x82\xac\xe2\x82\xac");
    assert_clean("\xe2\x82\xac\xe2\x82\xac", 6, 5, "...");
    assert_clean("\xe2\x82\xacxx\xe2\x82\xac", 8, 7, "\xe2\x82\xacx...");
    assert_clean("\xe2\x82", 2, 10, "??");
    assert_clean("\xef\xbb\xbfx", 4, 10, "?x");
}

/* Whatever the bytes, what comes out is short enough and cleaning it again changes nothing. */
static void any_bytes_become_clean(void **state) {
    (void)state;
    unsigned seed = 1;
    for (int round = 0; round < 20000; round++) {
        unsigned char in[24];
        for (size_t i = 0; i < sizeof(in); i++) {
            seed = seed * 1103515245 + 12345;
            in[i] = (unsigned char)(seed >> 16);
        }
        size_t max = seed >> 8 & 31;
        char *out = text_clean(in, sizeof(in), max);
        assert_non_null(out);
        assert_true(strlen(out) <= max);
        char *again = strdup(out);
        text_clean_in_place(again);
        assert_string_equal(again, out);
        free(again);
        free(out);
    }
}

static void cleans_in_place(void **state) {
    (void)state;
    char text[] = "a\x1b\xc2\x85\xe2\x80\xa9z";
    text_clean_in_place(text);
    assert_string_equal(text, "a???z");
}

static void formats_and_hexes(void **state) {
    (void)state;
    char *text = text_format("%s-%04d", "x", 7);
    assert_string_equal(text, "x-0007");
    free(text);
    text = text_hex((const unsigned char *)"\x00\xab\x5f", 3);
    assert_string_equal(text, "00AB5F");
    free(text);
    text = text_hex(NULL, 0);
    assert_string_equal(text, "");
    free(text);
    assert_null(text_hex((const unsigned char *)"", SIZE_MAX));
}

static void compares_without_case(void **state) {
    (void)state;
    assert_true(text_same("CN", "cn", 2));
    assert_true(text_same("DNS:x", "dns:y", 4));
    assert_true(text_same("", "x", 0));
    assert_true(text_same("a", "A", 10)); /* never beyond the NUL */
    assert_false(text_same("a", "ab", 2));
    assert_false(text_same("ab", "a", 2));
    assert_false(text_same("[", "{", 1)); /* 0x20 apart, but no letters */
    assert_false(text_same("@", "`", 1));
    assert_false(text_same("\xc3\x84", "\xc3\xa4", 2));
}

static void lists_grow(void **state) {
    (void)state;
    char **list = NULL;
    assert_int_equal(text_list_len(NULL), 0);
    text_list_free(NULL);
    assert_int_equal(text_list_add(&list, "one"), 0);
    assert_int_equal(text_list_add(&list, ""), 0);
    assert_int_equal(text_list_len(list), 2);
    assert_string_equal(list[0], "one");
    assert_string_equal(list[1], "");
    assert_null(list[2]);
    text_list_free(list);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(cleans_and_bounds),     cmocka_unit_test(any_bytes_become_clean),
        cmocka_unit_test(cleans_in_place),       cmocka_unit_test(formats_and_hexes),
        cmocka_unit_test(compares_without_case), cmocka_unit_test(lists_grow),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
