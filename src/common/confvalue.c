/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Values of configuration files as text: durations, sizes, shares. Text with a unit, because
 * libconfig 1.5 reads 4294967297 as 1 and does not take 1 where it expects 1.0.
 */
#include "common/conf.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"

struct unit {
    const char *suffix;
    int64_t factor;
};

static const struct unit duration_units[] = {
    {"s", 1}, {"m", 60}, {"h", 3600}, {"d", 86400}, {"w", 604800}, {"y", 31536000}, {NULL, 0},
};
static const struct unit size_units[] = {
    {"", 1}, {"K", 1024}, {"M", 1048576}, {"G", 1073741824}, {NULL, 0},
};

/* Decimal digits at *text, moved behind them. */
static int parse_digits(const char **text, int64_t *out) {
    if (!isdigit((unsigned char)**text))
        return -EINVAL;
    int64_t value = 0;
    for (; isdigit((unsigned char)**text); (*text)++)
        if (__builtin_mul_overflow(value, 10, &value) ||
            __builtin_add_overflow(value, **text - '0', &value))
            return -ERANGE;
    *out = value;
    return 0;
}

/* A number and exactly one of the units. */
static int parse_with_unit(const char *text, const struct unit *units, int64_t *out) {
    int64_t value;
    int rc = parse_digits(&text, &value);
    if (rc)
        return rc;
    for (const struct unit *u = units; u->suffix; u++) {
        if (strcmp(text, u->suffix) != 0)
            continue;
        if (__builtin_mul_overflow(value, u->factor, &value))
            return -ERANGE;
        *out = value;
        return 0;
    }
    return -EINVAL;
}

int conf_parse_duration(const char *text, int64_t *out) {
    return parse_with_unit(text, duration_units, out);
}

int conf_parse_size(const char *text, int64_t *out) {
    return parse_with_unit(text, size_units, out);
}

int conf_parse_percent(const char *text, int64_t *out) {
    int64_t whole, tenth = 0;
    int rc = parse_digits(&text, &whole);
    if (rc)
        return rc;
    if (*text == '.') {
        if (!isdigit((unsigned char)text[1]))
            return -EINVAL;
        tenth = text[1] - '0';
        text += 2;
    }
    if (strcmp(text, "%") != 0)
        return -EINVAL;
    if (whole > INT64_MAX / 10 - 1)
        return -ERANGE;
    *out = whole * 10 + tenth;
    return 0;
}

char *conf_duration_text(int64_t seconds) {
    static const struct unit units[] = {
        {"y", 31536000}, {"d", 86400}, {"h", 3600}, {"min", 60}, {"s", 1},
    };
    const size_t n = sizeof(units) / sizeof(units[0]);
    if (seconds < 0)
        seconds = 0;
    size_t i = 0;
    while (i + 1 < n && seconds < units[i].factor)
        i++;
    long long first = seconds / units[i].factor;
    long long second = i + 1 < n ? seconds % units[i].factor / units[i + 1].factor : 0;
    if (second == 0)
        return text_format("%lld %s", first, units[i].suffix);
    return text_format("%lld %s %lld %s", first, units[i].suffix, second, units[i + 1].suffix);
}

/* --- the nearest known name --- */

/* Edits between two names, counted no further than three: insertions, deletions, replacements. */
static unsigned edits(const char *a, const char *b, unsigned left) {
    while (*a && *a == *b) {
        a++;
        b++;
    }
    if (!*a && !*b)
        return 0;
    if (left == 0)
        return 1;
    unsigned best = left;
    const struct { size_t a, b; } moves[] = {{1, 1}, {1, 0}, {0, 1}};
    for (size_t i = 0; i < sizeof(moves) / sizeof(moves[0]); i++) {
        if ((moves[i].a && !*a) || (moves[i].b && !*b))
            continue;
        unsigned rest = edits(a + moves[i].a, b + moves[i].b, left - 1);
        if (rest < best)
            best = rest;
    }
    return best + 1;
}

const char *conf_nearest(const char *name, const char *const *known) {
    enum { FARTHEST = 2 };
    const char *nearest = NULL;
    unsigned least = FARTHEST + 1;
    for (; *known; known++) {
        unsigned n = edits(name, *known, FARTHEST);
        if (n < least && n < strlen(*known)) {
            least = n;
            nearest = *known;
        }
    }
    return nearest;
}
