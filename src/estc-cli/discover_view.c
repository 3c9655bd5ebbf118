/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Places where EST is offered, in JSON and in a table made from it. Every text has come through
 * <estc/discovery.h>, so it is a host name, an address or a path. Pure.
 */
#include "discover.h"

#include <errno.h>
#include <string.h>

#include <estc/url.h>

#include "base/cleanup.h"
#include "base/text.h"
#include "view.h"

#define COLUMNS 6

/* "coaps://[fe80::1%25eth0]:61617/est", as short as it can be. A link-local address gets the zone
 * in which it was told of. */
static char *offer_url(const struct estc_offer *offer, const char *from) {
    const char *host = offer->host ? offer->host : from;
    const char *zone = strchr(from, '%');
    const bool v6 = strchr(host, ':'), local = text_same(host, "fe80:", 5);
    const char *own = strchr(host, '%');
    int len = own ? (int)(own - host) : (int)strlen(host);
    if (own)
        zone = own;
    bool zoned = local && zone;
    _cleanup(freep) char *port = offer->port == 0 || offer->port == ESTC_DEFAULT_PORT
                                     ? strdup("")
                                     : text_format(":%u", (unsigned)offer->port);
    const char *root = strcmp(offer->root, ESTC_DEFAULT_ROOT) == 0 ? "" : offer->root;
    return port ? text_format("%s://%s%.*s%s%s%s%s%s", offer->host ? "coaps" : "coap",
                              v6 ? "[" : "", len, host, zoned ? "%25" : "", zoned ? zone + 1 : "",
                              v6 ? "]" : "", port, root)
                : NULL;
}

static json_t *operations(const struct estc_offer *offer) {
    json_t *list = json_array();
    for (int op = 0; list && op < ESTC_OP_MAX_; op++) {
        if (!offer->ops[op].offered)
            continue;
        json_t *formats = json_array();
        for (const int *f = offer->ops[op].formats; formats && *f != ESTC_FORMAT_NONE; f++)
            json_array_append_new(formats, json_integer(*f));
        json_array_append_new(list,
                              json_pack("{s:s, s:o}", "name", estc_op_info((enum estc_op)op)->name,
                                        "formats", formats));
    }
    return list;
}

json_t *discover_json(const struct estc_offer *offer, const char *address, const char *host) {
    _cleanup(freep) char *url = offer_url(offer, host);
    return json_pack("{s:s, s:s, s:s, s:s, s:o, s:b, s:b}", "address", address, "url", url, "root",
                     offer->root, "label", offer->label, "operations", operations(offer), "secure",
                     offer->host != NULL, "authenticated", false);
}

/* --- the table --- */

/* Both texts of a row grow by one operation: "crts sen" and "281,287 281,287". */
static bool add_operation(json_t *op, char **names, char **formats) {
    _cleanup(freep) char *numbers = strdup("");
    size_t i;
    json_t *number;
    json_array_foreach(json_object_get(op, "formats"), i, number) {
        char *longer = numbers ? text_format("%s%s%" JSON_INTEGER_FORMAT, numbers, i ? "," : "",
                                             json_integer_value(number))
                               : NULL;
        free(numbers);
        numbers = longer;
    }
    const char *gap = **names ? " " : "";
    const char *name = json_string_value(json_object_get(op, "name"));
    char *more_names = text_format("%s%s%s", *names, gap, name);
    char *more_formats =
        numbers ? text_format("%s%s%s", *formats, gap, *numbers ? numbers : "-") : NULL;
    if (!more_names || !more_formats) {
        free(more_names);
        free(more_formats);
        return false;
    }
    free(*names);
    free(*formats);
    *names = more_names;
    *formats = more_formats;
    return true;
}

static int add_place(struct table *table, json_t *place, int64_t now) {
    (void)now;
    const char *label = json_string_value(json_object_get(place, "label"));
    const bool secure = json_is_true(json_object_get(place, "secure"));
    _cleanup(freep) char *names = strdup(""), *formats = strdup("");
    bool good = names && formats;
    size_t i;
    json_t *op;
    json_array_foreach(json_object_get(place, "operations"), i, op) {
        good = good && add_operation(op, &names, &formats);
    }
    struct cell cells[COLUMNS] = {
        {good ? view_text(place, "address") : NULL, TINT_NONE},
        {view_text(place, "url"), TINT_NONE},
        {strdup(label && *label ? label : "-"), TINT_NONE},
        {strdup(secure ? "yes" : "no"), secure ? TINT_NONE : TINT_BAD},
        {TAKE(names), TINT_NONE},
        {TAKE(formats), TINT_NONE},
    };
    return table_add(table, cells);
}

struct table *discover_table(json_t *places, bool bare) {
    static const char *const headings[COLUMNS] = {"ANSWERED BY", "URL",        "LABEL",
                                                  "SECURE",      "OPERATIONS", "FORMATS"};
    return table_of(places, COLUMNS, bare ? NULL : headings, add_place, 0);
}
