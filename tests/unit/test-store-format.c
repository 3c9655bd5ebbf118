/* SPDX-License-Identifier: BSD-2-Clause */
/* From one layout of the state folder to the next: by a table of the test's own, since the product
 * knows but one layout, and by the product's for a folder without a number. */
#include "store_fixture.h"

static int steps_run[3];
static int fails_at = -1;

/* Each leaves a file behind, and may be cut off before or after it. */
static int step(int dirfd, int n, struct estc_error *err) {
    _cleanup(freep) char *name = text_format("step-%d", n);
    steps_run[n]++;
    if (fails_at == n)
        return estc_error_set(err, -EIO, "cut off");
    return fs_write_atomic(dirfd, name, "x", 1, 0644, err);
}

static int step_0(int dirfd, struct estc_error *err) {
    return step(dirfd, 0, err);
}

static int step_1(int dirfd, struct estc_error *err) {
    return step(dirfd, 1, err);
}

static int step_2(int dirfd, struct estc_error *err) {
    return step(dirfd, 2, err);
}

static const struct store_step steps[] = {{0, step_0}, {1, step_1}, {2, step_2}, {3, NULL}};

static int setup(void **state) {
    memset(steps_run, 0, sizeof(steps_run));
    fails_at = -1;
    return site_setup(state);
}

#define STEPPED(test) cmocka_unit_test_setup_teardown(test, setup, site_teardown)

static int open_folder(struct site *site) {
    assert_int_equal(store_make(site->state, NULL), 0);
    int fd = store_open_state(site->state, NULL);
    assert_true(fd >= 0);
    return fd;
}

static void assert_run(int zero, int one, int two) {
    assert_int_equal(steps_run[0], zero);
    assert_int_equal(steps_run[1], one);
    assert_int_equal(steps_run[2], two);
}

static void each_layout_begins_where_it_is(void **state) {
    struct site *site = *state;
    _cleanup(fs_closep) int fd = open_folder(site);
    for (int from = 0; from <= 3; from++) {
        _cleanup(freep) char *text = text_format("%d\n", from);
        memset(steps_run, 0, sizeof(steps_run));
        if (from == 0)
            unlinkat(fd, "format", 0);
        else
            assert_int_equal(fs_write_atomic(fd, "format", text, strlen(text), 0644, NULL), 0);
        assert_int_equal(store_migrate(fd, steps, NULL), 0);
        assert_run(from <= 0, from <= 1, from <= 2);
        assert_content(fd, "format", "3\n");
    }
}

/* Whatever was reached is written down; the step that was cut off is taken again, no other is. */
static void a_step_that_is_cut_off_is_taken_again(void **state) {
    struct site *site = *state;
    struct estc_error err = {0};
    _cleanup(fs_closep) int fd = open_folder(site);
    fails_at = 1;
    assert_int_equal(store_migrate(fd, steps, &err), -EIO);
    assert_string_equal(err.text, "from layout 1 to 2: cut off");
    assert_content(fd, "format", "1\n");
    assert_run(1, 1, 0);
    fails_at = -1;
    assert_int_equal(store_migrate(fd, steps, &err), 0);
    assert_content(fd, "format", "3\n");
    assert_run(1, 2, 1);
}

static void a_newer_layout_is_not_touched(void **state) {
    struct site *site = *state;
    struct estc_error err = {0};
    _cleanup(fs_closep) int fd = open_folder(site);
    assert_int_equal(fs_write_atomic(fd, "format", "4\n", 2, 0644, NULL), 0);
    assert_int_equal(store_migrate(fd, steps, &err), -EINVAL);
    assert_non_null(
        strstr(err.text, "it has layout 4, this estcd knows up to 3: install the newer"));
    assert_content(fd, "format", "4\n");
    assert_run(0, 0, 0);
}

/* What was in force stays in force, and it is said. */
static void a_folder_without_a_number_is_taken_over(void **state) {
    struct site *site = *state;
    _cleanup(facts_clear) struct facts facts = {0};
    assert_int_equal(store_prepare(site->state, NULL), 0);
    assert_null(strstr(site->log, "layout")); /* a new one has none to speak of */
    site_enroll(site, "CN=old");
    assert_int_equal(unlinkat(site->place->fd, "state/format", 0), 0);
    assert_int_equal(store_prepare(site->state, NULL), 0);
    assert_content(site->place->fd, "state/format", "1\n");
    assert_non_null(strstr(site->log, "the state folder had layout 0 and has 1 now"));
    assert_int_equal(store_load_facts(site->state, ID, &facts, NULL), 0);
    assert_string_equal(facts.subject, "CN=old");
}

/* The number is not read through a link, and no other file is written through one. */
static void a_link_for_a_number_is_refused(void **state) {
    struct site *site = *state;
    struct estc_error err = {0};
    _cleanup(fs_closep) int fd = open_folder(site);
    assert_int_equal(fs_write_atomic(fd, "elsewhere", "1\n", 2, 0644, NULL), 0);
    assert_int_equal(symlinkat("elsewhere", fd, "format"), 0);
    assert_int_equal(store_prepare(site->state, &err), -ELOOP);
    assert_non_null(strstr(err.text, "format is a symbolic link: put the file itself there"));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        STEPPED(each_layout_begins_where_it_is), STEPPED(a_step_that_is_cut_off_is_taken_again),
        STEPPED(a_newer_layout_is_not_touched),  STEPPED(a_folder_without_a_number_is_taken_over),
        STEPPED(a_link_for_a_number_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
