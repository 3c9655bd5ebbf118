/* SPDX-License-Identifier: BSD-2-Clause */
#include "support.h"

#include <errno.h>
#include <string.h>

static void starts_empty_and_clears_twice(void **state) {
    (void)state;
    struct estc_buf buf = {0};
    estc_buf_clear(&buf);
    estc_buf_clear(NULL);
    assert_int_equal(estc_buf_append(&buf, "abc", 3), 0);
    estc_buf_clear(&buf);
    assert_null(buf.data);
    assert_int_equal(buf.len, 0);
    assert_int_equal(buf.cap, 0);
    assert_int_equal(estc_buf_append(&buf, "d", 1), 0);
    assert_string_equal(buf.data, "d");
    estc_buf_clear(&buf);
}

static void is_always_followed_by_a_nul(void **state) {
    (void)state;
    struct estc_buf buf = {0};
    assert_int_equal(estc_buf_append(&buf, NULL, 0), 0);
    assert_non_null(buf.data);
    assert_string_equal(buf.data, "");
    for (int i = 0; i < 5000; i++) {
        assert_int_equal(estc_buf_append(&buf, "x", 1), 0);
        assert_int_equal(buf.data[buf.len], '\0');
        assert_true(buf.cap > buf.len);
    }
    assert_int_equal(buf.len, 5000);
    assert_int_equal(strspn((char *)buf.data, "x"), 5000);
    estc_buf_clear(&buf);
}

static void takes_zero_bytes(void **state) {
    (void)state;
    struct estc_buf buf = {0};
    assert_int_equal(estc_buf_append(&buf, "a\0b", 3), 0);
    assert_int_equal(estc_buf_append(&buf, "\0", 1), 0);
    assert_int_equal(buf.len, 4);
    assert_memory_equal(buf.data, "a\0b\0", 5);
    estc_buf_clear(&buf);
}

static void keeps_its_content_when_memory_is_out(void **state) {
    (void)state;
    struct estc_buf buf = {0};
    assert_int_equal(estc_buf_append(&buf, "keep", 4), 0);
    assert_int_equal(estc_buf_append(&buf, "x", SIZE_MAX), -ENOMEM);
    assert_int_equal(estc_buf_append(&buf, "x", SIZE_MAX - 4), -ENOMEM);
#ifndef ESTC_SANITIZE /* which stops a program that asks for that much */
    assert_int_equal(estc_buf_append(&buf, "x", SIZE_MAX / 2), -ENOMEM);
#endif
    assert_int_equal(buf.len, 4);
    assert_string_equal(buf.data, "keep");
    estc_buf_clear(&buf);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(starts_empty_and_clears_twice),
        cmocka_unit_test(is_always_followed_by_a_nul),
        cmocka_unit_test(takes_zero_bytes),
        cmocka_unit_test(keeps_its_content_when_memory_is_out),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
