/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * CoRE link format (RFC 6690 section 2, with the grammar of RFC 8288 where that allows more). The
 * text comes from anybody: it is walked once, without recursion and without copies, and whatever
 * is found points into it. What a link means is not decided here.
 */
#include "est/linkformat.h"

#include <stdbool.h>
#include <string.h>

#include <estc/error.h>

/* --- characters --- */

static bool is_blank(char c) {
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static bool is_control(char c) {
    return (unsigned char)c < ' ' || c == 0x7f;
}

/* What a name or a value without quotes ends at. */
static bool is_delimiter(char c) {
    return is_blank(c) || is_control(c) || strchr(",;<>\"=", c) != NULL;
}

static void skip(struct span *rest, size_t n) {
    rest->at += n;
    rest->len -= n;
}

static void skip_blanks(struct span *rest) {
    while (rest->len > 0 && is_blank(*rest->at))
        skip(rest, 1);
}

/* Takes c off the front, if it is there. */
static bool take_char(struct span *rest, char c) {
    bool there = rest->len > 0 && *rest->at == c;
    if (there)
        skip(rest, 1);
    return there;
}

/* Takes what stands before the next delimiter; "=" counts as one in names only. */
static struct span take_token(struct span *rest, bool name) {
    struct span token = {.at = rest->at};
    while (token.len < rest->len &&
           (!is_delimiter(rest->at[token.len]) || (!name && rest->at[token.len] == '=')))
        token.len++;
    skip(rest, token.len);
    return token;
}

bool span_is(struct span span, const char *text) {
    return span.at && strlen(text) == span.len && memcmp(span.at, text, span.len) == 0;
}

/* --- one link --- */

/* The inside of quotes, of which the first is gone already. False without an end. */
static bool take_quoted(struct span *rest, struct span *value) {
    *value = (struct span){.at = rest->at};
    while (rest->len > 0 && *rest->at != '"') {
        size_t n = *rest->at == '\\' ? 2 : 1;
        if (n > rest->len || is_control(*rest->at) || is_control(rest->at[n - 1]))
            return false;
        value->len += n;
        skip(rest, n);
    }
    return take_char(rest, '"');
}

/* One ";name" or ";name=value"; false for anything else. */
static bool take_param(struct span *rest, struct span *name, struct span *value) {
    if (!take_char(rest, ';'))
        return false;
    skip_blanks(rest);
    *name = take_token(rest, true);
    *value = (struct span){.at = rest->at};
    if (name->len == 0)
        return false;
    skip_blanks(rest);
    if (!take_char(rest, '='))
        return true;
    skip_blanks(rest);
    if (take_char(rest, '"'))
        return take_quoted(rest, value);
    *value = take_token(rest, false);
    return true;
}

/* "<TARGET>" and its parameters. */
static bool take_link(struct span *rest, struct linkformat_link *out) {
    struct linkformat_link link = {.whole = {.at = rest->at}};
    if (!take_char(rest, '<'))
        return false;
    link.target.at = rest->at;
    while (rest->len > 0 && *rest->at != '>') {
        if (is_control(*rest->at) || *rest->at == '<')
            return false;
        link.target.len++;
        skip(rest, 1);
    }
    if (!take_char(rest, '>'))
        return false;
    link.params.at = rest->at;
    for (;;) {
        struct span before = *rest, name, value;
        skip_blanks(rest);
        if (rest->len == 0 || *rest->at != ';') {
            *rest = before;
            break;
        }
        if (!take_param(rest, &name, &value))
            return false;
    }
    link.params.len = (size_t)(rest->at - link.params.at);
    link.whole.len = (size_t)(rest->at - link.whole.at);
    *out = link;
    return true;
}

struct linkformat_reader linkformat_read(const void *text, size_t len) {
    return (struct linkformat_reader){.rest = {.at = len > 0 ? text : "", .len = len}};
}

int linkformat_next(struct linkformat_reader *reader, struct linkformat_link *out) {
    struct span *rest = &reader->rest;
    skip_blanks(rest);
    if (rest->len == 0)
        return 0;
    bool good = !reader->begun || take_char(rest, ',');
    reader->begun = true;
    skip_blanks(rest);
    if (good && take_link(rest, out))
        return 1;
    rest->len = 0;
    return ESTC_E_MALFORMED;
}

struct span linkformat_param(const struct linkformat_link *link, const char *name) {
    struct span rest = link->params, found, value;
    for (skip_blanks(&rest); rest.len > 0; skip_blanks(&rest)) {
        if (!take_param(&rest, &found, &value))
            break; /* cannot be: they were checked */
        if (span_is(found, name))
            return value;
    }
    return (struct span){0};
}

struct span linkformat_word(struct span *value) {
    while (value->len > 0 && *value->at == ' ')
        skip(value, 1);
    if (value->len == 0)
        return (struct span){0};
    struct span word = {.at = value->at};
    while (word.len < value->len && value->at[word.len] != ' ')
        word.len++;
    skip(value, word.len);
    return word;
}

/* --- queries --- */

static bool fits(struct span value, struct span pattern) {
    if (!value.at)
        return false;
    if (pattern.len > 0 && pattern.at[pattern.len - 1] == '*')
        return pattern.len - 1 <= value.len && memcmp(value.at, pattern.at, pattern.len - 1) == 0;
    return pattern.len == value.len && memcmp(value.at, pattern.at, value.len) == 0;
}

/* RFC 6690 section 4.1: these are lists of words, and one of them is enough. */
static bool has_words(struct span name) {
    return span_is(name, "rt") || span_is(name, "if") || span_is(name, "rel");
}

/* One "NAME=VALUE". */
static bool condition_holds(const struct linkformat_link *link, struct span condition) {
    char name[32];
    const char *equals = condition.len > 0 ? memchr(condition.at, '=', condition.len) : NULL;
    if (!equals || equals == condition.at)
        return true;
    struct span key = {condition.at, (size_t)(equals - condition.at)};
    struct span pattern = {equals + 1, condition.len - key.len - 1};
    if (span_is(key, "href"))
        return fits(link->target, pattern);
    if (key.len >= sizeof(name))
        return false; /* no link of ours or of anybody else has that */
    memcpy(name, key.at, key.len);
    name[key.len] = '\0';
    struct span value = linkformat_param(link, name);
    if (!has_words(key))
        return fits(value, pattern);
    for (struct span word = linkformat_word(&value); word.at; word = linkformat_word(&value))
        if (fits(word, pattern))
            return true;
    return false;
}

bool linkformat_matches(const struct linkformat_link *link, const char *query) {
    for (const char *at = query ? query : ""; *at;) {
        struct span condition = {at, strcspn(at, "&")};
        if (!condition_holds(link, condition))
            return false;
        at += condition.len;
        at += *at == '&';
    }
    return true;
}

int linkformat_filter(const void *text, size_t len, const char *query, struct estc_buf *out) {
    struct linkformat_reader reader = linkformat_read(text, len);
    struct linkformat_link link;
    size_t before = out->len;
    int rc;
    while ((rc = linkformat_next(&reader, &link)) == 1) {
        if (!linkformat_matches(&link, query))
            continue;
        int added = out->len > before ? estc_buf_append(out, ",", 1) : 0;
        if (!added)
            added = estc_buf_append(out, link.whole.at, link.whole.len);
        if (added) {
            rc = added;
            break;
        }
    }
    if (rc)
        out->len = before;
    return rc;
}
