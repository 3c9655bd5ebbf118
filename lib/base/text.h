/* SPDX-License-Identifier: BSD-2-Clause */
/* Text from peers, made harmless: valid UTF-8, no control characters, bounded. */
#pragma once

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>

/* Copies at most max bytes of in (len bytes, any content) as clean text: control characters and
 * bytes that are no UTF-8 become "?"; "..." at the end when cut (the result
 * has max bytes at most, dots included). malloc'd, or NULL. */
char *text_clean(const void *in, size_t len, size_t max);

/* The same in place, for a NUL-ended string. */
void text_clean_in_place(char *text);

/* Whether the first len bytes are the same but for the case of ASCII letters. */
bool text_same(const char *a, const char *b, size_t len);

/* malloc'd, like asprintf; NULL when out of memory. */
char *text_format(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
char *text_vformat(const char *fmt, va_list args) __attribute__((format(printf, 1, 0)));

/* Upper-case hexadecimal, malloc'd, or NULL. */
char *text_hex(const unsigned char *data, size_t len);

/* A NULL-ended list of malloc'd strings. */
void text_list_free(char **list);
size_t text_list_len(char *const *list);
int text_list_add(char ***list, const char *text); /* 0 or -ENOMEM */
