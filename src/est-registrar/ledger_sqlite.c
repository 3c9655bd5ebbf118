/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * SQL by SQLite. Statements are prepared when needed: there are few, and a certificate costs more.
 * A result is read to its end even where one row is asked for, since a statement that returns what
 * it writes has written all of it only then.
 */
#include "ledger_sqlite.h"

#include <errno.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "base/fs.h"

int ledger_sqlite_failed(const struct ledger_sqlite *l, struct estc_error *err) {
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

int ledger_sqlite_execute(const struct ledger_sqlite *l, const char *sql, struct estc_error *err) {
    return sqlite3_exec(l->db, sql, NULL, NULL, NULL) == SQLITE_OK ? 0
                                                                   : ledger_sqlite_failed(l, err);
}

/* --- statements --- */

static int bind(sqlite3_stmt *s, int at, const struct sql_value *value) {
    switch (value->kind) {
    case SQL_TEXT:
        return sqlite3_bind_text(s, at, value->text, -1, SQLITE_STATIC);
    case SQL_NUMBER:
        return sqlite3_bind_int64(s, at, value->number);
    case SQL_BLOB:
        break;
    }
    return sqlite3_bind_blob64(s, at, value->data, value->len, SQLITE_STATIC);
}

static int run(struct ledger_sql *sql, const char *statement, const struct sql_value *values,
               size_t n, sql_row_fn fn, void *arg, struct estc_error *err) {
    const struct ledger_sqlite *l = (struct ledger_sqlite *)sql;
    _cleanup(ledger_sqlite_finalizep) sqlite3_stmt *s = NULL;
    int bound = sqlite3_prepare_v2(l->db, statement, -1, &s, NULL);
    for (size_t i = 0; bound == SQLITE_OK && i < n; i++)
        bound = bind(s, (int)i + 1, &values[i]);
    if (bound != SQLITE_OK) /* "not found" would be an answer to another question */
        return ledger_sqlite_failed(l, err);
    const struct sql_row row = {.ops = &ledger_sqlite_sql, .of = s};
    int rc = 0, step;
    while (!rc && (step = sqlite3_step(s)) == SQLITE_ROW)
        rc = fn ? fn(arg, &row, err) : 0;
    return !rc && step != SQLITE_DONE ? ledger_sqlite_failed(l, err) : rc;
}

static int begin(struct ledger_sql *sql, struct estc_error *err) {
    return ledger_sqlite_execute((struct ledger_sqlite *)sql, "BEGIN IMMEDIATE", err);
}

static int end(struct ledger_sql *sql, int rc, struct estc_error *err) {
    const struct ledger_sqlite *l = (struct ledger_sqlite *)sql;
    if (!rc)
        rc = ledger_sqlite_execute(l, "COMMIT", err);
    if (rc) /* a COMMIT that failed may have left it open, too */
        sqlite3_exec(l->db, "ROLLBACK", NULL, NULL, NULL);
    return rc;
}

/* --- rows --- */

static const char *text(const struct sql_row *row, int column) {
    const unsigned char *value = sqlite3_column_text(row->of, column);
    return value ? (const char *)value : "";
}

static int64_t number(const struct sql_row *row, int column) {
    return sqlite3_column_int64(row->of, column);
}

static int blob(const struct sql_row *row, int column, struct estc_buf *out) {
    const void *data = sqlite3_column_blob(row->of, column);
    return data ? estc_buf_append(out, data, (size_t)sqlite3_column_bytes(row->of, column)) : 0;
}

static void close_it(struct ledger_sql *sql) {
    struct ledger_sqlite *l = (struct ledger_sqlite *)sql;
    sqlite3_close(l->db);
    fs_closep(&l->lock); /* not before: SQLite's own locks on the file would go with it */
    free(l->path);
    free(l);
}

const struct sql_ops ledger_sqlite_sql = {
    .run = run,
    .begin = begin,
    .end = end,
    .close = close_it,
    .text = text,
    .number = number,
    .blob = blob,
};
