/* SPDX-License-Identifier: BSD-2-Clause */
/* The ledger's file in trouble: foreign, damaged, in use, on a full disk; and what survives. */
#include "book.h"
#include "trouble.h"

#include <signal.h>

#include "base/cleanup.h"
#include "base/clock.h"

/* --- what is no ledger of ours --- */

static void a_newer_schema_is_refused(void **state) {
    struct book *b = *state;
    close_book(b);
    outside(b, "PRAGMA user_version = 99");
    refused(b, "schema 99", "install the newer one");
}

static void a_stranger_s_database_is_refused(void **state) {
    struct book *b = *state;
    close_book(b);
    outside(b, "PRAGMA user_version = 0; CREATE TABLE other (x)");
    refused(b, "another program", "name another file");
}

static void what_is_no_database_is_refused(void **state) {
    struct book *b = *state;
    close_book(b);
    static const char text[] = "this is not a database, and long enough to be looked at as if it "
                               "were one: ......................................................";
    assert_int_equal(fs_write_atomic(b->place->fd, "ledger.sqlite", text, strlen(text), 0600, NULL),
                     0);
    refused(b, "not a database", "name another file");
}

/* Every page but the first is overwritten: SQLite opens it, and only a check finds out. */
static void a_damaged_one_is_refused(void **state) {
    struct book *b = *state;
    struct ledger_entry entry = sample();
    char serial[16], sha256[16];
    for (int i = 0; i < 200; i++) {
        snprintf(serial, sizeof(serial), "%d", i);
        snprintf(sha256, sizeof(sha256), "C%d", i);
        entry.serial = serial;
        entry.sha256 = sha256;
        insert(b, &entry);
    }
    close_book(b);
    FILE *file = fopen(b->path, "r+");
    assert_non_null(file);
    fseek(file, 0, SEEK_END);
    long size = ftell(file);
    fseek(file, 4096, SEEK_SET);
    for (long at = 4096; at < size; at++)
        fputc(0xa5, file);
    fclose(file);
    refused(b, "ledger", "restore it from a backup");
}

static void the_file_is_nobody_else_s(void **state) {
    const struct book *b = *state;
    struct stat st;
    assert_int_equal(stat(b->path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
}

static void an_absent_folder_is_named(void **state) {
    struct book *b = *state;
    close_book(b);
    snprintf(b->path, sizeof(b->path), "%s/nowhere/ledger.sqlite", b->place->path);
    refused(b, "cannot open the ledger", "no such file or folder");
}

/* The content of the ledger's file. */
static struct estc_buf content(const struct book *b) {
    struct estc_buf out = {0};
    struct estc_error err = {0};
    if (fs_read(b->place->fd, "ledger.sqlite", 1 << 20, &out, NULL, &err))
        fail_msg("%s", err.text);
    return out;
}

/* Whatever number its schema has; and it stays as it was. */
static void a_stranger_s_database_is_left_alone(void **state) {
    struct book *b = *state;
    static const char *const strangers[] = {
        "CREATE TABLE other (x); PRAGMA user_version = 1",
        "CREATE TABLE other (x); PRAGMA user_version = 0",
        "CREATE TABLE certificates (x); PRAGMA user_version = 1",
    };
    close_book(b);
    for (size_t i = 0; i < sizeof(strangers) / sizeof(strangers[0]); i++) {
        assert_int_equal(unlink(b->path), 0);
        outside(b, strangers[i]);
        struct estc_buf before = content(b);
        refused(b, "another program", "name another file");
        struct estc_buf after = content(b);
        assert_int_equal(before.len, after.len);
        assert_memory_equal(before.data, after.data, before.len);
        estc_buf_clear(&before);
        estc_buf_clear(&after);
    }
}

/* Cut anywhere, or with a few bytes wrong: opened or refused with a text, never a crash, and what
 * is opened can be asked. */
static void mutations_are_opened_or_refused(void **state) {
    struct book *b = *state;
    const struct ledger_entry entry = sample();
    insert(b, &entry);
    close_book(b);
    struct estc_buf good = content(b);
    unsigned refusals = 0;
    srand(7030);
    for (int i = 0; i < 120; i++) {
        struct estc_buf bad = {0};
        size_t len = i % 4 == 0 ? (size_t)rand() % good.len : good.len;
        assert_int_equal(estc_buf_append(&bad, good.data, len), 0);
        for (int k = 0; k < 8 && len > 0; k++) /* half of them in the header, which is small */
            bad.data[(size_t)rand() % (k % 2 && len > 100 ? 100 : len)] = (unsigned char)rand();
        assert_int_equal(fs_write_atomic(b->place->fd, "ledger.sqlite", bad.data, len, 0600, NULL),
                         0);
        estc_buf_clear(&bad);
        struct estc_error err = {0};
        _cleanup(ledger_entry_clear) struct ledger_entry out = {0};
        int rc = ledger_sqlite_open(b->path, &b->ledger, &err);
        refusals += rc != 0;
        assert_true(rc == 0 || (rc < 0 && strstr(err.text, b->path)));
        if (rc)
            continue;
        rc = b->ledger->ops->find(b->ledger, "C1", &out, &err);
        assert_true(rc <= 0);
        close_book(b);
    }
    assert_in_range(refusals, 20, 120);
    estc_buf_clear(&good);
}

/* --- who else is there --- */

static void one_registrar_for_one_ledger(void **state) {
    struct book *b = *state;
    struct estc_error err = {0};
    struct ledger *second = NULL;
    assert_int_equal(ledger_sqlite_open(b->path, &second, &err), -EBUSY);
    assert_null(second);
    assert_non_null(strstr(err.text, "another est-registrar works with it"));
    assert_int_equal(ledger_sqlite_check(b->path, &err), 0); /* looking is free */
    reopen(b);
}

/* Committed is on disk: no close, no destructor, and the lock does not outlive it. */
static void what_was_inserted_survives_a_kill(void **state) {
    struct book *b = *state;
    close_book(b);
    fflush(NULL);
    pid_t pid = fork();
    if (pid == 0) {
        const struct ledger_entry entry = sample();
        struct ledger *ledger = NULL;
        if (ledger_sqlite_open(b->path, &ledger, NULL) ||
            ledger->ops->insert(ledger, &entry, NULL, NULL) ||
            ledger->ops->collected(ledger, "C1", NOW + 7, NULL))
            _exit(1);
        raise(SIGKILL);
    }
    int status = 0;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFSIGNALED(status));
    reopen(b);
    _cleanup(ledger_entry_clear) struct ledger_entry out = {0};
    assert_int_equal(b->ledger->ops->find(b->ledger, "C1", &out, NULL), 0);
    assert_int_equal(out.collected_at, NOW + 7);
}

/* Another program in the middle of a write: bounded waiting, then an error that says so. */
static void a_writer_that_stays_is_waited_for_only_so_long(void **state) {
    struct book *b = *state;
    const struct ledger_entry entry = sample();
    struct estc_error err = {0};
    sqlite3 *db = NULL;
    assert_int_equal(sqlite3_open(b->path, &db), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db, "BEGIN IMMEDIATE", NULL, NULL, NULL), SQLITE_OK);
    int64_t began = clock_boot_ms();
    assert_int_equal(b->ledger->ops->insert(b->ledger, &entry, NULL, &err), -EBUSY);
    assert_in_range(clock_boot_ms() - began, 1000, 10000);
    assert_non_null(strstr(err.text, "another program holds it"));
    assert_int_equal(find_same(b, &request, 0, NOW), -ENOENT); /* reading goes on */
    sqlite3_exec(db, "ROLLBACK", NULL, NULL, NULL);
    sqlite3_close(db);
    insert(b, &entry);
}

/* --- looking without making --- */

static void a_check_makes_nothing(void **state) {
    struct book *b = *state;
    struct estc_error err = {0};
    close_book(b);
    assert_int_equal(unlink(b->path), 0);
    assert_int_equal(ledger_sqlite_check(b->path, &err), 0);
    assert_int_equal(entries(b->place->fd), 0);
    assert_int_equal(fs_write_new(b->place->fd, "ledger.sqlite", "", 0, 0600, &err), 0);
    assert_int_equal(ledger_sqlite_check(b->path, &err), 0);
    assert_content(b->place->fd, "ledger.sqlite", "");
    reopen(b); /* an empty file becomes a ledger */
    snprintf(b->path, sizeof(b->path), "%s/nowhere/x", b->place->path);
    assert_int_equal(ledger_sqlite_check(b->path, &err), -ENOENT);
    assert_non_null(strstr(err.text, "nowhere/"));
}

static void modes_hold_under_any_umask(void **state) {
    struct book *b = *state;
    const struct ledger_entry entry = sample();
    struct stat st;
    close_book(b);
    assert_int_equal(unlink(b->path), 0);
    mode_t old = umask(0);
    reopen(b);
    umask(old);
    insert(b, &entry);
    static const char *const files[] = {"ledger.sqlite", "ledger.sqlite-wal", "ledger.sqlite-shm"};
    for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
        assert_int_equal(fstatat(b->place->fd, files[i], &st, 0), 0);
        assert_int_equal(st.st_mode & 0777, 0600);
    }
}

/* --- disks --- */

static int fill_disk(int dirfd) {
    static char block[4096];
    int fd = openat(dirfd, "ballast", O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    CHECK(fd >= 0);
    for (size_t n = sizeof(block); n > 0; n /= 2)
        while (write(fd, block, n) > 0)
            ;
    close(fd);
    return 0;
}

static int insert_on_a_full_disk(const struct place *place) {
    char path[PATH_MAX];
    struct estc_error err = {0};
    struct ledger *l = NULL;
    struct ledger_entry entry = sample();
    unsigned char der[8192] = {0}; /* more than what may be free in SQLite's own files */
    int fd = mount_small(place, "size=400k");
    if (fd < 0)
        return SKIPPED;
    snprintf(path, sizeof(path), "%s/m/ledger.sqlite", place->path);
    CHECK(ledger_sqlite_open(path, &l, &err) == 0);
    CHECK(l->ops->insert(l, &entry, NULL, &err) == 0);
    CHECK(fill_disk(fd) == 0);
    entry.serial = lit("02");
    entry.sha256 = lit("C2");
    entry.der = (struct estc_buf){.data = der, .len = sizeof(der)};
    for (int i = 0; i < 3; i++) {
        int rc = l->ops->insert(l, &entry, NULL, &err);
        CHECK(rc == -ENOSPC || rc == -EIO);
        CHECK(strstr(err.text, path) && strstr(err.text, "free"));
        struct ledger_entry out = {0};
        CHECK(l->ops->find(l, "C2", &out, NULL) == -ENOENT); /* not there at all */
        CHECK(l->ops->find(l, "C1", &out, NULL) == 0);
        ledger_entry_clear(&out);
    }
    CHECK(unlinkat(fd, "ballast", 0) == 0);
    CHECK(l->ops->insert(l, &entry, NULL, &err) == 0);
    l->ops->close(l);
    close(fd);
    return 0;
}

static int begin_on_a_full_disk(const struct place *place) {
    char path[PATH_MAX];
    struct estc_error err = {0};
    struct ledger *l = NULL;
    int fd = mount_small(place, "size=100k");
    if (fd < 0)
        return SKIPPED;
    snprintf(path, sizeof(path), "%s/m/ledger.sqlite", place->path);
    CHECK(fill_disk(fd) == 0);
    CHECK(ledger_sqlite_open(path, &l, &err) < 0 && !l);
    CHECK(strstr(err.text, path));
    CHECK(unlinkat(fd, "ballast", 0) == 0);
    CHECK(ledger_sqlite_open(path, &l, &err) == 0); /* what is left there is no obstacle */
    l->ops->close(l);
    close(fd);
    return 0;
}

static int open_on_a_read_only_disk(const struct place *place) {
    char path[PATH_MAX], mounted[PATH_MAX];
    struct estc_error err = {0};
    struct ledger *l = NULL;
    int fd = mount_small(place, "size=400k");
    if (fd < 0)
        return SKIPPED;
    snprintf(path, sizeof(path), "%s/m/ledger.sqlite", place->path);
    snprintf(mounted, sizeof(mounted), "%s/m", place->path);
    CHECK(ledger_sqlite_open(path, &l, &err) == 0);
    l->ops->close(l);
    close(fd);
    CHECK(mount(NULL, mounted, NULL, MS_REMOUNT | MS_RDONLY, NULL) == 0);
    CHECK(ledger_sqlite_open(path, &l, &err) == -EROFS);
    CHECK(strstr(err.text, "read-only file system"));
    CHECK(ledger_sqlite_check(path, &err) == -EROFS);
    return 0;
}

static int open_without_rights(const struct place *place) {
    char path[PATH_MAX];
    struct estc_error err = {0};
    struct ledger *l = NULL;
    snprintf(path, sizeof(path), "%s/ledger.sqlite", place->path);
    if (geteuid() == 0 && (setgid(65534) < 0 || setuid(65534) < 0))
        return SKIPPED;
    CHECK(ledger_sqlite_open(path, &l, &err) == -EACCES);
    CHECK(strstr(err.text, "check owner and mode"));
    CHECK(ledger_sqlite_check(path, &err) < 0);
    return 0;
}

static void a_full_disk_records_nothing_by_halves(void **state) {
    const struct book *b = *state;
    expect_done(in_child(insert_on_a_full_disk, b->place), "mounting a file system");
}

static void a_full_disk_at_the_beginning(void **state) {
    const struct book *b = *state;
    expect_done(in_child(begin_on_a_full_disk, b->place), "mounting a file system");
}

static void a_read_only_disk_says_so(void **state) {
    const struct book *b = *state;
    expect_done(in_child(open_on_a_read_only_disk, b->place), "mounting a file system");
}

static void a_missing_right_says_so(void **state) {
    struct book *b = *state;
    close_book(b);
    assert_int_equal(chmod(b->place->path, 0755), 0);
    expect_done(in_child(open_without_rights, b->place), "becoming another user");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        BOOK(a_newer_schema_is_refused),
        BOOK(a_stranger_s_database_is_refused),
        BOOK(what_is_no_database_is_refused),
        BOOK(a_damaged_one_is_refused),
        BOOK(the_file_is_nobody_else_s),
        BOOK(an_absent_folder_is_named),
        BOOK(a_stranger_s_database_is_left_alone),
        BOOK(mutations_are_opened_or_refused),
        BOOK(one_registrar_for_one_ledger),
        BOOK(what_was_inserted_survives_a_kill),
        BOOK(a_writer_that_stays_is_waited_for_only_so_long),
        BOOK(a_check_makes_nothing),
        BOOK(modes_hold_under_any_umask),
        BOOK(a_full_disk_records_nothing_by_halves),
        BOOK(a_full_disk_at_the_beginning),
        BOOK(a_read_only_disk_says_so),
        BOOK(a_missing_right_says_so),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
