/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The effective configuration, from the tables of keys. Values are those that run; the files only
 * say where they stand, or that they say otherwise by now. Holds no key: paths alone are shown.
 */
#include "agent/config_report.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "agent/config_request.h"
#include "base/cleanup.h"
#include "base/fs.h"
#include "base/text.h"
#include "common/confprint.h"
#include "ctl/json.h"

#define REQUEST_MAX 65536

#define CONFIG_SOURCE_LABEL(name, label) [name] = label,
const char *const config_source_names[] = {CONFIG_SOURCES(CONFIG_SOURCE_LABEL)};
#undef CONFIG_SOURCE_LABEL

CLEANUP_DEFINE(struct config *, config_freep, config_free);
CLEANUP_DEFINE(struct config_identity *, request_freep, config_request_free);

/* One report while it is written. */
struct report {
    const struct config_running *running;
    struct conf_spots spots;
    const char *item_file; /* of the identity's element in the files; NULL: of none */
    unsigned item_line;
    json_t *keys;
};

static int no_names(const struct config_named *all, size_t n) {
    (void)all;
    (void)n;
    return 0;
}

/* As a file would say it; "" for what is not said, NULL without memory. */
static char *value_text(const struct conf_key *key, const void *target) {
    _cleanup(estc_buf_clear) struct estc_buf text = {0};
    return conf_value_print(key, target, &text)
               ? NULL
               : text_format("%.*s", (int)text.len, text.len > 0 ? (const char *)text.data : "");
}

/* Where a value comes from, and where that is. */
static enum config_source source_of(const struct report *r, const char *key, const char *value,
                                    const char *on_disk, const struct conf_spot **spot) {
    *spot = conf_spots_find(&r->spots, key, r->item_file, r->item_line);
    if (!on_disk)
        return CONFIG_SOURCE_UNKNOWN;
    _cleanup(freep) char *inherited = text_format("defaults.%s", key);
    if (!*spot && r->running->identity && inherited)
        *spot = conf_spots_find(&r->spots, inherited, NULL, 0);
    if (strcmp(value, on_disk) != 0)
        return CONFIG_SOURCE_OLD;
    if (!*value)
        return CONFIG_SOURCE_UNSET;
    if (!*spot)
        return CONFIG_SOURCE_BUILT_IN;
    return inherited && strcmp((*spot)->key, inherited) == 0 ? CONFIG_SOURCE_DEFAULTS
                                                             : CONFIG_SOURCE_FILE;
}

static int add_key(struct report *r, const struct conf_key *key, const char *name,
                   const void *target, const void *fresh) {
    const struct conf_spot *spot = NULL;
    _cleanup(freep) char *value = value_text(key, target);
    _cleanup(freep) char *on_disk = fresh ? value_text(key, fresh) : NULL;
    if (!value || (fresh && !on_disk))
        return -ENOMEM;
    enum config_source source = source_of(r, name, value, on_disk, &spot);
    bool stands = spot && source != CONFIG_SOURCE_UNSET && source != CONFIG_SOURCE_UNKNOWN;
    json_t *entry =
        json_pack("{s:s, s:s*, s:s, s:s*, s:s*}", "key", name, "value", *value ? value : NULL,
                  "source", config_source_names[source], "file", stands ? spot->file : NULL,
                  "on_disk", source == CONFIG_SOURCE_OLD ? on_disk : NULL);
    if (entry && stands)
        json_object_set_new(entry, "line", json_integer(spot->line));
    return json_array_append_new(r->keys, entry) < 0 ? -ENOMEM : 0;
}

/* fresh: the same as the files have it; NULL: not known. */
static int add_keys(struct report *r, const struct conf_key *keys, const char *prefix,
                    const void *target, const void *fresh) {
    int rc = 0;
    for (const struct conf_key *k = keys; !rc && k->name; k++) {
        if (!r->running->identity && k->type == CONF_LIST)
            continue; /* the identities */
        _cleanup(freep) char *name = text_format("%s%s", prefix, k->name);
        _cleanup(freep) char *inner = text_format("%s%s.", prefix, k->name);
        if (!name || !inner)
            return -ENOMEM;
        rc = k->type == CONF_GROUP ? add_keys(r, k->group, inner, (const char *)target + k->offset,
                                              fresh ? (const char *)fresh + k->offset : NULL)
                                   : add_key(r, k, name, target, fresh);
    }
    return rc;
}

/* The identity as the files have it now, complete; NULL where they do not. */
static int read_request(const struct config_running *running, const struct config *config,
                        struct config_identity **out, struct conf_errors *errors) {
    const struct config_identity *identity = running->identity;
    _cleanup(estc_buf_clear) struct estc_buf text = {0};
    struct estc_error err = {0};
    int rc = fs_read(AT_FDCWD, identity->origin.file, REQUEST_MAX, &text, NULL, &err);
    if (!rc)
        return config_request_read(identity->id, identity->origin.file, text.data, text.len, config,
                                   out, errors);
    conf_error(errors, NULL, "%s", err.text);
    return rc == -ENOMEM ? rc : 0;
}

static int add_identity(struct report *r, const struct config_identity *fresh) {
    const struct config_identity *identity = r->running->identity;
    struct config_identity running = *identity; /* borrowed */
    struct config_identity now = fresh ? *fresh : (struct config_identity){0};
    config_identity_as_said(&running);
    if (fresh)
        config_identity_as_said(&now);
    const struct config_identity *where = fresh ? fresh : identity;
    r->item_file = where->origin.file;
    r->item_line = r->running->requested ? 0 : where->origin.line;
    return add_keys(r, r->running->requested ? config_request_keys : config_identity_keys, "",
                    &running, fresh ? &now : NULL);
}

static json_t *lines_of(const struct conf_errors *errors) {
    json_t *list = json_array();
    for (char *const *line = errors->lines; list && line && *line; line++)
        json_array_append_new(list, json_string(*line));
    return list;
}

static int add_all(struct report *r, struct conf_errors *errors) {
    const struct config_running *running = r->running;
    _cleanup(config_freep) struct config *fresh = NULL;
    _cleanup(request_freep) struct config_identity *request = NULL;
    int rc = config_load_by(running->path, no_names, &fresh, errors);
    if (rc < 0)
        return rc;
    if (!running->identity)
        return add_keys(r, config_keys, "", running->config, fresh);
    if (running->requested && fresh)
        rc = read_request(running, fresh, &request, errors);
    if (rc < 0)
        return rc;
    const struct config_identity *now = running->requested ? request
                                        : fresh ? config_find(fresh, running->identity->id)
                                                : NULL;
    return add_identity(r, now);
}

json_t *config_report(const struct config_running *running) {
    struct report report = {.running = running, .keys = json_array()};
    _cleanup(conf_errors_clear) struct conf_errors errors = {.spots = &report.spots};
    int rc = report.keys ? add_all(&report, &errors) : -ENOMEM;
    conf_spots_clear(&report.spots);
    if (rc) {
        json_decref(report.keys);
        return NULL;
    }
    return json_pack("{s:s, s:o, s:o}", "file", running->path, "errors", lines_of(&errors), "keys",
                     report.keys);
}
