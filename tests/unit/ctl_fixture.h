/* SPDX-License-Identifier: BSD-2-Clause */
/* A small Varlink service on a socket pair, driven by hand: for the tests of lib/ctl. */
#pragma once

#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "ctl/ctl.h"
#include "support.h"

struct fixture {
    struct ctl_conn *conn;
    int peer;              /* the client's end, non-blocking */
    struct ctl_call *kept; /* by Keep */
    unsigned deaths, calls, wakeups;
    bool over; /* ctl_conn_process() said so */
};

static void handle_echo(struct ctl_call *call, json_t *params, void *arg) {
    struct fixture *f = arg;
    f->calls++;
    ctl_call_reply(call, json_incref(params), false);
}

static void on_dead(struct ctl_call *call, void *arg) {
    struct fixture *f = arg;
    assert_ptr_equal(call, f->kept);
    assert_true(ctl_call_is_dead(call));
    f->deaths++;
}

static void handle_keep(struct ctl_call *call, json_t *params, void *arg) {
    (void)params;
    struct fixture *f = arg;
    f->calls++;
    assert_null(f->kept);
    f->kept = ctl_call_ref(call);
    ctl_call_on_dead(call, on_dead, f);
}

static void handle_forget(struct ctl_call *call, json_t *params, void *arg) {
    (void)call;
    (void)params;
    ((struct fixture *)arg)->calls++;
}

static void handle_fail(struct ctl_call *call, json_t *params, void *arg) {
    (void)arg;
    const char *id = json_string_value(json_object_get(params, "id"));
    ctl_call_error(call, "NoSuchThing", json_pack("{s:s}", "id", id));
}

static const struct ctl_field fixture_thing[] = {
    {"name", CTL_STRING}, {"sizes", CTL_STRINGS, true}, {NULL}};
static const struct ctl_field fixture_all[] = {
    {"text", CTL_STRING},
    {"count", CTL_INT, true},
    {"flag", CTL_BOOL, true},
    {"names", CTL_STRINGS, true},
    {"thing", CTL_OBJECT, true, "Thing"},
    {"things", CTL_OBJECTS, true, "Thing"},
    {"any", CTL_OBJECT, true},
    {NULL},
};
static const struct ctl_field fixture_id[] = {{"id", CTL_STRING}, {NULL}};
static const struct ctl_named_type fixture_types[] = {{"Thing", fixture_thing}, {NULL}};
static const struct ctl_method fixture_methods[] = {
    {.name = "Echo",
     .in = fixture_all,
     .out = fixture_all,
     .handle = handle_echo,
     .doc = "Says the same.\nIn two lines."},
    {.name = "Keep", .handle = handle_keep, .doc = "Answers later."},
    {.name = "Follow", .more_only = true, .handle = handle_keep, .doc = "Goes on."},
    {.name = "Forget", .handle = handle_forget, .doc = "Never answers."},
    {.name = "Fail", .in = fixture_id, .handle = handle_fail, .doc = "Fails."},
    {.name = "Change",
     .changes = true,
     .in = fixture_all,
     .out = fixture_all,
     .handle = handle_echo,
     .doc = "Changes."},
    {NULL},
};
static const struct ctl_error_type fixture_errors[] = {
    {"NoSuchThing", fixture_id, "Not here."},
    {NULL},
};
static const struct ctl_interface fixture_interface = {
    .name = "org.example.test",
    .doc = "For tests.",
    .types = fixture_types,
    .methods = fixture_methods,
    .errors = fixture_errors,
};
static const struct ctl_service fixture_service = {
    .vendor = "Vendor",
    .product = "Product",
    .version = "1",
    .url = "https://example.org/",
    .interface = &fixture_interface,
    .read_group = "readers",
    .change_group = "changers",
};

static void fixture_wakeup(struct ctl_conn *conn, void *arg) {
    struct fixture *f = arg;
    assert_ptr_equal(conn, f->conn);
    f->wakeups++;
}

static inline struct fixture *fixture_new(bool may_change) {
    struct fixture *f = calloc(1, sizeof(*f));
    int fds[2];
    assert_non_null(f);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds), 0);
    struct ctl_conn_options options = {
        .service = &fixture_service, .may_change = may_change, .arg = f};
    assert_int_equal(ctl_conn_new(fds[0], &options, &f->conn), 0);
    assert_int_equal(ctl_conn_fd(f->conn), fds[0]);
    ctl_conn_set_wakeup(f->conn, fixture_wakeup, f);
    f->peer = fds[1];
    return f;
}

static inline void fixture_free(struct fixture *f) {
    ctl_conn_free(f->conn);
    ctl_call_unref(f->kept);
    if (f->peer >= 0)
        close(f->peer);
    free(f);
}

/* One turn of an event loop: waits for nothing, but works on what is there. False: idle or over. */
static inline bool fixture_turn(struct fixture *f) {
    if (f->over)
        return false;
    struct pollfd p = {.fd = ctl_conn_fd(f->conn), .events = (short)ctl_conn_events(f->conn)};
    if (poll(&p, 1, 0) != 1)
        return false;
    f->over = ctl_conn_process(f->conn, p.revents) < 0;
    return true;
}

static inline void fixture_run(struct fixture *f) {
    unsigned turns = 0;
    while (fixture_turn(f))
        assert_true(++turns < 100000); /* it must come to rest */
}

static inline void fixture_send(struct fixture *f, const void *data, size_t len) {
    assert_int_equal(send(f->peer, data, len, MSG_NOSIGNAL), (ssize_t)len);
}

/* A text and the NUL behind it. */
static inline void fixture_say(struct fixture *f, const char *text) {
    fixture_send(f, text, strlen(text) + 1);
}

/* The next message to the client, or NULL when there is none. */
static inline json_t *fixture_hear(struct fixture *f) {
    fixture_run(f);
    char *text = NULL;
    size_t len = 0, cap = 0;
    for (;;) {
        char c;
        ssize_t n = read(f->peer, &c, 1);
        if (n <= 0) {
            assert_int_equal(len, 0); /* half a message would be a bug */
            free(text);
            return NULL;
        }
        if (len == cap) {
            cap = cap ? 2 * cap : 1024;
            text = realloc(text, cap);
            assert_non_null(text);
        }
        text[len++] = c;
        if (c == '\0')
            break;
        if (len % 4096 == 0)
            fixture_run(f);
    }
    json_t *json = json_loads(text, JSON_REJECT_DUPLICATES, NULL);
    free(text);
    assert_non_null(json);
    return json;
}

/* The next message is this one, member for member. */
static inline void fixture_expect(struct fixture *f, const char *text) {
    json_t *heard = fixture_hear(f);
    json_t *wanted = json_loads(text, 0, NULL);
    assert_non_null(wanted);
    if (!heard || !json_equal(heard, wanted)) {
        char *got = heard ? json_dumps(heard, JSON_SORT_KEYS) : NULL;
        print_error("wanted %s\ngot    %s\n", text, got ? got : "nothing");
        free(got);
        fail();
    }
    json_decref(heard);
    json_decref(wanted);
}

static inline void fixture_expect_nothing(struct fixture *f) {
    json_t *heard = fixture_hear(f);
    assert_null(heard);
}
