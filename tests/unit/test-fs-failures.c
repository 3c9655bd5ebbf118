/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Real failures: a full and a read-only file system are mounted in a name space of a child's own, a
 * missing right is met by another user. Where the machine does not allow that, the test says so and
 * is skipped.
 */
#include "trouble.h"

#include <string.h>

/* Two writers and a reader: whole contents only, and no rubbish afterwards. */
static int write_many(const struct place *place) {
    char text[5000];
    for (int i = 0; i < 60; i++) {
        memset(text, 'a' + (getpid() + i) % 26, sizeof(text));
        CHECK(fs_write_atomic(place->fd, "f", text, sizeof(text), 0600, NULL) == 0);
    }
    return 0;
}

static void writers_do_not_mix(void **state) {
    struct place *place = *state;
    pid_t children[2];
    fflush(NULL);
    for (int i = 0; i < 2; i++) {
        children[i] = fork();
        if (children[i] == 0)
            exit(write_many(place));
    }
    for (int left = 2; left > 0;) {
        struct estc_buf buf = {0};
        int rc = fs_read(place->fd, "f", 1 << 16, &buf, NULL, NULL);
        assert_true(rc == 0 || rc == -ENOENT);
        if (rc == 0) {
            assert_int_equal(buf.len, 5000);
            for (size_t i = 1; i < buf.len; i++)
                assert_int_equal(buf.data[i], buf.data[0]);
        }
        estc_buf_clear(&buf);
        int status = 0;
        if (waitpid(-1, &status, WNOHANG) > 0) {
            assert_int_equal(status, 0);
            left--;
        }
    }
    assert_int_equal(entries(place->fd), 1);
}

static int fill_disk(const struct place *place) {
    static char big[1 << 20];
    struct estc_error err = {0};
    int fd = mount_small(place, "size=32k,nr_inodes=16");
    if (fd < 0)
        return SKIPPED;
    CHECK(fs_write_atomic(fd, "f", "old", 3, 0600, NULL) == 0);
    CHECK(fs_write_atomic(fd, "f", big, sizeof(big), 0600, &err) == -ENOSPC);
    CHECK(strstr(err.text, "cannot write f: disk full: free some space"));
    CHECK(fs_write_new(fd, "n", big, sizeof(big), 0600, &err) == -ENOSPC);
    struct estc_buf buf = {0};
    CHECK(fs_read(fd, "f", 100, &buf, NULL, NULL) == 0);
    CHECK(strcmp((char *)buf.data, "old") == 0);
    estc_buf_clear(&buf);
    CHECK(entries(fd) == 1);
    /* Out of inodes. */
    for (int i = 0; i < 20; i++) {
        char name[8];
        snprintf(name, sizeof(name), "i%d", i);
        mkdirat(fd, name, 0700);
    }
    CHECK(fs_mkdir_all(fd, "more", 0700, &err) == -ENOSPC);
    CHECK(fs_symlink_atomic(fd, "x", "link", &err) == -ENOSPC);
    close(fd);
    return 0;
}

static void full_disk_keeps_the_old_file(void **state) {
    int rc = in_child(fill_disk, *state);
    expect_done(rc, "mounting a file system");
}

static int write_read_only(const struct place *place) {
    struct estc_error err = {0};
    char path[PATH_MAX];
    int fd = mount_small(place, "size=32k,nr_inodes=16");
    if (fd < 0)
        return SKIPPED;
    CHECK(fs_mkdir_all(fd, "d", 0700, NULL) == 0);
    snprintf(path, sizeof(path), "%s/m", place->path);
    CHECK(mount(NULL, path, NULL, MS_REMOUNT | MS_RDONLY, NULL) == 0);
    CHECK(fs_write_atomic(fd, "f", "x", 1, 0600, &err) == -EROFS);
    CHECK(strstr(err.text, "read-only file system"));
    CHECK(fs_mkdir_all(fd, "d", 0700, &err) == 0);
    CHECK(fs_mkdir_all(fd, "d/e", 0700, &err) == -EROFS);
    CHECK(fs_symlink_atomic(fd, "x", "link", &err) == -EROFS);
    CHECK(fs_remove_tree(fd, "d", &err) == -EROFS);
    close(fd);
    return 0;
}

static void read_only_disk_says_so(void **state) {
    int rc = in_child(write_read_only, *state);
    expect_done(rc, "mounting a file system");
}

static int try_without_rights(const struct place *place) {
    struct estc_error err = {0};
    struct estc_buf buf = {0};
    if (geteuid() == 0 && (setgid(65534) < 0 || setuid(65534) < 0))
        return SKIPPED;
    CHECK(fs_write_atomic(place->fd, "locked/f", "x", 1, 0600, &err) == -EACCES);
    CHECK(strstr(err.text, "permission denied: check owner and mode"));
    CHECK(fs_write_new(place->fd, "locked/n", "x", 1, 0600, &err) == -EACCES);
    CHECK(fs_read(place->fd, "secret", 100, &buf, NULL, &err) == -EACCES);
    CHECK(fs_mkdir_all(place->fd, "locked/d", 0700, &err) == -EACCES);
    CHECK(fs_remove_tree(place->fd, "locked", &err) != 0);
    return 0;
}

static void missing_rights_say_so(void **state) {
    struct place *place = *state;
    assert_int_equal(chmod(place->path, 0755), 0);
    assert_int_equal(fs_mkdir_all(place->fd, "locked", 0755, NULL), 0);
    assert_int_equal(fs_write_new(place->fd, "locked/old", "x", 1, 0644, NULL), 0);
    assert_int_equal(fs_write_new(place->fd, "secret", "x", 1, 0000, NULL), 0);
    assert_int_equal(fchmodat(place->fd, "locked", 0555, 0), 0);
    int rc = in_child(try_without_rights, place);
    assert_int_equal(fchmodat(place->fd, "locked", 0755, 0), 0);
    expect_done(rc, "becoming another user");
    assert_content(place->fd, "locked/old", "x");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        PLACED(writers_do_not_mix),
        PLACED(full_disk_keeps_the_old_file),
        PLACED(read_only_disk_says_so),
        PLACED(missing_rights_say_so),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
