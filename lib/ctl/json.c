/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Parsing of hostile JSON. jansson recurses up to 2048 deep on its own; nothing of ours needs more
 * than a few levels, so depth is bounded by a scan before the parser sees the first byte.
 */
#include "ctl/json.h"

#include <stdbool.h>

#include "base/text.h"
#include "ctl/ctl.h"

/* Counts brackets outside strings. What it makes of text that is no JSON does not matter: the
 * parser refuses that itself. */
static bool depth_ok(const char *data, size_t len) {
    bool in_string = false;
    unsigned depth = 0;
    for (size_t i = 0; i < len; i++) {
        char c = data[i];
        if (in_string && c == '\\')
            i++;
        else if (c == '"')
            in_string = !in_string;
        else if (!in_string && (c == '{' || c == '[') && ++depth > CTL_DEPTH_MAX)
            return false;
        else if (!in_string && (c == '}' || c == ']') && depth > 0)
            depth--;
    }
    return true;
}

json_t *ctl_json_object(const char *data, size_t len) {
    if (!depth_ok(data, len))
        return NULL;
    json_error_t ignored;
    _cleanup(json_freep) json_t *json = json_loadb(data, len, JSON_REJECT_DUPLICATES, &ignored);
    return json_is_object(json) ? TAKE(json) : NULL;
}

int64_t ctl_json_int(const json_t *object, const char *member, int64_t min, int64_t max) {
    json_int_t value = json_integer_value(json_object_get(object, member));
    return value < min ? min : value > max ? max : value;
}

char *ctl_json_text(const json_t *object, const char *member, size_t max) {
    const json_t *value = json_object_get(object, member);
    return json_is_string(value)
               ? text_clean(json_string_value(value), json_string_length(value), max)
               : NULL;
}
