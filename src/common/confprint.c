/* SPDX-License-Identifier: BSD-2-Clause */
/* From the target of a table back to the notation of its file. Judges nothing. */
#include "common/confprint.h"

#include <errno.h>
#include <stdarg.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/text.h"

static int put(struct estc_buf *out, const char *fmt, ...) ESTC_PRINTF(2, 3);
static int put(struct estc_buf *out, const char *fmt, ...) {
    va_list args;
    va_start(args, fmt);
    _cleanup(freep) char *text = text_vformat(fmt, args);
    va_end(args);
    return text ? estc_buf_append(out, text, strlen(text)) : -ENOMEM;
}

/* In quotes; what is no printable ASCII byte by byte, as libconfig reads it again. */
static int put_string(struct estc_buf *out, const char *text) {
    int rc = put(out, "\"");
    for (; !rc && *text; text++) {
        unsigned char c = (unsigned char)*text;
        rc = c == '"' || c == '\\' ? put(out, "\\%c", c)
             : c < ' ' || c > '~'  ? put(out, "\\x%02x", c)
                                   : put(out, "%c", c);
    }
    return rc ? rc : put(out, "\"");
}

static int put_strings(struct estc_buf *out, char *const *list) {
    int rc = list ? put(out, "[ ") : 0;
    for (size_t i = 0; !rc && list && list[i]; i++) {
        rc = i > 0 ? put(out, ", ") : 0;
        rc = rc ? rc : put_string(out, list[i]);
    }
    return rc || !list ? rc : put(out, " ]");
}

struct unit {
    const char *suffix;
    int64_t factor;
};

/* With the largest unit that divides it. */
static int put_with_unit(struct estc_buf *out, int64_t value, const struct unit *units) {
    while (value == 0 ? units->factor != 1 : value % units->factor != 0)
        units++;
    return put(out, "\"%lld%s\"", (long long)(value / units->factor), units->suffix);
}

static int put_share(struct estc_buf *out, int64_t permille) {
    long long whole = (long long)(permille / 10), tenth = (long long)(permille % 10);
    return tenth == 0 ? put(out, "\"%lld%%\"", whole) : put(out, "\"%lld.%lld%%\"", whole, tenth);
}

/* Those of a group that are said: " name = value; other = value;" */
static int put_keys(struct estc_buf *out, const struct conf_key *keys, const char *target) {
    int rc = 0;
    for (const struct conf_key *k = keys; !rc && k->name; k++) {
        _cleanup(estc_buf_clear) struct estc_buf value = {0};
        rc = k->type == CONF_GROUP ? put_keys(&value, k->group, target + k->offset)
                                   : conf_value_print(k, target, &value);
        if (!rc && value.len > 0)
            rc = put(out, k->type == CONF_GROUP ? " %s = {%.*s };" : " %s = %.*s;", k->name,
                     (int)value.len, (const char *)value.data);
    }
    return rc;
}

static int put_list(struct estc_buf *out, const struct conf_key *key,
                    const struct conf_list *list) {
    int rc = list->n > 0 ? put(out, "(") : 0;
    for (size_t i = 0; !rc && i < list->n; i++) {
        rc = put(out, "%s {", i > 0 ? "," : "");
        if (!rc)
            rc = put_keys(out, key->group, (const char *)list->items + i * key->item_size);
        if (!rc)
            rc = put(out, " }");
    }
    return rc || list->n == 0 ? rc : put(out, " )");
}

int conf_value_print(const struct conf_key *key, const void *target, struct estc_buf *out) {
    static const struct unit times[] = {{"d", 86400}, {"h", 3600}, {"m", 60}, {"s", 1}};
    static const struct unit sizes[] = {{"G", 1073741824}, {"M", 1048576}, {"K", 1024}, {"", 1}};
    const void *at = (const char *)target + key->offset;
    const char *text;
    int choice;
    switch (key->type) {
    case CONF_STRING:
    case CONF_PATH:
    case CONF_FILE:
        text = *(char *const *)at;
        return text ? put_string(out, text) : 0;
    case CONF_STRINGS:
        return put_strings(out, *(char *const *const *)at);
    case CONF_BOOL:
        choice = *(const int *)at;
        return choice == CONF_UNSAID ? 0 : put(out, choice == CONF_TRUE ? "true" : "false");
    case CONF_CHOICE:
        choice = *(const int *)at - (int)key->min;
        return choice < 0 ? 0 : put_string(out, key->choices[choice]);
    case CONF_INT:
        return put(out, "%lld", (long long)*(const int64_t *)at);
    case CONF_DURATION:
        return put_with_unit(out, *(const int64_t *)at, times);
    case CONF_SIZE:
        return put_with_unit(out, *(const int64_t *)at, sizes);
    case CONF_PERCENT:
        return put_share(out, *(const int64_t *)at);
    case CONF_LIST:
        return put_list(out, key, at);
    case CONF_GROUP:
        break;
    }
    return 0;
}
