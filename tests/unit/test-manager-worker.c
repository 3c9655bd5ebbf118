/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What becomes of a worker in the manager's eyes: results, deaths of all kinds, and workers that
 * have fallen into the wrong hands.
 */
#include "manager_fixture.h"

#include <sys/eventfd.h>
#include <sys/timerfd.h>

#define FAR INT64_C(3600)

/* The manager's clock watch is a descriptor that a test can trigger: nobody sets the machine's
 * clock for a test. */
static int clock_watch = -1;
int __wrap_timerfd_create(int clock, int flags);

int __wrap_timerfd_create(int clock, int flags) {
    (void)clock;
    (void)flags;
    clock_watch = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    return clock_watch;
}

int __wrap_timerfd_settime(int fd, int flags, const struct itimerspec *when,
                           struct itimerspec *was);

int __wrap_timerfd_settime(int fd, int flags, const struct itimerspec *when,
                           struct itimerspec *was) {
    (void)when;
    (void)was;
    assert_int_equal(fd, clock_watch);
    assert_int_equal(flags, TFD_TIMER_ABSTIME | TFD_TIMER_CANCEL_ON_SET);
    return 0;
}

static void set_the_clock(void) {
    assert_int_equal(eventfd_write(clock_watch, 1), 0);
}

/* Runs one attempt of one identity to the end that is told. */
static const struct scene_event *attempt(struct scene *s, scene_script script,
                                         enum manager_event_kind end) {
    scene_workers_do = script;
    scene_configure(s, "", IDS("gw"));
    scene_start(s);
    return scene_wait(s, end, "gw");
}

static const struct identity *gw(struct scene *s) {
    return member_identity(scene_member(s, "gw"));
}

/* What is on disk is what is in memory. */
static void assert_recorded(struct scene *s) {
    struct store_attempts read = {0};
    const struct store_attempts *known = &gw(s)->attempts;
    store_load_attempts(s->state, "gw", &read);
    assert_int_equal(read.failures, known->failures);
    assert_int_equal(read.last_result, known->last_result);
    assert_int_equal(read.last_attempt, known->last_attempt);
    assert_int_equal(read.pending_until, known->pending_until);
    assert_int_equal(read.pending_since, known->pending_since);
    if (known->last_error)
        assert_string_equal(read.last_error, known->last_error);
    else
        assert_null(read.last_error);
    store_attempts_clear(&read);
}

static void assert_failed(struct scene *s, int result, const char *part) {
    const struct store_attempts *attempts = &gw(s)->attempts;
    assert_int_equal(attempts->failures, 1);
    assert_int_equal(attempts->last_result, result);
    if (!strstr(attempts->last_error, part))
        fail_msg("'%s' does not say '%s'", attempts->last_error, part);
    assert_false(gw(s)->working);
    int64_t wait = member_plan(scene_member(s, "gw"))->due - clock_real();
    assert_in_range(wait, 20, 3600);
    assert_recorded(s);
}

/* --- results --------------------------------------------------------------------------------- */

static void a_success_is_in_force(void **state) {
    struct scene *s = *state;
    const struct scene_event *e = attempt(s, succeed, MANAGER_ISSUED);
    assert_non_null(strstr(e->text, gw(s)->facts.serial));
    assert_int_equal(scene_state(s, "gw"), IDENTITY_VALID);
    assert_int_equal(member_plan(scene_member(s, "gw"))->action, SCHEDULE_RENEW);
    assert_true(member_plan(scene_member(s, "gw"))->due > clock_real() + FAR);
    assert_int_equal(gw(s)->attempts.failures, 0);
    assert_recorded(s);
}

static void tell_steps(const struct attempt_task *task, int fd) {
    say(fd, "{\"step\":\"open\"}");
    say(fd, "{\"step\":\"connect\",\"text\":\"coaps://\\u001b[2Jx\"}");
    say(fd, "{\"result\":1,\"retry_after\":0,\"text\":\"one\"}");
    say(fd, "{\"result\":2,\"retry_after\":0,\"text\":\"the last one counts\"}");
    (void)task;
}

static void steps_are_told(void **state) {
    struct scene *s = *state;
    attempt(s, tell_steps, MANAGER_FAILED);
    assert_int_equal(s->n_events, 4);
    assert_int_equal(s->events[0].kind, MANAGER_STARTED);
    assert_string_equal(s->events[0].text, "enroll");
    assert_string_equal(s->events[1].step, "open");
    assert_string_equal(s->events[1].text, "state folder opened");
    assert_string_equal(s->events[2].text, "DTLS session established: coaps://?[2Jx");
    assert_string_equal(s->events[3].text, "the last one counts");
    assert_failed(s, 2, "the last one counts");
}

static void be_pending(const struct attempt_task *task, int fd) {
    char text[100];
    (void)task;
    snprintf(text, sizeof(text),
             "{\"result\":%d,\"retry_after\":3600,\"since\":1800000000,\"text\":\"5.03\"}",
             ESTC_E_PENDING);
    say(fd, text);
}

static void a_pending_one_is_polled_later(void **state) {
    struct scene *s = *state;
    attempt(s, be_pending, MANAGER_PENDING);
    assert_int_equal(scene_state(s, "gw"), IDENTITY_PENDING);
    assert_int_equal(member_plan(scene_member(s, "gw"))->action, SCHEDULE_POLL);
    assert_in_range(member_plan(scene_member(s, "gw"))->due, clock_real() + 3590,
                    clock_real() + 3600);
    assert_int_equal(gw(s)->attempts.pending_since, 1800000000);
    assert_recorded(s);
    /* Asking earlier is no help, unless somebody insists. */
    assert_int_equal(scene_ask(s, "gw", SCHEDULE_ENROLL, false), MANAGER_NOT_DUE);
    assert_int_equal(scene_n_started, 1);
    scene_workers_do = succeed;
    assert_int_equal(scene_ask(s, "gw", SCHEDULE_ENROLL, true), MANAGER_STARTED);
    scene_wait(s, MANAGER_ISSUED, "gw");
    assert_int_equal(gw(s)->attempts.pending_until, 0);
    assert_int_equal(gw(s)->attempts.pending_since, 0);
}

/* --- deaths ---------------------------------------------------------------------------------- */

static void die_of_kill(const struct attempt_task *task, int fd) {
    (void)task;
    say(fd, "{\"step\":\"open\"}");
    raise(SIGKILL);
}

static void killed_is_a_failure(void **state) {
    attempt(*state, die_of_kill, MANAGER_FAILED);
    assert_failed(*state, -EIO, "killed by signal 9");
}

static void say_nothing(const struct attempt_task *task, int fd) {
    (void)task;
    (void)fd;
    _exit(3);
}

static void ending_without_a_word_is_a_failure(void **state) {
    attempt(*state, say_nothing, MANAGER_FAILED);
    assert_failed(*state, -EIO, "without a result (status 3)");
}

static void die_of_alarm(const struct attempt_task *task, int fd) {
    (void)task;
    (void)fd;
    raise(SIGALRM);
}

static void hanging_is_a_timeout(void **state) {
    attempt(*state, die_of_alarm, MANAGER_FAILED);
    assert_failed(*state, ESTC_E_TIMEOUT, "attempt_timeout");
}

static void commit_and_die(const struct attempt_task *task, int fd) {
    (void)fd;
    scene_commit(task, 100000);
    raise(SIGKILL);
}

static void the_truth_is_on_disk(void **state) {
    struct scene *s = *state;
    attempt(s, commit_and_die, MANAGER_ISSUED);
    assert_int_equal(scene_state(s, "gw"), IDENTITY_VALID);
    /* The same for a renewal, whose predecessor is known already. */
    assert_int_equal(scene_ask(s, "gw", SCHEDULE_RENEW, true), MANAGER_STARTED);
    scene_wait(s, MANAGER_ISSUED, "gw");
    assert_int_equal(gw(s)->facts.generation, 2);
}

static void die_at_the_end(const struct attempt_task *task, int fd) {
    succeed(task, fd);
    _exit(23); /* as a sanitizer does that has found a leak */
}

static void a_bad_end_after_a_success_is_one(void **state) {
    attempt(*state, die_at_the_end, MANAGER_ISSUED);
    assert_int_equal(gw(*state)->attempts.failures, 0);
}

/* --- in the wrong hands ---------------------------------------------------------------------- */

static void claim_success(const struct attempt_task *task, int fd) {
    (void)task;
    say(fd, "{\"result\":0,\"retry_after\":0}");
}

static void a_certificate_that_is_not_there_is_none(void **state) {
    struct scene *s = *state;
    attempt(s, claim_success, MANAGER_FAILED);
    assert_failed(s, -EIO, "is not there");
    scene_workers_do = succeed;
    scene_ask(s, "gw", SCHEDULE_ENROLL, false);
    scene_wait(s, MANAGER_ISSUED, "gw");
    scene_workers_do = claim_success;
    scene_ask(s, "gw", SCHEDULE_RENEW, true);
    assert_non_null(strstr(scene_wait(s, MANAGER_FAILED, "gw")->text, "is not there"));
    assert_int_equal(gw(s)->facts.generation, 1);
    assert_int_equal(member_plan(scene_member(s, "gw"))->action, SCHEDULE_RENEW);
}

static void talk_for_ever(const struct attempt_task *task, int fd) {
    (void)task;
    for (;;)
        say(fd, "{\"step\":\"open\"}");
}

static void who_talks_for_ever_is_ended(void **state) {
    struct scene *s = *state;
    attempt(s, talk_for_ever, MANAGER_FAILED);
    assert_failed(s, -EIO, "killed by signal 9");
    assert_true(s->n_events <= ATTEMPT_REPORTS_MAX + 5); /* with its start, its end and an alert */
}

static void talk_rubbish(const struct attempt_task *task, int fd) {
    (void)task;
    char *large = malloc(100000);
    memset(large, '{', 100000);
    say(fd, "rubbish");
    (void)!send(fd, "", 0, MSG_NOSIGNAL);
    say(fd, "{\"step\":\"fly\"}");
    (void)!send(fd, large, 100000, MSG_NOSIGNAL);
    (void)!send(fd, "", 0, MSG_NOSIGNAL);
    (void)!send(fd, "\0\0\0", 3, MSG_NOSIGNAL);
    say(fd, "{\"result\":3,\"retry_after\":0,\"text\":\"at last\"}");
    free(large);
}

static void rubbish_is_passed_over(void **state) {
    struct scene *s = *state;
    attempt(s, talk_rubbish, MANAGER_FAILED);
    assert_int_equal(s->n_events, 2); /* no step among it */
    /* An empty message looks like the end; who sends one twice is not heard afterwards. */
    assert_failed(s, -EIO, "without a result");
}

/* --- the manager's own reasons --------------------------------------------------------------- */

static void its_end_is_the_end_of_all(void **state) {
    struct scene *s = *state;
    attempt(s, hang, MANAGER_STEP);
    pid_t pid = scene_member(s, "gw")->pid;
    assert_int_equal(kill(pid, 0), 0);
    s->manager = manager_free(s->manager);
    assert_int_equal(kill(pid, 0), -1);
    assert_int_equal(errno, ESRCH);
}

static void the_clock_begins_an_attempt_again_once(void **state) {
    struct scene *s = *state;
    attempt(s, hang, MANAGER_STEP);
    pid_t first = scene_member(s, "gw")->pid;
    set_the_clock();
    scene_wait(s, MANAGER_STARTED, "gw");
    scene_wait(s, MANAGER_STEP, "gw");
    pid_t second = scene_member(s, "gw")->pid;
    assert_int_not_equal(first, second);
    assert_int_equal(scene_n_started, 2);
    assert_int_equal(gw(s)->attempts.failures, 0);
    assert_int_equal(gw(s)->attempts.last_attempt, 0);
    /* A clock that is set all the time lets the second one come to its end. */
    set_the_clock();
    scene_idle(s, 200);
    assert_int_equal(scene_member(s, "gw")->pid, second);
    kill(second, SIGKILL);
    scene_wait(s, MANAGER_FAILED, "gw");
    assert_failed(s, -EIO, "killed by signal 9");
}

/* What comes up while an attempt runs may be what it was missing. */
static void a_nudge_in_an_attempt_counts_after_it(void **state) {
    struct scene *s = *state;
    attempt(s, hang, MANAGER_STEP);
    manager_nudge(s->manager);
    assert_true(gw(s)->working); /* and is left alone */
    assert_int_equal(scene_n_started, 1);
    kill(scene_member(s, "gw")->pid, SIGKILL);
    scene_wait(s, MANAGER_FAILED, "gw");
    assert_int_equal(gw(s)->nudged_at, gw(s)->attempts.last_attempt);
    assert_int_equal(scene_ask(s, "gw", SCHEDULE_ENROLL, true), MANAGER_STARTED);
    assert_int_equal(gw(s)->nudged_at, 0);
}

static void succeed_for_a_while(const struct attempt_task *task, int fd) {
    say(fd, scene_commit(task, 400) ? "{\"result\":-5,\"retry_after\":0}"
                                    : "{\"result\":0,\"retry_after\":0}");
}

static void tell_timeout(const struct attempt_task *task, int fd) {
    char text[80];
    snprintf(text, sizeof(text), "{\"result\":2,\"retry_after\":0,\"text\":\"%lld s\"}",
             (long long)task->timeout);
    say(fd, text);
}

static void an_attempt_may_take_a_quarter_of_what_is_left(void **state) {
    struct scene *s = *state;
    assert_string_equal(attempt(s, tell_timeout, MANAGER_FAILED)->text, "300 s");
    scene_workers_do = succeed_for_a_while;
    scene_ask(s, "gw", SCHEDULE_ENROLL, true);
    scene_wait(s, MANAGER_ISSUED, "gw");
    scene_workers_do = tell_timeout;
    scene_ask(s, "gw", SCHEDULE_RENEW, true);
    assert_in_range(atoi(scene_wait(s, MANAGER_FAILED, "gw")->text), 80, 100);
}

static void commit_and_hang(const struct attempt_task *task, int fd) {
    scene_commit(task, 100000);
    hang(task, fd);
}

static void the_clock_takes_nothing_back(void **state) {
    struct scene *s = *state;
    attempt(s, commit_and_hang, MANAGER_STEP);
    set_the_clock();
    scene_wait(s, MANAGER_ISSUED, "gw");
    assert_int_equal(scene_n_started, 1);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        STAGED(a_success_is_in_force),
        STAGED(steps_are_told),
        STAGED(a_pending_one_is_polled_later),
        STAGED(killed_is_a_failure),
        STAGED(ending_without_a_word_is_a_failure),
        STAGED(hanging_is_a_timeout),
        STAGED(the_truth_is_on_disk),
        STAGED(a_bad_end_after_a_success_is_one),
        STAGED(a_certificate_that_is_not_there_is_none),
        STAGED(who_talks_for_ever_is_ended),
        STAGED(rubbish_is_passed_over),
        STAGED(its_end_is_the_end_of_all),
        STAGED(the_clock_begins_an_attempt_again_once),
        STAGED(the_clock_takes_nothing_back),
        STAGED(a_nudge_in_an_attempt_counts_after_it),
        STAGED(an_attempt_may_take_a_quarter_of_what_is_left),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
