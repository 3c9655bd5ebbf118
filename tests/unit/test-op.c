/* SPDX-License-Identifier: BSD-2-Clause */
#include "support.h"

#include <errno.h>
#include <string.h>

#include <estc/op.h>

static void u02_table_of_operations(void **state) {
    (void)state;
    static const struct {
        enum estc_op op;
        const char *name, *long_name;
        enum estc_method method;
        int request, response;
        unsigned success;
    } rows[] = {
        {ESTC_OP_CRTS, "crts", "cacerts", ESTC_GET, -1, 281, 205},
        {ESTC_OP_SEN, "sen", "simpleenroll", ESTC_POST, 286, 281, 204},
        {ESTC_OP_SREN, "sren", "simplereenroll", ESTC_POST, 286, 281, 204},
        {ESTC_OP_SKG, "skg", "serverkeygen", ESTC_POST, 286, 62, 204},
        {ESTC_OP_SKC, "skc", "serverkeygen", ESTC_POST, 286, 62, 204},
        {ESTC_OP_ATT, "att", "csrattrs", ESTC_GET, -1, 285, 205},
    };
    assert_int_equal(sizeof(rows) / sizeof(rows[0]), ESTC_OP_MAX_);
    for (size_t i = 0; i < ESTC_OP_MAX_; i++) {
        const struct estc_op_info *info = estc_op_info(rows[i].op);
        assert_string_equal(info->name, rows[i].name);
        assert_string_equal(info->long_name, rows[i].long_name);
        assert_int_equal(info->method, rows[i].method);
        assert_int_equal(info->request_format, rows[i].request);
        assert_int_equal(info->response_format, rows[i].response);
        assert_int_equal(info->success_code, rows[i].success);
    }
    assert_null(estc_op_info(ESTC_OP_MAX_));
    assert_null(estc_op_info((enum estc_op) - 1));
}

static void only_short_names_are_paths(void **state) {
    (void)state;
    enum estc_op op = ESTC_OP_MAX_;
    for (int i = 0; i < ESTC_OP_MAX_; i++) {
        assert_int_equal(estc_op_parse(estc_op_info((enum estc_op)i)->name, &op), 0);
        assert_int_equal(op, i);
        assert_int_equal(estc_op_parse(estc_op_info((enum estc_op)i)->long_name, &op), -EINVAL);
        assert_int_equal(op, i);
    }
    static const char *const wrong[] = {"", "Sen", "sen ", "fullcmc", "serverkeygen"};
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
        assert_int_equal(estc_op_parse(wrong[i], &op), -EINVAL);
}

static void u03_labels_are_one_segment_and_no_operation(void **state) {
    (void)state;
    static const char *const good[] = {"", "a", "plant-7", "sensor", "Sen", "a.b", "a:b@c", "..."};
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
        assert_int_equal(estc_label_check(good[i], NULL), 0);
    assert_int_equal(estc_label_check(NULL, NULL), 0);
    static const struct {
        const char *label, *reason;
    } bad[] = {
        {"crts", "operation"},
        {"sen", "operation"},
        {"sren", "operation"},
        {"skg", "operation"},
        {"skc", "operation"},
        {"att", "operation"},
        {"cacerts", "operation"},
        {"csrattrs", "operation"},
        {"simpleenroll", "operation"},
        {"simplereenroll", "operation"},
        {"serverkeygen", "operation"},
        {"fullcmc", "operation"},
        {"a/b", "segment"},
        {"/", "segment"},
        {"a b", "segment"},
        {"a%20b", "segment"},
        {"a?b", "segment"},
        {"\xc3\xa4", "segment"},
        {"a\n", "segment"},
        {".", "'.'"},
        {"..", "'.'"},
    };
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct estc_error err = {0};
        if (estc_label_check(bad[i].label, &err) != ESTC_E_CONFIG)
            fail_msg("taken: %s", bad[i].label);
        assert_non_null(strstr(err.text, bad[i].reason));
    }
    char text[257];
    memset(text, 'x', 256);
    text[256] = '\0';
    assert_int_equal(estc_label_check(text, NULL), ESTC_E_CONFIG);
    text[255] = '\0';
    assert_int_equal(estc_label_check(text, NULL), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(u02_table_of_operations),
        cmocka_unit_test(only_short_names_are_paths),
        cmocka_unit_test(u03_labels_are_one_segment_and_no_operation),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
