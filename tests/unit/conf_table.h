/* SPDX-License-Identifier: BSD-2-Clause */
/* A table with every type of key, and texts read through it, for the tests of the reader. */
#pragma once

#include <stdint.h>
#include <string.h>

#include "conf_file.h"

struct box {
    char *colour, *file;
    int lid; /* enum conf_bool */
};

struct thing {
    struct conf_origin origin;
    char *name;
    int64_t weight;
};

struct all {
    char *string, *path;
    char **strings;
    int yes, choice;
    int64_t number, duration, size, share;
    struct box box;
    struct conf_list things;
};

static const char *const choices[] = {"red", "green", "blue", NULL};

static const struct conf_key box_keys[] = {
    {.name = "colour", .type = CONF_STRING, .offset = offsetof(struct box, colour)},
    {.name = "file", .type = CONF_FILE, .offset = offsetof(struct box, file)},
    {.name = "lid", .type = CONF_BOOL, .offset = offsetof(struct box, lid)},
    {.name = NULL},
};

static const struct conf_key thing_keys[] = {
    {.name = "name",
     .type = CONF_STRING,
     .offset = offsetof(struct thing, name),
     .required = true,
     .min = 1},
    {.name = "weight",
     .type = CONF_INT,
     .offset = offsetof(struct thing, weight),
     .min = -5,
     .max = 100,
     .fallback = "7"},
    {.name = NULL},
};

#define AT(member) offsetof(struct all, member)
static const struct conf_key keys[] = {
    {.name = "string", .type = CONF_STRING, .offset = AT(string), .min = 2, .max = 8},
    {.name = "path", .type = CONF_PATH, .offset = AT(path), .min = 1, .max = 4000},
    {.name = "strings", .type = CONF_STRINGS, .offset = AT(strings), .min = 1, .max = 8},
    {.name = "yes", .type = CONF_BOOL, .offset = AT(yes), .fallback = "true"},
    {.name = "choice",
     .type = CONF_CHOICE,
     .offset = AT(choice),
     .min = 1,
     .choices = choices,
     .fallback = "green"},
    {.name = "number", .type = CONF_INT, .offset = AT(number), .min = 1, .max = 2147483647},
    {.name = "duration",
     .type = CONF_DURATION,
     .offset = AT(duration),
     .min = 10,
     .max = 3600,
     .fallback = "5m"},
    {.name = "size", .type = CONF_SIZE, .offset = AT(size), .max = 1 << 20, .fallback = "16K"},
    {.name = "share", .type = CONF_PERCENT, .offset = AT(share), .min = 100, .max = 955},
    {.name = "box", .type = CONF_GROUP, .offset = AT(box), .group = box_keys},
    {.name = "things",
     .type = CONF_LIST,
     .offset = AT(things),
     .group = thing_keys,
     .item_size = sizeof(struct thing)},
    {.name = NULL},
};
#undef AT

static struct all read_bytes(struct conf_place *c, const void *text, size_t len) {
    struct all all = {0};
    conf_errors_clear(&c->errors);
    conf_write_bytes(c, "a.conf", text, len);
    assert_int_equal(conf_defaults(keys, &all), 0);
    assert_int_equal(conf_read_file(c->path, keys, &all, &c->errors), 0);
    return all;
}

static struct all read_text(struct conf_place *c, const char *text) {
    return read_bytes(c, text, strlen(text));
}

/* Exactly one error, with these parts. */
#define assert_refused(c, text, ...)                     \
    do {                                                 \
        struct all all_ = read_text(c, text);            \
        conf_clear(keys, &all_);                         \
        assert_says(&(c)->errors, __VA_ARGS__);          \
        assert_int_equal(errors_count(&(c)->errors), 1); \
    } while (0)
