/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * From one message to its method: the envelope, the right to call, the parameters. A wrong call
 * gets an error and the connection lives on; what is no call at all (no JSON, too large, no answer
 * possible) ends it.
 */
#include <string.h>

#include "base/cleanup.h"
#include "base/text.h"
#include "ctl/internal.h"
#include "ctl/json.h"

#define SERVICE "org.varlink.service."
#define METHOD_NAME_MAX 255

/* The members of a call. Others are ignored: later versions of Varlink may add some. */
static const struct ctl_field envelope_fields[] = {
    {"method", CTL_STRING},   {"parameters", CTL_OBJECT, true}, {"oneway", CTL_BOOL, true},
    {"more", CTL_BOOL, true}, {"upgrade", CTL_BOOL, true},      {NULL},
};

struct envelope {
    const char *method; /* full name */
    bool oneway, more;
};

/* {"parameter": "..."}: value may be the peer's own words, so it is bounded. */
static json_t *named(const char *member, const char *value, size_t len) {
    _cleanup(freep) char *clean = text_clean(value, len, METHOD_NAME_MAX);
    return clean ? json_pack("{s:s}", member, clean) : NULL;
}

/* An error of the service before there is a call that could carry it. */
static void refuse(struct ctl_conn *conn, const struct envelope *e, const char *error,
                   json_t *params) {
    _cleanup(json_freep) json_t *message =
        json_pack("{s:s+, s:o}", "error", SERVICE, error, "parameters", params);
    if (!e->oneway)
        conn_queue(conn, message);
}

void dispatch_refuse(struct ctl_conn *conn) {
    refuse(conn, &(struct envelope){0}, "InvalidParameter",
           json_pack("{s:s}", "parameter", "message"));
    conn_close_after_write(conn);
}

/* NULL when the envelope is fine, else the member at fault. */
static const char *read_envelope(json_t *json, struct envelope *out) {
    out->oneway = json_is_true(json_object_get(json, "oneway"));
    _cleanup(json_freep) json_t *known = json_object();
    for (const struct ctl_field *f = envelope_fields; f->name; f++) {
        json_t *value = json_object_get(json, f->name);
        if (value && !json_is_null(value)) /* some implementations write null for absent */
            json_object_set(known, f->name, value);
    }
    const char *unfit = ctl_check(&ctl_builtin_interface, envelope_fields, known, true);
    if (unfit)
        return unfit;
    out->method = json_string_value(json_object_get(json, "method"));
    out->more = json_is_true(json_object_get(json, "more"));
    if (strlen(out->method) > METHOD_NAME_MAX)
        return "method";
    if (json_is_true(json_object_get(json, "upgrade")))
        return "upgrade"; /* there is no other protocol to switch to */
    return out->oneway && out->more ? "more" : NULL;
}

const struct ctl_interface *dispatch_interface(const struct ctl_service *service, const char *name,
                                               size_t len) {
    const struct ctl_interface *const known[] = {&ctl_builtin_interface, service->interface};
    for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
        if (strlen(known[i]->name) == len && memcmp(known[i]->name, name, len) == 0)
            return known[i];
    return NULL;
}

static const struct ctl_method *find_method(const struct ctl_interface *interface,
                                            const char *name) {
    for (const struct ctl_method *m = interface->methods; m->name; m++)
        if (strcmp(m->name, name) == 0)
            return m;
    return NULL;
}

/* An optional parameter that is null is an absent one. */
static void drop_nulls(json_t *params, const struct ctl_field *fields) {
    for (const struct ctl_field *f = fields; f && f->name; f++)
        if (f->optional && json_is_null(json_object_get(params, f->name)))
            json_object_del(params, f->name);
}

/* The method is known; may it be called, and like this? */
static void call_method(struct ctl_conn *conn, struct ctl_call *call, json_t *params) {
    const struct ctl_service *service = conn->options.service;
    const struct ctl_method *method = call->method;
    if (method->changes && !conn->options.may_change) {
        ctl_call_error(call, "NotAllowed", json_pack("{s:s}", "group", service->change_group));
        return;
    }
    if (method->owners && !conn->options.is_owner) {
        ctl_call_error(call, "NotAllowed", json_pack("{s:s}", "group", "root"));
        return;
    }
    if (method->more_only && !call->more) {
        ctl_call_error(call, SERVICE "ExpectedMore", NULL);
        return;
    }
    drop_nulls(params, method->in);
    const char *unfit = ctl_check(call->interface, method->in, params, true);
    if (unfit)
        ctl_call_error(call, SERVICE "InvalidParameter", named("parameter", unfit, strlen(unfit)));
    else
        method->handle(call, params, conn->options.arg);
}

void dispatch_message(struct ctl_conn *conn, const char *data, size_t len) {
    _cleanup(json_freep) json_t *json = ctl_json_object(data, len);
    if (!json) {
        dispatch_refuse(conn);
        return;
    }
    struct envelope e = {0};
    const char *unfit = read_envelope(json, &e);
    if (unfit) {
        refuse(conn, &e, "InvalidParameter", json_pack("{s:s}", "parameter", unfit));
        return;
    }
    const char *dot = strrchr(e.method, '.');
    size_t prefix = dot ? (size_t)(dot - e.method) : strlen(e.method);
    const struct ctl_interface *interface =
        dispatch_interface(conn->options.service, e.method, prefix);
    const struct ctl_method *method = interface && dot ? find_method(interface, dot + 1) : NULL;
    if (!interface) {
        refuse(conn, &e, "InterfaceNotFound", named("interface", e.method, prefix));
        return;
    }
    if (!method) {
        refuse(conn, &e, "MethodNotFound", named("method", e.method, strlen(e.method)));
        return;
    }
    json_t *given = json_object_get(json, "parameters");
    _cleanup(json_freep) json_t *params =
        json_is_object(given) ? json_incref(given) : json_object();
    struct ctl_call *call = call_new(conn, !e.oneway, interface, method, e.more);
    if (call && params)
        call_method(conn, call, params);
    else
        conn_queue(conn, NULL);
    ctl_call_unref(call);
}
