/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * One call: alive while its caller can still get a reply. It dies with its last reply or with its
 * connection, whichever is first; who keeps a reference to a dead one can do no harm. Never writes
 * to the socket itself.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/log.h"
#include "base/text.h"
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

int ctl_call_take_fd(struct ctl_call *call, size_t i) {
    struct ctl_conn *conn = call->conn;
    int fd = conn && i < conn->n_fds ? conn->fds[i] : -1;
    if (fd >= 0)
        conn->fds[i] = -1;
    return fd;
}

uid_t ctl_call_uid(const struct ctl_call *call) {
    return call->conn ? call->conn->options.uid : (uid_t)-1;
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

static int add_dumped(const char *data, size_t len, void *arg) {
    return estc_buf_append(arg, data, len);
}

/* Taken: what was dumped is not needed any more. */
static int add_json(struct estc_buf *out, json_t *json) {
    _cleanup(json_freep) json_t *owned = json;
    return owned ? json_dump_callback(owned, add_dumped, out, JSON_COMPACT) : -ENOMEM;
}

/* {"parameters":{...,"NAME":[...]}} */
static int put_list(struct estc_buf *out, json_t *params, const char *name, size_t n,
                    ctl_member_fn member, void *arg) {
    bool alone = json_object_size(params) == 0;
    int rc = estc_buf_append(out, "{\"parameters\":", 14);
    if (!rc)
        rc = add_json(out, params);
    _cleanup(freep) char *key = text_format("%s\"%s\":[", alone ? "" : ",", name);
    if (!rc && key)
        out->len--; /* the bracket that closes them */
    rc = rc || !key ? -ENOMEM : estc_buf_append(out, key, strlen(key));
    for (size_t i = 0; !rc && i < n; i++) {
        if (i > 0)
            rc = estc_buf_append(out, ",", 1);
        if (!rc)
            rc = add_json(out, member(i, arg));
    }
    return rc ? rc : estc_buf_append(out, "]}}", 4); /* with the NUL */
}

void ctl_call_reply_list(struct ctl_call *call, json_t *params, const char *name, size_t n,
                         ctl_member_fn member, void *arg) {
    struct ctl_conn *conn = call->conn;
    _cleanup(estc_buf_clear) struct estc_buf text = {0};
    if (!conn) {
        json_decref(params);
        return;
    }
    int rc = put_list(&text, params, name, n, member, arg);
    call_detach(call);
    conn_queue_text(conn, rc ? NULL : text.data, rc ? 0 : text.len);
}

void ctl_call_error(struct ctl_call *call, const char *name, json_t *params) {
    json_t *message = strchr(name, '.')
                          ? json_pack("{s:s}", "error", name)
                          : json_pack("{s:s++}", "error", call->interface->name, ".", name);
    call_send(call, message, params, true);
}
