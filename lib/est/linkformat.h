/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * CoRE link format (RFC 6690): read as it lies there, without copying, and filtered. Pure.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include <estc/buf.h>

/* Bytes of a text that belongs to somebody else; at is NULL where there is nothing. */
struct span {
    const char *at;
    size_t len;
};

struct linkformat_link {
    struct span whole;  /* "<TARGET>;name=value" */
    struct span target; /* between the angle brackets, never with control characters */
    struct span params; /* ";name=value;name=value", checked */
};

/* What is left to read. */
struct linkformat_reader {
    struct span rest;
    bool begun;
};

struct linkformat_reader linkformat_read(const void *text, size_t len);

/*
 * The next link: 1, 0 at the end, or ESTC_E_MALFORMED, after which nothing follows. White space
 * around links and parameters, which RFC 6690 does not have, is passed over.
 */
int linkformat_next(struct linkformat_reader *reader, struct linkformat_link *out);

/*
 * The value of a parameter: without its quotes, escapes left as they are; with at set and len 0 for
 * one that stands without a value or is empty. at is NULL when the link has no such parameter. Of
 * several the first counts (RFC 6690 sections 3.1 to 3.3).
 */
struct span linkformat_param(const struct linkformat_link *link, const char *name);

/* The next of the words of a value, which are separated by spaces; at is NULL after the last. */
struct span linkformat_word(struct span *value);
bool span_is(struct span span, const char *text);

/*
 * Whether a link is one of those that a query asks for (RFC 6690 section 4.1): "NAME=VALUE", where
 * VALUE may end in "*" for any end, several joined by "&", which all have to hold. "href" is the
 * target; rt, if and rel match with one of their words, all others as a whole. A query of another
 * form asks for everything (RFC 6690: who does not understand it ignores it); so does NULL.
 */
bool linkformat_matches(const struct linkformat_link *link, const char *query);

/* Appends the links of text that match to out, which keeps what it holds. ESTC_E_MALFORMED,
 * -ENOMEM: out is what it was. */
int linkformat_filter(const void *text, size_t len, const char *query, struct estc_buf *out);
