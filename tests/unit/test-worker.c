/* SPDX-License-Identifier: BSD-2-Clause */
/* What a worker may say: its messages, and everything that is none. */
#include "support.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/exitcode.h"
#include "estcd/check.h"
#include "estcd/worker.h"

static int parse(const char *text, size_t len, struct worker_message *out) {
    struct estc_error err = {0};
    /* A copy of just that size, so that a sanitizer sees one byte too many. */
    char *copy = malloc(len + 1);
    memcpy(copy, text, len);
    int rc = worker_message_parse(copy, len, out, &err);
    free(copy);
    if (rc)
        assert_int_equal(err.code, rc);
    return rc;
}

static void every_step_is_understood(void **state) {
    (void)state;
    for (int step = 0; step < ATTEMPT_STEP_MAX_; step++) {
        struct worker_message message = {0};
        char text[100];
        snprintf(text, sizeof(text), "{\"step\":\"%s\",\"text\":\"detail\"}",
                 attempt_step_names[step]);
        assert_int_equal(parse(text, strlen(text), &message), 0);
        assert_false(message.is_result);
        assert_int_equal(message.step, step);
        assert_string_equal(message.text, "detail");
        worker_message_clear(&message);
        assert_null(message.text);
        assert_non_null(attempt_step_texts[step]);
    }
}

static void a_result_is_understood(void **state) {
    (void)state;
    static const struct {
        const char *text;
        int code;
        int64_t retry_after;
        const char *detail;
        int64_t since;
        const char *server;
    } rows[] = {
        {"{\"result\":0,\"retry_after\":0}", 0, 0, NULL, 0},
        {"{\"result\":-28,\"retry_after\":0,\"text\":\"disk full\"}", -28, 0, "disk full", 0},
        {"{\"result\":-4095,\"retry_after\":0,\"text\":\"\"}", -4095, 0, "", 0},
        {"{\"retry_after\":4294967295,\"result\":1}", 1, UINT32_MAX, NULL, 0},
        {" {\"result\" : 2 , \"retry_after\" : 7 , \"more\" : [1] } ", 2, 7, NULL, 0},
        {"{\"result\":3,\"retry_after\":7,\"since\":1800000000}", 3, 7, NULL, 1800000000},
        {"{\"result\":0,\"retry_after\":0,\"server\":\"coaps://b\"}", 0, 0, NULL, 0, "coaps://b"},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct worker_message message = {0};
        assert_int_equal(parse(rows[i].text, strlen(rows[i].text), &message), 0);
        assert_true(message.is_result);
        assert_int_equal(message.result.code, rows[i].code);
        assert_int_equal(message.result.retry_after, rows[i].retry_after);
        assert_int_equal(message.result.since, rows[i].since);
        assert_string_equal(message.result.server ? message.result.server : "-",
                            rows[i].server ? rows[i].server : "-");
        if (rows[i].detail)
            assert_string_equal(message.result.text, rows[i].detail);
        else
            assert_null(message.result.text);
        worker_message_clear(&message);
    }
}

static void what_is_no_message_is_refused(void **state) {
    (void)state;
    static const char *const texts[] = {
        "",
        "{",
        "{}",
        "[]",
        "null",
        "7",
        "\"step\"",
        "[{\"step\":\"open\"}]",
        "{\"step\":\"open\"}{\"step\":\"open\"}",
        "{\"step\":\"open\"} x",
        "{\"step\":\"\"}",
        "{\"step\":\"OPEN\"}",
        "{\"step\":\"opened\"}",
        "{\"step\":1}",
        "{\"step\":null}",
        "{\"step\":[\"open\"]}",
        "{\"step\":\"open\",\"text\":1}",
        "{\"step\":\"open\",\"text\":null}",
        "{\"step\":\"open\",\"text\":{\"a\":1}}",
        "{\"result\":0}",
        "{\"retry_after\":0}",
        "{\"result\":\"0\",\"retry_after\":0}",
        "{\"result\":0.0,\"retry_after\":0}",
        "{\"result\":true,\"retry_after\":0}",
        "{\"result\":null,\"retry_after\":0}",
        "{\"result\":0,\"retry_after\":-1}",
        "{\"result\":0,\"retry_after\":4294967296}",
        "{\"result\":0,\"retry_after\":1e9}",
        "{\"result\":0,\"retry_after\":0,\"since\":-1}",
        "{\"result\":0,\"retry_after\":0,\"since\":253402300800}",
        "{\"result\":0,\"retry_after\":0,\"since\":\"1\"}",
        "{\"result\":-4096,\"retry_after\":0}",
        "{\"result\":99999,\"retry_after\":0}",
        "{\"result\":-9223372036854775808,\"retry_after\":0}",
        "{\"result\":9223372036854775807,\"retry_after\":0}",
        "{\"result\":18446744073709551616,\"retry_after\":0}",
        "{\"result\":0,\"retry_after\":0,\"text\":[]}",
        "{\"step\":\"open\",\"text\":\"\\ud800\"}",
        "{\"step\":\"open\",\"text\":\"\xff\"}",
        "{\"step\":\"open\",\"text\":\"\\u0000\"}",
    };
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        struct worker_message message = {.text = (char[]){"kept"}};
        if (parse(texts[i], strlen(texts[i]), &message) != ESTC_E_MALFORMED)
            fail_msg("accepted: %s", texts[i]);
        assert_string_equal(message.text, "kept"); /* written on success only */
        assert_int_equal(worker_message_parse(texts[i], strlen(texts[i]), &message, NULL),
                         ESTC_E_MALFORMED);
    }
}

/* The last code that has a name, and the first that has none. */
static void a_result_is_one_that_has_a_name(void **state) {
    (void)state;
    struct worker_message message = {0};
    char text[100];
    snprintf(text, sizeof(text), "{\"result\":%d,\"retry_after\":0}", ESTC_E_MAX_ - 1);
    assert_int_equal(parse(text, strlen(text), &message), 0);
    worker_message_clear(&message);
    snprintf(text, sizeof(text), "{\"result\":%d,\"retry_after\":0}", ESTC_E_MAX_);
    assert_int_equal(parse(text, strlen(text), &message), ESTC_E_MALFORMED);
}

static void text_is_made_harmless(void **state) {
    (void)state;
    struct worker_message message = {0};
    static const char text[] = "{\"step\":\"enroll\",\"text\":\"a\\u001b[31mb\\nc\"}";
    assert_int_equal(parse(text, sizeof(text) - 1, &message), 0);
    assert_string_equal(message.text, "a?[31mb?c");
    worker_message_clear(&message);
}

static void text_is_bounded(void **state) {
    (void)state;
    char *text = malloc(WORKER_MESSAGE_MAX + 2);
    for (size_t len = WORKER_MESSAGE_MAX; len <= WORKER_MESSAGE_MAX + 1; len++) {
        struct worker_message message = {0};
        memset(text, 'x', len);
        memcpy(text, "{\"result\":1,\"retry_after\":0,\"text\":\"", 36);
        memcpy(text + len - 2, "\"}", 2);
        int rc = parse(text, len, &message);
        assert_int_equal(rc, len > WORKER_MESSAGE_MAX ? ESTC_E_MALFORMED : 0);
        if (!rc) {
            assert_int_equal(strlen(message.result.text), 1024);
            assert_string_equal(message.result.text + 1021, "...");
        }
        worker_message_clear(&message);
    }
    free(text);
}

static void depth_is_bounded(void **state) {
    (void)state;
    struct worker_message message = {0};
    char *text = malloc(WORKER_MESSAGE_MAX);
    size_t depth = WORKER_MESSAGE_MAX / 2 - 20;
    int len = snprintf(text, 20, "{\"step\":");
    memset(text + len, '[', depth);
    memset(text + len + depth, ']', depth);
    text[(size_t)len + 2 * depth] = '}';
    assert_int_equal(parse(text, (size_t)len + 2 * depth + 1, &message), ESTC_E_MALFORMED);
    free(text);
}

static const char sample[] =
    "{\"result\":5,\"retry_after\":3600,\"text\":\"the CA's answer: 5.03\"}";

static void no_part_of_a_message_is_one(void **state) {
    (void)state;
    for (size_t len = 0; len < sizeof(sample) - 1; len++) {
        struct worker_message message = {0};
        assert_int_equal(parse(sample, len, &message), ESTC_E_MALFORMED);
    }
}

/* Whatever becomes of a byte: an answer within bounds, or none. */
static void changed_bytes_do_no_harm(void **state) {
    (void)state;
    char text[sizeof(sample)];
    size_t taken = 0;
    for (size_t at = 0; at < sizeof(sample) - 1; at++)
        for (int value = 0; value < 256; value++) {
            struct worker_message message = {0};
            memcpy(text, sample, sizeof(sample));
            text[at] = (char)value;
            int rc = parse(text, sizeof(sample) - 1, &message);
            if (rc) {
                assert_int_equal(rc, ESTC_E_MALFORMED);
                continue;
            }
            taken++;
            assert_true(message.is_result && message.result.code < ESTC_E_MAX_);
            assert_in_range(message.result.retry_after, 0, UINT32_MAX);
            for (const char *p = message.result.text; p && *p; p++)
                assert_true((unsigned char)*p >= ' ');
            worker_message_clear(&message);
        }
    assert_true(taken > sizeof(sample));
}

/* What a check sends: known words, bounded and clean texts, and nothing else is passed on. */
static void findings_are_hostile_as_well(void **state) {
    (void)state;
    static const char good[] =
        "{\"check\":\"mtu\",\"result\":\"failed\",\"text\":\"a\\u001b[31mb\",\"code\":99,"
        "\"more\":1}";
    static const char *const bad[] = {
        "",
        "[]",
        "{}",
        "{\"check\":\"nothing\",\"result\":\"ok\",\"text\":\"\"}",
        "{\"check\":\"mtu\",\"result\":\"fine\",\"text\":\"\"}",
        "{\"check\":\"mtu\",\"result\":\"ok\"}",
        "{\"check\":\"mtu\",\"result\":\"ok\",\"text\":7}",
        "{\"check\":7,\"result\":\"ok\",\"text\":\"\"}",
    };
    json_t *finding = check_message(good, strlen(good));
    assert_string_equal(json_string_value(json_object_get(finding, "text")), "a?[31mb");
    assert_int_equal(json_integer_value(json_object_get(finding, "code")), EXIT_WORKING);
    assert_null(json_object_get(finding, "more"));
    json_decref(finding);
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        assert_null(check_message(bad[i], strlen(bad[i])));
    char *large = calloc(1, WORKER_MESSAGE_MAX + 1);
    memset(large, ' ', WORKER_MESSAGE_MAX + 1);
    memcpy(large, good, strlen(good));
    assert_null(check_message(large, WORKER_MESSAGE_MAX + 1));
    free(large);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_step_is_understood),
        cmocka_unit_test(a_result_is_understood),
        cmocka_unit_test(what_is_no_message_is_refused),
        cmocka_unit_test(a_result_is_one_that_has_a_name),
        cmocka_unit_test(text_is_made_harmless),
        cmocka_unit_test(text_is_bounded),
        cmocka_unit_test(depth_is_bounded),
        cmocka_unit_test(no_part_of_a_message_is_one),
        cmocka_unit_test(changed_bytes_do_no_harm),
        cmocka_unit_test(findings_are_hostile_as_well),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
