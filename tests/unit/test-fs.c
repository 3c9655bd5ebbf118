/* SPDX-License-Identifier: BSD-2-Clause */
/* Files and folders as they should be. What a full disk or another user does is in fs-failures. */
#include "place.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "base/cleanup.h"

static mode_t mode_of(int dirfd, const char *path) {
    struct stat st;
    assert_int_equal(fstatat(dirfd, path, &st, AT_SYMLINK_NOFOLLOW), 0);
    return st.st_mode & 07777;
}

static void writes_and_replaces(void **state) {
    int fd = ((struct place *)*state)->fd;
    assert_int_equal(fs_write_atomic(fd, "f", "one", 3, 0600, NULL), 0);
    assert_content(fd, "f", "one");
    assert_int_equal(fs_write_atomic(fd, "f", "second", 6, 0644, NULL), 0);
    assert_content(fd, "f", "second");
    assert_int_equal(fs_write_atomic(fd, "f", NULL, 0, 0644, NULL), 0);
    assert_content(fd, "f", "");
    assert_int_equal(entries(fd), 1);
}

static void writes_below_folders_and_by_absolute_path(void **state) {
    struct place *place = *state;
    char path[PATH_MAX];
    assert_int_equal(mkdirat(place->fd, "d", 0700), 0);
    assert_int_equal(fs_write_atomic(place->fd, "d/f", "x", 1, 0600, NULL), 0);
    assert_content(place->fd, "d/f", "x");
    snprintf(path, sizeof(path), "%s/d//g", place->path);
    assert_int_equal(fs_write_atomic(AT_FDCWD, path, "y", 1, 0600, NULL), 0);
    assert_content(place->fd, "d/g", "y");
}

static void mode_holds_whatever_the_umask(void **state) {
    int fd = ((struct place *)*state)->fd;
    static const mode_t masks[] = {0, 022, 077};
    static const mode_t modes[] = {0600, 0640, 0644, 0400, 0660};
    for (size_t i = 0; i < 3; i++)
        for (size_t j = 0; j < 5; j++) {
            mode_t old = umask(masks[i]);
            int a = fs_write_atomic(fd, "a", "x", 1, modes[j], NULL);
            unlinkat(fd, "n", 0);
            int n = fs_write_new(fd, "n", "x", 1, modes[j], NULL);
            unlinkat(fd, "d", AT_REMOVEDIR);
            int d = fs_mkdir_all(fd, "d", modes[j] | 0100, NULL);
            umask(old);
            assert_int_equal(a | n | d, 0);
            assert_int_equal(mode_of(fd, "a"), modes[j]);
            assert_int_equal(mode_of(fd, "n"), modes[j]);
            assert_int_equal(mode_of(fd, "d"), modes[j] | 0100);
        }
}

static void replaces_a_link_itself(void **state) {
    int fd = ((struct place *)*state)->fd;
    assert_int_equal(fs_write_new(fd, "target", "keep", 4, 0600, NULL), 0);
    assert_int_equal(symlinkat("target", fd, "link"), 0);
    assert_int_equal(fs_write_atomic(fd, "link", "new", 3, 0600, NULL), 0);
    assert_content(fd, "target", "keep");
    assert_content(fd, "link", "new");
}

static void failed_write_says_why_and_leaves_nothing(void **state) {
    int fd = ((struct place *)*state)->fd;
    struct estc_error err = {0};
    assert_int_equal(mkdirat(fd, "folder", 0700), 0);
    assert_int_equal(fs_write_atomic(fd, "folder", "x", 1, 0600, &err), -EISDIR);
    assert_non_null(strstr(err.text, "cannot write folder: a folder is in the way"));
    assert_int_equal(fs_write_atomic(fd, "no/f", "x", 1, 0600, &err), -ENOENT);
    assert_non_null(strstr(err.text, "no/f"));
    static const char *const no_names[] = {"", ".", "..", "folder/", "folder/.."};
    for (size_t i = 0; i < 5; i++)
        assert_int_equal(fs_write_atomic(fd, no_names[i], "x", 1, 0600, &err), -EINVAL);
    char name[300];
    memset(name, 'n', sizeof(name));
    name[299] = '\0';
    assert_int_equal(fs_write_atomic(fd, name, "x", 1, 0600, &err), -ENAMETOOLONG);
    assert_int_equal(entries(fd), 1);
}

static void new_file_never_replaces(void **state) {
    int fd = ((struct place *)*state)->fd;
    struct estc_error err = {0};
    assert_int_equal(fs_write_new(fd, "f", "one", 3, 0600, NULL), 0);
    assert_int_equal(fs_write_new(fd, "f", "two", 3, 0600, &err), -EEXIST);
    assert_non_null(strstr(err.text, "in the way"));
    assert_content(fd, "f", "one");
    assert_int_equal(symlinkat("nowhere", fd, "dangling"), 0);
    assert_int_equal(fs_write_new(fd, "dangling", "x", 1, 0600, &err), -EEXIST);
    assert_int_equal(faccessat(fd, "nowhere", F_OK, 0), -1);
}

static void reads_up_to_the_limit(void **state) {
    int fd = ((struct place *)*state)->fd;
    char big[10000];
    struct estc_buf buf = {0};
    struct estc_error err = {0};
    struct stat st;
    memset(big, 'b', sizeof(big));
    assert_int_equal(fs_write_new(fd, "big", big, sizeof(big), 0640, NULL), 0);
    assert_int_equal(fs_read(fd, "big", sizeof(big), &buf, &st, NULL), 0);
    assert_int_equal(buf.len, sizeof(big));
    assert_memory_equal(buf.data, big, sizeof(big));
    assert_int_equal(st.st_mode & 0777, 0640);
    assert_int_equal(fs_read(fd, "big", sizeof(big) - 1, &buf, &st, &err), ESTC_E_TOO_LARGE);
    assert_non_null(strstr(err.text, "big: larger than 9999 bytes"));
    assert_int_equal(buf.len, sizeof(big)); /* what was there stays */
    assert_int_equal(fs_write_new(fd, "small", "s", 1, 0600, NULL), 0);
    assert_int_equal(fs_read(fd, "small", 1, &buf, NULL, NULL), 0);
    assert_int_equal(buf.len, 1); /* replaced, not added to */
    assert_int_equal(fs_read(fd, "small", 0, &buf, NULL, NULL), ESTC_E_TOO_LARGE);
    estc_buf_clear(&buf);
    assert_int_equal(fs_read(AT_FDCWD, "/proc/self/status", 65536, &buf, NULL, NULL), 0);
    assert_true(buf.len > 100); /* a regular file that claims to be empty */
    estc_buf_clear(&buf);
}

static void reads_through_links_but_only_files(void **state) {
    struct place *place = *state;
    int fd = place->fd;
    struct estc_buf buf = {0};
    struct estc_error err = {0};
    assert_int_equal(fs_write_new(fd, "f", "x", 1, 0600, NULL), 0);
    assert_int_equal(symlinkat("f", fd, "link"), 0);
    assert_content(fd, "link", "x");
    assert_int_equal(mkdirat(fd, "folder", 0700), 0);
    assert_int_equal(mkfifoat(fd, "fifo", 0600), 0);
    assert_int_equal(symlinkat("fifo", fd, "to-fifo"), 0);
    struct sockaddr_un addr = {.sun_family = AF_UNIX};
    snprintf(addr.sun_path, sizeof(addr.sun_path), "%s/sock", place->path);
    int sock = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(sock, (struct sockaddr *)&addr, sizeof(addr)), 0);
    static const char *const others[] = {"folder", "fifo", "to-fifo", "sock", "/dev/zero"};
    for (size_t i = 0; i < 5; i++) {
        assert_int_equal(fs_read(fd, others[i], 100, &buf, NULL, &err), -EINVAL);
        assert_non_null(strstr(err.text, "not a regular file"));
    }
    close(sock);
    assert_int_equal(fs_read(fd, "absent", 100, &buf, NULL, &err), -ENOENT);
    assert_int_equal(symlinkat("loop", fd, "loop"), 0);
    assert_int_equal(fs_read(fd, "loop", 100, &buf, NULL, &err), -ELOOP);
    assert_null(buf.data);
}

static void links_switch_at_once(void **state) {
    int fd = ((struct place *)*state)->fd;
    char target[16] = {0};
    struct estc_error err = {0};
    assert_int_equal(fs_symlink_atomic(fd, "gen-1", "current", NULL), 0);
    assert_int_equal(fs_symlink_atomic(fd, "gen-2", "current", NULL), 0);
    assert_int_equal(readlinkat(fd, "current", target, sizeof(target)), 5);
    assert_string_equal(target, "gen-2");
    assert_int_equal(mkdirat(fd, "folder", 0700), 0);
    assert_int_equal(fs_symlink_atomic(fd, "x", "folder", &err), -EISDIR);
    assert_non_null(strstr(err.text, "cannot link folder"));
    assert_int_equal(fs_symlink_atomic(fd, "x", "no/such", &err), -ENOENT);
    assert_int_equal(fs_symlink_atomic(fd, "", "empty", &err), -ENOENT);
    assert_int_equal(entries(fd), 2);
}

static void makes_folders(void **state) {
    struct place *place = *state;
    int fd = place->fd;
    char path[PATH_MAX];
    struct estc_error err = {0};
    assert_int_equal(fs_mkdir_all(fd, "a/b//c/", 0750, NULL), 0);
    assert_int_equal(mode_of(fd, "a"), 0750);
    assert_int_equal(mode_of(fd, "a/b/c"), 0750);
    assert_int_equal(fs_mkdir_all(fd, "a/b", 0700, NULL), 0);
    assert_int_equal(mode_of(fd, "a/b"), 0750); /* left as it is */
    snprintf(path, sizeof(path), "%s/x/y", place->path);
    assert_int_equal(fs_mkdir_all(AT_FDCWD, path, 0700, NULL), 0);
    assert_int_equal(mode_of(fd, "x/y"), 0700);
    assert_int_equal(symlinkat("a", fd, "link"), 0);
    assert_int_equal(fs_mkdir_all(fd, "link/d", 0700, NULL), 0);
    assert_int_equal(mode_of(fd, "a/d"), 0700);
    assert_int_equal(fs_write_new(fd, "file", "", 0, 0600, NULL), 0);
    assert_int_equal(fs_mkdir_all(fd, "file", 0700, &err), -EEXIST);
    assert_int_equal(fs_mkdir_all(fd, "file/below", 0700, &err), -EEXIST);
    assert_non_null(strstr(err.text, "in the way"));
    assert_int_equal(fs_mkdir_all(fd, "", 0700, NULL), 0);
}

static void opens_and_syncs_folders_only(void **state) {
    int fd = ((struct place *)*state)->fd;
    struct estc_error err = {0};
    assert_int_equal(mkdirat(fd, "d", 0700), 0);
    assert_int_equal(symlinkat("d", fd, "link"), 0);
    assert_int_equal(fs_write_new(fd, "file", "", 0, 0600, NULL), 0);
    int got = fs_open_dir(fd, "d", NULL);
    assert_true(got >= 0);
    assert_int_equal(fcntl(got, F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
    fs_closep(&got);
    assert_int_equal(got, -1);
    fs_closep(&got);
    assert_int_equal(fs_open_dir(fd, "link", &err), -ENOTDIR);
    assert_int_equal(fs_open_dir(fd, "file", &err), -ENOTDIR);
    assert_int_equal(fs_open_dir(fd, "none", &err), -ENOENT);
    assert_int_equal(fs_sync_dir(fd, "d", NULL), 0);
    assert_int_equal(fs_sync_dir(fd, "file", &err), -ENOTDIR);
}

static void removes_trees_and_follows_nothing(void **state) {
    int fd = ((struct place *)*state)->fd;
    assert_int_equal(fs_mkdir_all(fd, "outside", 0700, NULL), 0);
    assert_int_equal(fs_write_new(fd, "outside/keep", "x", 1, 0600, NULL), 0);
    assert_int_equal(fs_mkdir_all(fd, "tree/a/b", 0700, NULL), 0);
    assert_int_equal(fs_write_new(fd, "tree/a/f", "x", 1, 0400, NULL), 0);
    assert_int_equal(symlinkat("../../outside", fd, "tree/a/out"), 0);
    assert_int_equal(symlinkat("loop", fd, "tree/loop"), 0);
    assert_int_equal(mkfifoat(fd, "tree/fifo", 0600), 0);
    assert_int_equal(fs_remove_tree(fd, "tree", NULL), 0);
    assert_int_equal(faccessat(fd, "tree", F_OK, AT_SYMLINK_NOFOLLOW), -1);
    assert_content(fd, "outside/keep", "x");
    assert_int_equal(symlinkat("outside", fd, "link"), 0);
    assert_int_equal(fs_remove_tree(fd, "link", NULL), 0);
    assert_content(fd, "outside/keep", "x");
    assert_int_equal(fs_remove_tree(fd, "absent", NULL), 0);
    assert_int_equal(fs_remove_tree(fd, "outside/keep", NULL), 0);
}

static void removal_has_a_bottom(void **state) {
    int fd = ((struct place *)*state)->fd;
    char path[200] = "t";
    struct estc_error err = {0};
    for (int i = 0; i < 60; i++)
        strcat(path, "/d");
    assert_int_equal(fs_mkdir_all(fd, path, 0700, NULL), 0);
    assert_int_equal(fs_remove_tree(fd, "t", &err), -ENAMETOOLONG);
    assert_non_null(strstr(err.text, "cannot remove t"));
    path[strlen(path) - 60] = '\0'; /* in two steps it goes */
    assert_int_equal(fs_remove_tree(fd, path, NULL), 0);
}

static void opens_nothing_but_what_lies_beneath(void **state) {
    int fd = ((struct place *)*state)->fd;
    assert_int_equal(mkdirat(fd, "d", 0700), 0);
    assert_int_equal(fs_write_atomic(fd, "d/f", "x", 1, 0600, NULL), 0);
    assert_int_equal(fs_write_atomic(fd, "outside", "x", 1, 0600, NULL), 0);
    assert_int_equal(symlinkat("d", fd, "l"), 0);
    assert_int_equal(symlinkat("f", fd, "d/g"), 0);
    _cleanup(fs_closep) int d = fs_open_beneath(fd, "d", O_RDONLY | O_DIRECTORY, NULL);
    _cleanup(fs_closep) int f = fs_open_beneath(fd, "d/f", O_RDONLY, NULL);
    _cleanup(estc_buf_clear) struct estc_buf text = {0};
    assert_true(d >= 0 && f >= 0);
    assert_int_equal(fs_read_fd(f, "f", 10, &text, NULL, NULL), 0);
    assert_memory_equal(text.data, "x", 1);
    assert_int_equal(fs_read_fd(d, "d", 10, &text, NULL, NULL), -EINVAL);
    assert_int_equal(fcntl(f, F_GETFD), FD_CLOEXEC);
    assert_int_equal(fs_open_beneath(fd, "l/f", O_RDONLY, NULL), -ELOOP);
    assert_int_equal(fs_open_beneath(fd, "d/g", O_RDONLY, NULL), -ELOOP);
    assert_int_equal(fs_open_beneath(d, "../outside", O_RDONLY, NULL), -EXDEV);
    assert_int_equal(fs_open_beneath(d, "/etc/passwd", O_RDONLY, NULL), -EXDEV);
    assert_int_equal(fs_open_beneath(d, "none", O_RDONLY, NULL), -ENOENT);
}

/* What root alone can do is for the tests of estcd-deploy; a refusal leaves nothing behind. */
static void a_file_is_its_owners(void **state) {
    int fd = ((struct place *)*state)->fd;
    const struct fs_owner other = {.uid = 61236, .gid = 61237, .mode = 0440};
    struct stat st;
    int rc = fs_write_owned(fd, "f", "x", 1, &other, NULL);
    if (geteuid() != 0) {
        assert_int_equal(rc, -EPERM);
        assert_int_equal(entries(fd), 0);
        return;
    }
    assert_int_equal(rc, 0);
    assert_int_equal(fstatat(fd, "f", &st, 0), 0);
    assert_int_equal(st.st_uid, 61236);
    assert_int_equal(st.st_gid, 61237);
    assert_int_equal(st.st_mode & 07777, 0440);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        PLACED(writes_and_replaces),
        PLACED(writes_below_folders_and_by_absolute_path),
        PLACED(mode_holds_whatever_the_umask),
        PLACED(replaces_a_link_itself),
        PLACED(failed_write_says_why_and_leaves_nothing),
        PLACED(new_file_never_replaces),
        PLACED(reads_up_to_the_limit),
        PLACED(reads_through_links_but_only_files),
        PLACED(links_switch_at_once),
        PLACED(opens_nothing_but_what_lies_beneath),
        PLACED(a_file_is_its_owners),
        PLACED(makes_folders),
        PLACED(opens_and_syncs_folders_only),
        PLACED(removes_trees_and_follows_nothing),
        PLACED(removal_has_a_bottom),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
