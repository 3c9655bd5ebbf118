/* SPDX-License-Identifier: BSD-2-Clause */
/* Followers of the control interface that come, join, and go. */
#include "control_fixture.h"

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

int main(void) {
    const struct CMUnitTest tests[] = {
        CONTROLLED(followers_hear_all_and_the_end),
        CONTROLLED(not_due_is_an_end),
        CONTROLLED(who_follows_what_is_removed_is_told),
        CONTROLLED(events_go_on_over_all),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
