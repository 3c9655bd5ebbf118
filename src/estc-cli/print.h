/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Data: what estc writes to stdout, and tables.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include <jansson.h>

#include "base/cleanup.h"

/* --- data ------------------------------------------------------------------------------------ */

/* One line; ASCII only, so that no terminal takes it for anything but text. */
void print_json(json_t *json);
/* PEM and the like: printable ASCII and line feeds; anything else becomes "?". */
void print_ascii(const char *text);
/* Whatever stdout still holds is written. False, with an error said, when it cannot be; a reader
 * that went away has what it wanted, and is no error. */
bool print_finish(void);
/* True once whoever read stdout is gone: a pipe without a reader. */
bool print_reader_gone(void);

/* --- tables ---------------------------------------------------------------------------------- */

enum tint { TINT_NONE, TINT_GOOD, TINT_BUSY, TINT_BAD, TINT_HEADING };

struct print_style {
    bool colour;
    size_t width; /* columns of the terminal; 0: unlimited */
};
/* Colour and width on a terminal only, no colour with NO_COLOR or a dumb one. */
struct print_style print_style_of(FILE *out);

struct cell {
    char *text; /* owned */
    enum tint tint;
};

struct table; /* columns, each as wide as its widest cell */

struct table *table_new(size_t columns);
struct table *table_free(struct table *table);
CLEANUP_DEFINE(struct table *, table_freep, table_free);
/* Takes the texts in any case; NULL among them means that there was no memory: -ENOMEM. */
int table_add(struct table *table, struct cell *cells);
/* A table with a row for each member of an array, which add() makes; titles are the first row, one
 * for each column, or NULL. NULL when there is no memory. */
struct table *table_of(json_t *array, size_t columns, const char *const *titles,
                       int (*add)(struct table *table, json_t *member, int64_t now), int64_t now);
/* The last column is cut when a line would be wider than the terminal. */
void table_print(const struct table *table, FILE *out, const struct print_style *style);

/* A text and the blanks that fill so many columns. */
void print_tinted(FILE *out, const char *text, size_t width, enum tint tint);

/* Columns that a clean UTF-8 text takes on a terminal. */
size_t print_width(const char *text);
