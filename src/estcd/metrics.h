/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * How metrics are written: OpenMetrics 1.0 for whoever asks, and the older text format of
 * Prometheus for node_exporter's text files, whose parser refuses a file with an OpenMetrics type
 * in it. The samples are the same; only the lines in front of them differ.
 */
#pragma once

#include <stdint.h>
#include <stdio.h>

enum metrics_syntax { METRICS_OPENMETRICS, METRICS_TEXT };
enum metrics_type {
    METRICS_GAUGE,
    METRICS_COUNTER,  /* samples are called NAME_total */
    METRICS_INFO,     /* samples are called NAME_info and are 1 */
    METRICS_STATESET, /* the label that is called as the family has the state: 0 or 1 */
};

struct metrics_family {
    const char *name;
    enum metrics_type type;
    const char *unit; /* NULL: none; otherwise the end of name */
    const char *help;
};

struct metrics_label {
    const char *name, *value; /* the value is escaped as it is written; name NULL ends a list */
};

struct metrics {
    FILE *out;
    enum metrics_syntax syntax;
    const struct metrics_family *family; /* what samples are of */
};

/* The lines in front of a family's samples. */
void metrics_begin(struct metrics *metrics, const struct metrics_family *family);
void metrics_sample(struct metrics *metrics, const struct metrics_label *labels, int64_t value);
void metrics_end(struct metrics *metrics);
