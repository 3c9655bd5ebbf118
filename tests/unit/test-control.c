/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The control interface over its real socket: what the methods answer, and that answers are what
 * the interface promises.
 */
#include "common/exitcode.h"
#include "control_fixture.h"

static void every_method_says_what_it_does(void **state) {
    (void)state;
    static const char *const changing[] = {"Enroll", "Renew",  "Retry",    "Rekey",    "Rollback",
                                           "Pause",  "Resume", "Reload",   "Deployed", "Request",
                                           "Forget", "Check",  "Bootstrap"};
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
    /* A list has less of each, and of the same. */
    struct ctl_reply r = ask(s, NAME "List", NULL), one = ask(s, NAME "Show", gw_params());
    json_t *list = json_object_get(r.params, "identities");
    assert_int_equal(json_array_size(list), 1);
    const char *key;
    json_t *value, *shown = json_object_get(one.params, "identity");
    json_object_foreach(json_array_get(list, 0), key, value) {
        if (!json_is_object(value))
            assert_true(json_equal(value, json_object_get(shown, key)));
    }
    assert_string_equal(text_at(json_array_get(list, 0), "certificate", "not_after"),
                        text_at(shown, "certificate", "not_after"));
    ctl_reply_clear(&r);
    ctl_reply_clear(&one);
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
        CONTROLLED(its_folder_is_made),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
