/* SPDX-License-Identifier: BSD-2-Clause */
/* A table of keys without any file: defaults, what it owns, and what it knows. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "base/text.h"
#include "common/conf_internal.h"

int conf_defaults(const struct conf_key *keys, void *target) {
    for (const struct conf_key *k = keys; k->name; k++) {
        if (k->type == CONF_GROUP) {
            int rc = conf_defaults(k->group, conf_at(target, k->offset));
            if (rc)
                return rc;
        }
        _cleanup(freep) char *fault =
            k->fallback ? conf_set_text(k, NULL, k->fallback, target) : NULL;
        if (fault)
            return -EINVAL;
    }
    return 0;
}

static void clear_list(const struct conf_key *key, struct conf_list *list) {
    for (size_t i = 0; i < list->n; i++)
        conf_clear(key->group, (char *)list->items + i * key->item_size);
    free(list->items);
    text_list_free(list->files);
    *list = (struct conf_list){0};
}

void conf_clear(const struct conf_key *keys, void *target) {
    for (const struct conf_key *k = keys; k->name; k++) {
        void *p = conf_at(target, k->offset);
        switch (k->type) {
        case CONF_STRING:
        case CONF_PATH:
        case CONF_FILE:
            free(*(char **)p);
            *(char **)p = NULL;
            break;
        case CONF_STRINGS:
            text_list_free(*(char ***)p);
            *(char ***)p = NULL;
            break;
        case CONF_GROUP:
            conf_clear(k->group, p);
            break;
        case CONF_LIST:
            clear_list(k, p);
            break;
        case CONF_BOOL:
        case CONF_CHOICE:
            *(int *)p = 0;
            break;
        case CONF_INT:
        case CONF_DURATION:
        case CONF_SIZE:
        case CONF_PERCENT:
            *(int64_t *)p = 0;
            break;
        }
    }
}

void conf_print_keys(const struct conf_key *keys, const char *prefix) {
    static const char *const names[] = {
        [CONF_STRING] = "string",     [CONF_PATH] = "path",    [CONF_FILE] = "path",
        [CONF_STRINGS] = "strings",   [CONF_BOOL] = "boolean", [CONF_INT] = "number",
        [CONF_DURATION] = "duration", [CONF_SIZE] = "size",    [CONF_PERCENT] = "share",
        [CONF_CHOICE] = "choice",     [CONF_GROUP] = "group",  [CONF_LIST] = "list",
    };
    for (const struct conf_key *k = keys; k->name; k++) {
        printf("%s%s %s %s\n", prefix, k->name, names[k->type], k->fallback ? k->fallback : "-");
        if (k->group) {
            _cleanup(freep) char *inner = text_format("%s%s.", prefix, k->name);
            conf_print_keys(k->group, inner ? inner : prefix);
        }
    }
}
