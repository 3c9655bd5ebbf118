/* SPDX-License-Identifier: BSD-2-Clause */
/* For tests of the ledger: a real SQLite file, and an entry to put into it. */
#pragma once

#include "place.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include <sqlite3.h>

#include "base/cleanup.h"
#include "est-registrar/ledger.h"

#define NOW 1000000

struct book {
    struct place *place;
    struct ledger *ledger;
    char path[PATH_MAX];
};

static inline struct ledger *reopen(struct book *b) {
    struct estc_error err = {0};
    if (b->ledger)
        b->ledger->ops->close(b->ledger);
    b->ledger = NULL;
    if (ledger_sqlite_open(b->path, &b->ledger, &err))
        fail_msg("%s", err.text);
    return b->ledger;
}

static inline int book_setup(void **state) {
    struct book *b = calloc(1, sizeof(*b));
    void *place = NULL;
    if (place_setup(&place))
        return -1;
    b->place = place;
    snprintf(b->path, sizeof(b->path), "%s/ledger.sqlite", b->place->path);
    reopen(b);
    *state = b;
    return 0;
}

static inline int book_teardown(void **state) {
    struct book *b = *state;
    ledger_closep(&b->ledger);
    void *place = b->place;
    place_teardown(&place);
    free(b);
    return 0;
}

static inline char *lit(const char *text) {
    return (char *)(uintptr_t)text;
}

/* The entry that most tests begin with; its texts are literals, so it is not to be cleared. */
static inline struct ledger_entry sample(void) {
    return (struct ledger_entry){
        .serial = lit("01"),
        .der = {.data = (unsigned char *)lit("DER\0!"), .len = 5},
        .sha256 = lit("C1"),
        .subject_id = lit("S1"),
        .names_id = lit("N1"),
        .subject = lit("CN=gw"),
        .key_sha256 = lit("K1"),
        .holder = lit("H1"),
        .authenticator = lit("A1"),
        .op = lit("sen"),
        .label = lit(""),
        .rule = lit("devices"),
        .not_before = NOW - 10,
        .not_after = NOW + 1000,
        .issued_at = NOW,
    };
}

static const struct ledger_request request = {
    .authenticator = "A1", .op = "sen", .label = "", .names_id = "N1", .key_sha256 = "K1"};

static inline void insert(struct book *b, const struct ledger_entry *entry) {
    struct estc_error err = {0};
    if (b->ledger->ops->insert(b->ledger, entry, NULL, &err))
        fail_msg("%s", err.text);
}

static inline int find_same(struct book *b, const struct ledger_request *r, int64_t since,
                            int64_t now) {
    _cleanup(ledger_entry_clear) struct ledger_entry found = {0};
    return b->ledger->ops->find_same(b->ledger, r, since, now, &found, NULL);
}

static inline void close_book(struct book *b) {
    b->ledger->ops->close(b->ledger);
    b->ledger = NULL;
}

/* Runs SQL on the file from outside. */
static inline void outside(const struct book *b, const char *sql) {
    sqlite3 *db = NULL;
    assert_int_equal(sqlite3_open(b->path, &db), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
    sqlite3_close(db);
}

static inline void refused(struct book *b, const char *why, const char *remedy) {
    struct estc_error err = {0};
    struct ledger *ledger = NULL;
    assert_true(ledger_sqlite_open(b->path, &ledger, &err) < 0);
    assert_null(ledger);
    assert_non_null(strstr(err.text, b->path));
    if (!strstr(err.text, why) || !strstr(err.text, remedy))
        fail_msg("%s", err.text);
    /* est-registrar -n says the same. */
    struct estc_error same = {0};
    assert_true(ledger_sqlite_check(b->path, &same) < 0);
}

#define BOOK(test) cmocka_unit_test_setup_teardown(test, book_setup, book_teardown)
