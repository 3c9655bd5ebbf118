/* SPDX-License-Identifier: BSD-2-Clause */
/* A control socket in one loop with its manager, and clients that call it. */
#pragma once

#include <poll.h>

#include "ctl/client.h"
#include "estcd/control.h"
#include "estcd/control_json.h"
#include "manager_fixture.h"

#define NAME "org.estcd.control."

static struct control *control;

static inline int control_setup(void **state) {
    control = NULL;
    return scene_setup(state);
}

static inline int control_teardown(void **state) {
    control_free(control);
    return scene_teardown(state);
}

#define CONTROLLED(test) cmocka_unit_test_setup_teardown(test, control_setup, control_teardown)

/* The manager tells one observer; here the test listens as well. */
static manager_observer_fn control_hears;

static inline void both_hear(const struct manager_event *event, void *arg) {
    scene_observe(event, scene_now);
    control_hears(event, arg);
}

static inline void start(struct scene *s, scene_script script) {
    struct estc_error err = {0};
    scene_workers_do = script;
    scene_configure(s, "", IDS("gw"));
    scene_manage(s);
    if (control_new(s->event, s->manager, -1, &control, &err))
        fail_msg("%s", err.text);
    control_hears = s->manager->observer;
    s->manager->observer = both_hear;
    manager_start(s->manager);
}

/* --- clients --------------------------------------------------------------------------------- */

/* A call that was sent; its replies are read from it. Takes params. */
static inline struct ctl_client *call(struct scene *s, const char *method, json_t *params,
                                      bool more) {
    struct estc_error err = {0};
    struct ctl_client *client = NULL;
    _cleanup(freep) char *path = text_format("%s/control", s->place->path);
    if (ctl_client_connect(path, &client, &err) ||
        ctl_client_send(client, method, params, more, &err))
        fail_msg("%s", err.text);
    json_decref(params);
    return client;
}

/* The next reply, while the daemon runs in the same thread. */
static inline struct ctl_reply reply(struct scene *s, struct ctl_client *client) {
    int64_t until = clock_boot_ms() + PATIENCE_MS;
    struct pollfd fd = {.fd = ctl_client_fd(client), .events = POLLIN};
    struct ctl_reply out = {0};
    struct estc_error err = {0};
    for (;;) {
        int rc = ctl_client_receive(client, 0, &out, &err);
        if (!rc)
            return out;
        if (rc != -ETIMEDOUT || clock_boot_ms() > until)
            fail_msg("%s", err.text);
        while (poll(&fd, 1, 0) == 0 && clock_boot_ms() < until)
            assert_true(sd_event_run(s->event, 10 * 1000) >= 0);
    }
}

/* The one reply to a call. */
static inline struct ctl_reply ask(struct scene *s, const char *method, json_t *params) {
    struct ctl_client *client = call(s, method, params, false);
    struct ctl_reply out = reply(s, client);
    assert_false(out.continues);
    ctl_client_free(client);
    return out;
}

static const char *text_at(const json_t *json, const char *outer, const char *inner) {
    const char *text =
        json_string_value(json_object_get(outer ? json_object_get(json, outer) : json, inner));
    return text ? text : "(none)";
}

static inline json_t *gw_params(void) {
    return json_pack("{s:s}", "id", "gw");
}

static inline void assert_error(struct scene *s, const char *method, json_t *params,
                                const char *error, const char *member, const char *value) {
    struct ctl_reply r = ask(s, method, params);
    assert_non_null(r.error);
    assert_string_equal(r.error, error);
    assert_string_equal(text_at(r.params, NULL, member), value);
    ctl_reply_clear(&r);
}

static const struct ctl_field *type_fields(const char *name) {
    for (const struct ctl_named_type *t = control_types; t->name; t++)
        if (strcmp(t->name, name) == 0)
            return t->fields;
    fail_msg("no type %s", name);
    return NULL;
}

static inline void assert_fits(const char *type, json_t *json) {
    assert_non_null(json);
    const char *unfit = ctl_check(&control_interface, type_fields(type), json, false);
    if (unfit)
        fail_msg("%s: %s", type, unfit);
}
