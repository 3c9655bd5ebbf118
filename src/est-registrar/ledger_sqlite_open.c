/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The ledger's file: made, locked, judged. Write-ahead log, every commit synced. The schema carries
 * its number; an older one is brought up to date in one transaction, a newer one is refused.
 * Nothing is written to a file before it is known to be a ledger.
 */
#include "ledger_sqlite.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fs.h"
#include "ledger_schema.h"

#define BUSY_MS 2000 /* another process reading a copy; longer would block everybody */

static const char *const steps_sql[LEDGER_SCHEMA] = {
    LEDGER_SCHEMA_1("BLOB", "INTEGER", " STRICT") "PRAGMA user_version = 1",
    LEDGER_SCHEMA_2("BLOB", "INTEGER", "INTEGER PRIMARY KEY AUTOINCREMENT",
                    " STRICT") "PRAGMA user_version = 2",
    LEDGER_SCHEMA_3("INTEGER") "PRAGMA user_version = 3",
};

static int number_of(const struct ledger_sqlite *l, const char *sql, int *out,
                     struct estc_error *err) {
    _cleanup(ledger_sqlite_finalizep) sqlite3_stmt *s = NULL;
    if (sqlite3_prepare_v2(l->db, sql, -1, &s, NULL) != SQLITE_OK || sqlite3_step(s) != SQLITE_ROW)
        return ledger_sqlite_failed(l, err);
    *out = sqlite3_column_int(s, 0);
    return 0;
}

static int somebody_elses(const struct ledger_sqlite *l, struct estc_error *err) {
    return estc_error_set(
        err, -EINVAL, "ledger %s: is a database of another program: name another file", l->path);
}

/* Other programs number their schemas, too. */
static int check_columns(const struct ledger_sqlite *l, int version, struct estc_error *err) {
    static const char *const parts[LEDGER_SCHEMA] = {
        "SELECT " LEDGER_CERTIFICATE_COLUMNS_1 " FROM certificates",
        "SELECT id, " LEDGER_REQUEST_COLUMNS " FROM requests",
        "SELECT revoked_reason FROM certificates",
    };
    for (int i = 0; i < version; i++) {
        _cleanup(ledger_sqlite_finalizep) sqlite3_stmt *s = NULL;
        int rc = sqlite3_prepare_v2(l->db, parts[i], -1, &s, NULL);
        if (rc != SQLITE_OK)
            return rc == SQLITE_ERROR ? somebody_elses(l, err) : ledger_sqlite_failed(l, err);
    }
    return 0;
}

static int migrate(struct ledger_sqlite *l, int version, struct estc_error *err) {
    int rc = l->sql.sql->begin(&l->sql, err);
    if (rc)
        return rc;
    for (int i = version; !rc && i < LEDGER_SCHEMA; i++)
        rc = ledger_sqlite_execute(l, steps_sql[i], err);
    return l->sql.sql->end(&l->sql, rc, err);
}

/* Makes the tables in an empty file, and those that are missing in an older one, if it may. */
static int check_schema(struct ledger_sqlite *l, bool create, struct estc_error *err) {
    int version = 0;
    int rc = number_of(l, "PRAGMA user_version", &version, err);
    if (rc)
        return rc;
    if (version < 0)
        return somebody_elses(l, err);
    if (version > LEDGER_SCHEMA)
        return estc_error_set(err, -EINVAL,
                              "ledger %s: written by a newer est-registrar (schema %d, this one "
                              "knows %d): install the newer one again",
                              l->path, version, LEDGER_SCHEMA);
    int tables = 0;
    rc = version > 0 ? check_columns(l, version, err)
                     : number_of(l, "SELECT count(*) FROM sqlite_master", &tables, err);
    if (!rc && tables > 0)
        return somebody_elses(l, err);
    return rc || !create || version == LEDGER_SCHEMA ? rc : migrate(l, version, err);
}

/* Every page, once at start: a damaged ledger must not issue. */
static int check_integrity(const struct ledger_sqlite *l, struct estc_error *err) {
    _cleanup(ledger_sqlite_finalizep) sqlite3_stmt *s = NULL;
    if (sqlite3_prepare_v2(l->db, "PRAGMA quick_check(1)", -1, &s, NULL) != SQLITE_OK ||
        sqlite3_step(s) != SQLITE_ROW)
        return ledger_sqlite_failed(l, err);
    const char *said = (const char *)sqlite3_column_text(s, 0);
    if (said && strcmp(said, "ok") == 0)
        return 0;
    return estc_error_set(err, -EUCLEAN,
                          "ledger %s: damaged (%s): restore it from a backup, or move it away to "
                          "begin anew",
                          l->path, said ? said : "?");
}

/* --- opening --- */

/* The file as it should be, and open. */
static int open_database(struct ledger_sqlite *l, bool create, struct estc_error *err) {
    if (sqlite3_open_v2(l->path, &l->db, SQLITE_OPEN_READWRITE, NULL) != SQLITE_OK)
        return ledger_sqlite_failed(l, err);
    sqlite3_busy_timeout(l->db, BUSY_MS);
    int rc = ledger_sqlite_execute(l, "PRAGMA synchronous = FULL", err);
    if (!rc)
        rc = check_schema(l, create, err);
    if (!rc && create)
        rc = ledger_sqlite_execute(l, "PRAGMA journal_mode = WAL", err);
    return rc ? rc : check_integrity(l, err);
}

/* SQLite would create the file as the umask says; what is in it is nobody else's to read. Two
 * registrars on one ledger could each find that a request is new. */
static int create_and_lock(struct ledger_sqlite *l, struct estc_error *err) {
    l->lock = open(l->path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (l->lock < 0)
        return fs_fail(err, errno, "open the ledger", l->path);
    if (flock(l->lock, LOCK_EX | LOCK_NB) == 0)
        return 0;
    if (errno == EWOULDBLOCK)
        return estc_error_set(err, -EBUSY,
                              "ledger %s: another est-registrar works with it: end that one, or "
                              "name another file",
                              l->path);
    return fs_fail(err, errno, "lock the ledger", l->path);
}

static int make(const char *path, struct ledger **out, struct estc_error *err) {
    struct ledger_sqlite *l = calloc(1, sizeof(*l));
    char *copy = strdup(path);
    if (!l || !copy) {
        free(l);
        free(copy);
        return estc_error_set(err, -ENOMEM, "out of memory");
    }
    l->sql = (struct ledger_sql){.base.ops = &ledger_sql_ops, .sql = &ledger_sqlite_sql};
    l->path = copy;
    l->lock = -1;
    *out = &l->sql.base;
    return 0;
}

int ledger_sqlite_open(const char *path, struct ledger **out, struct estc_error *err) {
    _cleanup(ledger_closep) struct ledger *ledger = NULL;
    int rc = make(path, &ledger, err);
    if (!rc)
        rc = create_and_lock((struct ledger_sqlite *)ledger, err);
    if (!rc)
        rc = open_database((struct ledger_sqlite *)ledger, true, err);
    if (rc)
        return rc;
    *out = TAKE(ledger);
    return 0;
}

/* Where it would be made. */
static int check_folder(const char *path, struct estc_error *err) {
    const char *slash = strrchr(path, '/');
    _cleanup(freep) char *folder = slash ? strndup(path, (size_t)(slash - path) + 1) : strdup(".");
    if (!folder)
        return estc_error_set(err, -ENOMEM, "out of memory");
    return access(folder, W_OK | X_OK) == 0
               ? 0
               : fs_fail(err, errno, "make a ledger in folder", folder);
}

int ledger_sqlite_check(const char *path, struct estc_error *err) {
    if (access(path, R_OK | W_OK) < 0)
        return errno == ENOENT ? check_folder(path, err)
                               : fs_fail(err, errno, "open the ledger", path);
    _cleanup(ledger_closep) struct ledger *ledger = NULL;
    int rc = make(path, &ledger, err);
    return rc ? rc : open_database((struct ledger_sqlite *)ledger, false, err);
}
