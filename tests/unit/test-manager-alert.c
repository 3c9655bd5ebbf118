/* SPDX-License-Identifier: BSD-2-Clause */
/* Alerts as the manager tells them: once when they rise, once when they are over. */
#include "manager_fixture.h"

#define ASKED SCHEDULE_ENROLL

static void refuse(const struct attempt_task *task, int fd) {
    (void)task;
    _cleanup(freep) char *text =
        text_format("{\"result\":%d,\"retry_after\":0,\"text\":\"no\"}", ESTC_E_REJECTED);
    say(fd, text);
}

/* Three seconds to live. */
static void issue_briefly(const struct attempt_task *task, int fd) {
    say(fd, scene_commit(task, 3) ? "{\"result\":-5,\"retry_after\":0}"
                                  : "{\"result\":0,\"retry_after\":0}");
}

static size_t count(const struct scene *s, enum manager_event_kind kind) {
    size_t n = 0;
    for (size_t i = 0; i < s->n_events; i++)
        n += s->events[i].kind == kind;
    return n;
}

static void begin(struct scene *s, scene_script script) {
    scene_workers_do = script;
    scene_configure(s, "", IDS("gw"));
    scene_start(s);
}

static void told_once_when_it_rises_and_once_when_it_is_over(void **state) {
    struct scene *s = *state;
    begin(s, refuse);
    for (int i = 0; i < 5; i++) {
        scene_wait(s, MANAGER_FAILED, "gw");
        assert_int_equal(count(s, MANAGER_ALERT), i >= 2);
        scene_ask(s, "gw", ASKED, true);
    }
    assert_int_equal(scene_member(s, "gw")->alert, ALERT_CRITICAL);
    assert_true(identity_needs_attention(member_identity(scene_member(s, "gw")), clock_real()));
    scene_wait(s, MANAGER_FAILED, "gw");
    scene_workers_do = succeed;
    scene_ask(s, "gw", ASKED, true);
    scene_wait(s, MANAGER_ALERT_CLEARED, "gw");
    assert_int_equal(count(s, MANAGER_ALERT), 1);
    assert_int_equal(count(s, MANAGER_ALERT_CLEARED), 1);
    assert_int_equal(scene_member(s, "gw")->alert, ALERT_NONE);
}

static void time_alone_raises_it(void **state) {
    struct scene *s = *state;
    begin(s, issue_briefly);
    scene_wait(s, MANAGER_ISSUED, "gw");
    assert_int_equal(scene_member(s, "gw")->alert, ALERT_NONE);
    scene_workers_do = hang;
    const struct scene_event *e = scene_wait(s, MANAGER_ALERT, "gw");
    assert_non_null(strstr(e->text, "without a renewal"));
    e = scene_wait(s, MANAGER_ALERT, "gw");
    assert_non_null(strstr(e->text, "expired"));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        STAGED(told_once_when_it_rises_and_once_when_it_is_over),
        STAGED(time_alone_raises_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
