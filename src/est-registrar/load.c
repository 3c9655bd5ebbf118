/* SPDX-License-Identifier: BSD-2-Clause */
/* The limits under the names that they have in the configuration. Pure. */
#include "load.h"

#include <stddef.h>

#define AT(member) offsetof(struct estc_listener_counts, member)
static const struct {
    const char *name;
    size_t offset;
} limits[] = {
    {"max_sessions", AT(sessions)},
    {"max_handshakes", AT(handshakes)},
    {"max_bodies", AT(bodies)},
    {"max_body", AT(body)},
    {"max_waiting", AT(waiting)},
    {"address_rate", AT(address_rate)},
    {"certificate_rate", AT(certificate_rate)},
};
#undef AT

const struct ctl_field load_limit_fields[] = {
    {"name", CTL_STRING}, {"limit", CTL_INT}, {"used", CTL_INT}, {"refused", CTL_INT}, {NULL}};

const struct ctl_field load_fields[] = {{"limits", CTL_OBJECTS, .type_name = "Limit"},
                                        {"cookies", CTL_INT},
                                        {"connected", CTL_INT},
                                        {"failed", CTL_INT},
                                        {"requests", CTL_INT},
                                        {NULL}};

static json_t *limits_json(const struct estc_listener_counts *counts) {
    json_t *all = json_array();
    for (size_t i = 0; i < sizeof(limits) / sizeof(limits[0]); i++) {
        const struct estc_listener_use *use =
            (const void *)((const char *)counts + limits[i].offset);
        json_array_append_new(all,
                              json_pack("{s:s, s:I, s:I, s:I}", "name", limits[i].name, "limit",
                                        (json_int_t)use->max, "used", (json_int_t)use->used,
                                        "refused", (json_int_t)use->refused));
    }
    return all;
}

json_t *load_json(const struct estc_listener_counts *counts) {
    return json_pack("{s:o, s:I, s:I, s:I, s:I}", "limits", limits_json(counts), "cookies",
                     (json_int_t)counts->cookies, "connected", (json_int_t)counts->connected,
                     "failed", (json_int_t)counts->failed, "requests",
                     (json_int_t)counts->requests);
}
