/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The control interface over its real socket, in one loop with the manager: what the methods
 * answer, that answers are what the interface promises, and followers that come, join, and go.
 */
#include "manager_fixture.h"

#include <poll.h>

#include "common/exitcode.h"
#include "ctl/client.h"
#include "estcd/control.h"
#include "estcd/control_json.h"

#define NAME "org.estcd.control."

static struct control *control;

static int control_setup(void **state) {
    control = NULL;
    return scene_setup(state);
}

static int control_teardown(void **state) {
    control_free(control);
    return scene_teardown(state);
}

#define CONTROLLED(test) cmocka_unit_test_setup_teardown(test, control_setup, control_teardown)

/* The manager tells one observer; here the test listens as well. */
static manager_observer_fn control_hears;

static void both_hear(const struct manager_event *event, void *arg) {
    scene_observe(event, scene_now);
    control_hears(event, arg);
}

static void start(struct scene *s, scene_script script) {
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
static struct ctl_client *call(struct scene *s, const char *method, json_t *params, bool more) {
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
static struct ctl_reply reply(struct scene *s, struct ctl_client *client) {
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
static struct ctl_reply ask(struct scene *s, const char *method, json_t *params) {
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

static json_t *gw_params(void) {
    return json_pack("{s:s}", "id", "gw");
}

static void assert_error(struct scene *s, const char *method, json_t *params, const char *error,
                         const char *member, const char *value) {
    struct ctl_reply r = ask(s, method, params);
    assert_non_null(r.error);
    assert_string_equal(r.error, error);
    assert_string_equal(text_at(r.params, NULL, member), value);
    ctl_reply_clear(&r);
}

/* --- answers --------------------------------------------------------------------------------- */

static void every_method_says_what_it_does(void **state) {
    (void)state;
    static const char *const changing[] = {"Enroll", "Renew",  "Retry",  "Rekey",   "Rollback",
                                           "Pause",  "Resume", "Reload", "Deployed"};
    for (const struct ctl_method *m = control_interface.methods; m->name; m++) {
        bool changes = false;
        for (size_t i = 0; i < sizeof(changing) / sizeof(changing[0]); i++)
            changes |= strcmp(m->name, changing[i]) == 0;
        assert_int_equal(m->changes, changes);
        assert_int_equal(m->owners, strcmp(m->name, "Deployed") == 0);
        assert_non_null(m->doc);
        assert_non_null(m->handle);
    }
    _cleanup(freep) char *text = ctl_interface_text(&control_interface);
    for (const struct ctl_error_type *e = control_interface.errors; e->name; e++)
        assert_non_null(strstr(text, e->name));
    for (int i = 0; i < MANAGER_EVENT_MAX_; i++)
        for (int j = 0; j < i; j++)
            assert_string_not_equal(manager_event_names[i], manager_event_names[j]);
}

static const struct ctl_field *type_fields(const char *name) {
    for (const struct ctl_named_type *t = control_types; t->name; t++)
        if (strcmp(t->name, name) == 0)
            return t->fields;
    fail_msg("no type %s", name);
    return NULL;
}

static void assert_fits(const char *type, json_t *json) {
    assert_non_null(json);
    const char *unfit = ctl_check(&control_interface, type_fields(type), json, false);
    if (unfit)
        fail_msg("%s: %s", type, unfit);
}

static void end_with(int fd, int result) {
    char text[100];
    snprintf(text, sizeof(text),
             "{\"result\":%d,\"retry_after\":60,\"since\":1800000000,\"text\":\"why\"}", result);
    say(fd, text);
}

static void be_rejected(const struct attempt_task *task, int fd) {
    (void)task;
    end_with(fd, ESTC_E_REJECTED);
}

static void be_pending(const struct attempt_task *task, int fd) {
    (void)task;
    end_with(fd, ESTC_E_PENDING);
}

static void be_unfit(const struct attempt_task *task, int fd) {
    (void)task;
    end_with(fd, ESTC_E_CREDENTIAL);
}

/* In every state that an identity goes through here. */
static void an_identity_is_what_the_interface_says(void **state) {
    struct scene *s = *state;
    static const struct {
        scene_script script;
        enum manager_event_kind end;
        const char *state, *result;
        int code, certificates;
    } rows[] = {
        {hang, MANAGER_STEP, "working", "none", EXIT_WORKING, 0},
        {be_rejected, MANAGER_FAILED, "failing", "rejected", EXIT_REJECTED, 0},
        {be_pending, MANAGER_PENDING, "pending", "pending", EXIT_WORKING, 0},
        {be_unfit, MANAGER_CONFIG, "config", "credential", EXIT_BAD_CONFIG, 0},
        {succeed, MANAGER_ISSUED, "valid", "ok", EXIT_DONE, 1},
        {be_rejected, MANAGER_FAILED, "failing", "rejected", EXIT_REJECTED, 1},
    };
    start(s, hang);
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        scene_workers_do = rows[i].script;
        scene_ask(s, "gw", SCHEDULE_ENROLL, true);
        scene_wait(s, rows[i].end, "gw");
        struct ctl_reply r = ask(s, NAME "Show", gw_params());
        json_t *shown = json_object_get(r.params, "identity");
        assert_fits("Identity", shown);
        assert_string_equal(text_at(shown, NULL, "state"), rows[i].state);
        assert_string_equal(text_at(shown, NULL, "last_result"), rows[i].result);
        assert_int_equal(json_integer_value(json_object_get(shown, "exit_code")), rows[i].code);
        assert_int_equal(json_object_get(shown, "certificate") != NULL, rows[i].certificates);
        const json_t *since = json_object_get(shown, "pending_since");
        assert_int_equal(since != NULL, rows[i].script == be_pending || rows[i].script == be_unfit);
        if (since)
            assert_string_equal(json_string_value(since), "2027-01-15T08:00:00Z");
        ctl_reply_clear(&r);
        if (i == 0) {
            kill(scene_member(s, "gw")->pid, SIGKILL);
            scene_wait(s, MANAGER_FAILED, "gw");
        }
    }
    struct ctl_reply r = ask(s, NAME "List", NULL);
    json_t *list = json_object_get(r.params, "identities");
    assert_int_equal(json_array_size(list), 1);
    assert_string_equal(text_at(json_array_get(list, 0), "certificate", "subject"), "CN=gw");
    ctl_reply_clear(&r);
}

static void wrong_questions(void **state) {
    struct scene *s = *state;
    start(s, hang);
    static const char *const methods[] = {NAME "Show", NAME "Enroll", NAME "Renew", NAME "CaCerts"};
    for (size_t i = 0; i < sizeof(methods) / sizeof(methods[0]); i++)
        assert_error(s, methods[i], json_pack("{s:s}", "id", "nobody"), NAME "NoSuchIdentity", "id",
                     "nobody");
    assert_error(s, NAME "CaCerts", gw_params(), NAME "NoCertificate", "id", "gw");
    assert_error(s, NAME "Renew", gw_params(), NAME "NoCertificate", "id", "gw");
    assert_error(s, NAME "Events", NULL, "org.varlink.service.ExpectedMore", "", "(none)");
}

static void cacerts_are_text_or_none(void **state) {
    struct scene *s = *state;
    static const char file[] = "state/identities/gw/current/cacerts.pem";
    start(s, succeed);
    scene_wait(s, MANAGER_ISSUED, "gw");
    struct ctl_reply r = ask(s, NAME "CaCerts", gw_params());
    assert_null(r.error);
    assert_non_null(strstr(text_at(r.params, NULL, "pem"), "BEGIN CERTIFICATE"));
    ctl_reply_clear(&r);
    static const char *const contents[] = {"", "\xff\xfe binary", "a\0b"};
    for (size_t i = 0; i < sizeof(contents) / sizeof(contents[0]); i++) {
        assert_int_equal(fs_write_atomic(s->place->fd, file, contents[i],
                                         i == 2 ? 3 : strlen(contents[i]), 0644, NULL),
                         0);
        struct ctl_reply now = ask(s, NAME "CaCerts", gw_params());
        assert_non_null(now.error);
        ctl_reply_clear(&now);
    }
}

static void a_reload_answers_when_it_is_in_force(void **state) {
    struct scene *s = *state;
    start(s, hang);
    scene_configure(s, "", IDS("gw", "gw2"));
    struct ctl_reply r = ask(s, NAME "Reload", NULL);
    assert_int_equal(json_integer_value(json_object_get(r.params, "identities")), 2);
    assert_int_equal(manager_count(s->manager), 2);
    ctl_reply_clear(&r);
    scene_configure(s, "colour = 1; taste = 2;", IDS("gw"));
    r = ask(s, NAME "Reload", NULL);
    assert_string_equal(r.error, NAME "ConfigInvalid");
    assert_int_equal(json_array_size(json_object_get(r.params, "errors")), 2);
    ctl_reply_clear(&r);
}

/* --- followers ------------------------------------------------------------------------------- */

/* Reads to the last reply; how many there were. The last one's event in *kind. */
static size_t read_all(struct scene *s, struct ctl_client *client, char *kind, size_t size) {
    for (size_t n = 1;; n++) {
        struct ctl_reply r = reply(s, client);
        bool last = !r.continues;
        if (!r.error) {
            json_t *event = json_object_get(r.params, "event");
            assert_fits("Event", event);
            assert_string_equal(text_at(event, NULL, "id"), "gw");
            assert_int_equal(json_object_get(r.params, "identity") != NULL, last);
        }
        snprintf(kind, size, "%s", r.error ? r.error : text_at(r.params, "event", "kind"));
        ctl_reply_clear(&r);
        if (last)
            return n;
    }
}

static void slowly(const struct attempt_task *task, int fd) {
    say(fd, "{\"step\":\"open\"}");
    usleep(300 * 1000);
    succeed(task, fd);
}

static void followers_hear_all_and_the_end(void **state) {
    struct scene *s = *state;
    char kind[64];
    start(s, slowly);
    scene_wait(s, MANAGER_STEP, "gw");
    /* One joins, one goes away in the middle, one wants to know only that it has begun. */
    struct ctl_client *joins = call(s, NAME "Enroll", gw_params(), true);
    struct ctl_client *leaves = call(s, NAME "Enroll", gw_params(), true);
    scene_idle(s, 50);
    ctl_client_free(leaves);
    struct ctl_reply begun = ask(s, NAME "Enroll", gw_params());
    assert_string_equal(text_at(begun.params, "event", "kind"), "started");
    assert_string_equal(text_at(begun.params, "identity", "state"), "working");
    ctl_reply_clear(&begun);
    assert_int_equal(read_all(s, joins, kind, sizeof(kind)), 1);
    assert_string_equal(kind, "issued");
    ctl_client_free(joins);
    assert_int_equal(scene_n_started, 1);
    struct ctl_client *renews =
        call(s, NAME "Renew", json_pack("{s:s, s:b}", "id", "gw", "force", 1), true);
    assert_int_equal(read_all(s, renews, kind, sizeof(kind)), 3); /* started, step, issued */
    assert_string_equal(kind, "issued");
    ctl_client_free(renews);
}

static void not_due_is_an_end(void **state) {
    struct scene *s = *state;
    char kind[64];
    start(s, succeed);
    scene_wait(s, MANAGER_ISSUED, "gw");
    for (int more = 0; more < 2; more++) {
        struct ctl_client *client = call(s, NAME "Renew", gw_params(), more);
        assert_int_equal(read_all(s, client, kind, sizeof(kind)), 1);
        assert_string_equal(kind, "not-due");
        ctl_client_free(client);
    }
    assert_int_equal(scene_n_started, 1);
}

static void who_follows_what_is_removed_is_told(void **state) {
    struct scene *s = *state;
    char kind[64];
    start(s, hang);
    scene_wait(s, MANAGER_STEP, "gw");
    struct ctl_client *client = call(s, NAME "Enroll", gw_params(), true);
    scene_idle(s, 50);
    scene_configure(s, "", IDS("other"));
    struct ctl_reply r = ask(s, NAME "Reload", NULL);
    ctl_reply_clear(&r);
    assert_int_equal(read_all(s, client, kind, sizeof(kind)), 1);
    assert_string_equal(kind, NAME "NoSuchIdentity");
    ctl_client_free(client);
}

static void events_go_on_over_all(void **state) {
    struct scene *s = *state;
    start(s, succeed);
    struct ctl_client *client = call(s, NAME "Events", NULL, true);
    static const char *const expected[] = {"issued", "reloaded", "reload-failed"};
    for (size_t i = 0; i < sizeof(expected) / sizeof(expected[0]); i++) {
        if (i > 0) {
            _cleanup(conf_errors_clear) struct conf_errors errors = {0};
            scene_configure(s, i == 1 ? "" : "colour = 1;", IDS("gw"));
            manager_reload(s->manager, &errors);
        }
        struct ctl_reply r = reply(s, client);
        assert_true(r.continues);
        assert_fits("Event", json_object_get(r.params, "event"));
        assert_string_equal(text_at(r.params, "event", "kind"), expected[i]);
        ctl_reply_clear(&r);
    }
    ctl_client_free(client);
    scene_idle(s, 50);
    /* Nobody listens any more; the daemon's end meets no follower either. */
    struct ctl_client *stays = call(s, NAME "Events", NULL, true);
    scene_idle(s, 50);
    control = control_free(control);
    ctl_client_free(stays);
}

static void its_folder_is_made(void **state) {
    struct scene *s = *state;
    struct stat st;
    scene_configure(s, "", IDS("gw"));
    _cleanup(estc_buf_clear) struct estc_buf text = {0};
    assert_int_equal(fs_read(s->place->fd, "estcd.conf", 10000, &text, NULL, NULL), 0);
    char *at = strstr((char *)text.data, "/control\"");
    _cleanup(freep) char *changed =
        text_format("%.*s/run/deep/control\"%s", (int)(at - (char *)text.data), text.data, at + 9);
    assert_int_equal(
        fs_write_atomic(s->place->fd, "estcd.conf", changed, strlen(changed), 0644, NULL), 0);
    scene_manage(s);
    assert_int_equal(control_new(s->event, s->manager, -1, &control, NULL), 0);
    assert_int_equal(fstatat(s->place->fd, "run/deep/control", &st, 0), 0);
    assert_true(S_ISSOCK(st.st_mode));
    control = control_free(control);
    assert_int_equal(fstatat(s->place->fd, "run/deep/control", &st, 0), -1);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_method_says_what_it_does),
        CONTROLLED(an_identity_is_what_the_interface_says),
        CONTROLLED(wrong_questions),
        CONTROLLED(cacerts_are_text_or_none),
        CONTROLLED(a_reload_answers_when_it_is_in_force),
        CONTROLLED(followers_hear_all_and_the_end),
        CONTROLLED(not_due_is_an_end),
        CONTROLLED(who_follows_what_is_removed_is_told),
        CONTROLLED(events_go_on_over_all),
        CONTROLLED(its_folder_is_made),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
