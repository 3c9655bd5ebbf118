/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The text of a configuration file before libconfig sees it. libconfig 1.5 recurses as deep as the
 * brackets go, reads 4294967297 as 1, opens whatever "@include" names, lets a comment that is never
 * closed swallow the rest of the file, and loses the memory of a string where its grammar has none;
 * all of these end here, with the line. Strings and
 * comments are passed over as its lexer does; nothing else is judged.
 */
#include <ctype.h>
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "common/conf_internal.h"

#define DEPTH_MAX 32

/* Each skips one kind of token: what follows it, or p itself when no such token begins there. */
typedef const char *(*skip_fn)(const char *p, const char **fault);

static const char *skip_comment(const char *p, const char **fault) {
    if (p[0] == '#' || (p[0] == '/' && p[1] == '/'))
        return p + strcspn(p, "\n");
    if (p[0] != '/' || p[1] != '*')
        return p;
    const char *end = strstr(p + 2, "*/");
    if (!end)
        *fault = "a comment that is never closed: end it with */";
    return end ? end + 2 : p;
}

static const char *skip_string(const char *p, const char **fault) {
    if (*p != '"')
        return p;
    for (p++; *p && *p != '"'; p++)
        if (p[0] == '\\' && p[1])
            p++;
    if (!*p)
        *fault = "a string that is never closed: end it with a double quote";
    return *p ? p + 1 : p;
}

static const char *skip_name(const char *p, const char **fault) {
    (void)fault;
    if (!isalpha((unsigned char)*p) && *p != '*')
        return p;
    while (isalnum((unsigned char)*p) || (*p && strchr("-_*", *p)))
        p++;
    return p;
}

static const char *skip_number(const char *p, const char **fault) {
    if (!isdigit((unsigned char)*p))
        return p;
    bool hex = p[0] == '0' && (p[1] == 'x' || p[1] == 'X') && isxdigit((unsigned char)p[2]);
    char *end;
    errno = 0;
    unsigned long long value = strtoull(p, &end, hex ? 16 : 10);
    bool whole = *end != '.' && *end != 'e' && *end != 'E' && *end != 'L';
    if (whole && (errno != 0 || value > INT_MAX))
        *fault = "a number of more than 2147483647: no key takes one";
    while (isalnum((unsigned char)*end) || *end == '.')
        end++;
    return end;
}

static const char *skip_token(const char *p, const char **fault) {
    static const skip_fn skip[] = {skip_comment, skip_string, skip_name, skip_number};
    const char *next = p;
    for (size_t i = 0; i < sizeof(skip) / sizeof(skip[0]) && next == p && !*fault; i++)
        next = skip[i](p, fault);
    return next;
}

/* A string follows one of these, or another string, which it continues. */
static bool takes_string(char last) {
    return last != '\0' && strchr("=:,[(\"", last);
}

static unsigned count_lines(const char *from, const char *to) {
    unsigned n = 0;
    for (; from < to; from++)
        n += *from == '\n';
    return n;
}

/* What stands outside all tokens: brackets and separators. */
static const char *sign_fault(char sign, unsigned *depth) {
    if (strchr("({[", sign) && ++*depth > DEPTH_MAX)
        return "brackets nested deeper than 32: no key takes that";
    if (strchr(")}]", sign) && *depth > 0)
        --*depth;
    return sign == '@' ? "'@include' is not taken: put the settings themselves here" : NULL;
}

struct conf_text_fault conf_text_fault(const char *text) {
    struct conf_text_fault f = {.line = 1};
    unsigned depth = 0;
    char last = '\0'; /* the first byte of the token before */
    for (const char *p = text, *next; *p; p = next) {
        next = skip_token(p, &f.cause);
        if (*p == '"' && !f.cause && !takes_string(last))
            f.cause =
                "a string where none can stand: check for a missing '=', ',' or ';' before it";
        if (next == p && !f.cause)
            f.cause = sign_fault(*next++, &depth);
        if (f.cause)
            break;
        if (isalpha((unsigned char)*p)) {
            f.name = p;
            f.name_len = (int)(next - p);
        } else if (*p == ';' || *p == '{') {
            f.name_len = 0;
        }
        if (!isspace((unsigned char)*p) && *p != '#' && *p != '/')
            last = *p;
        f.line += count_lines(p, next);
    }
    return f;
}
