/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A table of cells, printed with columns as wide as they need to be. Widths are those of a
 * terminal's columns, not bytes: main() has set a UTF-8 LC_CTYPE, whatever the environment says,
 * because what the daemon sends is UTF-8.
 */
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <wchar.h>

#include "base/cleanup.h"
#include "print.h"

#define GAP 2       /* spaces between columns */
#define LAST_MIN 10 /* the last column is never cut shorter than this */

struct table {
    size_t columns, rows;
    struct cell *cells; /* rows * columns */
};

struct table *table_new(size_t columns) {
    struct table *table = calloc(1, sizeof(*table));
    if (table)
        table->columns = columns;
    return table;
}

struct table *table_free(struct table *table) {
    if (!table)
        return NULL;
    for (size_t i = 0; i < table->rows * table->columns; i++)
        free(table->cells[i].text);
    free(table->cells);
    free(table);
    return NULL;
}

int table_add(struct table *table, struct cell *cells) {
    size_t n = table->columns;
    struct cell *grown = reallocarray(table->cells, table->rows + 1, n * sizeof(*grown));
    if (grown)
        table->cells = grown;
    bool complete = grown;
    for (size_t i = 0; i < n; i++)
        complete = complete && cells[i].text;
    for (size_t i = 0; i < n && !complete; i++)
        free(cells[i].text);
    if (!complete)
        return -ENOMEM;
    memcpy(grown + table->rows * n, cells, n * sizeof(*cells));
    table->rows++;
    return 0;
}

static int table_add_titles(struct table *table, const char *const *titles) {
    _cleanup(freep) struct cell *cells = calloc(table->columns, sizeof(*cells));
    for (size_t i = 0; cells && i < table->columns; i++)
        cells[i] = (struct cell){strdup(titles[i]), TINT_HEADING};
    return cells ? table_add(table, cells) : -ENOMEM;
}

struct table *table_of(json_t *array, size_t columns, const char *const *titles,
                       int (*add)(struct table *table, json_t *member, int64_t now), int64_t now) {
    struct table *table = table_new(columns);
    int rc = !table ? -ENOMEM : titles ? table_add_titles(table, titles) : 0;
    size_t i;
    json_t *member;
    json_array_foreach(array, i, member) {
        if (!rc)
            rc = add(table, member, now);
    }
    return rc ? table_free(table) : table;
}

/* Bytes of text that fit into so many columns; *used is how many they take. */
static size_t fit(const char *text, size_t columns, size_t *used) {
    mbstate_t state = {0};
    size_t at = 0, len = strlen(text);
    *used = 0;
    while (at < len) {
        wchar_t c;
        size_t n = mbrtowc(&c, text + at, len - at, &state);
        if (n == 0 || n > len - at) { /* not in this locale: a byte is a column */
            memset(&state, 0, sizeof(state));
            n = 1;
            c = L'?';
        }
        int wide = wcwidth(c);
        size_t w = wide > 0 ? (size_t)wide : 0;
        if (*used + w > columns)
            break;
        *used += w;
        at += n;
    }
    return at;
}

size_t print_width(const char *text) {
    size_t used = 0;
    while (text[used] >= ' ' && text[used] <= '~') /* most texts are nothing else, and lists long */
        used++;
    if (!text[used])
        return used;
    fit(text, SIZE_MAX, &used);
    return used;
}

static void put_cell(FILE *out, const struct cell *cell, size_t bytes, bool colour) {
    static const char *const codes[] = {
        [TINT_NONE] = "",        [TINT_GOOD] = "\033[32m",   [TINT_BUSY] = "\033[33m",
        [TINT_BAD] = "\033[31m", [TINT_HEADING] = "\033[4m",
    };
    bool tinted = colour && cell->tint != TINT_NONE && *cell->text;
    fputs(tinted ? codes[cell->tint] : "", out);
    fwrite(cell->text, 1, bytes, out);
    fputs(tinted ? "\033[0m" : "", out);
}

void print_tinted(FILE *out, const char *text, size_t width, enum tint tint) {
    const struct cell cell = {.text = (char *)(uintptr_t)text, .tint = tint};
    size_t wide = print_width(text);
    put_cell(out, &cell, strlen(text), true);
    fprintf(out, "%*s", wide < width ? (int)(width - wide) : 0, "");
}

/* The last cell: never padded, cut at the terminal's edge. */
static void put_last(FILE *out, const struct cell *cell, size_t room, bool colour) {
    size_t used;
    size_t bytes = fit(cell->text, room, &used);
    bool cut = cell->text[bytes];
    if (cut)
        bytes = fit(cell->text, room - 3, &used);
    put_cell(out, cell, bytes, colour);
    fputs(cut ? "...\n" : "\n", out);
}

void table_print(const struct table *table, FILE *out, const struct print_style *style) {
    size_t n = table->columns;
    _cleanup(freep) size_t *widths = calloc(n, sizeof(*widths));
    for (size_t i = 0; widths && i < table->rows * n; i++) {
        size_t wide = print_width(table->cells[i].text);
        if (wide > widths[i % n])
            widths[i % n] = wide;
    }
    size_t before = 0; /* columns left of the last one */
    for (size_t i = 0; widths && i + 1 < n; i++)
        before += widths[i] + GAP;
    size_t room = style->width == 0                  ? SIZE_MAX
                  : style->width > before + LAST_MIN ? style->width - before
                                                     : LAST_MIN;
    size_t blanks = 0; /* owed: none are written before a line's end */
    for (size_t i = 0; i < table->rows * n; i++) {
        const struct cell *cell = &table->cells[i];
        if (*cell->text)
            fprintf(out, "%*s", (int)blanks, "");
        blanks = *cell->text ? 0 : blanks;
        if (i % n == n - 1) {
            put_last(out, cell, room, style->colour);
            blanks = 0;
            continue;
        }
        size_t wide = print_width(cell->text);
        put_cell(out, cell, strlen(cell->text), style->colour);
        blanks += (widths && widths[i % n] > wide ? widths[i % n] - wide : 0) + GAP;
    }
}
