/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The ledger in SQL: one set of statements, whatever database runs them. Values are "?1" and so on
 * in a statement, as SQLite has them, and never part of its text.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "ledger.h"

enum sql_kind { SQL_TEXT, SQL_NUMBER, SQL_BLOB };

struct sql_value {
    enum sql_kind kind;
    const char *text; /* of SQL_TEXT; NULL is an error of the caller's */
    int64_t number;
    const void *data; /* of SQL_BLOB */
    size_t len;
};

#define SQL_T(value) ((struct sql_value){.kind = SQL_TEXT, .text = (value)})
#define SQL_N(value) ((struct sql_value){.kind = SQL_NUMBER, .number = (value)})
#define SQL_B(buf) ((struct sql_value){.kind = SQL_BLOB, .data = (buf)->data, .len = (buf)->len})
#define SQL_COUNT(values) (sizeof(values) / sizeof((values)[0]))

struct ledger_sql;

/* A row of a result, as long as the call lasts that it is handed to. */
struct sql_row {
    const struct sql_ops *ops;
    void *of; /* the database's */
    int at;
};

/* Stops the reading with another value than 0, which is then returned. */
typedef int (*sql_row_fn)(void *arg, const struct sql_row *row, struct estc_error *err);

struct sql_ops {
    /* One statement. fn NULL: without results. */
    int (*run)(struct ledger_sql *, const char *statement, const struct sql_value *values, size_t n,
               sql_row_fn fn, void *arg, struct estc_error *err);
    /* A transaction: what is between them is done as a whole. end() commits when rc is 0, else
     * takes all back; rc, or why it could not. Committed is on disk. */
    int (*begin)(struct ledger_sql *, struct estc_error *err);
    int (*end)(struct ledger_sql *, int rc, struct estc_error *err);
    void (*close)(struct ledger_sql *);
    /* Of a row: "" and 0 for what is missing. A text lasts as long as the row. */
    const char *(*text)(const struct sql_row *, int column);
    int64_t (*number)(const struct sql_row *, int column);
    int (*blob)(const struct sql_row *, int column, struct estc_buf *out);
};

struct ledger_sql {
    struct ledger base;
    const struct sql_ops *sql;
    bool shared; /* others write to it, too */
};

extern const struct ledger_ops ledger_sql_ops;

/* A row's text as our own; NULL: out of memory. */
char *ledger_sql_text(const struct sql_row *row, int column);

/* Keeps others from writing about that until the transaction ends, where there are others. */
int ledger_sql_lock(struct ledger_sql *l, const char *about, struct estc_error *err);

/* In ledger_sql_requests.c; see ledger_ops. */
int ledger_sql_find_request(struct ledger *ledger, const struct ledger_request *request,
                            struct ledger_pending *out, struct estc_error *err);
int ledger_sql_get_request(struct ledger *ledger, int64_t id, struct ledger_pending *out,
                           struct estc_error *err);
int ledger_sql_add_request(struct ledger *ledger, const struct ledger_pending *pending, int max,
                           int64_t *id, struct estc_error *err);
int ledger_sql_seen_request(struct ledger *ledger, int64_t id, const char *address, int64_t now,
                            struct estc_error *err);
int ledger_sql_decide_request(struct ledger *ledger, int64_t id, enum ledger_state state,
                              const char *reason, int64_t now, struct estc_error *err);
int ledger_sql_each_request(struct ledger *ledger, bool all, int64_t after, ledger_each_fn fn,
                            void *arg, struct estc_error *err);
/* What was just issued belongs to the request of its kind, if there is one, which has got nothing
 * or what is superseded (or NULL) so far; it is approved then, be it by a rule that asks nobody any
 * more. */
int ledger_sql_settle_request(struct ledger_sql *l, const struct ledger_entry *e,
                              const char *superseded, struct estc_error *err);
