/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Certificates in an SQL ledger: its questions and its writes, each a transaction of its own that
 * is on disk when it returns. Where several registrars write, a lock on whom a certificate is about
 * keeps two of them from issuing for one request, or one name to two holders.
 */
#include "ledger_sql.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "ledger_schema.h"

#define SELECT "SELECT " LEDGER_CERTIFICATE_COLUMNS " FROM certificates WHERE "
#define RACE 60 /* seconds; shorter than any repeat window, longer than clocks differ */

/* --- rows --- */

char *ledger_sql_text(const struct sql_row *row, int column) {
    return strdup(row->ops->text(row, column));
}

static int read_entry(void *out, const struct sql_row *row, struct estc_error *err) {
    _cleanup(ledger_entry_clear) struct ledger_entry e = {0};
    char **const texts[] = {&e.sha256,        &e.serial,  NULL,          &e.subject_id,
                            &e.names_id,      &e.subject, &e.key_sha256, &e.holder,
                            &e.authenticator, &e.op,      &e.label,      &e.rule};
    int64_t *const numbers[] = {&e.not_before,   &e.not_after,  &e.issued_at,
                                &e.collected_at, &e.revoked_at, &e.revoked_reason};
    const int n_texts = (int)SQL_COUNT(texts);
    bool ok = row->ops->blob(row, 2, &e.der) == 0;
    for (int i = 0; i < n_texts; i++)
        if (texts[i])
            ok = (*texts[i] = ledger_sql_text(row, i)) && ok;
    for (int i = 0; i < (int)SQL_COUNT(numbers); i++)
        *numbers[i] = row->ops->number(row, n_texts + i);
    if (!ok)
        return estc_error_set(err, -ENOMEM, "out of memory");
    ledger_entry_clear(out);
    *(struct ledger_entry *)out = e;
    e = (struct ledger_entry){0};
    return 0;
}

/* The one row of a query; -ENOENT without one. */
static int one(struct ledger *ledger, const char *sql, const struct sql_value *values, size_t n,
               struct ledger_entry *out, struct estc_error *err) {
    struct ledger_sql *l = (struct ledger_sql *)ledger;
    struct ledger_entry found = {0};
    int rc = l->sql->run(l, sql, values, n, read_entry, &found, err);
    if (!rc && !found.sha256)
        return estc_error_set(err, -ENOENT, "not in the ledger");
    if (rc)
        ledger_entry_clear(&found);
    else
        *out = found;
    return rc;
}

/* --- questions --- */

static int find_same(struct ledger *ledger, const struct ledger_request *request, int64_t since,
                     int64_t now, struct ledger_entry *out, struct estc_error *err) {
    const struct sql_value values[] = {SQL_T(request->authenticator),
                                       SQL_T(request->op),
                                       SQL_T(request->label),
                                       SQL_T(request->names_id),
                                       SQL_T(request->key_sha256),
                                       SQL_N(since),
                                       SQL_N(now)};
    return one(ledger,
               SELECT "authenticator = ?1 AND op = ?2 AND"
                      " label = ?3 AND names_id = ?4 AND key_sha256 = ?5 AND issued_at >= ?6 AND"
                      " not_after > ?7 AND collected_at = 0 AND revoked_at = 0"
                      " ORDER BY issued_at DESC LIMIT 1",
               values, SQL_COUNT(values), out, err);
}

static int find_other_holder(struct ledger *ledger, const char *subject_id, const char *holder,
                             int64_t now, struct ledger_entry *out, struct estc_error *err) {
    const struct sql_value values[] = {SQL_T(subject_id), SQL_T(holder), SQL_N(now)};
    return one(ledger,
               SELECT "subject_id = ?1 AND holder <> ?2 AND not_after > ?3 AND revoked_at = 0"
                      " LIMIT 1",
               values, SQL_COUNT(values), out, err);
}

static int find(struct ledger *ledger, const char *sha256, struct ledger_entry *out,
                struct estc_error *err) {
    const struct sql_value values[] = {SQL_T(sha256)};
    return one(ledger, SELECT "sha256 = ?1", values, SQL_COUNT(values), out, err);
}

struct revoked {
    ledger_revoked_fn fn;
    void *arg;
};

static int read_revoked(void *arg, const struct sql_row *row, struct estc_error *err) {
    const struct revoked *r = arg;
    (void)err;
    return r->fn(r->arg, row->ops->text(row, 0), row->ops->number(row, 1),
                 row->ops->number(row, 2));
}

static int each_revoked(struct ledger *ledger, int64_t since, ledger_revoked_fn fn, void *arg,
                        struct estc_error *err) {
    struct ledger_sql *l = (struct ledger_sql *)ledger;
    const struct sql_value values[] = {SQL_N(since)};
    struct revoked revoked = {.fn = fn, .arg = arg};
    return l->sql->run(l,
                       "SELECT serial, revoked_at, revoked_reason FROM certificates"
                       " WHERE revoked_at <> 0 AND not_after > ?1 ORDER BY revoked_at, serial",
                       values, SQL_COUNT(values), read_revoked, &revoked, err);
}

/* --- writes --- */

int ledger_sql_lock(struct ledger_sql *l, const char *about, struct estc_error *err) {
    const struct sql_value values[] = {SQL_T(about)};
    return l->shared ? l->sql->run(l, "SELECT pg_advisory_xact_lock(hashtextextended(?1, 0))",
                                   values, SQL_COUNT(values), NULL, NULL, err)
                     : 0;
}

/* What the caller has asked before, once more, now that nobody else can write about these names:
 * -EEXIST when another registrar was faster. */
static int check_alone(struct ledger_sql *l, const struct ledger_entry *e, const char *superseded,
                       struct estc_error *err) {
    const struct ledger_request same = {e->authenticator, e->op, e->label, e->names_id,
                                        e->key_sha256};
    struct ledger *ledger = &l->base;
    _cleanup(ledger_entry_clear) struct ledger_entry found = {0};
    int rc = ledger_sql_lock(l, e->subject_id, err);
    if (!rc)
        rc = find_same(ledger, &same, e->issued_at - RACE, e->issued_at, &found, err);
    if (!rc && superseded && strcmp(found.sha256, superseded) == 0) {
        ledger_entry_clear(&found);
        rc = -ENOENT;
    }
    if (rc == -ENOENT)
        rc = find_other_holder(ledger, e->subject_id, e->holder, e->issued_at, &found, err);
    if (rc == -ENOENT)
        return 0;
    return rc ? rc
              : estc_error_set(err, -EEXIST, "another registrar has just issued for '%s'",
                               e->subject);
}

static int insert_entry(struct ledger_sql *l, const struct ledger_entry *e,
                        struct estc_error *err) {
    const struct sql_value values[] = {
        SQL_T(e->sha256),       SQL_T(e->serial),     SQL_B(&e->der),
        SQL_T(e->subject_id),   SQL_T(e->names_id),   SQL_T(e->subject),
        SQL_T(e->key_sha256),   SQL_T(e->holder),     SQL_T(e->authenticator),
        SQL_T(e->op),           SQL_T(e->label),      SQL_T(e->rule),
        SQL_N(e->not_before),   SQL_N(e->not_after),  SQL_N(e->issued_at),
        SQL_N(e->collected_at), SQL_N(e->revoked_at), SQL_N(e->revoked_reason)};
    return l->sql->run(l,
                       "INSERT INTO certificates (" LEDGER_CERTIFICATE_COLUMNS ") VALUES"
                       " (?1,?2,?3,?4,?5,?6,?7,?8,?9,?10,?11,?12,?13,?14,?15,?16,?17,?18)",
                       values, SQL_COUNT(values), NULL, NULL, err);
}

static int supersede(struct ledger_sql *l, const char *sha256, int64_t now,
                     struct estc_error *err) {
    const struct sql_value values[] = {SQL_T(sha256), SQL_N(now), SQL_N(LEDGER_SUPERSEDED)};
    return l->sql->run(l,
                       "UPDATE certificates SET revoked_at = ?2, revoked_reason = ?3"
                       " WHERE sha256 = ?1 AND revoked_at = 0",
                       values, SQL_COUNT(values), NULL, NULL, err);
}

static int insert(struct ledger *ledger, const struct ledger_entry *e, const char *superseded,
                  struct estc_error *err) {
    struct ledger_sql *l = (struct ledger_sql *)ledger;
    int rc = l->sql->begin(l, err);
    if (rc)
        return rc;
    rc = l->shared ? check_alone(l, e, superseded, err) : 0;
    if (!rc)
        rc = insert_entry(l, e, err);
    if (!rc && superseded)
        rc = supersede(l, superseded, e->issued_at, err);
    if (!rc)
        rc = ledger_sql_settle_request(l, e, superseded, err);
    return l->sql->end(l, rc, err);
}

static int collected(struct ledger *ledger, const char *sha256, int64_t now,
                     struct estc_error *err) {
    struct ledger_sql *l = (struct ledger_sql *)ledger;
    const struct sql_value values[] = {SQL_T(sha256), SQL_N(now)};
    return l->sql->run(l,
                       "UPDATE certificates SET collected_at = ?2"
                       " WHERE sha256 = ?1 AND collected_at = 0",
                       values, SQL_COUNT(values), NULL, NULL, err);
}

static int revoke(struct ledger *ledger, const char *serial, int64_t reason, int64_t now,
                  struct ledger_entry *out, struct estc_error *err) {
    struct ledger_sql *l = (struct ledger_sql *)ledger;
    const struct sql_value values[] = {SQL_T(serial), SQL_N(now), SQL_N(reason)};
    struct ledger_entry changed = {0};
    int rc = l->sql->run(l,
                         "UPDATE certificates SET revoked_at = ?2, revoked_reason = ?3"
                         " WHERE serial = ?1 AND revoked_at = 0"
                         " RETURNING " LEDGER_CERTIFICATE_COLUMNS,
                         values, SQL_COUNT(values), read_entry, &changed, err);
    if (!rc && changed.sha256) {
        *out = changed;
        return 0;
    }
    ledger_entry_clear(&changed);
    if (!rc)
        rc = one(ledger, SELECT "serial = ?1", values, 1, out, err);
    return rc ? rc
              : estc_error_set(err, -EALREADY, "certificate %s is revoked already", out->serial);
}

static void close_it(struct ledger *ledger) {
    struct ledger_sql *l = (struct ledger_sql *)ledger;
    l->sql->close(l);
}

const struct ledger_ops ledger_sql_ops = {
    .find_same = find_same,
    .find_other_holder = find_other_holder,
    .find = find,
    .insert = insert,
    .collected = collected,
    .revoke = revoke,
    .each_revoked = each_revoked,
    .find_request = ledger_sql_find_request,
    .get_request = ledger_sql_get_request,
    .add_request = ledger_sql_add_request,
    .seen_request = ledger_sql_seen_request,
    .decide_request = ledger_sql_decide_request,
    .each_request = ledger_sql_each_request,
    .close = close_it,
};
