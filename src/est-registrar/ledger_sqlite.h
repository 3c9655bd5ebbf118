/* SPDX-License-Identifier: BSD-2-Clause */
/* Between the files of the ledger in SQLite. */
#pragma once

#include <sqlite3.h>

#include "ledger.h"

struct ledger_sqlite {
    struct ledger base;
    sqlite3 *db;
    char *path;
    int lock; /* held on the file itself, apart from SQLite's; -1: none */
};

#define LEDGER_SQLITE_COLUMNS                                                                    \
    "sha256, serial, der, subject_id, names_id, subject, key_sha256, holder, authenticator, op," \
    " label, rule, not_before, not_after, issued_at, collected_at, revoked_at"

#define LEDGER_SQLITE_REQUEST_COLUMNS                                                        \
    "authenticator, op, label, names_id, key_sha256, subject, names, device, address, rule," \
    " state, reason, certificate, csr, asked_at, last_at, decided_at"

extern const struct ledger_ops ledger_sqlite_ops;

/* A statement without results. */
int ledger_sqlite_execute(const struct ledger_sqlite *l, const char *sql, struct estc_error *err);
/* After BEGIN IMMEDIATE: commits when rc is 0, else takes all back; rc, or why it could not. */
int ledger_sqlite_end(const struct ledger_sqlite *l, int rc, struct estc_error *err);
/* A column as a text, "" for none; NULL: out of memory. */
char *ledger_sqlite_text(sqlite3_stmt *row, int at);

/* In ledger_sqlite_requests.c; see ledger_ops. */
int ledger_sqlite_find_request(struct ledger *ledger, const struct ledger_request *request,
                               struct ledger_pending *out, struct estc_error *err);
int ledger_sqlite_get_request(struct ledger *ledger, int64_t id, struct ledger_pending *out,
                              struct estc_error *err);
int ledger_sqlite_add_request(struct ledger *ledger, const struct ledger_pending *pending, int max,
                              int64_t *id, struct estc_error *err);
int ledger_sqlite_seen_request(struct ledger *ledger, int64_t id, const char *address, int64_t now,
                               struct estc_error *err);
int ledger_sqlite_decide_request(struct ledger *ledger, int64_t id, enum ledger_state state,
                                 const char *reason, int64_t now, struct estc_error *err);
int ledger_sqlite_each_request(struct ledger *ledger, bool all, int64_t after, ledger_each_fn fn,
                               void *arg, struct estc_error *err);
/* What was just issued belongs to the request of its kind, if there is one, which has got nothing
 * or what is superseded (or NULL) so far; it is approved then, be it by a rule that asks nobody any
 * more. */
int ledger_sqlite_settle_request(const struct ledger_sqlite *l, const struct ledger_entry *e,
                                 const char *superseded, struct estc_error *err);

/* What SQLite says, with what to do about it; a negative errno. */
int ledger_sqlite_failed(const struct ledger_sqlite *l, struct estc_error *err);

static inline void ledger_sqlite_finalizep(sqlite3_stmt **statement) {
    sqlite3_finalize(*statement);
}
