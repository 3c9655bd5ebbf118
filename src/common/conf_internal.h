/* SPDX-License-Identifier: BSD-2-Clause */
/* What the files of the configuration reader share; nobody else includes this. */
#pragma once

#include <libconfig.h>

#include "common/conf.h"

/* "a duration like ...": what a value of the type looks like. */
extern const char *const conf_type_words[];

/* The target of a key. */
static inline void *conf_at(void *target, size_t offset) {
    return (char *)target + offset;
}

/*
 * Both set one value and return NULL, or return a malloc'd reason why it cannot stand. From text
 * (file: where it stands, for relative paths; may be NULL), for everything that is not a list or
 * group; and from a setting, for everything that is not a list of groups or a group.
 */
char *conf_set_text(const struct conf_key *key, const char *file, const char *text, void *target);
char *conf_set_setting(const struct conf_key *key, const char *file, const config_setting_t *s,
                       void *target);

/* Why a text must not reach libconfig. */
struct conf_text_fault {
    const char *cause; /* NULL: it may */
    unsigned line;
    const char *name; /* in the text: the setting at hand; name_len 0: none */
    int name_len;
};

struct conf_text_fault conf_text_fault(const char *text);
