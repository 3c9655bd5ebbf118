/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Requests that somebody has to decide on, in SQLite. Each write is on disk when it returns, so a
 * decision that was told to anybody outlives both of us; a request is never forgotten while the
 * device goes on asking for it.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "ledger_sqlite.h"

#include "base/cleanup.h"

#define KIND "authenticator = ?1 AND op = ?2 AND label = ?3 AND names_id = ?4 AND key_sha256 = ?5"
#define SELECT "SELECT id, " LEDGER_SQLITE_REQUEST_COLUMNS " FROM requests "

/* --- statements --- */

/* With texts as ?1 and so on; a text that is missing would make it another question. */
static int prepare(const struct ledger_sqlite *l, const char *sql, const char *const *texts, int n,
                   sqlite3_stmt **out, struct estc_error *err) {
    int rc = sqlite3_prepare_v2(l->db, sql, -1, out, NULL);
    for (int i = 0; rc == SQLITE_OK && i < n; i++)
        rc = sqlite3_bind_text(*out, i + 1, texts[i], -1, SQLITE_STATIC);
    return rc == SQLITE_OK ? 0 : ledger_sqlite_failed(l, err);
}

static int run(const struct ledger_sqlite *l, sqlite3_stmt *s, struct estc_error *err) {
    return sqlite3_step(s) == SQLITE_DONE ? 0 : ledger_sqlite_failed(l, err);
}

static int not_found(struct estc_error *err) {
    return estc_error_set(err, -ENOENT, "there is no such request");
}

/* --- rows --- */

static bool read_state(const char *text, enum ledger_state *out) {
    for (int i = 0; text && i < LEDGER_STATE_MAX_; i++)
        if (strcmp(text, ledger_state_names[i]) == 0) {
            *out = (enum ledger_state)i;
            return true;
        }
    return false;
}

static int read_pending(const struct ledger_sqlite *l, sqlite3_stmt *row,
                        struct ledger_pending *out, struct estc_error *err) {
    _cleanup(ledger_pending_clear) struct ledger_pending p = {
        .id = sqlite3_column_int64(row, 0),
        .asked_at = sqlite3_column_int64(row, 15),
        .last_at = sqlite3_column_int64(row, 16),
        .decided_at = sqlite3_column_int64(row, 17),
    };
    char **const texts[] = {
        &p.authenticator, &p.op,      &p.label, &p.names_id, &p.key_sha256, &p.subject,    &p.names,
        &p.device,        &p.address, &p.rule,  NULL,        &p.reason,     &p.certificate};
    bool ok = true;
    for (int i = 0; i < (int)(sizeof(texts) / sizeof(texts[0])); i++)
        if (texts[i])
            ok = (*texts[i] = ledger_sqlite_text(row, i + 1)) && ok;
    const void *der = sqlite3_column_blob(row, 14);
    if (!ok || (der && estc_buf_append(&p.csr, der, (size_t)sqlite3_column_bytes(row, 14))))
        return estc_error_set(err, -ENOMEM, "out of memory");
    if (!read_state((const char *)sqlite3_column_text(row, 11), &p.state))
        return estc_error_set(err, -EUCLEAN,
                              "ledger %s: request %lld has a state that is none: restore it from a "
                              "backup",
                              l->path, (long long)p.id);
    *out = p;
    p = (struct ledger_pending){0};
    return 0;
}

static int read_one(const struct ledger_sqlite *l, sqlite3_stmt *s, struct ledger_pending *out,
                    struct estc_error *err) {
    int step = sqlite3_step(s);
    if (step == SQLITE_DONE)
        return not_found(err);
    return step == SQLITE_ROW ? read_pending(l, s, out, err) : ledger_sqlite_failed(l, err);
}

/* --- reading --- */

int ledger_sqlite_find_request(struct ledger *ledger, const struct ledger_request *q,
                               struct ledger_pending *out, struct estc_error *err) {
    const struct ledger_sqlite *l = (struct ledger_sqlite *)ledger;
    _cleanup(ledger_sqlite_finalizep) sqlite3_stmt *s = NULL;
    const char *const texts[] = {q->authenticator, q->op, q->label, q->names_id, q->key_sha256};
    int rc = prepare(l, SELECT "WHERE " KIND " ORDER BY id DESC LIMIT 1", texts, 5, &s, err);
    return rc ? rc : read_one(l, s, out, err);
}

int ledger_sqlite_get_request(struct ledger *ledger, int64_t id, struct ledger_pending *out,
                              struct estc_error *err) {
    const struct ledger_sqlite *l = (struct ledger_sqlite *)ledger;
    _cleanup(ledger_sqlite_finalizep) sqlite3_stmt *s = NULL;
    int rc = prepare(l, SELECT "WHERE id = ?1", NULL, 0, &s, err);
    if (rc)
        return rc;
    sqlite3_bind_int64(s, 1, id);
    return read_one(l, s, out, err);
}

int ledger_sqlite_each_request(struct ledger *ledger, bool all, int64_t after, ledger_each_fn fn,
                               void *arg, struct estc_error *err) {
    const struct ledger_sqlite *l = (struct ledger_sqlite *)ledger;
    _cleanup(ledger_sqlite_finalizep) sqlite3_stmt *s = NULL;
    int rc = prepare(l, SELECT "WHERE id > ?1 AND (?2 OR state = 'pending') ORDER BY id", NULL, 0,
                     &s, err);
    if (rc)
        return rc;
    sqlite3_bind_int64(s, 1, after);
    sqlite3_bind_int(s, 2, all);
    int step = SQLITE_DONE;
    while (!rc && (step = sqlite3_step(s)) == SQLITE_ROW) {
        _cleanup(ledger_pending_clear) struct ledger_pending p = {0};
        rc = read_pending(l, s, &p, err);
        if (!rc)
            rc = fn(arg, &p);
    }
    return !rc && step != SQLITE_DONE ? ledger_sqlite_failed(l, err) : rc;
}

/* --- writing --- */

/* What a new request makes superfluous. */
static int forget(const struct ledger_sqlite *l, const struct ledger_pending *p,
                  struct estc_error *err) {
    _cleanup(ledger_sqlite_finalizep) sqlite3_stmt *s = NULL;
    const char *const texts[] = {p->authenticator, p->op, p->label, p->names_id, p->key_sha256};
    int rc = prepare(l,
                     "DELETE FROM requests WHERE last_at < ?6 OR (authenticator = ?1 AND op = ?2"
                     " AND label = ?3 AND names_id = ?4 AND key_sha256 <> ?5"
                     " AND state = 'pending')",
                     texts, 5, &s, err);
    if (rc)
        return rc;
    sqlite3_bind_int64(s, 6, p->asked_at - LEDGER_KEEP);
    return run(l, s, err);
}

static int check_quota(const struct ledger_sqlite *l, const struct ledger_pending *p, int max,
                       struct estc_error *err) {
    _cleanup(ledger_sqlite_finalizep) sqlite3_stmt *s = NULL;
    const char *const device = p->authenticator;
    int rc =
        prepare(l, "SELECT count(*) FROM requests WHERE authenticator = ?1 AND state = 'pending'",
                &device, 1, &s, err);
    if (rc)
        return rc;
    if (sqlite3_step(s) != SQLITE_ROW)
        return ledger_sqlite_failed(l, err);
    return sqlite3_column_int(s, 0) < max
               ? 0
               : estc_error_set(err, -EDQUOT, "%d requests of this device wait already", max);
}

static int insert(const struct ledger_sqlite *l, const struct ledger_pending *p,
                  struct estc_error *err) {
    _cleanup(ledger_sqlite_finalizep) sqlite3_stmt *s = NULL;
    const char *const texts[] = {p->authenticator,
                                 p->op,
                                 p->label,
                                 p->names_id,
                                 p->key_sha256,
                                 p->subject,
                                 p->names,
                                 p->device,
                                 p->address,
                                 p->rule,
                                 ledger_state_names[p->state],
                                 "",
                                 ""};
    int rc = prepare(l,
                     "INSERT INTO requests (" LEDGER_SQLITE_REQUEST_COLUMNS ") VALUES"
                     " (?1,?2,?3,?4,?5,?6,?7,?8,?9,?10,?11,?12,?13,?14,?15,?15,0)",
                     texts, 13, &s, err);
    if (rc)
        return rc;
    sqlite3_bind_blob64(s, 14, p->csr.data, p->csr.len, SQLITE_STATIC);
    sqlite3_bind_int64(s, 15, p->asked_at);
    return run(l, s, err);
}

int ledger_sqlite_add_request(struct ledger *ledger, const struct ledger_pending *p, int max,
                              int64_t *id, struct estc_error *err) {
    const struct ledger_sqlite *l = (struct ledger_sqlite *)ledger;
    int rc = ledger_sqlite_execute(l, "BEGIN IMMEDIATE", err);
    if (rc)
        return rc;
    rc = forget(l, p, err);
    if (!rc)
        rc = check_quota(l, p, max, err);
    if (!rc)
        rc = insert(l, p, err);
    int64_t made = sqlite3_last_insert_rowid(l->db);
    rc = ledger_sqlite_end(l, rc, err);
    if (!rc)
        *id = made;
    return rc;
}

int ledger_sqlite_seen_request(struct ledger *ledger, int64_t id, const char *address, int64_t now,
                               struct estc_error *err) {
    const struct ledger_sqlite *l = (struct ledger_sqlite *)ledger;
    _cleanup(ledger_sqlite_finalizep) sqlite3_stmt *s = NULL;
    int rc = prepare(l, "UPDATE requests SET address = ?1, last_at = ?2 WHERE id = ?3", &address, 1,
                     &s, err);
    if (rc)
        return rc;
    sqlite3_bind_int64(s, 2, now);
    sqlite3_bind_int64(s, 3, id);
    return run(l, s, err);
}

int ledger_sqlite_decide_request(struct ledger *ledger, int64_t id, enum ledger_state state,
                                 const char *reason, int64_t now, struct estc_error *err) {
    const struct ledger_sqlite *l = (struct ledger_sqlite *)ledger;
    _cleanup(ledger_sqlite_finalizep) sqlite3_stmt *s = NULL;
    const char *const texts[] = {ledger_state_names[state], reason};
    int rc = prepare(l,
                     "UPDATE requests SET state = ?1, reason = ?2, decided_at = ?3"
                     " WHERE id = ?4 AND certificate = '' AND state <> ?1",
                     texts, 2, &s, err);
    if (rc)
        return rc;
    sqlite3_bind_int64(s, 3, now);
    sqlite3_bind_int64(s, 4, id);
    rc = run(l, s, err);
    if (rc || sqlite3_changes(l->db) > 0)
        return rc;
    _cleanup(ledger_pending_clear) struct ledger_pending found = {0};
    rc = ledger_sqlite_get_request(ledger, id, &found, err);
    if (rc)
        return rc;
    return estc_error_set(err, -EALREADY, "request %lld is %s already%s", (long long)id,
                          ledger_state_names[found.state],
                          *found.certificate ? ", and its certificate is issued" : "");
}

int ledger_sqlite_settle_request(const struct ledger_sqlite *l, const struct ledger_entry *e,
                                 const char *superseded, struct estc_error *err) {
    _cleanup(ledger_sqlite_finalizep) sqlite3_stmt *s = NULL;
    const char *const texts[] = {e->authenticator,
                                 e->op,
                                 e->label,
                                 e->names_id,
                                 e->key_sha256,
                                 e->sha256,
                                 superseded ? superseded : ""};
    int rc = prepare(l,
                     "UPDATE requests SET certificate = ?6, state = 'approved' WHERE " KIND
                     " AND certificate IN ('', ?7)",
                     texts, 7, &s, err);
    return rc ? rc : run(l, s, err);
}
