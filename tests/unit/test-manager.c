/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The manager's own decisions: who begins when, what asking does, what a reload changes, and what
 * happens to an identity whose files are unfit while all others go on.
 */
#include "manager_fixture.h"

static const struct identity *known(struct scene *s, const char *id) {
    return member_identity(scene_member(s, id));
}

static const struct member_plan *plan(struct scene *s, const char *id) {
    return member_plan(scene_member(s, id));
}

/* --- the beginning --------------------------------------------------------------------------- */

static int try_to_manage(struct scene *s, struct estc_error *err) {
    _cleanup(conf_errors_clear) struct conf_errors errors = {0};
    struct config *config = NULL;
    struct manager *manager = NULL;
    assert_int_equal(config_load(s->conf, &config, &errors), 0);
    int rc = manager_new(s->event, s->conf, config, &manager, err);
    assert_true(rc == 0 || !manager);
    manager_free(manager);
    return rc;
}

static void one_daemon_for_one_folder(void **state) {
    struct scene *s = *state;
    struct estc_error err = {0};
    scene_configure(s, "", IDS("gw"));
    scene_manage(s);
    assert_int_equal(try_to_manage(s, &err), -EBUSY);
    assert_non_null(strstr(err.text, s->state));
    assert_non_null(strstr(err.text, "stop it, or name another state_directory"));
    s->manager = manager_free(s->manager);
    assert_int_equal(try_to_manage(s, &err), 0);
}

static void a_folder_that_cannot_be_used_is_named(void **state) {
    struct scene *s = *state;
    struct estc_error err = {0};
    scene_configure(s, "", IDS("gw"));
    assert_int_equal(fs_write_atomic(s->place->fd, "state", "x", 1, 0600, NULL), 0);
    assert_true(try_to_manage(s, &err) < 0);
    assert_non_null(strstr(err.text, s->state));
    assert_int_equal(unlinkat(s->place->fd, "state", 0), 0);
    assert_int_equal(mkdirat(s->place->fd, "state", 0700), 0);
    assert_int_equal(fs_write_atomic(s->place->fd, "state/format", "2\n", 2, 0600, NULL), 0);
    assert_true(try_to_manage(s, &err) < 0);
    assert_non_null(strstr(err.text, "install the newer estcd"));
}

static void without_identities_it_waits(void **state) {
    struct scene *s = *state;
    scene_configure(s, "", IDS(NULL));
    scene_start(s);
    scene_idle(s, 50);
    assert_int_equal(manager_count(s->manager), 0);
    assert_null(manager_find(s->manager, "gw"));
    assert_int_equal(s->n_events, 0);
}

static void nothing_begins_before_its_start(void **state) {
    struct scene *s = *state;
    scene_workers_do = hang;
    scene_configure(s, "", IDS("gw"));
    scene_manage(s);
    scene_idle(s, 50);
    assert_int_equal(scene_n_started, 0);
    manager_start(s->manager);
    scene_wait(s, MANAGER_STEP, "gw");
}

/* --- who begins when ------------------------------------------------------------------------- */

static size_t count_working(struct scene *s) {
    size_t n = 0;
    for (size_t i = 0; i < manager_count(s->manager); i++)
        n += member_identity(manager_at(s->manager, i))->working;
    return n;
}

static void not_more_than_max_attempts_at_once(void **state) {
    struct scene *s = *state;
    scene_workers_do = hang;
    scene_configure(s, "max_attempts = 2;", IDS("a", "b", "c", "d", "e"));
    scene_start(s);
    scene_wait(s, MANAGER_STEP, "a");
    scene_idle(s, 50);
    assert_int_equal(count_working(s), 2);
    assert_int_equal(scene_n_started, 2);
    /* Asked for counts as well: it waits for a place. */
    assert_int_equal(scene_ask(s, "e", SCHEDULE_ENROLL, true), MANAGER_STARTED);
    assert_int_equal(scene_n_started, 2);
    /* Each place that is given back is taken at once. */
    for (unsigned n = 3; n <= 5; n++) {
        for (size_t i = 0; i < manager_count(s->manager); i++)
            if (manager_at(s->manager, i)->identity.working) {
                kill(manager_at(s->manager, i)->pid, SIGKILL);
                scene_wait(s, MANAGER_FAILED, manager_at(s->manager, i)->identity.config->id);
                break;
            }
        assert_int_equal(scene_n_started, n);
        assert_int_equal(count_working(s), 2);
    }
}

static void a_failure_delays_nobody_else(void **state) {
    struct scene *s = *state;
    scene_workers_do = succeed;
    scene_configure(s, "max_attempts = 1;", IDS("bad", "good"));
    scene_manage(s);
    /* A file where the folder should be: whoever works there has to fail. */
    assert_int_equal(fs_write_atomic(s->place->fd, "state/identities/bad", "x", 1, 0600, NULL), 0);
    manager_start(s->manager);
    scene_wait(s, MANAGER_FAILED, "bad");
    scene_wait(s, MANAGER_ISSUED, "good");
    assert_int_equal(scene_state(s, "good"), IDENTITY_VALID);
}

/* It wakes up by itself: the plan is real time, not a call. */
static void be_rejected(const struct attempt_task *task, int fd) {
    (void)task;
    say(fd, "{\"result\":2,\"retry_after\":0,\"text\":\"no\"}");
}

static void short_lived(const struct attempt_task *task, int fd) {
    say(fd, scene_commit(task, 7) ? "{\"result\":-5,\"retry_after\":0}"
                                  : "{\"result\":0,\"retry_after\":0}");
}

static void a_renewal_comes_by_itself(void **state) {
    struct scene *s = *state;
    scene_workers_do = short_lived;
    scene_configure(s, "", IDS("gw"));
    scene_start(s);
    scene_wait(s, MANAGER_ISSUED, "gw");
    assert_string_equal(scene_wait(s, MANAGER_STARTED, "gw")->text, "renew");
    scene_wait(s, MANAGER_ISSUED, "gw");
    assert_int_equal(known(s, "gw")->facts.generation, 2);
}

/* --- asking ---------------------------------------------------------------------------------- */

static void asking(void **state) {
    struct scene *s = *state;
    enum manager_event_kind kind;
    char *text = NULL;
    scene_workers_do = be_rejected;
    scene_configure(s, "", IDS("gw"));
    scene_start(s);
    scene_wait(s, MANAGER_FAILED, "gw");
    struct member *member = scene_member(s, "gw");
    assert_int_equal(manager_ask(s->manager, member, SCHEDULE_RENEW, true, &kind, &text), -ENOENT);
    /* After a failure asking is enough, whatever the back-off says. */
    scene_workers_do = succeed;
    assert_int_equal(scene_ask(s, "gw", SCHEDULE_ENROLL, false), MANAGER_STARTED);
    assert_true(known(s, "gw")->working);
    assert_int_equal(scene_ask(s, "gw", SCHEDULE_ENROLL, true), MANAGER_STARTED); /* joins */
    scene_wait(s, MANAGER_ISSUED, "gw");
    assert_int_equal(scene_n_started, 2);
    /* With a certificate in force it takes force, and the reason is told. */
    static const enum schedule_action actions[] = {SCHEDULE_ENROLL, SCHEDULE_RENEW};
    for (size_t i = 0; i < 2; i++) {
        assert_int_equal(manager_ask(s->manager, member, actions[i], false, &kind, &text), 0);
        assert_int_equal(kind, MANAGER_NOT_DUE);
        assert_non_null(strstr(text, "renewal is due at"));
        free(text);
        text = NULL;
        assert_int_equal(scene_ask(s, "gw", actions[i], true), MANAGER_STARTED);
        assert_string_equal(scene_wait(s, MANAGER_STARTED, "gw")->text,
                            schedule_action_names[actions[i]]);
        scene_wait(s, MANAGER_ISSUED, "gw");
    }
    assert_int_equal(scene_n_started, 4);
    assert_true(plan(s, "gw")->due > clock_real() + 3600);
}

/* --- reloading ------------------------------------------------------------------------------- */

static void reload_fails(struct scene *s, const char *part) {
    _cleanup(conf_errors_clear) struct conf_errors errors = {0};
    assert_int_equal(manager_reload(s->manager, &errors), ESTC_E_CONFIG);
    assert_non_null(errors.lines);
    if (!strstr(errors.lines[0], part))
        fail_msg("%s", errors.lines[0]);
    assert_int_equal(s->events[s->n_events - 1].kind, MANAGER_RELOAD_FAILED);
}

static void reload(struct scene *s) {
    _cleanup(conf_errors_clear) struct conf_errors errors = {0};
    if (manager_reload(s->manager, &errors))
        fail_msg("%s", errors.lines ? errors.lines[0] : "out of memory");
}

static void a_reload_keeps_adds_and_ends(void **state) {
    struct scene *s = *state;
    scene_workers_do = hang;
    scene_configure(s, "", IDS("goes", "stays"));
    scene_start(s);
    scene_wait(s, MANAGER_STEP, "goes");
    scene_idle(s, 50);
    pid_t goes = scene_member(s, "goes")->pid, stays = scene_member(s, "stays")->pid;
    scene_configure(s, "", IDS("comes", "stays"));
    reload(s);
    assert_int_equal(kill(goes, 0), -1);
    assert_int_equal(manager_count(s->manager), 2);
    assert_null(manager_find(s->manager, "goes"));
    assert_int_equal(scene_member(s, "stays")->pid, stays);
    assert_int_equal(kill(stays, 0), 0);
    assert_ptr_equal(known(s, "stays")->config, config_find(manager_config(s->manager), "stays"));
    scene_wait(s, MANAGER_RELOADED, "");
    scene_wait(s, MANAGER_STEP, "comes");
    assert_int_equal(scene_n_started, 3);
    scene_configure(s, "", IDS(NULL));
    reload(s);
    assert_int_equal(manager_count(s->manager), 0);
    assert_int_equal(kill(stays, 0), -1);
}

static void a_bad_one_changes_nothing(void **state) {
    struct scene *s = *state;
    scene_workers_do = hang;
    scene_configure(s, "", IDS("gw"));
    scene_start(s);
    scene_wait(s, MANAGER_STEP, "gw");
    const struct config *before = manager_config(s->manager);
    scene_configure(s, "colour = 1;", IDS("gw", "other"));
    reload_fails(s, "colour");
    assert_int_equal(unlinkat(s->place->fd, "estcd.conf", 0), 0);
    reload_fails(s, "estcd.conf");
    char *state_directory = s->state;
    s->state = (char[]){"/nowhere"};
    scene_configure(s, "", IDS("gw"));
    s->state = state_directory;
    reload_fails(s, "state_directory: a change needs a restart");
    assert_ptr_equal(manager_config(s->manager), before);
    assert_int_equal(manager_count(s->manager), 1);
    assert_true(known(s, "gw")->working);
}

static void e09_other_names_mean_a_renewal_at_once(void **state) {
    struct scene *s = *state;
    scene_workers_do = succeed;
    scene_configure(s, "", IDS("gw"));
    scene_start(s);
    scene_wait(s, MANAGER_ISSUED, "gw");
    reload(s);
    scene_idle(s, 50);
    assert_int_equal(scene_n_started, 1);
    _cleanup(estc_buf_clear) struct estc_buf text = {0};
    assert_int_equal(fs_read(s->place->fd, "estcd.conf", 10000, &text, NULL, NULL), 0);
    char *name = strstr((char *)text.data, "CN=gw");
    name[3] = 'G';
    assert_int_equal(fs_write_atomic(s->place->fd, "estcd.conf", text.data, text.len, 0644, NULL),
                     0);
    reload(s);
    assert_string_equal(scene_wait(s, MANAGER_STARTED, "gw")->text, "renew");
    scene_wait(s, MANAGER_ISSUED, "gw");
    assert_int_equal(plan(s, "gw")->action, SCHEDULE_RENEW);
    assert_true(plan(s, "gw")->due > clock_real());
}

/* --- unfit files ----------------------------------------------------------------------------- */

/* As a worker finds it. */
static void find_credentials(const struct attempt_task *task, int fd) {
    struct estc_error err = {0};
    char text[200];
    if (identity_check_files(task->identity, &err)) {
        snprintf(text, sizeof(text), "{\"result\":%d,\"retry_after\":0,\"text\":\"unfit\"}",
                 ESTC_E_CREDENTIAL);
        say(fd, text);
    } else {
        succeed(task, fd);
    }
}

static void a_mended_file_is_noticed_at_once(void **state) {
    struct scene *s = *state;
    scene_workers_do = find_credentials;
    assert_int_equal(fchmodat(s->place->fd, "birth/key.pem", 0644, 0), 0);
    scene_configure(s, "", IDS("gw"));
    scene_start(s);
    scene_wait(s, MANAGER_CONFIG, "gw");
    assert_int_equal(scene_state(s, "gw"), IDENTITY_CONFIG);
    assert_int_equal(plan(s, "gw")->action, SCHEDULE_REPAIR);
    /* Some other file is nobody's business. */
    assert_int_equal(fs_write_atomic(s->place->fd, "birth/other", "x", 1, 0600, NULL), 0);
    scene_idle(s, 100);
    assert_int_equal(scene_n_started, 1);
    /* A change that does not help: one more attempt. */
    assert_int_equal(fchmodat(s->place->fd, "birth/key.pem", 0640, 0), 0);
    scene_wait(s, MANAGER_CONFIG, "gw");
    assert_int_equal(known(s, "gw")->attempts.failures, 2);
    assert_int_equal(fchmodat(s->place->fd, "birth/key.pem", 0600, 0), 0);
    scene_wait(s, MANAGER_ISSUED, "gw");
    assert_int_equal(scene_state(s, "gw"), IDENTITY_VALID);
    /* From now on it is watched no longer. */
    assert_int_equal(fchmodat(s->place->fd, "birth/key.pem", 0644, 0), 0);
    scene_idle(s, 100);
    assert_int_equal(scene_n_started, 3);
}

/* The state folder's own files: mended, they are in force again, and no CA is asked. */
static void a_mended_generation_is_in_force_again(void **state) {
    struct scene *s = *state;
    static const char key[] = "state/identities/gw/current/key.pem";
    scene_workers_do = succeed;
    scene_configure(s, "", IDS("gw"));
    scene_start(s);
    scene_wait(s, MANAGER_ISSUED, "gw");
    s->manager = manager_free(s->manager);
    assert_int_equal(fchmodat(s->place->fd, key, 0644, 0), 0);
    scene_start(s);
    assert_int_equal(scene_state(s, "gw"), IDENTITY_CONFIG);
    assert_non_null(strstr(known(s, "gw")->attempts.last_error, "chmod 600"));
    scene_idle(s, 100);
    reload(s); /* which names no other file of that folder */
    scene_idle(s, 100);
    assert_int_equal(scene_state(s, "gw"), IDENTITY_CONFIG);
    assert_int_equal(fchmodat(s->place->fd, key, 0600, 0), 0);
    for (int i = 0; i < 100 && scene_state(s, "gw") != IDENTITY_VALID; i++)
        scene_idle(s, 20);
    assert_int_equal(scene_state(s, "gw"), IDENTITY_VALID);
    assert_int_equal(known(s, "gw")->facts.generation, 1);
    assert_int_equal(scene_n_started, 1);
}

static void an_unfit_generation_can_be_replaced(void **state) {
    struct scene *s = *state;
    scene_workers_do = succeed;
    scene_configure(s, "", IDS("gw"));
    scene_start(s);
    scene_wait(s, MANAGER_ISSUED, "gw");
    s->manager = manager_free(s->manager);
    assert_int_equal(unlinkat(s->place->fd, "state/identities/gw/current/facts.json", 0), 0);
    scene_start(s);
    assert_int_equal(scene_state(s, "gw"), IDENTITY_CONFIG);
    assert_int_equal(scene_ask(s, "gw", SCHEDULE_ENROLL, false), MANAGER_STARTED);
    scene_wait(s, MANAGER_ISSUED, "gw");
    assert_int_equal(scene_state(s, "gw"), IDENTITY_VALID);
    assert_int_equal(known(s, "gw")->facts.generation, 2);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        STAGED(one_daemon_for_one_folder),
        STAGED(a_folder_that_cannot_be_used_is_named),
        STAGED(without_identities_it_waits),
        STAGED(nothing_begins_before_its_start),
        STAGED(not_more_than_max_attempts_at_once),
        STAGED(a_failure_delays_nobody_else),
        STAGED(a_renewal_comes_by_itself),
        STAGED(asking),
        STAGED(a_reload_keeps_adds_and_ends),
        STAGED(a_bad_one_changes_nothing),
        STAGED(e09_other_names_mean_a_renewal_at_once),
        STAGED(a_mended_file_is_noticed_at_once),
        STAGED(a_mended_generation_is_in_force_again),
        STAGED(an_unfit_generation_can_be_replaced),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
