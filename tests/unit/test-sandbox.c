/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The cage of a worker, tried from inside: what it needs works, what belongs to others is out of
 * reach. Each probe is a process of its own, since there is no way out again.
 */
#include "cage.h"

#include <linux/landlock.h>
#include <netdb.h>
#include <pthread.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>

/* 0 where the kernel has none. */
static int landlock(void) {
    long version = syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);
    return version < 0 ? 0 : (int)version;
}

static void expect(int (*probe)(const struct place *), void **state) {
    assert_int_equal(cage_run(probe, *state, true), 0);
}

static void expect_with_landlock(int (*probe)(const struct place *), void **state) {
    if (landlock() == 0) {
        print_message("# skipped: Landlock is not allowed here\n");
        skip();
    }
    cage_expect(probe, *state);
}

/* --- what a worker does ---------------------------------------------------------------------- */

static int use_own_folder(const struct place *place) {
    struct stat st;
    CHECK(fs_write_atomic(place->fd, "own/cert.pem", "new", 3, 0644, NULL) == 0);
    CHECK(fs_write_atomic(place->fd, "own/cert.pem", "newer", 5, 0600, NULL) == 0);
    CHECK(fstatat(place->fd, "own/cert.pem", &st, 0) == 0 && (st.st_mode & 0777) == 0600);
    CHECK(mkdirat(place->fd, "own/.unfinished", 0750) == 0);
    CHECK(renameat(place->fd, "own/.unfinished", place->fd, "own/1") == 0);
    CHECK(symlinkat("1", place->fd, "own/current.new") == 0);
    CHECK(renameat(place->fd, "own/current.new", place->fd, "own/current") == 0);
    CHECK(fs_write_atomic(place->fd, "own/current/key.pem", "k", 1, 0600, NULL) == 0);
    int fd = openat(place->fd, "own", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    CHECK(fd >= 0 && fsync(fd) == 0 && entries(fd) == 4);
    close(fd);
    fd = openat(place->fd, "own/cert.pem", O_WRONLY | O_TRUNC | O_CLOEXEC);
    CHECK(fd >= 0 && fchmod(fd, 0600) == 0);
    close(fd);
    CHECK(unlinkat(place->fd, "own/cert.pem", 0) == 0);
    CHECK(fs_remove_tree(place->fd, "own/1", NULL) == 0);
    return 0;
}

static void its_own_folder_is_its_own(void **state) {
    expect(use_own_folder, state);
}

static int read_what_is_given(const struct place *place) {
    struct estc_buf buf = {0};
    CHECK(fs_read(place->fd, "birth.pem", 100, &buf, NULL, NULL) == 0 && buf.len == 5);
    estc_buf_clear(&buf);
    /* What is there of these. */
    static const char *const files[] = {"/etc/hosts",    "/etc/nsswitch.conf",   "/etc/resolv.conf",
                                        "/etc/services", "/etc/ssl/openssl.cnf", "/dev/urandom"};
    for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
        int fd = open(files[i], O_RDONLY | O_CLOEXEC);
        CHECK(fd >= 0 || errno == ENOENT);
        close(fd);
    }
    return 0;
}

static void what_it_is_given_is_readable(void **state) {
    expect(read_what_is_given, state);
}

static void *look_up(void *arg) {
    struct addrinfo *list = NULL;
    const struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_DGRAM};
    *(int *)arg = getaddrinfo("localhost", "5684", &hints, &list);
    if (*(int *)arg == 0)
        freeaddrinfo(list);
    return NULL;
}

static int use_the_network(const struct place *place) {
    (void)place;
    static const int families[] = {AF_INET, AF_INET6, AF_NETLINK};
    for (size_t i = 0; i < sizeof(families) / sizeof(families[0]); i++) {
        int fd = socket(families[i], SOCK_DGRAM | SOCK_CLOEXEC, 0);
        CHECK(fd >= 0 || errno == EAFNOSUPPORT); /* IPv6 may not be there */
        close(fd);
    }
    pthread_t thread;
    int rc = -1;
    CHECK(pthread_create(&thread, NULL, look_up, &rc) == 0);
    CHECK(pthread_join(thread, NULL) == 0);
    CHECK(rc == 0);
    return 0;
}

static void names_are_looked_up_in_a_thread(void **state) {
    expect(use_the_network, state);
}

static int signal_oneself(const struct place *place) {
    (void)place;
    signal(SIGUSR1, SIG_IGN);
    CHECK(raise(SIGUSR1) == 0);
    CHECK(kill(getpid(), SIGUSR1) == 0);
    signal(SIGABRT, SIG_DFL);
    abort();
}

static void it_can_abort(void **state) {
    assert_int_equal(cage_run(signal_oneself, *state, true), 1000 + SIGABRT);
}

/* --- what is other people's ------------------------------------------------------------------ */

static int open_others(const struct place *place) {
    CHECK(REFUSED(openat(place->fd, "other/key.pem", O_RDONLY | O_CLOEXEC), EACCES));
    CHECK(REFUSED(openat(place->fd, "other/key.pem", O_WRONLY | O_CLOEXEC), EACCES));
    CHECK(REFUSED(openat(place->fd, "other/new", O_WRONLY | O_CREAT | O_CLOEXEC, 0600), EACCES));
    CHECK(REFUSED(openat(place->fd, "other", O_RDONLY | O_DIRECTORY | O_CLOEXEC), EACCES));
    CHECK(REFUSED(openat(place->fd, "birth.pem", O_WRONLY | O_CLOEXEC), EACCES));
    CHECK(REFUSED(open("/etc/passwd", O_RDONLY | O_CLOEXEC), EACCES));
    CHECK(REFUSED(open("/etc/hosts", O_WRONLY | O_CLOEXEC), EACCES));
    CHECK(REFUSED(open("/dev/null", O_WRONLY | O_CLOEXEC), EACCES));
    CHECK(REFUSED(open("/proc/1/environ", O_RDONLY | O_CLOEXEC), EACCES));
    char memory[64];
    snprintf(memory, sizeof(memory), "/proc/%d/mem", (int)getppid());
    CHECK(REFUSED(open(memory, O_RDWR | O_CLOEXEC), EACCES));
    return 0;
}

static void anothers_key_cannot_be_opened(void **state) {
    expect_with_landlock(open_others, state);
}

static int come_by_another_way(const struct place *place) {
    CHECK(renameat(place->fd, "other/key.pem", place->fd, "own/stolen") < 0);
    CHECK(linkat(place->fd, "other/key.pem", place->fd, "own/stolen", 0) < 0);
    CHECK(renameat(place->fd, "own/key.pem", place->fd, "other/planted") < 0);
    CHECK(symlinkat("../other/key.pem", place->fd, "own/link") == 0);
    CHECK(REFUSED(openat(place->fd, "own/link", O_RDONLY | O_CLOEXEC), EACCES));
    CHECK(REFUSED(unlinkat(place->fd, "other/key.pem", 0), EACCES));
    CHECK(REFUSED(mkdirat(place->fd, "new", 0700), EACCES));
    CHECK(REFUSED(mkfifoat(place->fd, "own/fifo", 0600), EACCES));
    return 0;
}

static void nor_moved_linked_or_removed(void **state) {
    expect_with_landlock(come_by_another_way, state);
}

static int cut_others(const struct place *place) {
    char path[PATH_MAX];
    snprintf(path, sizeof(path), "%s/other/key.pem", place->path);
    CHECK(REFUSED(truncate(path, 0), EACCES));
    snprintf(path, sizeof(path), "%s/own/key.pem", place->path);
    CHECK(truncate(path, 0) == 0);
    return 0;
}

static void nor_cut(void **state) {
    if (landlock() < 3) {
        print_message("# skipped: Landlock is not allowed here\n");
        skip();
    }
    cage_expect(cut_others, *state);
}

/* Modes and attributes are nothing to Landlock: this holds without it as well. */
static int change_modes(const struct place *place) {
    char path[PATH_MAX];
    snprintf(path, sizeof(path), "%s/other/key.pem", place->path);
    CHECK(REFUSED(chmod(path, 0644), EPERM));
    CHECK(REFUSED(fchmodat(place->fd, "other/key.pem", 0644, 0), EPERM));
    CHECK(REFUSED(syscall(452, place->fd, "other/key.pem", 0644, 0), EPERM)); /* fchmodat2 */
    CHECK(REFUSED(chown(path, 0, 0), EPERM));
    CHECK(REFUSED(lchown(path, 0, 0), EPERM));
    int fd = openat(place->fd, "other/key.pem", O_PATH | O_CLOEXEC);
    CHECK(fd < 0 || fchmod(fd, 0644) < 0);
    return 0;
}

static void nor_opened_to_all_the_world(void **state) {
    expect(change_modes, state);
    const struct place *place = *state;
    struct stat st;
    assert_int_equal(fstatat(place->fd, "other/key.pem", &st, 0), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    assert_content(place->fd, "other/key.pem", "other");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        CAGED(its_own_folder_is_its_own),
        CAGED(what_it_is_given_is_readable),
        CAGED(names_are_looked_up_in_a_thread),
        CAGED(it_can_abort),
        CAGED(anothers_key_cannot_be_opened),
        CAGED(nor_moved_linked_or_removed),
        CAGED(nor_cut),
        CAGED(nor_opened_to_all_the_world),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
