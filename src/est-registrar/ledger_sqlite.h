/* SPDX-License-Identifier: BSD-2-Clause */
/* Between the files of the ledger in SQLite. */
#pragma once

#include <sqlite3.h>

#include "ledger_sql.h"

struct ledger_sqlite {
    struct ledger_sql sql;
    sqlite3 *db;
    char *path;
    int lock; /* held on the file itself, apart from SQLite's; -1: none */
};

extern const struct sql_ops ledger_sqlite_sql;

/* Statements without results and without values. */
int ledger_sqlite_execute(const struct ledger_sqlite *l, const char *sql, struct estc_error *err);

/* What SQLite says, with what to do about it; a negative errno. */
int ledger_sqlite_failed(const struct ledger_sqlite *l, struct estc_error *err);

static inline void ledger_sqlite_finalizep(sqlite3_stmt **statement) {
    sqlite3_finalize(*statement);
}
