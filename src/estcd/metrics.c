/* SPDX-License-Identifier: BSD-2-Clause */
/* Metrics as text. Knows nothing of what is measured. */
#include "metrics.h"

#include <inttypes.h>
#include <stdbool.h>

static const struct {
    const char *open, *text; /* the type in either syntax */
    const char *suffix;      /* of samples */
} types[] = {
    [METRICS_GAUGE] = {"gauge", "gauge", ""},
    [METRICS_COUNTER] = {"counter", "counter", "_total"},
    [METRICS_INFO] = {"info", "gauge", "_info"},
    [METRICS_STATESET] = {"stateset", "gauge", ""},
};

void metrics_begin(struct metrics *metrics, const struct metrics_family *family) {
    bool open = metrics->syntax == METRICS_OPENMETRICS;
    /* In the older format a family is called as its samples are. */
    const char *suffix = open ? "" : types[family->type].suffix;
    metrics->family = family;
    fprintf(metrics->out, "# TYPE %s%s %s\n", family->name, suffix,
            open ? types[family->type].open : types[family->type].text);
    if (open && family->unit)
        fprintf(metrics->out, "# UNIT %s %s\n", family->name, family->unit);
    fprintf(metrics->out, "# HELP %s%s %s\n", family->name, suffix, family->help);
}

static void put_value(FILE *out, const char *value) {
    for (; *value; value++) {
        if (*value == '\n')
            fputs("\\n", out);
        else if (*value == '"' || *value == '\\')
            fprintf(out, "\\%c", *value);
        else
            putc(*value, out);
    }
}

void metrics_sample(struct metrics *metrics, const struct metrics_label *labels, int64_t value) {
    FILE *out = metrics->out;
    fprintf(out, "%s%s", metrics->family->name, types[metrics->family->type].suffix);
    for (const struct metrics_label *label = labels; label && label->name; label++) {
        fprintf(out, "%c%s=\"", label == labels ? '{' : ',', label->name);
        put_value(out, label->value ? label->value : "");
        putc('"', out);
    }
    fprintf(out, "%s %" PRId64 "\n", labels && labels->name ? "}" : "", value);
}

void metrics_end(struct metrics *metrics) {
    if (metrics->syntax == METRICS_OPENMETRICS)
        fputs("# EOF\n", metrics->out);
}
