/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * One call: alive while its caller can still get a reply. It dies with its last reply or with its
 * connection, whichever is first; who keeps a reference to a dead one can do no harm. Never writes
 * to the socket itself.
 */
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/log.h"
#include "ctl/internal.h"
#include "ctl/json.h"

struct ctl_call *call_new(struct ctl_conn *conn, bool answered,
                          const struct ctl_interface *interface, const struct ctl_method *method,
                          bool more) {
    struct ctl_call *call = calloc(1, sizeof(*call));
    if (!call)
        return NULL;
    *call = (struct ctl_call){.refs = 1,
                              .conn = answered ? conn : NULL,
                              .service = conn->options.service,
                              .interface = interface,
                              .method = method,
                              .more = more};
    if (answered)
        conn->current = call;
    return call;
}

/* No reply can reach anybody from here on. */
static void call_detach(struct ctl_call *call) {
    if (call->conn && call->conn->current == call)
        call->conn->current = NULL;
    call->conn = NULL;
}

void call_die(struct ctl_call *call) {
    call_detach(call);
    if (call->on_dead)
        call->on_dead(call, call->on_dead_arg);
}

struct ctl_call *ctl_call_ref(struct ctl_call *call) {
    call->refs++;
    return call;
}

struct ctl_call *ctl_call_unref(struct ctl_call *call) {
    if (!call || --call->refs > 0)
        return NULL;
    /* Nobody is left who could answer: say so instead of letting the caller wait for ever. */
    if (call->conn) {
        log_error("control: %s.%s gave no answer", call->interface->name, call->method->name);
        ctl_call_error(
            call, "org.varlink.service.MethodNotImplemented",
            json_pack("{s:s++}", "method", call->interface->name, ".", call->method->name));
    }
    free(call);
    return NULL;
}

bool ctl_call_wants_more(const struct ctl_call *call) {
    return call->more;
}

bool ctl_call_is_dead(const struct ctl_call *call) {
    return !call->conn;
}

void ctl_call_on_dead(struct ctl_call *call, void (*on_dead)(struct ctl_call *, void *),
                      void *arg) {
    call->on_dead = on_dead;
    call->on_dead_arg = arg;
}

/* Adds params (taken; NULL: {}) to message (taken) and queues it. */
static void call_send(struct ctl_call *call, json_t *message, json_t *params, bool last) {
    _cleanup(json_freep) json_t *owned = message;
    struct ctl_conn *conn = call->conn;
    if (!conn) {
        json_decref(params);
        return;
    }
    if (last)
        call_detach(call);
    if (json_object_set_new(owned, "parameters", params ? params : json_object()) < 0)
        conn_queue(conn, NULL);
    else
        conn_queue(conn, owned);
}

void ctl_call_reply(struct ctl_call *call, json_t *params, bool continues) {
    bool goes_on = continues && call->more;
    call_send(call, goes_on ? json_pack("{s:b}", "continues", 1) : json_object(), params, !goes_on);
}

void ctl_call_error(struct ctl_call *call, const char *name, json_t *params) {
    json_t *message = strchr(name, '.')
                          ? json_pack("{s:s}", "error", name)
                          : json_pack("{s:s++}", "error", call->interface->name, ".", name);
    call_send(call, message, params, true);
}
