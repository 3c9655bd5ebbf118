/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A copy of the ledger as it is at one moment, by SQLite's own means, beside a registrar that goes
 * on: it is neither stopped nor waited for. The copy is a new file and on disk when it is made.
 */
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fs.h"
#include "ledger_sqlite.h"

#define BUSY_MS 5000

static void close_db(sqlite3 *db) {
    sqlite3_close(db);
}

CLEANUP_DEFINE(sqlite3 *, db_closep, close_db);

static int failed(sqlite3 *db, const char *path, struct estc_error *err) {
    return estc_error_set(err, -EIO, "backup of %s: %s", path, sqlite3_errmsg(db));
}

static int copy(const char *path, const char *to, struct estc_error *err) {
    _cleanup(db_closep) sqlite3 *from_db = NULL, *to_db = NULL;
    if (sqlite3_open_v2(path, &from_db, SQLITE_OPEN_READWRITE, NULL) != SQLITE_OK)
        return failed(from_db, path, err);
    if (sqlite3_open_v2(to, &to_db, SQLITE_OPEN_READWRITE, NULL) != SQLITE_OK)
        return failed(to_db, to, err);
    sqlite3_busy_timeout(from_db, BUSY_MS);
    sqlite3_backup *backup = sqlite3_backup_init(to_db, "main", from_db, "main");
    if (!backup)
        return failed(to_db, to, err);
    (void)sqlite3_backup_step(backup, -1); /* in one go: a page that changes meanwhile would begin
                                              it anew */
    return sqlite3_backup_finish(backup) == SQLITE_OK ? 0 : failed(to_db, to, err);
}

static int sync_it(int fd, const char *to, struct estc_error *err) {
    _cleanup(freep) char *own = strdup(to);
    if (!own)
        return estc_error_set(err, -ENOMEM, "out of memory");
    if (fsync(fd) < 0)
        return fs_fail(err, errno, "write the backup", to);
    return fs_sync_dir(AT_FDCWD, dirname(own), err);
}

int ledger_sqlite_backup(const char *path, const char *to, struct estc_error *err) {
    if (access(path, R_OK) < 0)
        return fs_fail(err, errno, "read the ledger", path);
    _cleanup(fs_closep) int fd = open(to, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0)
        return fs_fail(err, errno, "make the backup", to);
    int rc = copy(path, to, err);
    if (!rc)
        rc = sync_it(fd, to, err);
    if (rc)
        unlink(to); /* half of it is of no use */
    return rc;
}
