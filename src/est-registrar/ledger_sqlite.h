/* SPDX-License-Identifier: BSD-2-Clause */
/* Between the two files of the ledger in SQLite. */
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

extern const struct ledger_ops ledger_sqlite_ops;

/* What SQLite says, with what to do about it; a negative errno. */
int ledger_sqlite_failed(const struct ledger_sqlite *l, struct estc_error *err);

static inline void ledger_sqlite_finalizep(sqlite3_stmt **statement) {
    sqlite3_finalize(*statement);
}
