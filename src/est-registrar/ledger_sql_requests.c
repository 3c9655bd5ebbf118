/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Requests that somebody has to decide on, in an SQL ledger. Each write is on disk when it returns,
 * so a decision that was told to anybody outlives both of us; a request is never forgotten while
 * the device goes on asking for it.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "ledger_schema.h"
#include "ledger_sql.h"

#include "base/cleanup.h"

#define KIND "authenticator = ?1 AND op = ?2 AND label = ?3 AND names_id = ?4 AND key_sha256 = ?5"
#define KIND_VALUES(of)                                                                     \
    SQL_T((of)->authenticator), SQL_T((of)->op), SQL_T((of)->label), SQL_T((of)->names_id), \
        SQL_T((of)->key_sha256)
#define SELECT "SELECT id, " LEDGER_REQUEST_COLUMNS " FROM requests WHERE "

/* --- rows --- */

static bool read_state(const char *text, enum ledger_state *out) {
    for (int i = 0; i < LEDGER_STATE_MAX_; i++)
        if (strcmp(text, ledger_state_names[i]) == 0) {
            *out = (enum ledger_state)i;
            return true;
        }
    return false;
}

static int read_pending(void *out, const struct sql_row *row, struct estc_error *err) {
    const struct sql_ops *ops = row->ops;
    _cleanup(ledger_pending_clear) struct ledger_pending p = {
        .id = ops->number(row, 0),
        .asked_at = ops->number(row, 15),
        .last_at = ops->number(row, 16),
        .decided_at = ops->number(row, 17),
    };
    char **const texts[] = {
        &p.authenticator, &p.op,      &p.label, &p.names_id, &p.key_sha256, &p.subject,    &p.names,
        &p.device,        &p.address, &p.rule,  NULL,        &p.reason,     &p.certificate};
    bool ok = ops->blob(row, 14, &p.csr) == 0;
    for (int i = 0; i < (int)SQL_COUNT(texts); i++)
        if (texts[i])
            ok = (*texts[i] = ledger_sql_text(row, i + 1)) && ok;
    if (!ok)
        return estc_error_set(err, -ENOMEM, "out of memory");
    if (!read_state(ops->text(row, 11), &p.state))
        return estc_error_set(err, -EUCLEAN,
                              "ledger: request %lld has a state that is none: restore it from a "
                              "backup",
                              (long long)p.id);
    ledger_pending_clear(out);
    *(struct ledger_pending *)out = p;
    p = (struct ledger_pending){0};
    return 0;
}

static int one(struct ledger *ledger, const char *sql, const struct sql_value *values, size_t n,
               struct ledger_pending *out, struct estc_error *err) {
    struct ledger_sql *l = (struct ledger_sql *)ledger;
    struct ledger_pending found = {0};
    int rc = l->sql->run(l, sql, values, n, read_pending, &found, err);
    if (!rc && !found.authenticator)
        return estc_error_set(err, -ENOENT, "there is no such request");
    if (rc)
        ledger_pending_clear(&found);
    else
        *out = found;
    return rc;
}

static int read_number(void *out, const struct sql_row *row, struct estc_error *err) {
    (void)err;
    *(int64_t *)out = row->ops->number(row, 0);
    return 0;
}

/* --- reading --- */

int ledger_sql_find_request(struct ledger *ledger, const struct ledger_request *q,
                            struct ledger_pending *out, struct estc_error *err) {
    const struct sql_value values[] = {KIND_VALUES(q)};
    return one(ledger, SELECT KIND " ORDER BY id DESC LIMIT 1", values, SQL_COUNT(values), out,
               err);
}

int ledger_sql_get_request(struct ledger *ledger, int64_t id, struct ledger_pending *out,
                           struct estc_error *err) {
    const struct sql_value values[] = {SQL_N(id)};
    return one(ledger, SELECT "id = ?1", values, SQL_COUNT(values), out, err);
}

struct each {
    ledger_each_fn fn;
    void *arg;
};

static int hand_over(void *arg, const struct sql_row *row, struct estc_error *err) {
    const struct each *each = arg;
    _cleanup(ledger_pending_clear) struct ledger_pending p = {0};
    int rc = read_pending(&p, row, err);
    return rc ? rc : each->fn(each->arg, &p);
}

int ledger_sql_each_request(struct ledger *ledger, bool all, int64_t after, ledger_each_fn fn,
                            void *arg, struct estc_error *err) {
    struct ledger_sql *l = (struct ledger_sql *)ledger;
    const struct sql_value values[] = {SQL_N(after), SQL_N(all)};
    struct each each = {.fn = fn, .arg = arg};
    return l->sql->run(l, SELECT "id > ?1 AND (?2 = 1 OR state = 'pending') ORDER BY id", values,
                       SQL_COUNT(values), hand_over, &each, err);
}

/* --- writing --- */

/* What a new request makes superfluous. */
static int forget(struct ledger_sql *l, const struct ledger_pending *p, struct estc_error *err) {
    const struct sql_value values[] = {KIND_VALUES(p), SQL_N(p->asked_at - LEDGER_KEEP)};
    return l->sql->run(l,
                       "DELETE FROM requests WHERE last_at < ?6 OR (authenticator = ?1 AND op = ?2"
                       " AND label = ?3 AND names_id = ?4 AND key_sha256 <> ?5"
                       " AND state = 'pending')",
                       values, SQL_COUNT(values), NULL, NULL, err);
}

static int check_quota(struct ledger_sql *l, const struct ledger_pending *p, int max,
                       struct estc_error *err) {
    const struct sql_value values[] = {SQL_T(p->authenticator)};
    int64_t n = 0;
    int rc = l->sql->run(
        l, "SELECT count(*) FROM requests WHERE authenticator = ?1 AND state = 'pending'", values,
        SQL_COUNT(values), read_number, &n, err);
    if (!rc && n >= max)
        rc = estc_error_set(err, -EDQUOT, "%d requests of this device wait already", max);
    return rc;
}

/* Another registrar may have entered it in the meantime: *id stays 0 when none has. */
static int find_entered(struct ledger_sql *l, const struct ledger_pending *p, int64_t *id,
                        struct estc_error *err) {
    const struct sql_value values[] = {KIND_VALUES(p)};
    int rc = ledger_sql_lock(l, p->authenticator, err);
    return rc ? rc
              : l->sql->run(l, "SELECT id FROM requests WHERE " KIND " AND state = 'pending'",
                            values, SQL_COUNT(values), read_number, id, err);
}

static int insert(struct ledger_sql *l, const struct ledger_pending *p, int64_t *id,
                  struct estc_error *err) {
    const struct sql_value values[] = {KIND_VALUES(p),
                                       SQL_T(p->subject),
                                       SQL_T(p->names),
                                       SQL_T(p->device),
                                       SQL_T(p->address),
                                       SQL_T(p->rule),
                                       SQL_T(ledger_state_names[p->state]),
                                       SQL_B(&p->csr),
                                       SQL_N(p->asked_at)};
    return l->sql->run(l,
                       "INSERT INTO requests (" LEDGER_REQUEST_COLUMNS ") VALUES"
                       " (?1,?2,?3,?4,?5,?6,?7,?8,?9,?10,?11,'','',?12,?13,?13,0) RETURNING id",
                       values, SQL_COUNT(values), read_number, id, err);
}

int ledger_sql_add_request(struct ledger *ledger, const struct ledger_pending *p, int max,
                           int64_t *id, struct estc_error *err) {
    struct ledger_sql *l = (struct ledger_sql *)ledger;
    int64_t made = 0;
    int rc = l->sql->begin(l, err);
    if (rc)
        return rc;
    rc = l->shared ? find_entered(l, p, &made, err) : 0;
    const bool entered = made != 0;
    if (!rc && !entered)
        rc = forget(l, p, err);
    if (!rc && !entered)
        rc = check_quota(l, p, max, err);
    if (!rc && !entered)
        rc = insert(l, p, &made, err);
    rc = l->sql->end(l, rc, err);
    if (!rc)
        *id = made;
    return rc;
}

int ledger_sql_seen_request(struct ledger *ledger, int64_t id, const char *address, int64_t now,
                            struct estc_error *err) {
    struct ledger_sql *l = (struct ledger_sql *)ledger;
    const struct sql_value values[] = {SQL_T(address), SQL_N(now), SQL_N(id)};
    return l->sql->run(l, "UPDATE requests SET address = ?1, last_at = ?2 WHERE id = ?3", values,
                       SQL_COUNT(values), NULL, NULL, err);
}

int ledger_sql_decide_request(struct ledger *ledger, int64_t id, enum ledger_state state,
                              const char *reason, int64_t now, struct estc_error *err) {
    struct ledger_sql *l = (struct ledger_sql *)ledger;
    const struct sql_value values[] = {SQL_T(ledger_state_names[state]), SQL_T(reason), SQL_N(now),
                                       SQL_N(id)};
    int64_t changed = 0;
    int rc = l->sql->run(l,
                         "UPDATE requests SET state = ?1, reason = ?2, decided_at = ?3"
                         " WHERE id = ?4 AND certificate = '' AND state <> ?1 RETURNING id",
                         values, SQL_COUNT(values), read_number, &changed, err);
    if (rc || changed != 0)
        return rc;
    _cleanup(ledger_pending_clear) struct ledger_pending found = {0};
    rc = ledger_sql_get_request(ledger, id, &found, err);
    if (rc)
        return rc;
    return estc_error_set(err, -EALREADY, "request %lld is %s already%s", (long long)id,
                          ledger_state_names[found.state],
                          *found.certificate ? ", and its certificate is issued" : "");
}

int ledger_sql_settle_request(struct ledger_sql *l, const struct ledger_entry *e,
                              const char *superseded, struct estc_error *err) {
    const struct sql_value values[] = {KIND_VALUES(e), SQL_T(e->sha256),
                                       SQL_T(superseded ? superseded : "")};
    return l->sql->run(l,
                       "UPDATE requests SET certificate = ?6, state = 'approved' WHERE " KIND
                       " AND certificate IN ('', ?7)",
                       values, SQL_COUNT(values), NULL, NULL, err);
}
