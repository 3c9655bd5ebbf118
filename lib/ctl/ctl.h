/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The control protocol: Varlink (varlink.org) over a Unix stream socket. JSON objects, each ended
 * by a NUL byte. This file is the server's half without any event loop; see client.h for the other
 * and src/common/ctlserver.h for the socket.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include <jansson.h>

#include <estc/error.h>

#define CTL_MESSAGE_MAX (64 * 1024) /* bytes of one message from a client */
#define CTL_BACKLOG_MAX \
    (1024 * 1024)           /* bytes queued for a client that does not read; then closed */
#define CTL_DEPTH_MAX 16    /* nested objects and arrays in one message */
#define CTL_STRING_MAX 4096 /* bytes of one string from a client */
#define CTL_STRINGS_MAX 256 /* strings in one list from a client */

enum ctl_type { CTL_STRING, CTL_INT, CTL_BOOL, CTL_STRINGS, CTL_OBJECT, CTL_OBJECTS };

/* One field of a method's input or output, or of a named type. */
struct ctl_field {
    const char *name; /* NULL ends a table */
    enum ctl_type type;
    bool optional;
    const char *type_name; /* CTL_OBJECT(S): which named type */
};

struct ctl_call;

struct ctl_method {
    const char *name; /* "Enroll" */
    bool changes;     /* needs the right to change */
    bool owners;      /* needs to be root or the daemon's own user; no group will do */
    bool more_only;   /* a call without `more` is answered with ExpectedMore */
    const struct ctl_field *in, *out;
    /* Replies now, or keeps the call (ctl_call_ref) and replies later. params (borrowed) has been
     * checked against `in`: no unknown, no missing, no wrongly typed member, no null; strings and
     * lists are bounded. A call given back without a last reply gets MethodNotImplemented. */
    void (*handle)(struct ctl_call *call, json_t *params, void *arg);
    const char *doc; /* one line */
};

struct ctl_named_type {
    const char *name;
    const struct ctl_field *fields;
};
struct ctl_error_type {
    const char *name; /* "NoSuchIdentity" */
    const struct ctl_field *fields;
    const char *doc;
};

/* One Varlink interface: everything in it drives the dispatcher and the description text. */
struct ctl_interface {
    const char *name; /* "org.estcd.control" */
    const char *doc;
    const struct ctl_named_type *types;  /* name NULL ends; or NULL */
    const struct ctl_method *methods;    /* name NULL ends */
    const struct ctl_error_type *errors; /* name NULL ends; or NULL */
};

struct ctl_service {
    const char *vendor, *product, *version, *url; /* for GetInfo */
    const struct ctl_interface *interface;
    const char *read_group, *change_group; /* named in refusals: "estc", "estc-admin" */
};

/* The interface in Varlink's own notation; malloc'd, or NULL. */
char *ctl_interface_text(const struct ctl_interface *interface);

/* Holds an object against a table of fields (NULL: none); limits: apply CTL_STRING(S)_MAX. NULL
 * when it fits, else the name of the member at fault (the table's or the object's own string). */
const char *ctl_check(const struct ctl_interface *interface, const struct ctl_field *fields,
                      json_t *object, bool limits);

#define CTL_FDS_MAX 4 /* descriptors that may come with one call */

/* --- one connection ------------------------------------------------------------------------- */

struct ctl_conn;

struct ctl_conn_options {
    const struct ctl_service *service;
    bool may_change; /* rights of the peer; reading is what connecting means */
    bool is_owner;   /* the peer is root or the daemon's own user */
    uid_t uid;       /* of the peer */
    void *arg;       /* for the handlers */
};

/* Takes fd (non-blocking stream socket). */
int ctl_conn_new(int fd, const struct ctl_conn_options *options, struct ctl_conn **out);
/* Closes; calls that somebody keeps become dead: replying to them does nothing, and each one's
 * on_dead is called. */
struct ctl_conn *ctl_conn_free(struct ctl_conn *conn);
int ctl_conn_fd(const struct ctl_conn *conn);
/* POLLIN, POLLOUT or both: what to wait for now. */
int ctl_conn_events(const struct ctl_conn *conn);
/* Reads, dispatches, writes. 0, or negative when the connection is over and must be freed. */
int ctl_conn_process(struct ctl_conn *conn, int revents);
/* Called when ctl_conn_events() may have changed outside ctl_conn_process(). */
void ctl_conn_set_wakeup(struct ctl_conn *conn, void (*wakeup)(struct ctl_conn *, void *),
                         void *arg);

/* --- one call ------------------------------------------------------------------------------- */

/* Keeps a call beyond its handler; give it back with ctl_call_unref(). */
struct ctl_call *ctl_call_ref(struct ctl_call *call);
struct ctl_call *ctl_call_unref(struct ctl_call *call);
bool ctl_call_wants_more(const struct ctl_call *call);
/* The descriptor that came as the i-th with this call; the caller's from here on. -1: none. Those
 * that nobody takes are closed when the handler has returned. */
int ctl_call_take_fd(struct ctl_call *call, size_t i);
uid_t ctl_call_uid(const struct ctl_call *call); /* whose it is, as the kernel says */
/* True when nobody would hear a reply: the connection is gone, the last reply was given, or the
 * caller wanted none (`oneway`). */
bool ctl_call_is_dead(const struct ctl_call *call);
/* At most one; called once when the connection ends before the last reply. */
void ctl_call_on_dead(struct ctl_call *call, void (*on_dead)(struct ctl_call *, void *), void *arg);

/* A reply; params is taken (NULL: {}). continues only where ctl_call_wants_more(). On a dead call
 * both do nothing but free params. They queue only: ctl_conn_process() writes. */
void ctl_call_reply(struct ctl_call *call, json_t *params, bool continues);
/* The last reply: params (an object, taken) and in it a list of so many members. These are made one
 * by one (taken; NULL: out of memory) and not kept, so that a long list costs its text and nothing
 * else. */
typedef json_t *(*ctl_member_fn)(size_t i, void *arg);
void ctl_call_reply_list(struct ctl_call *call, json_t *params, const char *name, size_t n,
                         ctl_member_fn member, void *arg);
/* The last reply. name is one of the interface's errors, without prefix, or a full name with dots
 * in it; params is taken (NULL: {}). */
void ctl_call_error(struct ctl_call *call, const char *name, json_t *params);
