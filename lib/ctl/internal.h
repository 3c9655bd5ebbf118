/* SPDX-License-Identifier: BSD-2-Clause */
/* Shared by the files of lib/ctl only. */
#pragma once

#include <estc/buf.h>

#include "ctl/ctl.h"

enum conn_state {
    CONN_OPEN,
    CONN_CLOSING, /* an answer goes out, nothing is read any more */
    CONN_FAILED,  /* shut down; the owner is about to notice */
};

struct ctl_conn {
    int fd;
    struct ctl_conn_options options;
    enum conn_state state;
    bool eof;             /* the peer sends nothing more; it may still listen */
    bool processing;      /* inside ctl_conn_process(): no wakeup needed */
    int fds[CTL_FDS_MAX]; /* that came, and are nobody's yet; -1: taken */
    size_t n_fds;
    struct estc_buf in;  /* less than one message, or messages that wait for their turn */
    struct estc_buf out; /* out_at bytes of it are sent */
    size_t out_at;
    struct ctl_call *current; /* not owned. Answers come in the order of the calls (Varlink): the
                                 next call waits until this one is over */
    void (*wakeup)(struct ctl_conn *, void *);
    void *wakeup_arg;
};

struct ctl_call {
    unsigned refs;
    struct ctl_conn *conn; /* NULL: dead */
    const struct ctl_service *service;
    const struct ctl_interface *interface;
    const struct ctl_method *method;
    bool more;
    void (*on_dead)(struct ctl_call *, void *);
    void *on_dead_arg;
};

/* org.varlink.service. */
extern const struct ctl_interface ctl_builtin_interface;

/* Closes what nobody has taken. */
void conn_drop_fds(struct ctl_conn *conn);

/* Queues one message; NULL (there was no memory for it) or a peer too far behind ends all. */
void conn_queue(struct ctl_conn *conn, json_t *message);
/* The same for a message that is text already, with the NUL that ends it. */
void conn_queue_text(struct ctl_conn *conn, const void *text, size_t len);
/* Nothing more is read; over when what is queued has been sent. */
void conn_close_after_write(struct ctl_conn *conn);

/* Reads one message and calls its method. */
void dispatch_message(struct ctl_conn *conn, const char *data, size_t len);
/* One of the interfaces that the service has, or NULL; name need not end after len bytes. */
const struct ctl_interface *dispatch_interface(const struct ctl_service *service, const char *name,
                                               size_t len);
/* The answer to what is no call at all; closes. */
void dispatch_refuse(struct ctl_conn *conn);

/* With one reference; answered: the caller waits for a reply. NULL: out of memory. */
struct ctl_call *call_new(struct ctl_conn *conn, bool answered,
                          const struct ctl_interface *interface, const struct ctl_method *method,
                          bool more);
void call_die(struct ctl_call *call);
