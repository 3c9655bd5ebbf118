/* SPDX-License-Identifier: BSD-2-Clause */
/* Both syntaxes of metrics, byte for byte. */
#include "support.h"

#include <stdlib.h>
#include <string.h>

#include "estcd/metrics.h"

#define LABELS(...) ((const struct metrics_label[]){__VA_ARGS__, {NULL, NULL}})

static const struct metrics_family gauge = {"x_seconds", METRICS_GAUGE, "seconds", "A time."};
static const struct metrics_family counter = {"x_tries", METRICS_COUNTER, NULL, "Tries."};
static const struct metrics_family info = {"x_build", METRICS_INFO, NULL, "What it is."};
static const struct metrics_family states = {"x_state", METRICS_STATESET, NULL, "How it is."};

static void assert_written(enum metrics_syntax syntax, const char *expected) {
    char *text = NULL;
    size_t len;
    struct metrics metrics = {.out = open_memstream(&text, &len), .syntax = syntax};
    metrics_begin(&metrics, &gauge);
    metrics_sample(&metrics, NULL, INT64_MIN);
    metrics_begin(&metrics, &counter);
    metrics_sample(&metrics, LABELS({"id", "a"}, {"result", "ok"}), 7);
    metrics_begin(&metrics, &info);
    metrics_sample(&metrics, LABELS({"version", "1.0"}), 1);
    metrics_begin(&metrics, &states);
    metrics_sample(&metrics, LABELS({"x_state", "new"}), 0);
    metrics_end(&metrics);
    fclose(metrics.out);
    assert_string_equal(text, expected);
    free(text);
}

static void openmetrics_has_types_units_and_an_end(void **state) {
    (void)state;
    assert_written(METRICS_OPENMETRICS, "# TYPE x_seconds gauge\n"
                                        "# UNIT x_seconds seconds\n"
                                        "# HELP x_seconds A time.\n"
                                        "x_seconds -9223372036854775808\n"
                                        "# TYPE x_tries counter\n"
                                        "# HELP x_tries Tries.\n"
                                        "x_tries_total{id=\"a\",result=\"ok\"} 7\n"
                                        "# TYPE x_build info\n"
                                        "# HELP x_build What it is.\n"
                                        "x_build_info{version=\"1.0\"} 1\n"
                                        "# TYPE x_state stateset\n"
                                        "# HELP x_state How it is.\n"
                                        "x_state{x_state=\"new\"} 0\n"
                                        "# EOF\n");
}

static void the_older_format_knows_gauges_and_counters_by_their_samples_names(void **state) {
    (void)state;
    assert_written(METRICS_TEXT, "# TYPE x_seconds gauge\n"
                                 "# HELP x_seconds A time.\n"
                                 "x_seconds -9223372036854775808\n"
                                 "# TYPE x_tries_total counter\n"
                                 "# HELP x_tries_total Tries.\n"
                                 "x_tries_total{id=\"a\",result=\"ok\"} 7\n"
                                 "# TYPE x_build_info gauge\n"
                                 "# HELP x_build_info What it is.\n"
                                 "x_build_info{version=\"1.0\"} 1\n"
                                 "# TYPE x_state gauge\n"
                                 "# HELP x_state How it is.\n"
                                 "x_state{x_state=\"new\"} 0\n");
}

static void label_values_are_escaped(void **state) {
    (void)state;
    char *text = NULL;
    size_t len;
    struct metrics metrics = {.out = open_memstream(&text, &len), .family = &gauge};
    metrics_sample(&metrics, LABELS({"a", "\"}\n\\n,b=\""}, {"c", NULL}), 1);
    fclose(metrics.out);
    assert_string_equal(text, "x_seconds{a=\"\\\"}\\n\\\\n,b=\\\"\",c=\"\"} 1\n");
    free(text);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(openmetrics_has_types_units_and_an_end),
        cmocka_unit_test(the_older_format_knows_gauges_and_counters_by_their_samples_names),
        cmocka_unit_test(label_values_are_escaped),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
