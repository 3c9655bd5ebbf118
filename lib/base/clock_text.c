/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Points in time as text and back. Apart from clock.c, and with its own calendar, because it has to
 * build where there is no timegm() and time_t may be 32 bits wide: certificates end in 9999.
 */
#include "base/clock.h"

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>

#define DAY_SECONDS 86400
#define CLOCK_FIRST INT64_C(-62167219200) /* 0000-01-01T00:00:00Z */

/* Days since 1970-01-01 of a date of the Gregorian calendar, years 0 to 9999. A year that begins
 * in March has its leap day at the end, which makes the month lengths a straight line. */
static int64_t days_of(int year, int month, int day) {
    int y = month <= 2 ? year - 1 : year;
    int m = month <= 2 ? month + 9 : month - 3;
    int64_t era = (y >= 0 ? y : y - 399) / 400;
    int64_t of_era = y - era * 400;
    int64_t of_year = (153 * m + 2) / 5 + day - 1;
    return era * 146097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719468;
}

static void date_of(int64_t days, int *year, int *month, int *day) {
    int64_t z = days + 719468;
    int64_t era = (z >= 0 ? z : z - 146096) / 146097;
    int64_t doe = z - era * 146097;
    int64_t yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
    int64_t doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
    int64_t mp = (5 * doy + 2) / 153;
    *day = (int)(doy - (153 * mp + 2) / 5 + 1);
    *month = (int)(mp < 10 ? mp + 3 : mp - 9);
    *year = (int)(yoe + era * 400 + (*month <= 2 ? 1 : 0));
}

/* Without snprintf(), of which lists of thousands would be half. */
static void put_two(char *at, int value) {
    at[0] = (char)('0' + value / 10 % 10);
    at[1] = (char)('0' + value % 10);
}

const char *clock_text(int64_t real, char *buf) {
    if (real < CLOCK_FIRST || real > CLOCK_LAST)
        return strcpy(buf, "-");
    int64_t seconds = real % DAY_SECONDS;
    int64_t days = real / DAY_SECONDS;
    if (seconds < 0) {
        seconds += DAY_SECONDS;
        days--;
    }
    int year, month, day;
    date_of(days, &year, &month, &day);
    strcpy(buf, "0000-00-00T00:00:00Z");
    put_two(buf, year / 100);
    put_two(buf + 2, year % 100);
    put_two(buf + 5, month);
    put_two(buf + 8, day);
    put_two(buf + 11, (int)(seconds / 3600));
    put_two(buf + 14, (int)(seconds / 60 % 60));
    put_two(buf + 17, (int)(seconds % 60));
    return buf;
}

/* Exactly count digits at text[at]; -1 when one is none. */
static int digits(const char *text, size_t at, int count) {
    int value = 0;
    for (int i = 0; i < count; i++) {
        char c = text[at + (size_t)i];
        if (c < '0' || c > '9')
            return -1;
        value = value * 10 + (c - '0');
    }
    return value;
}

int clock_parse(const char *text, int64_t *out) {
    static const char form[] = "....-..-..T..:..:..Z";
    if (strlen(text) != sizeof(form) - 1)
        return -EINVAL;
    for (size_t i = 0; form[i]; i++)
        if (form[i] != '.' && text[i] != form[i])
            return -EINVAL;
    int year = digits(text, 0, 4), month = digits(text, 5, 2), day = digits(text, 8, 2);
    int hour = digits(text, 11, 2), minute = digits(text, 14, 2), second = digits(text, 17, 2);
    if (year < 0 || month < 1 || month > 12 || day < 1 || hour < 0 || hour > 23 || minute < 0 ||
        minute > 59 || second < 0 || second > 59)
        return -EINVAL;
    /* A day that the month does not have comes back as another date. */
    int64_t days = days_of(year, month, day);
    int y, m, d;
    date_of(days, &y, &m, &d);
    if (y != year || m != month || d != day)
        return -EINVAL;
    *out = days * DAY_SECONDS + hour * 3600 + minute * 60 + second;
    return 0;
}
