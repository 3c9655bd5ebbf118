/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * libconfig through a table. A file is read by us, bounded, and its nesting checked before
 * libconfig (which recurses) sees it. Everything that is wrong is collected, so that one run shows
 * all of it; nothing is judged here but form, range and spelling.
 */
#include "common/conf.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/fs.h"
#include "base/text.h"
#include "common/conf_internal.h"

#define CONF_FILE_MAX (16 * 1024 * 1024)
#define CONF_ERRORS_MAX 200

/* One reading: the file, and where its errors go. */
struct reading {
    const char *file;
    struct conf_errors *errors;
    const char *group; /* the one around: "birth.", or "" */
    unsigned item;     /* see struct conf_spot */
};

/* --- errors --- */

/* One run shows all that is wrong, up to a number that nobody reads through. */
static void add_error(struct conf_errors *errors, char *line) {
    size_t n = text_list_len(errors->lines);
    if (!line || n > CONF_ERRORS_MAX)
        return;
    text_clean_in_place(line);
    /* Out of memory: one line less. */
    text_list_add(&errors->lines, n < CONF_ERRORS_MAX ? line : "and more errors: mend these first");
}

void conf_error(struct conf_errors *errors, const struct conf_origin *where, const char *fmt, ...) {
    va_list args;
    va_start(args, fmt);
    _cleanup(freep) char *text = text_vformat(fmt, args);
    va_end(args);
    _cleanup(freep) char *line = text && where && where->file
                                     ? text_format("%s:%u: %s", where->file, where->line, text)
                                     : NULL;
    add_error(errors, line ? line : text);
}

static void reading_error(const struct reading *r, unsigned line, const char *fmt, ...)
    ESTC_PRINTF(3, 4);
static void reading_error(const struct reading *r, unsigned line, const char *fmt, ...) {
    va_list args;
    va_start(args, fmt);
    _cleanup(freep) char *text = text_vformat(fmt, args);
    va_end(args);
    _cleanup(freep) char *whole =
        text && r->file ? text_format("%s:%u: %s", r->file, line, text) : NULL;
    add_error(r->errors, whole ? whole : text);
}

void conf_errors_clear(struct conf_errors *errors) {
    text_list_free(errors->lines);
    errors->lines = NULL;
}

bool conf_errors_any(const struct conf_errors *errors) {
    return errors->lines != NULL;
}

/* --- where values stand --- */

void conf_spots_clear(struct conf_spots *spots) {
    for (size_t i = 0; i < spots->n; i++) {
        free(spots->items[i].key);
        free(spots->items[i].file);
    }
    free(spots->items);
    *spots = (struct conf_spots){0};
}

const struct conf_spot *conf_spots_find(const struct conf_spots *spots, const char *key,
                                        const char *file, unsigned item) {
    for (size_t i = spots->n; i-- > 0;) {
        const struct conf_spot *spot = &spots->items[i];
        if (spot->item == item && spot->key && strcmp(spot->key, key) == 0 &&
            (!file || (spot->file && strcmp(spot->file, file) == 0)))
            return spot;
    }
    return NULL;
}

/* --- groups and lists --- */

static void read_group(const struct reading *r, const config_setting_t *group,
                       const struct conf_key *keys, void *target);

/* The list's own copy of the name of the file, which is that of all elements in it; or NULL. */
static char *file_of(struct conf_list *list, const char *file) {
    size_t n = text_list_len(list->files);
    if (n > 0 && strcmp(list->files[n - 1], file) == 0)
        return list->files[n - 1];
    return text_list_add(&list->files, file) ? NULL : list->files[n];
}

/* Appends one struct for each group of the list. */
static char *set_list(const struct reading *r, const struct conf_key *key,
                      const config_setting_t *s, void *target) {
    if (config_setting_type(s) != CONFIG_TYPE_LIST)
        return text_format("expected %s", conf_type_words[key->type]);
    struct conf_list *list = conf_at(target, key->offset);
    size_t more = (size_t)config_setting_length(s);
    char *file = file_of(list, r->file);
    char *grown = reallocarray(list->items, list->n + more + 1, key->item_size);
    list->items = grown ? grown : list->items;
    if (!grown || !file)
        return strdup("out of memory");
    for (size_t i = 0; i < more; i++) {
        config_setting_t *group = config_setting_get_elem(s, (unsigned)i);
        if (config_setting_type(group) != CONFIG_TYPE_GROUP) {
            reading_error(r, config_setting_source_line(group),
                          "%s: expected a group { ... } as element %zu", key->name, i + 1);
            continue;
        }
        void *item = grown + list->n * key->item_size;
        memset(item, 0, key->item_size);
        struct conf_origin *origin = item;
        *origin = (struct conf_origin){.file = file, .line = config_setting_source_line(group)};
        list->n++;
        if (conf_defaults(key->group, item))
            return strdup("out of memory");
        struct reading inner = *r;
        inner.group = "";
        inner.item = origin->line;
        read_group(&inner, group, key->group, item);
    }
    return NULL;
}

/* The last one of a key counts; see conf_spots_find(). */
static int note_spot(const struct reading *r, const struct conf_key *key,
                     const config_setting_t *s) {
    struct conf_spots *spots = r->errors->spots;
    if (!spots || key->type == CONF_GROUP)
        return 0;
    struct conf_spot *grown = reallocarray(spots->items, spots->n + 1, sizeof(*grown));
    if (!grown)
        return -ENOMEM;
    spots->items = grown;
    grown[spots->n++] = (struct conf_spot){
        .key = text_format("%s%s", r->group, key->name),
        .file = r->file ? strdup(r->file) : NULL,
        .item = r->item,
        .line = config_setting_source_line(s),
    };
    return 0;
}

/* NULL, or a malloc'd reason why the setting cannot stand. */
static char *set_value(const struct reading *r, const struct conf_key *key,
                       const config_setting_t *s, void *target) {
    if (key->type == CONF_LIST)
        return set_list(r, key, s, target);
    if (key->type != CONF_GROUP)
        return conf_set_setting(key, r->file, s, target);
    if (config_setting_type(s) != CONFIG_TYPE_GROUP)
        return text_format("expected %s", conf_type_words[key->type]);
    _cleanup(freep) char *name = text_format("%s%s.", r->group, key->name);
    struct reading inner = *r;
    inner.group = name ? name : "";
    read_group(&inner, s, key->group, conf_at(target, key->offset));
    return NULL;
}

static const struct conf_key *find_key(const struct conf_key *keys, const char *name) {
    for (const struct conf_key *k = keys; k->name; k++)
        if (strcmp(k->name, name) == 0)
            return k;
    return NULL;
}

static void unknown_key(const struct reading *r, const config_setting_t *s,
                        const struct conf_key *keys) {
    const char *known[64] = {NULL};
    for (size_t i = 0; keys[i].name && i < 63; i++)
        known[i] = keys[i].name;
    const char *name = config_setting_name(s);
    const char *nearest = conf_nearest(name, known);
    if (nearest)
        reading_error(r, config_setting_source_line(s), "unknown key '%.80s': did you mean '%s'?",
                      name, nearest);
    else
        reading_error(r, config_setting_source_line(s),
                      "unknown key '%.80s': remove it, or see the manual for the keys there are",
                      name);
}

static void read_group(const struct reading *r, const config_setting_t *group,
                       const struct conf_key *keys, void *target) {
    for (int i = 0; i < config_setting_length(group); i++) {
        const config_setting_t *s = config_setting_get_elem(group, (unsigned)i);
        const struct conf_key *key = find_key(keys, config_setting_name(s));
        if (!key) {
            unknown_key(r, s, keys);
            continue;
        }
        _cleanup(freep) char *fault =
            note_spot(r, key, s) ? strdup("out of memory") : set_value(r, key, s, target);
        if (fault)
            reading_error(r, config_setting_source_line(s), "%s: %s", key->name, fault);
    }
    for (const struct conf_key *k = keys; k->name; k++)
        if (k->required && !config_setting_get_member(group, k->name))
            reading_error(r, config_setting_source_line(group), "'%s' is missing: add %s = %s",
                          k->name, k->name, conf_type_words[k->type]);
}

/* --- files --- */

/* Form first, then the parser. True when config holds the text; a NUL byte is behind it. */
static bool parse_text(const struct reading *r, const char *data, size_t len, config_t *config) {
    if (memchr(data, '\0', len)) {
        reading_error(r, 1, "a NUL byte in the file: it is no text");
        return false;
    }
    const struct conf_text_fault fault = conf_text_fault(data);
    if (fault.cause) {
        reading_error(r, fault.line, "%.*s%s%s", fault.name_len > 80 ? 80 : fault.name_len,
                      fault.name ? fault.name : "", fault.name_len ? ": " : "", fault.cause);
        return false;
    }
    if (config_read_string(config, data) == CONFIG_TRUE)
        return true;
    reading_error(r, (unsigned)config_error_line(config),
                  "%s: check for a missing ';', quote or bracket on this line or the one before it",
                  config_error_text(config));
    return false;
}

int conf_read_text(const char *file, const void *text, size_t len, const struct conf_key *keys,
                   void *target, struct conf_errors *errors) {
    const struct reading r = {.file = file, .errors = errors, .group = ""};
    _cleanup(estc_buf_clear) struct estc_buf copy = {0};
    /* libconfig takes a comment on the last line for a syntax error when no line feed ends it. */
    if (estc_buf_append(&copy, text, len) || estc_buf_append(&copy, "\n", 1))
        return -ENOMEM;
    _cleanup(config_destroy) config_t config = {0};
    config_init(&config);
    if (parse_text(&r, (const char *)copy.data, len, &config))
        read_group(&r, config_root_setting(&config), keys, target);
    return 0;
}

int conf_read_file(const char *path, const struct conf_key *keys, void *target,
                   struct conf_errors *errors) {
    _cleanup(estc_buf_clear) struct estc_buf text = {0};
    struct estc_error err = {0};
    int rc = fs_read(AT_FDCWD, path, CONF_FILE_MAX, &text, NULL, &err);
    if (rc == -ENOMEM)
        return rc;
    if (rc) {
        add_error(errors, err.text);
        return 0;
    }
    return conf_read_text(path, text.data, text.len, keys, target, errors);
}

bool conf_reads(const char *name) {
    size_t len = strlen(name);
    return name[0] != '.' && len > 5 && strcmp(name + len - 5, ".conf") == 0;
}

static int is_conf_file(const struct dirent *entry) {
    return conf_reads(entry->d_name);
}

int conf_read_dir(const char *dir, const struct conf_key *keys, void *target,
                  struct conf_errors *errors) {
    struct dirent **entries = NULL;
    int n = scandir(dir, &entries, is_conf_file, alphasort);
    if (n < 0) {
        if (errno != ENOENT)
            conf_error(errors, NULL, "cannot read the folder %s: %m", dir);
        return 0;
    }
    int rc = 0;
    for (int i = 0; i < n; i++) {
        _cleanup(freep) char *path = text_format("%s/%s", dir, entries[i]->d_name);
        if (!rc)
            rc = path ? conf_read_file(path, keys, target, errors) : -ENOMEM;
        free(entries[i]);
    }
    free(entries);
    return rc;
}
