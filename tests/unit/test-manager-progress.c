/* SPDX-License-Identifier: BSD-2-Clause */
/* What systemd's watchdog hangs on: work that is due and not started, and workers that do not end.
 */
#include "manager_fixture.h"

#include "estcd/timebase.h"

static const struct store_attempts *attempts_of(struct scene *s, const char *id) {
    return &member_identity(scene_member(s, id))->attempts;
}

static void assert_stuck(struct scene *s, const char *id) {
    _cleanup(freep) char *text = manager_stuck(s->manager);
    if (!text || !strstr(text, id))
        fail_msg("'%s' does not name %s", text ? text : "all is well", id);
}

static void assert_going_on(struct scene *s) {
    _cleanup(freep) char *text = manager_stuck(s->manager);
    if (text)
        fail_msg("%s", text);
}

static void stand_still(const struct attempt_task *task, int fd) {
    signal(SIGALRM, SIG_IGN);
    hang(task, fd);
}

/* Two identities, both waiting for something in the future. */
static void two_that_wait(struct scene *s) {
    scene_workers_do = succeed;
    scene_configure(s, "max_attempts = 1;", IDS("gw-a", "gw-b"));
    scene_start(s);
    scene_wait(s, MANAGER_ISSUED, "gw-a");
    while (!member_identity(scene_member(s, "gw-b"))->have_facts)
        scene_idle(s, 10);
}

static void due_for_long(struct scene *s, const char *id, int64_t seconds) {
    scene_member(s, id)->plan.due = timebase_now() - seconds;
}

static void what_waits_for_its_time_is_well(void **state) {
    struct scene *s = *state;
    two_that_wait(s);
    assert_going_on(s);
}

static void what_was_due_a_minute_ago_is_stuck(void **state) {
    struct scene *s = *state;
    two_that_wait(s);
    due_for_long(s, "gw-b", 50);
    assert_going_on(s); /* a busy machine does that */
    due_for_long(s, "gw-b", 70);
    assert_stuck(s, "gw-b");
    manager_schedule(s->manager); /* what a timer would have done */
    assert_going_on(s);
}

static void nothing_is_due_before_the_start(void **state) {
    struct scene *s = *state;
    scene_configure(s, "", IDS("gw"));
    scene_manage(s);
    due_for_long(s, "gw", 1000);
    assert_going_on(s);
}

static void who_waits_for_a_place_is_stuck_only_when_none_will_be_free(void **state) {
    struct scene *s = *state;
    two_that_wait(s);
    scene_workers_do = stand_still;
    scene_ask(s, "gw-a", SCHEDULE_ENROLL, true);
    scene_wait(s, MANAGER_STEP, "gw-a");
    due_for_long(s, "gw-b", 1000);
    assert_going_on(s);
    scene_member(s, "gw-a")->ends_by = clock_boot_ms() - 50000;
    assert_going_on(s);
    scene_member(s, "gw-a")->ends_by = clock_boot_ms() - 70000;
    assert_stuck(s, "gw-b");
}

/* Its own alarm is in its own hands; the manager's is not. */
static void who_does_not_end_in_time_is_ended(void **state) {
    struct scene *s = *state;
    scene_workers_do = stand_still;
    scene_configure(s, "", IDS("gw"));
    scene_start(s);
    scene_wait(s, MANAGER_STEP, "gw");
    struct member *m = scene_member(s, "gw");
    int64_t left = m->ends_by - clock_boot_ms();
    int64_t allowed = (m->identity.config->attempt_timeout + 2 * WORKER_GRACE_SECONDS) * 1000;
    assert_true(left > allowed - PATIENCE_MS && left <= allowed);
    assert_true(sd_event_source_set_time_relative(m->deadline_source, 0) >= 0);
    scene_wait(s, MANAGER_FAILED, "gw");
    assert_int_equal(attempts_of(s, "gw")->last_result, ESTC_E_TIMEOUT);
    assert_non_null(strstr(attempts_of(s, "gw")->last_error, "attempt_timeout"));
    assert_null(m->deadline_source);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        STAGED(what_waits_for_its_time_is_well),
        STAGED(what_was_due_a_minute_ago_is_stuck),
        STAGED(nothing_is_due_before_the_start),
        STAGED(who_waits_for_a_place_is_stuck_only_when_none_will_be_free),
        STAGED(who_does_not_end_in_time_is_ended),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
