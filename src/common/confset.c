/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * One value of a configuration file into its place: form and range, nothing else. Faults are texts
 * for people; whoever calls knows file and line.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/text.h"
#include "common/conf_internal.h"
#include "common/credential.h"

#define STRINGS_MAX 256

const char *const conf_type_words[] = {
    [CONF_STRING] = "a string in double quotes",
    [CONF_PATH] = "a path in double quotes",
    [CONF_FILE] = "a path, or \"credential:NAME\"",
    [CONF_STRINGS] = "a string or a list of strings: [ \"...\", \"...\" ]",
    [CONF_BOOL] = "true or false",
    [CONF_INT] = "a whole number without quotes, like 4",
    [CONF_DURATION] = "a duration like \"90s\", \"15m\", \"12h\" or \"30d\"",
    [CONF_SIZE] = "a size like \"512\", \"16K\" or \"4M\"",
    [CONF_PERCENT] = "a share like \"66%\" or 0.66",
    [CONF_CHOICE] = "a string in double quotes",
    [CONF_GROUP] = "a group: { ... }",
    [CONF_LIST] = "a list of groups: ( { ... }, { ... } )",
};

static int (*const number_parsers[])(const char *text, int64_t *out) = {
    [CONF_DURATION] = conf_parse_duration,
    [CONF_SIZE] = conf_parse_size,
    [CONF_PERCENT] = conf_parse_percent,
};

/* A number of the type as people write it: malloc'd. */
static char *number_text(enum conf_type type, int64_t value) {
    if (type == CONF_DURATION)
        return conf_duration_text(value);
    if (type == CONF_PERCENT && value % 10 == 0)
        return text_format("%lld%%", (long long)(value / 10));
    if (type == CONF_PERCENT)
        return text_format("%lld.%lld%%", (long long)(value / 10), (long long)(value % 10));
    return text_format("%lld", (long long)value);
}

/* "TEXT CAUSE: it may be from A to B", malloc'd. */
static char *number_fault(const struct conf_key *key, const char *text, const char *cause) {
    _cleanup(freep) char *min = number_text(key->type, key->min);
    _cleanup(freep) char *max = number_text(key->type, key->max);
    return min && max ? text_format("%.80s %s: it may be from %s to %s", text, cause, min, max)
                      : strdup("out of memory");
}

/* NULL and the value set, else a malloc'd reason; text is what stands in the file. */
static char *set_number(const struct conf_key *key, int64_t value, const char *text, void *target) {
    if (value < key->min || value > key->max)
        return number_fault(key, text, "is out of range");
    *(int64_t *)conf_at(target, key->offset) = value;
    return NULL;
}

static char *set_number_text(const struct conf_key *key, const char *text, void *target) {
    int64_t value = INT64_MAX;
    int rc = number_parsers[key->type](text, &value);
    if (!rc || rc == -ERANGE)
        return set_number(key, value, text, target);
    _cleanup(freep) char *cause = text_format("is not %s", conf_type_words[key->type]);
    return cause ? number_fault(key, *text ? text : "\"\"", cause) : strdup("out of memory");
}

static char *set_choice(const struct conf_key *key, const char *text, void *target) {
    for (int i = 0; key->choices[i]; i++)
        if (strcmp(text, key->choices[i]) == 0) {
            *(int *)conf_at(target, key->offset) = (int)key->min + i;
            return NULL;
        }
    char *all = text_format("\"%.80s\" is none of", text);
    for (int i = 0; all && key->choices[i]; i++) {
        char *more = text_format("%s%s %s", all, i ? "," : "", key->choices[i]);
        free(all);
        all = more;
    }
    return all;
}

static char *string_fault(const struct conf_key *key, const char *text) {
    size_t len = strlen(text);
    if (len < (size_t)key->min)
        return len == 0 ? strdup("is empty")
                        : text_format("is shorter than %lld bytes", (long long)key->min);
    if (key->max > 0 && len > (size_t)key->max)
        return text_format("is longer than %lld bytes", (long long)key->max);
    return NULL;
}

/* path as it stands, or below the folder of the file that names it; absolute in either case, so
 * that it means the same wherever a process stands. */
static char *resolve_path(const char *file, const char *path) {
    const char *slash = file ? strrchr(file, '/') : NULL;
    if (*path == '/' || !file)
        return strdup(path);
    _cleanup(freep) char *here = *file == '/' ? strdup("") : getcwd(NULL, 0);
    if (!here)
        return NULL;
    return text_format("%s%s%.*s%s", here, *here ? "/" : "", slash ? (int)(slash + 1 - file) : 0,
                       file, path);
}

static char *set_string(const struct conf_key *key, const char *file, const char *text,
                        void *target) {
    char **out = conf_at(target, key->offset);
    bool credential = key->type == CONF_FILE && credential_named(text);
    if (credential && credential_fault(text))
        return text_format("\"%.80s\" %s", text, credential_fault(text));
    _cleanup(freep) char *value = credential                           ? credential_path(text)
                                  : key->type == CONF_STRING || !*text ? strdup(text)
                                                                       : resolve_path(file, text);
    if (!value)
        return strdup("out of memory");
    char *fault = string_fault(key, value);
    if (fault)
        return fault;
    free(*out);
    *out = TAKE(value);
    return NULL;
}

static char *set_bool(const struct conf_key *key, const char *text, void *target) {
    *(int *)conf_at(target, key->offset) = strcmp(text, "true") == 0 ? CONF_TRUE : CONF_FALSE;
    return NULL;
}

char *conf_set_text(const struct conf_key *key, const char *file, const char *text, void *target) {
    switch (key->type) {
    case CONF_STRING:
    case CONF_PATH:
    case CONF_FILE:
        return set_string(key, file, text, target);
    case CONF_BOOL:
        return set_bool(key, text, target);
    case CONF_INT:
        return set_number(key, strtoll(text, NULL, 10), text, target);
    case CONF_DURATION:
    case CONF_SIZE:
    case CONF_PERCENT:
        return set_number_text(key, text, target);
    case CONF_CHOICE:
        return set_choice(key, text, target);
    case CONF_STRINGS:
    case CONF_GROUP:
    case CONF_LIST:
        break;
    }
    return strdup("cannot be said in one text");
}

static char *wrong_type(const struct conf_key *key) {
    return text_format("expected %s", conf_type_words[key->type]);
}

static char *set_strings(const struct conf_key *key, const config_setting_t *s, void *target) {
    char ***out = conf_at(target, key->offset);
    char **list = NULL;
    char *fault = NULL;
    int type = config_setting_type(s);
    int n = type == CONFIG_TYPE_ARRAY || type == CONFIG_TYPE_LIST ? config_setting_length(s) : 1;
    if (type != CONFIG_TYPE_ARRAY && type != CONFIG_TYPE_LIST && type != CONFIG_TYPE_STRING)
        return wrong_type(key);
    if (n > STRINGS_MAX)
        return text_format("has %d elements: at most %d are taken", n, STRINGS_MAX);
    for (int i = 0; !fault && i < n; i++) {
        const char *text = type == CONFIG_TYPE_STRING ? config_setting_get_string(s)
                                                      : config_setting_get_string_elem(s, i);
        fault = text ? string_fault(key, text) : wrong_type(key);
        if (!fault && text_list_add(&list, text))
            fault = strdup("out of memory");
    }
    if (fault) {
        text_list_free(list);
        return fault;
    }
    text_list_free(*out);
    *out = list;
    return NULL;
}

/* A number that is written as one. */
static char *set_plain_number(const struct conf_key *key, const config_setting_t *s, void *target) {
    int type = config_setting_type(s);
    if (key->type == CONF_PERCENT && type == CONFIG_TYPE_FLOAT) {
        double share = config_setting_get_float(s);
        _cleanup(freep) char *text = text_format("%g", share);
        bool fits = share >= 0 && share <= 1000;
        return set_number(key, fits ? (int64_t)(share * 1000 + 0.5) : INT64_MAX, text, target);
    }
    if (key->type == CONF_INT && (type == CONFIG_TYPE_INT || type == CONFIG_TYPE_INT64)) {
        int64_t value = config_setting_get_int64(s);
        _cleanup(freep) char *text = text_format("%lld", (long long)value);
        return set_number(key, value, text, target);
    }
    return wrong_type(key);
}

char *conf_set_setting(const struct conf_key *key, const char *file, const config_setting_t *s,
                       void *target) {
    int type = config_setting_type(s);
    if (key->type == CONF_STRINGS)
        return set_strings(key, s, target);
    if (key->type == CONF_BOOL && type == CONFIG_TYPE_BOOL)
        return set_bool(key, config_setting_get_bool(s) ? "true" : "false", target);
    if (key->type != CONF_BOOL && key->type != CONF_INT && type == CONFIG_TYPE_STRING)
        return conf_set_text(key, file, config_setting_get_string(s), target);
    return set_plain_number(key, s, target);
}
