/* SPDX-License-Identifier: BSD-2-Clause */
/* The state folder on a full disk, a read-only one, and under somebody else's rights. */
#include "trouble.h"

#include "store_fixture.h"

/* The site moves onto a small file system and has a certificate there. -1: not possible here. */
static int settle_small(struct site *site) {
    int fd = mount_small(site->place, "size=200k");
    if (fd < 0)
        return -1;
    char *state = text_format("%s/m/state", site->place->path);
    free(site->state);
    site->state = state;
    close(fd);
    if (store_prepare(site->state, NULL))
        return -1;
    site_enroll(site, "CN=old");
    return 0;
}

static int in_force(struct site *site, const char *subject) {
    _cleanup(facts_clear) struct facts facts = {0};
    struct store_current current = {0};
    struct store *store = NULL;
    CHECK(store_load_facts(site->state, ID, &facts, NULL) == 0);
    CHECK(strcmp(facts.subject, subject) == 0);
    CHECK(store_open(site->state, ID, &store, NULL) == 0 || errno == EROFS);
    if (store)
        CHECK(store_load_current(store, &current, NULL) == 0);
    store_current_clear(&current);
    store_close(store);
    return 0;
}

static int renew_on_a_full_disk(struct site *site) {
    static char ballast[1 << 20];
    struct estc_error err = {0};
    struct facts facts = {0};
    const struct store_attempts attempts = {.failures = 1, .last_error = ballast};
    memset(ballast, 'x', 400);
    if (settle_small(site))
        return SKIPPED;
    /* What is free goes, to the last byte. */
    int fd = openat(site_identity(site), "../../ballast", O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    CHECK(fd >= 0);
    while (write(fd, ballast, 512) > 0)
        ;
    close(fd);
    struct store *store = site_open(site);
    for (int i = 0; i < 5; i++) {
        CHECK(site_commit(site, store, "CN=new", &facts, &err) == -ENOSPC);
        CHECK(strstr(err.text, "disk full: free some space"));
        CHECK(strstr(err.text, site->state));
    }
    _cleanup(store_pending_clear) struct store_pending pending = {
        .op = ESTC_OP_SEN, .request_digest = strdup("D"), .key = site->key};
    EVP_PKEY_up_ref(site->key);
    CHECK(store_save_pending(store, &pending, &err) == -ENOSPC);
    CHECK(store_save_attempts(site->state, ID, &attempts, &err) == -ENOSPC);
    store_close(store);
    CHECK(!site_has(site, "generations/2") && !site_has(site, "generations/.unfinished"));
    CHECK(in_force(site, "CN=old") == 0);
    CHECK(unlinkat(site->fd, "../../ballast", 0) == 0);
    CHECK(site_enroll(site, "CN=new") == 2);
    return in_force(site, "CN=new");
}

static int renew_on_a_read_only_disk(struct site *site) {
    char path[PATH_MAX];
    struct estc_error err = {0};
    struct facts facts = {0};
    const struct store_attempts attempts = {.failures = 1};
    if (settle_small(site))
        return SKIPPED;
    struct store *store = site_open(site), *second = NULL;
    snprintf(path, sizeof(path), "%s/m", site->place->path);
    store_close(store);
    fs_closep(&site->fd);
    CHECK(mount(NULL, path, NULL, MS_REMOUNT | MS_RDONLY, NULL) == 0);
    CHECK(store_prepare(site->state, NULL) == 0); /* all is there, nothing to write */
    CHECK(store_open(site->state, ID, &second, &err) == -EROFS);
    CHECK(strstr(err.text, "read-only file system: mount it"));
    CHECK(store_save_attempts(site->state, ID, &attempts, &err) == -EROFS);
    CHECK(strstr(err.text, "read-only file system: mount it writable"));
    CHECK(store_load_facts(site->state, ID, &facts, NULL) == 0);
    facts_clear(&facts);
    CHECK(mount(NULL, path, NULL, MS_REMOUNT, NULL) == 0);
    CHECK(site_enroll(site, "CN=new") == 2);
    return in_force(site, "CN=new");
}

static int open_without_rights(struct site *site) {
    struct estc_error err = {0};
    struct store *store = NULL;
    struct facts facts = {0};
    if (geteuid() == 0 && (setgid(65534) < 0 || setuid(65534) < 0))
        return SKIPPED;
    CHECK(store_open(site->state, ID, &store, &err) == -EACCES);
    CHECK(strstr(err.text, site->state));
    CHECK(store_load_facts(site->state, ID, &facts, &err) == -EACCES);
    CHECK(store_prepare(site->state, &err) < 0);
    return 0;
}

static void expect_in_child(int (*fn)(struct site *site), struct site *site, const char *what) {
    fflush(NULL);
    pid_t pid = fork();
    if (pid == 0)
        exit(fn(site));
    int status = 0;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    expect_done(WEXITSTATUS(status), what);
}

static void a_full_disk_keeps_the_old_certificate(void **state) {
    expect_in_child(renew_on_a_full_disk, *state, "mounting a file system");
}

static void a_read_only_disk_says_so(void **state) {
    expect_in_child(renew_on_a_read_only_disk, *state, "mounting a file system");
}

static void a_missing_right_says_so(void **state) {
    struct site *site = *state;
    assert_int_equal(chmod(site->place->path, 0755), 0);
    assert_int_equal(store_prepare(site->state, NULL), 0);
    site_enroll(site, "CN=gw");
    assert_int_equal(chmod(site->state, 0700), 0);
    expect_in_child(open_without_rights, site, "becoming another user");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        SITED(a_full_disk_keeps_the_old_certificate),
        SITED(a_read_only_disk_says_so),
        SITED(a_missing_right_says_so),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
