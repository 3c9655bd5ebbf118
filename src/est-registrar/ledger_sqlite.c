/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The ledger in SQLite: write-ahead log, every commit synced. The schema carries its number; an
 * older one would be migrated here, a newer one is refused. Statements are prepared when needed:
 * there are few, and a certificate costs more.
 */
#include "ledger.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <sqlite3.h>

#include "base/cleanup.h"

#define SCHEMA 1
#define BUSY_MS 2000 /* another process reading a copy; longer would block everybody */

struct ledger_sqlite {
    struct ledger base;
    sqlite3 *db;
    char *path;
};

static void finalizep(sqlite3_stmt **statement) {
    sqlite3_finalize(*statement);
}

static const char schema_sql[] =
    "CREATE TABLE certificates ("
    " sha256 TEXT PRIMARY KEY, serial TEXT NOT NULL UNIQUE, der BLOB NOT NULL,"
    " subject_id TEXT NOT NULL, subject TEXT NOT NULL, key_sha256 TEXT NOT NULL,"
    " holder TEXT NOT NULL, authenticator TEXT NOT NULL, op TEXT NOT NULL, label TEXT NOT NULL,"
    " rule TEXT NOT NULL, not_before INTEGER NOT NULL, not_after INTEGER NOT NULL,"
    " issued_at INTEGER NOT NULL, collected_at INTEGER NOT NULL DEFAULT 0,"
    " revoked_at INTEGER NOT NULL DEFAULT 0) STRICT;"
    "CREATE INDEX certificate_by_request ON certificates (authenticator, key_sha256);"
    "CREATE INDEX certificate_by_subject ON certificates (subject_id, not_after);";

#define COLUMNS                                                                               \
    "sha256, serial, der, subject_id, subject, key_sha256, holder, authenticator, op, label," \
    " rule, not_before, not_after, issued_at, collected_at, revoked_at"

/* What SQLite says, with what to do about it. */
static int failed(const struct ledger_sqlite *l, struct estc_error *err) {
    static const struct {
        int code, error;
        const char *remedy;
    } remedies[] = {
        {SQLITE_FULL, ENOSPC, "free some space"},
        {SQLITE_BUSY, EBUSY, "another program holds it: let it finish"},
        {SQLITE_CORRUPT, EUCLEAN, "restore it from a backup, or move it away to begin anew"},
        {SQLITE_NOTADB, EUCLEAN, "it is no ledger: name another file"},
        {SQLITE_READONLY, EROFS, "make it and its folder writable"},
        {SQLITE_CANTOPEN, EACCES, "check that its folder exists and can be written"},
        {SQLITE_IOERR, EIO, "check the disk and the free space"},
        {SQLITE_NOMEM, ENOMEM, "free some memory"},
    };
    int code = sqlite3_errcode(l->db) & 0xff;
    for (size_t i = 0; i < sizeof(remedies) / sizeof(remedies[0]); i++)
        if (remedies[i].code == code)
            return estc_error_set(err, -remedies[i].error, "ledger %s: %s: %s", l->path,
                                  sqlite3_errmsg(l->db), remedies[i].remedy);
    return estc_error_set(err, -EIO, "ledger %s: %s", l->path, sqlite3_errmsg(l->db));
}

static int execute(const struct ledger_sqlite *l, const char *sql, struct estc_error *err) {
    return sqlite3_exec(l->db, sql, NULL, NULL, NULL) == SQLITE_OK ? 0 : failed(l, err);
}

/* --- rows --- */

static char *column(sqlite3_stmt *row, int at) {
    const unsigned char *text = sqlite3_column_text(row, at);
    return strdup(text ? (const char *)text : "");
}

static int read_entry(sqlite3_stmt *row, struct ledger_entry *out, struct estc_error *err) {
    _cleanup(ledger_entry_clear) struct ledger_entry e = {
        .sha256 = column(row, 0),
        .serial = column(row, 1),
        .subject_id = column(row, 3),
        .subject = column(row, 4),
        .key_sha256 = column(row, 5),
        .holder = column(row, 6),
        .authenticator = column(row, 7),
        .op = column(row, 8),
        .label = column(row, 9),
        .rule = column(row, 10),
        .not_before = sqlite3_column_int64(row, 11),
        .not_after = sqlite3_column_int64(row, 12),
        .issued_at = sqlite3_column_int64(row, 13),
        .collected_at = sqlite3_column_int64(row, 14),
        .revoked_at = sqlite3_column_int64(row, 15),
    };
    if (!e.sha256 || !e.serial || !e.subject_id || !e.subject || !e.key_sha256 || !e.holder ||
        !e.authenticator || !e.op || !e.label || !e.rule ||
        estc_buf_append(&e.der, sqlite3_column_blob(row, 2), (size_t)sqlite3_column_bytes(row, 2)))
        return estc_error_set(err, -ENOMEM, "out of memory");
    *out = e;
    e = (struct ledger_entry){0};
    return 0;
}

/* The first row of a query whose texts and numbers are bound in order; -ENOENT without one. */
static int query(const struct ledger_sqlite *l, const char *sql, const char *const *texts,
                 const int64_t *numbers, int n_numbers, struct ledger_entry *out,
                 struct estc_error *err) {
    _cleanup(finalizep) sqlite3_stmt *statement = NULL;
    if (sqlite3_prepare_v2(l->db, sql, -1, &statement, NULL) != SQLITE_OK)
        return failed(l, err);
    int at = 1;
    for (; *texts; texts++)
        sqlite3_bind_text(statement, at++, *texts, -1, SQLITE_STATIC);
    for (int i = 0; i < n_numbers; i++)
        sqlite3_bind_int64(statement, at++, numbers[i]);
    int step = sqlite3_step(statement);
    if (step == SQLITE_DONE)
        return estc_error_set(err, -ENOENT, "not in the ledger");
    return step == SQLITE_ROW ? read_entry(statement, out, err) : failed(l, err);
}

/* --- the interface --- */

static int sqlite_find_same(struct ledger *ledger, const struct ledger_request *request,
                            int64_t since, int64_t now, struct ledger_entry *out,
                            struct estc_error *err) {
    const char *const texts[] = {request->authenticator, request->op,         request->label,
                                 request->subject_id,    request->key_sha256, NULL};
    const int64_t numbers[] = {since, now};
    return query((struct ledger_sqlite *)ledger,
                 "SELECT " COLUMNS " FROM certificates WHERE authenticator = ?1 AND op = ?2 AND"
                 " label = ?3 AND subject_id = ?4 AND key_sha256 = ?5 AND issued_at >= ?6 AND"
                 " not_after > ?7 AND collected_at = 0 AND revoked_at = 0"
                 " ORDER BY issued_at DESC LIMIT 1",
                 texts, numbers, 2, out, err);
}

static int sqlite_find_other_holder(struct ledger *ledger, const char *subject_id,
                                    const char *holder, int64_t now, struct ledger_entry *out,
                                    struct estc_error *err) {
    const char *const texts[] = {subject_id, holder, NULL};
    return query((struct ledger_sqlite *)ledger,
                 "SELECT " COLUMNS " FROM certificates WHERE subject_id = ?1 AND holder <> ?2 AND"
                 " not_after > ?3 AND revoked_at = 0 LIMIT 1",
                 texts, &now, 1, out, err);
}

static int sqlite_find(struct ledger *ledger, const char *sha256, struct ledger_entry *out,
                       struct estc_error *err) {
    const char *const texts[] = {sha256, NULL};
    return query((struct ledger_sqlite *)ledger,
                 "SELECT " COLUMNS " FROM certificates WHERE sha256 = ?1", texts, NULL, 0, out,
                 err);
}

static int sqlite_insert(struct ledger *ledger, const struct ledger_entry *e,
                         struct estc_error *err) {
    struct ledger_sqlite *l = (struct ledger_sqlite *)ledger;
    _cleanup(finalizep) sqlite3_stmt *s = NULL;
    if (sqlite3_prepare_v2(l->db,
                           "INSERT INTO certificates (" COLUMNS ") VALUES"
                           " (?1,?2,?3,?4,?5,?6,?7,?8,?9,?10,?11,?12,?13,?14,?15,?16)",
                           -1, &s, NULL) != SQLITE_OK)
        return failed(l, err);
    const char *const texts[] = {e->sha256,  e->serial,     NULL,      e->subject_id,
                                 e->subject, e->key_sha256, e->holder, e->authenticator,
                                 e->op,      e->label,      e->rule};
    for (int i = 0; i < (int)(sizeof(texts) / sizeof(texts[0])); i++)
        if (texts[i])
            sqlite3_bind_text(s, i + 1, texts[i], -1, SQLITE_STATIC);
    sqlite3_bind_blob64(s, 3, e->der.data, e->der.len, SQLITE_STATIC);
    const int64_t numbers[] = {e->not_before, e->not_after, e->issued_at, e->collected_at,
                               e->revoked_at};
    for (int i = 0; i < (int)(sizeof(numbers) / sizeof(numbers[0])); i++)
        sqlite3_bind_int64(s, 12 + i, numbers[i]);
    return sqlite3_step(s) == SQLITE_DONE ? 0 : failed(l, err);
}

static int sqlite_collected(struct ledger *ledger, const char *sha256, int64_t now,
                            struct estc_error *err) {
    struct ledger_sqlite *l = (struct ledger_sqlite *)ledger;
    _cleanup(finalizep) sqlite3_stmt *s = NULL;
    if (sqlite3_prepare_v2(l->db,
                           "UPDATE certificates SET collected_at = ?2"
                           " WHERE sha256 = ?1 AND collected_at = 0",
                           -1, &s, NULL) != SQLITE_OK)
        return failed(l, err);
    sqlite3_bind_text(s, 1, sha256, -1, SQLITE_STATIC);
    sqlite3_bind_int64(s, 2, now);
    return sqlite3_step(s) == SQLITE_DONE ? 0 : failed(l, err);
}

static void sqlite_close(struct ledger *ledger) {
    struct ledger_sqlite *l = (struct ledger_sqlite *)ledger;
    sqlite3_close(l->db);
    free(l->path);
    free(l);
}

static const struct ledger_ops sqlite_ops = {
    .find_same = sqlite_find_same,
    .find_other_holder = sqlite_find_other_holder,
    .find = sqlite_find,
    .insert = sqlite_insert,
    .collected = sqlite_collected,
    .close = sqlite_close,
};

/* --- opening --- */

static int number_of(const struct ledger_sqlite *l, const char *sql, int *out,
                     struct estc_error *err) {
    _cleanup(finalizep) sqlite3_stmt *s = NULL;
    if (sqlite3_prepare_v2(l->db, sql, -1, &s, NULL) != SQLITE_OK || sqlite3_step(s) != SQLITE_ROW)
        return failed(l, err);
    *out = sqlite3_column_int(s, 0);
    return 0;
}

static int check_schema(const struct ledger_sqlite *l, struct estc_error *err) {
    int version = 0;
    int rc = number_of(l, "PRAGMA user_version", &version, err);
    if (rc)
        return rc;
    if (version > SCHEMA)
        return estc_error_set(err, -EINVAL,
                              "ledger %s: written by a newer est-registrar (schema %d, this one "
                              "knows %d): install the newer one again",
                              l->path, version, SCHEMA);
    if (version == SCHEMA)
        return 0;
    int tables = 0;
    rc = number_of(l, "SELECT count(*) FROM sqlite_master", &tables, err);
    if (!rc && tables > 0)
        return estc_error_set(err, -EINVAL,
                              "ledger %s: is a database of somebody else: name "
                              "another file",
                              l->path);
    if (!rc)
        rc = execute(l, "BEGIN IMMEDIATE", err);
    if (!rc)
        rc = execute(l, schema_sql, err);
    if (!rc)
        rc = execute(l, "PRAGMA user_version = 1", err);
    return rc ? rc : execute(l, "COMMIT", err);
}

/* Every page, once at start: a damaged ledger must not issue. */
static int check_integrity(const struct ledger_sqlite *l, struct estc_error *err) {
    _cleanup(finalizep) sqlite3_stmt *s = NULL;
    if (sqlite3_prepare_v2(l->db, "PRAGMA quick_check(1)", -1, &s, NULL) != SQLITE_OK ||
        sqlite3_step(s) != SQLITE_ROW)
        return failed(l, err);
    const char *said = (const char *)sqlite3_column_text(s, 0);
    if (said && strcmp(said, "ok") == 0)
        return 0;
    return estc_error_set(err, -EUCLEAN,
                          "ledger %s: damaged (%s): restore it from a backup, or move it away to "
                          "begin anew",
                          l->path, said ? said : "?");
}

int ledger_sqlite_open(const char *path, struct ledger **out, struct estc_error *err) {
    struct ledger_sqlite *l = calloc(1, sizeof(*l));
    char *copy = strdup(path);
    if (!l || !copy) {
        free(l);
        free(copy);
        return estc_error_set(err, -ENOMEM, "out of memory");
    }
    l->base.ops = &sqlite_ops;
    l->path = copy;
    _cleanup(ledger_closep) struct ledger *owned = &l->base;
    /* SQLite would create it as the umask says; what is in it is nobody else's to read. */
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (fd >= 0)
        close(fd);
    if (sqlite3_open_v2(path, &l->db, SQLITE_OPEN_READWRITE, NULL) != SQLITE_OK)
        return failed(l, err);
    sqlite3_busy_timeout(l->db, BUSY_MS);
    int rc = execute(l, "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;", err);
    if (!rc)
        rc = check_schema(l, err);
    if (!rc)
        rc = check_integrity(l, err);
    if (rc)
        return rc;
    *out = TAKE(owned);
    return 0;
}
