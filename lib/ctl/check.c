/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * An object held against a table of fields. Knows types and limits, nothing of calls. The depth of
 * what comes in is bounded (json.c), so the recursion into named types is, too.
 */
#include <string.h>

#include "ctl/ctl.h"

static const struct ctl_field *field_find(const struct ctl_field *fields, const char *name) {
    for (const struct ctl_field *f = fields; f && f->name; f++)
        if (strcmp(f->name, name) == 0)
            return f;
    return NULL;
}

static const struct ctl_field *type_find(const struct ctl_interface *interface, const char *name) {
    for (const struct ctl_named_type *t = interface->types; t && t->name; t++)
        if (strcmp(t->name, name) == 0)
            return t->fields;
    return NULL;
}

static bool string_fits(json_t *value, bool limits) {
    return json_is_string(value) && (!limits || json_string_length(value) <= CTL_STRING_MAX);
}

static bool object_fits(const struct ctl_interface *interface, const struct ctl_field *field,
                        json_t *value, bool limits) {
    if (!json_is_object(value))
        return false;
    return !field->type_name ||
           !ctl_check(interface, type_find(interface, field->type_name), value, limits);
}

static bool array_fits(const struct ctl_interface *interface, const struct ctl_field *field,
                       json_t *value, bool limits) {
    if (!json_is_array(value) || (limits && json_array_size(value) > CTL_STRINGS_MAX))
        return false;
    for (size_t i = 0; i < json_array_size(value); i++) {
        json_t *item = json_array_get(value, i);
        if (field->type == CTL_STRINGS ? !string_fits(item, limits)
                                       : !object_fits(interface, field, item, limits))
            return false;
    }
    return true;
}

static bool value_fits(const struct ctl_interface *interface, const struct ctl_field *field,
                       json_t *value, bool limits) {
    switch (field->type) {
    case CTL_STRING:
        return string_fits(value, limits);
    case CTL_INT:
        return json_is_integer(value);
    case CTL_BOOL:
        return json_is_boolean(value);
    case CTL_OBJECT:
        return object_fits(interface, field, value, limits);
    case CTL_STRINGS:
    case CTL_OBJECTS:
        return array_fits(interface, field, value, limits);
    }
    return false;
}

const char *ctl_check(const struct ctl_interface *interface, const struct ctl_field *fields,
                      json_t *object, bool limits) {
    const char *name;
    json_t *value;
    json_object_foreach(object, name, value) {
        const struct ctl_field *field = field_find(fields, name);
        if (!field || !value_fits(interface, field, value, limits))
            return field ? field->name : name;
    }
    for (const struct ctl_field *f = fields; f && f->name; f++)
        if (!f->optional && !json_object_get(object, f->name))
            return f->name;
    return NULL;
}
