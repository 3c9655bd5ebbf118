/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The ledger in SQLite: its questions and its two writes, each a transaction of its own that is on
 * disk when it returns. Statements are prepared when needed: there are few, and a certificate costs
 * more.
 */
#include "ledger_sqlite.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/fs.h"

/* --- rows --- */

char *ledger_sqlite_text(sqlite3_stmt *row, int at) {
    const unsigned char *text = sqlite3_column_text(row, at);
    return strdup(text ? (const char *)text : "");
}

static int read_entry(sqlite3_stmt *row, struct ledger_entry *out, struct estc_error *err) {
    _cleanup(ledger_entry_clear) struct ledger_entry e = {
        .sha256 = ledger_sqlite_text(row, 0),
        .serial = ledger_sqlite_text(row, 1),
        .subject_id = ledger_sqlite_text(row, 3),
        .names_id = ledger_sqlite_text(row, 4),
        .subject = ledger_sqlite_text(row, 5),
        .key_sha256 = ledger_sqlite_text(row, 6),
        .holder = ledger_sqlite_text(row, 7),
        .authenticator = ledger_sqlite_text(row, 8),
        .op = ledger_sqlite_text(row, 9),
        .label = ledger_sqlite_text(row, 10),
        .rule = ledger_sqlite_text(row, 11),
        .not_before = sqlite3_column_int64(row, 12),
        .not_after = sqlite3_column_int64(row, 13),
        .issued_at = sqlite3_column_int64(row, 14),
        .collected_at = sqlite3_column_int64(row, 15),
        .revoked_at = sqlite3_column_int64(row, 16),
    };
    const void *der = sqlite3_column_blob(row, 2);
    if (!e.sha256 || !e.serial || !e.subject_id || !e.names_id || !e.subject || !e.key_sha256 ||
        !e.holder || !e.authenticator || !e.op || !e.label || !e.rule ||
        (der && estc_buf_append(&e.der, der, (size_t)sqlite3_column_bytes(row, 2))))
        return estc_error_set(err, -ENOMEM, "out of memory");
    *out = e;
    e = (struct ledger_entry){0};
    return 0;
}

/* The first row of a query whose texts and numbers are bound in order; -ENOENT without one. */
static int query(const struct ledger_sqlite *l, const char *sql, const char *const *texts,
                 const int64_t *numbers, int n_numbers, struct ledger_entry *out,
                 struct estc_error *err) {
    _cleanup(ledger_sqlite_finalizep) sqlite3_stmt *statement = NULL;
    if (sqlite3_prepare_v2(l->db, sql, -1, &statement, NULL) != SQLITE_OK)
        return ledger_sqlite_failed(l, err);
    int at = 1, bound = SQLITE_OK;
    for (; *texts; texts++)
        bound |= sqlite3_bind_text(statement, at++, *texts, -1, SQLITE_STATIC);
    for (int i = 0; i < n_numbers; i++)
        bound |= sqlite3_bind_int64(statement, at++, numbers[i]);
    if (bound != SQLITE_OK) /* "not found" would be an answer to another question */
        return ledger_sqlite_failed(l, err);
    int step = sqlite3_step(statement);
    if (step == SQLITE_DONE)
        return estc_error_set(err, -ENOENT, "not in the ledger");
    return step == SQLITE_ROW ? read_entry(statement, out, err) : ledger_sqlite_failed(l, err);
}

/* --- the interface --- */

static int sqlite_find_same(struct ledger *ledger, const struct ledger_request *request,
                            int64_t since, int64_t now, struct ledger_entry *out,
                            struct estc_error *err) {
    const char *const texts[] = {request->authenticator, request->op,         request->label,
                                 request->names_id,      request->key_sha256, NULL};
    const int64_t numbers[] = {since, now};
    return query((struct ledger_sqlite *)ledger,
                 "SELECT " LEDGER_SQLITE_COLUMNS
                 " FROM certificates WHERE authenticator = ?1 AND op = ?2 AND"
                 " label = ?3 AND names_id = ?4 AND key_sha256 = ?5 AND issued_at >= ?6 AND"
                 " not_after > ?7 AND collected_at = 0 AND revoked_at = 0"
                 " ORDER BY issued_at DESC LIMIT 1",
                 texts, numbers, 2, out, err);
}

static int sqlite_find_other_holder(struct ledger *ledger, const char *subject_id,
                                    const char *holder, int64_t now, struct ledger_entry *out,
                                    struct estc_error *err) {
    const char *const texts[] = {subject_id, holder, NULL};
    return query((struct ledger_sqlite *)ledger,
                 "SELECT " LEDGER_SQLITE_COLUMNS
                 " FROM certificates WHERE subject_id = ?1 AND holder <> ?2 AND"
                 " not_after > ?3 AND revoked_at = 0 LIMIT 1",
                 texts, &now, 1, out, err);
}

static int sqlite_find(struct ledger *ledger, const char *sha256, struct ledger_entry *out,
                       struct estc_error *err) {
    const char *const texts[] = {sha256, NULL};
    return query((struct ledger_sqlite *)ledger,
                 "SELECT " LEDGER_SQLITE_COLUMNS " FROM certificates WHERE sha256 = ?1", texts,
                 NULL, 0, out, err);
}

static int insert_entry(const struct ledger_sqlite *l, const struct ledger_entry *e,
                        struct estc_error *err) {
    _cleanup(ledger_sqlite_finalizep) sqlite3_stmt *s = NULL;
    if (sqlite3_prepare_v2(l->db,
                           "INSERT INTO certificates (" LEDGER_SQLITE_COLUMNS ") VALUES"
                           " (?1,?2,?3,?4,?5,?6,?7,?8,?9,?10,?11,?12,?13,?14,?15,?16,?17)",
                           -1, &s, NULL) != SQLITE_OK)
        return ledger_sqlite_failed(l, err);
    const char *const texts[] = {e->sha256,        e->serial,  NULL,          e->subject_id,
                                 e->names_id,      e->subject, e->key_sha256, e->holder,
                                 e->authenticator, e->op,      e->label,      e->rule};
    for (int i = 0; i < (int)(sizeof(texts) / sizeof(texts[0])); i++)
        if (texts[i])
            sqlite3_bind_text(s, i + 1, texts[i], -1, SQLITE_STATIC);
    sqlite3_bind_blob64(s, 3, e->der.data, e->der.len, SQLITE_STATIC);
    const int64_t numbers[] = {e->not_before, e->not_after, e->issued_at, e->collected_at,
                               e->revoked_at};
    for (int i = 0; i < (int)(sizeof(numbers) / sizeof(numbers[0])); i++)
        sqlite3_bind_int64(s, 13 + i, numbers[i]);
    return sqlite3_step(s) == SQLITE_DONE ? 0 : ledger_sqlite_failed(l, err);
}

/* One time of one certificate, where it is not set yet. */
static int set_time(const struct ledger_sqlite *l, const char *sql, const char *sha256, int64_t now,
                    struct estc_error *err) {
    _cleanup(ledger_sqlite_finalizep) sqlite3_stmt *s = NULL;
    if (sqlite3_prepare_v2(l->db, sql, -1, &s, NULL) != SQLITE_OK)
        return ledger_sqlite_failed(l, err);
    sqlite3_bind_text(s, 1, sha256, -1, SQLITE_STATIC);
    sqlite3_bind_int64(s, 2, now);
    return sqlite3_step(s) == SQLITE_DONE ? 0 : ledger_sqlite_failed(l, err);
}

static int sqlite_insert(struct ledger *ledger, const struct ledger_entry *e,
                         const char *superseded, struct estc_error *err) {
    const struct ledger_sqlite *l = (struct ledger_sqlite *)ledger;
    int rc = ledger_sqlite_execute(l, "BEGIN IMMEDIATE", err);
    if (rc)
        return rc;
    rc = insert_entry(l, e, err);
    if (!rc && superseded)
        rc = set_time(l,
                      "UPDATE certificates SET revoked_at = ?2"
                      " WHERE sha256 = ?1 AND revoked_at = 0",
                      superseded, e->issued_at, err);
    if (!rc)
        rc = ledger_sqlite_settle_request(l, e, superseded, err);
    return ledger_sqlite_end(l, rc, err);
}

static int sqlite_collected(struct ledger *ledger, const char *sha256, int64_t now,
                            struct estc_error *err) {
    return set_time((struct ledger_sqlite *)ledger,
                    "UPDATE certificates SET collected_at = ?2"
                    " WHERE sha256 = ?1 AND collected_at = 0",
                    sha256, now, err);
}

static void sqlite_close(struct ledger *ledger) {
    struct ledger_sqlite *l = (struct ledger_sqlite *)ledger;
    sqlite3_close(l->db);
    fs_closep(&l->lock); /* not before: SQLite's own locks on the file would go with it */
    free(l->path);
    free(l);
}

const struct ledger_ops ledger_sqlite_ops = {
    .find_same = sqlite_find_same,
    .find_other_holder = sqlite_find_other_holder,
    .find = sqlite_find,
    .insert = sqlite_insert,
    .collected = sqlite_collected,
    .find_request = ledger_sqlite_find_request,
    .get_request = ledger_sqlite_get_request,
    .add_request = ledger_sqlite_add_request,
    .seen_request = ledger_sqlite_seen_request,
    .decide_request = ledger_sqlite_decide_request,
    .each_request = ledger_sqlite_each_request,
    .close = sqlite_close,
};
