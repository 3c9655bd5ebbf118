/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * libconfig files read through a table: one table of keys drives the reader, the checks, the list
 * of known keys that an error suggests from, and the test that holds the manual against the code.
 *
 * Every semantic error is collected with file and line, so that one run shows them all; a syntax
 * error ends the reading of its file (libconfig stops there).
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <estc/error.h>

enum conf_type {
    CONF_STRING,   /* char *, owned; min/max bound its length in bytes */
    CONF_PATH,     /* char *, owned; absolute, or made so relative to the file it stands in */
    CONF_FILE,     /* the same, or "credential:NAME", a file that systemd passes */
    CONF_STRINGS,  /* char **, NULL-ended, owned: a list or array of strings, or one string */
    CONF_BOOL,     /* int, enum conf_bool: false is not the same as not said */
    CONF_INT,      /* int64_t within min..max */
    CONF_DURATION, /* int64_t, seconds, within min..max: "90s", "15m", "12h", "30d", "2w", "1y" */
    CONF_SIZE,     /* int64_t, bytes, within min..max: "512", "16K", "4M" */
    CONF_PERCENT,  /* int64_t, per mille, within min..max: "66%", "66.5%", or a number 0.66 */
    CONF_CHOICE,   /* int: min + index into choices, so that 0 can mean not said */
    CONF_GROUP,    /* the fields of `group`, in the struct that begins at offset */
    CONF_LIST,     /* a list of groups: `group` for each, see conf_list */
};

enum conf_bool { CONF_UNSAID, CONF_FALSE, CONF_TRUE };

/* A growing array of structs, the target of CONF_LIST: the first member of each element is a
 * struct conf_origin. */
struct conf_list {
    void *items; /* n elements of item_size bytes */
    size_t n;
    char **files; /* NULL-ended, owned: where the elements stand */
};

/* Where something was said, for messages. */
struct conf_origin {
    char *file; /* of an element: belongs to its list */
    unsigned line;
};

struct conf_key {
    const char *name; /* NULL ends a table */
    enum conf_type type;
    size_t offset; /* of the target in the struct */
    bool required;
    int64_t min, max;             /* for strings, numbers, durations, sizes, per mille */
    const char *const *choices;   /* CONF_CHOICE; NULL-ended */
    const struct conf_key *group; /* CONF_GROUP, CONF_LIST */
    size_t item_size;             /* CONF_LIST */
    const char *fallback;         /* default in the file's notation, for conf_defaults(); NULL: 0 */
    const char *help;             /* one line, for people */
};

/* Where each value stands that was read, for whoever asks for it. */
struct conf_spot {
    char *key;     /* with its groups: "birth.key" */
    char *file;    /* both owned */
    unsigned item; /* line of the list's element that it belongs to; 0: of none */
    unsigned line;
};
struct conf_spots {
    struct conf_spot *items; /* in the order of reading: the last one counts */
    size_t n;
};

void conf_spots_clear(struct conf_spots *spots);
/* The one that counts, or NULL; file and item of the element, or NULL and 0. */
const struct conf_spot *conf_spots_find(const struct conf_spots *spots, const char *key,
                                        const char *file, unsigned item);

/* Collected errors; each is one line "FILE:LINE: KEY: cause: remedy". */
struct conf_errors {
    char **lines;             /* NULL-ended, owned; NULL without errors */
    struct conf_spots *spots; /* NULL: nobody asks where values stand */
};

void conf_error(struct conf_errors *errors, const struct conf_origin *where, const char *fmt, ...)
    ESTC_PRINTF(3, 4);
void conf_errors_clear(struct conf_errors *errors);
bool conf_errors_any(const struct conf_errors *errors);

/* Sets every target that has a fallback (not inside lists: those get theirs per element). */
int conf_defaults(const struct conf_key *keys, void *target);

/*
 * Reads one file into target; lists append to what is there, other keys replace. Unknown keys name
 * the nearest known one. 0 when the file was read, whatever was collected in errors; negative errno
 * for out of memory only. A missing or unreadable file is a collected error as well.
 */
int conf_read_file(const char *path, const struct conf_key *keys, void *target,
                   struct conf_errors *errors);

/* The same for a text at hand. file: what errors call it and relative paths count from; NULL:
 * errors name no spot, and paths stay as they are written. */
int conf_read_text(const char *file, const void *text, size_t len, const struct conf_key *keys,
                   void *target, struct conf_errors *errors);

/* "DIR" followed by each "*.conf" in it in order of names, hidden files left out; an absent folder
 * is no error. */
int conf_read_dir(const char *dir, const struct conf_key *keys, void *target,
                  struct conf_errors *errors);

/* Whether conf_read_dir() reads a file of that name. */
bool conf_reads(const char *name);

/* Frees what the table owns in target, list items included, and zeroes the targets. */
void conf_clear(const struct conf_key *keys, void *target);

/* "NAME" of the nearest known key within two edits, or NULL. */
const char *conf_nearest(const char *name, const char *const *known);

/* The text forms by themselves: 0 or -EINVAL/-ERANGE. */
int conf_parse_duration(const char *text, int64_t *out);
int conf_parse_size(const char *text, int64_t *out);
int conf_parse_percent(const char *text, int64_t *out);

/* "2 h 5 min", "61 d", "45 s": at most two units; malloc'd. */
char *conf_duration_text(int64_t seconds);

/* Prints every key of a table, one a line, "PATH TYPE DEFAULT", for the test of the manual. */
void conf_print_keys(const struct conf_key *keys, const char *prefix);
