/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Makes text of others harmless: whatever comes in, valid UTF-8 without control characters comes
 * out, never longer than what went in. C standard headers only.
 */
#include "base/text.h"

#include <errno.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Length of the well-formed UTF-8 sequence at in (RFC 3629 section 4), 0 when there is none. */
static size_t utf8_length(const unsigned char *in, size_t len, uint32_t *point) {
    static const struct {
        unsigned char mask, lead;
        uint32_t least;
    } forms[] = {{0x80, 0x00, 0}, {0xe0, 0xc0, 0x80}, {0xf0, 0xe0, 0x800}, {0xf8, 0xf0, 0x10000}};
    for (size_t n = 0; n < sizeof(forms) / sizeof(forms[0]); n++) {
        if ((in[0] & forms[n].mask) != forms[n].lead)
            continue;
        if (n + 1 > len)
            return 0;
        uint32_t value = (uint32_t)(in[0] & ~forms[n].mask);
        for (size_t i = 1; i <= n; i++) {
            if ((in[i] & 0xc0) != 0x80)
                return 0;
            value = value << 6 | (in[i] & 0x3fu);
        }
        if (value < forms[n].least || value > 0x10ffff || (value >= 0xd800 && value <= 0xdfff))
            return 0;
        *point = value;
        return n + 1;
    }
    return 0;
}

/* What a terminal or a log reader could take for more than a character: C0, DEL, C1, the line and
 * paragraph separators, and the marks that turn the direction of writing. */
static bool is_control(uint32_t point) {
    return point < 0x20 || (point >= 0x7f && point < 0xa0) || point == 0x200e || point == 0x200f ||
           (point >= 0x2028 && point <= 0x202e) || (point >= 0x2066 && point <= 0x2069) ||
           point == 0xfeff;
}

/* The work behind both: cleans into out, at most max bytes, and says whether all fitted. out may be
 * in itself, since what is written is never ahead of what is read. */
static size_t clean(const unsigned char *in, size_t len, char *out, size_t max, bool *cut) {
    size_t used = 0;
    for (size_t at = 0; at < len;) {
        uint32_t point = 0;
        size_t n = utf8_length(in + at, len - at, &point);
        bool good = n > 0 && !is_control(point);
        size_t wide = good ? n : 1;
        if (used + wide > max) {
            *cut = true;
            return used;
        }
        if (good)
            memmove(out + used, in + at, n);
        else
            out[used] = '?';
        used += wide;
        at += n > 0 ? n : 1;
    }
    *cut = false;
    return used;
}

/* Where to cut clean text so that at most max bytes and no half character remain. */
static size_t cut_before(const char *text, size_t len, size_t max) {
    if (len <= max)
        return len;
    while (max > 0 && ((unsigned char)text[max] & 0xc0) == 0x80)
        max--;
    return max;
}

char *text_clean(const void *in, size_t len, size_t max) {
    static const char dots[] = "...";
    size_t room = len < max ? len : max;
    char *out = malloc(room + 1);
    if (!out)
        return NULL;
    bool cut = false;
    size_t used = clean(in, len, out, room, &cut);
    if (cut) {
        size_t mark = room < sizeof(dots) - 1 ? room : sizeof(dots) - 1;
        used = cut_before(out, used, room - mark);
        memcpy(out + used, dots, mark);
        used += mark;
    }
    out[used] = '\0';
    return out;
}

void text_clean_in_place(char *text) {
    size_t len = strlen(text);
    bool cut = false;
    text[clean((const unsigned char *)text, len, text, len, &cut)] = '\0';
}

bool text_same(const char *a, const char *b, size_t len) {
    for (size_t i = 0; i < len; i++) {
        int x = (unsigned char)a[i], y = (unsigned char)b[i];
        if (x != y && ((x | 0x20) != (y | 0x20) || (x | 0x20) < 'a' || (x | 0x20) > 'z'))
            return false;
        if (!x)
            return true;
    }
    return true;
}

char *text_vformat(const char *fmt, va_list args) {
    va_list again;
    va_copy(again, args);
    int len = vsnprintf(NULL, 0, fmt, args);
    char *out = len < 0 ? NULL : malloc((size_t)len + 1);
    if (out)
        vsnprintf(out, (size_t)len + 1, fmt, again);
    va_end(again);
    return out;
}

char *text_format(const char *fmt, ...) {
    va_list args;
    va_start(args, fmt);
    char *out = text_vformat(fmt, args);
    va_end(args);
    return out;
}

char *text_hex(const unsigned char *data, size_t len) {
    static const char digit[] = "0123456789ABCDEF";
    if (len > (SIZE_MAX - 1) / 2)
        return NULL;
    char *out = malloc(len * 2 + 1);
    if (!out)
        return NULL;
    for (size_t i = 0; i < len; i++) {
        out[2 * i] = digit[data[i] >> 4];
        out[2 * i + 1] = digit[data[i] & 15];
    }
    out[2 * len] = '\0';
    return out;
}

void text_list_free(char **list) {
    if (!list)
        return;
    for (size_t i = 0; list[i]; i++)
        free(list[i]);
    free(list);
}

size_t text_list_len(char *const *list) {
    size_t n = 0;
    while (list && list[n])
        n++;
    return n;
}

int text_list_add(char ***list, const char *text) {
    size_t n = text_list_len(*list);
    char *copy = text_format("%s", text);
    if (!copy)
        return -ENOMEM;
    char **grown = realloc(*list, (n + 2) * sizeof(*grown));
    if (!grown) {
        free(copy);
        return -ENOMEM;
    }
    grown[n] = copy;
    grown[n + 1] = NULL;
    *list = grown;
    return 0;
}
