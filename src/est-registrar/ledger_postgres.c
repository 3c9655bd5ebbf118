/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * SQL by PostgreSQL, for several registrars with one ledger. A connection that was lost is made
 * anew when it is needed next, never inside a transaction, of which one half would be missing;
 * after a failure not at once, since everybody waits meanwhile. What cannot be asked or written is
 * an error, and its caller issues nothing.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <libpq-fe.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/text.h"
#include "common/journal.h"
#include "ledger_schema.h"
#include "ledger_sql.h"

#define PAUSE_MS 2000 /* after a failure to connect */
#define VALUES_MAX 24
#define NUMBER_MAX 24 /* a 64-bit number as text */

struct ledger_postgres {
    struct ledger_sql sql;
    PGconn *db;
    char *conninfo, *name;
    int64_t tried_at; /* CLOCK_BOOTTIME, ms: when a connection failed; 0: it has not */
    bool in_transaction;
};

/* A database that is not for us may be asked nothing. */
static const char *const session_sql =
    "SET synchronous_commit = on; SET statement_timeout = '5s'; SET lock_timeout = '3s';"
    "SET default_transaction_isolation = 'read committed'; SET client_min_messages = warning";

static const char *const steps_sql[LEDGER_SCHEMA] = {
    LEDGER_SCHEMA_1("BYTEA", "BIGINT", "") "CREATE TABLE estc_ledger (version BIGINT NOT NULL);"
                                           "INSERT INTO estc_ledger VALUES (1)",
    LEDGER_SCHEMA_2("BYTEA", "BIGINT", "BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY",
                    "") "UPDATE estc_ledger SET version = 2",
    LEDGER_SCHEMA_3("BIGINT") "UPDATE estc_ledger SET version = 3",
};

static void clear_result(PGresult *result) {
    PQclear(result);
}

CLEANUP_DEFINE(PGresult *, result_freep, clear_result);

/* --- what went wrong --- */

static int failed(const struct ledger_postgres *l, const PGresult *result, struct estc_error *err) {
    static const struct {
        const char *state;
        int error;
        const char *remedy;
    } remedies[] = {
        {"53100", ENOSPC, "free some space on its disk"},
        {"42501", EACCES, "let the registrar's role own the tables"},
        {"25006", EROFS, "name the primary server, not a standby"},
        {"23505", EEXIST, "another registrar was faster"},
        {"55P03", EBUSY, "another registrar holds it: let it finish"},
        {"57014", ETIMEDOUT, "it takes too long: look at the server's load"},
        {"42P01", EUCLEAN, "tables of the ledger are missing: restore it from a backup"},
        {"42703", EUCLEAN, "it is a database of another program: name another one"},
    };
    const char *state = result ? PQresultErrorField(result, PG_DIAG_SQLSTATE) : NULL;
    const char *said = result ? PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY) : NULL;
    if (!said)
        said = PQerrorMessage(l->db);
    _cleanup(freep) char *text = text_clean(said, strcspn(said, "\n"), 200);
    const char *remedy = "check that its server runs and lets the registrar in";
    int error = EIO;
    for (size_t i = 0; state && i < sizeof(remedies) / sizeof(remedies[0]); i++)
        if (strcmp(remedies[i].state, state) == 0) {
            error = remedies[i].error;
            remedy = remedies[i].remedy;
        }
    return estc_error_set(err, -error, "ledger in %s: %s: %s", l->name, text ? text : "?", remedy);
}

/* Statements without results and without values. */
static int execute(const struct ledger_postgres *l, const char *sql, struct estc_error *err) {
    _cleanup(result_freep) PGresult *result = PQexec(l->db, sql);
    ExecStatusType status = PQresultStatus(result);
    return status == PGRES_COMMAND_OK || status == PGRES_TUPLES_OK ? 0 : failed(l, result, err);
}

/* --- the schema --- */

/* The first value of a query; 0 for none. */
static int number_of(const struct ledger_postgres *l, const char *sql, int64_t *out,
                     struct estc_error *err) {
    _cleanup(result_freep) PGresult *result = PQexec(l->db, sql);
    if (PQresultStatus(result) != PGRES_TUPLES_OK)
        return failed(l, result, err);
    *out = PQntuples(result) > 0 ? strtoll(PQgetvalue(result, 0, 0), NULL, 10) : 0;
    return 0;
}

static int version_of(const struct ledger_postgres *l, int64_t *out, struct estc_error *err) {
    int64_t ours = 0, theirs = 0;
    int rc = number_of(l, "SELECT (to_regclass('estc_ledger') IS NOT NULL)::int", &ours, err);
    *out = 0;
    if (!rc && ours)
        return number_of(l, "SELECT max(version) FROM estc_ledger", out, err);
    if (!rc)
        rc = number_of(l,
                       "SELECT (to_regclass('certificates') IS NOT NULL"
                       " OR to_regclass('requests') IS NOT NULL)::int",
                       &theirs, err);
    return rc || !theirs
               ? rc
               : estc_error_set(err, -EINVAL,
                                "ledger in %s: it is a database of another program: name another "
                                "one",
                                l->name);
}

/* Makes the tables in an empty database, and what is missing in an older ledger, if it may. Of
 * several registrars that start at once, one does. */
static int check_schema(const struct ledger_postgres *l, bool create, struct estc_error *err) {
    int64_t version = 0;
    int rc = execute(l, "BEGIN; SELECT pg_advisory_xact_lock(9148)", err);
    if (!rc)
        rc = version_of(l, &version, err);
    if (!rc && version > LEDGER_SCHEMA)
        rc = estc_error_set(err, -EINVAL,
                            "ledger in %s: written by a newer est-registrar (schema %lld, this one "
                            "knows %d): install the newer one again",
                            l->name, (long long)version, LEDGER_SCHEMA);
    for (int64_t i = version; !rc && create && i < LEDGER_SCHEMA; i++)
        rc = execute(l, steps_sql[i], err);
    if (!rc)
        return execute(l, "COMMIT", err);
    (void)execute(l, "ROLLBACK", NULL);
    return rc;
}

/* --- the connection --- */

static void on_notice(void *arg, const char *message) {
    const struct ledger_postgres *l = arg;
    _cleanup(freep) char *text = text_clean(message, strcspn(message, "\n"), 200);
    journal_debug("ledger in %s: %s", l->name, text ? text : "?");
}

static int connect_now(struct ledger_postgres *l, bool create, struct estc_error *err) {
    static const char *const keys[] = {"connect_timeout", "tcp_user_timeout", "application_name",
                                       "client_encoding", "dbname",           NULL};
    const char *const values[] = {"3", "3000", "est-registrar", "UTF8", l->conninfo, NULL};
    PQfinish(l->db);
    l->db = PQconnectdbParams(keys, values, 1);
    int rc = PQstatus(l->db) == CONNECTION_OK ? 0 : failed(l, NULL, err);
    if (!rc) {
        PQsetNoticeProcessor(l->db, on_notice, l);
        rc = execute(l, session_sql, err);
    }
    if (!rc)
        rc = check_schema(l, create, err);
    if (rc) { /* what is connected and unfit is no connection */
        PQfinish(l->db);
        l->db = NULL;
    }
    l->tried_at = rc ? clock_boot_ms() : 0;
    return rc;
}

static int ensure(struct ledger_postgres *l, struct estc_error *err) {
    if (l->db && PQstatus(l->db) == CONNECTION_OK)
        return 0;
    if (l->in_transaction)
        return estc_error_set(err, -EIO, "ledger in %s: the connection was lost", l->name);
    if (l->tried_at && clock_boot_ms() - l->tried_at < PAUSE_MS)
        return estc_error_set(
            err, -EIO, "ledger in %s: there is no connection: check that its server runs", l->name);
    int rc = connect_now(l, true, err);
    if (!rc)
        journal_notice("ledger in %s: connected again", l->name);
    return rc;
}

/* --- statements --- */

/* "?1" as "$1". */
static char *dialect(const char *statement) {
    char *own = strdup(statement);
    for (char *at = own; at && (at = strchr(at, '?'));)
        *at = '$';
    return own;
}

static PGresult *ask(struct ledger_postgres *l, const char *statement,
                     const struct sql_value *values, size_t n) {
    char numbers[VALUES_MAX][NUMBER_MAX];
    const char *texts[VALUES_MAX];
    int lengths[VALUES_MAX], binary[VALUES_MAX];
    for (size_t i = 0; i < n; i++) {
        binary[i] = values[i].kind == SQL_BLOB;
        lengths[i] = (int)values[i].len;
        texts[i] = values[i].kind == SQL_TEXT   ? values[i].text
                   : values[i].kind == SQL_BLOB ? (values[i].len ? values[i].data : "")
                                                : numbers[i];
        if (values[i].kind == SQL_NUMBER)
            snprintf(numbers[i], NUMBER_MAX, "%lld", (long long)values[i].number);
    }
    return PQexecParams(l->db, statement, (int)n, NULL, texts, lengths, binary, 0);
}

static const struct sql_ops postgres_sql;

static int hand_over(const PGresult *result, sql_row_fn fn, void *arg, struct estc_error *err) {
    struct sql_row row = {.ops = &postgres_sql, .of = (void *)(uintptr_t)result};
    int rc = 0;
    for (; !rc && fn && row.at < PQntuples(result); row.at++)
        rc = fn(arg, &row, err);
    return rc;
}

/* A server that was restarted since is noticed by asking it: once more, then, unless something was
 * begun with it. */
static int run(struct ledger_sql *sql, const char *statement, const struct sql_value *values,
               size_t n, sql_row_fn fn, void *arg, struct estc_error *err) {
    struct ledger_postgres *l = (struct ledger_postgres *)sql;
    _cleanup(freep) char *own = dialect(statement);
    if (!own || n > VALUES_MAX)
        return estc_error_set(err, -ENOMEM, "out of memory");
    for (int again = l->in_transaction ? 0 : 1;; again--) {
        int rc = ensure(l, err);
        if (rc)
            return rc;
        _cleanup(result_freep) PGresult *result = ask(l, own, values, n);
        ExecStatusType status = PQresultStatus(result);
        if (status == PGRES_COMMAND_OK || status == PGRES_TUPLES_OK)
            return hand_over(result, fn, arg, err);
        rc = failed(l, result, err);
        if (again == 0 || PQstatus(l->db) == CONNECTION_OK)
            return rc;
    }
}

static int begin(struct ledger_sql *sql, struct estc_error *err) {
    int rc = run(sql, "BEGIN", NULL, 0, NULL, NULL, err);
    ((struct ledger_postgres *)sql)->in_transaction = !rc;
    return rc;
}

static int end(struct ledger_sql *sql, int rc, struct estc_error *err) {
    struct ledger_postgres *l = (struct ledger_postgres *)sql;
    if (!rc)
        rc = run(sql, "COMMIT", NULL, 0, NULL, NULL, err);
    else if (PQstatus(l->db) == CONNECTION_OK)
        (void)execute(l, "ROLLBACK", NULL);
    l->in_transaction = false;
    return rc;
}

/* --- rows --- */

static const char *text(const struct sql_row *row, int column) {
    return PQgetvalue(row->of, row->at, column); /* "" for NULL */
}

static int64_t number(const struct sql_row *row, int column) {
    return strtoll(text(row, column), NULL, 10);
}

static int blob(const struct sql_row *row, int column, struct estc_buf *out) {
    size_t len = 0;
    unsigned char *bytes = PQunescapeBytea((const unsigned char *)text(row, column), &len);
    int rc = bytes ? estc_buf_append(out, bytes, len) : -ENOMEM;
    PQfreemem(bytes);
    return rc;
}

static void close_it(struct ledger_sql *sql) {
    struct ledger_postgres *l = (struct ledger_postgres *)sql;
    PQfinish(l->db);
    free(l->conninfo);
    free(l->name);
    free(l);
}

static const struct sql_ops postgres_sql = {
    .run = run,
    .begin = begin,
    .end = end,
    .close = close_it,
    .text = text,
    .number = number,
    .blob = blob,
};

/* --- opening --- */

/* What people may see of a connection string, which can hold a password. */
static int name_it(struct ledger_postgres *l, struct estc_error *err) {
    char *why = NULL;
    PQconninfoOption *options = PQconninfoParse(l->conninfo, &why);
    if (!options) {
        _cleanup(freep) char *text = text_clean(why ? why : "", why ? strcspn(why, "\n") : 0, 200);
        PQfreemem(why);
        return estc_error_set(err, -EINVAL, "database: %s", text ? text : "out of memory");
    }
    const char *host = "the local server", *dbname = "default";
    for (const PQconninfoOption *o = options; o->keyword; o++) {
        if (o->val && *o->val && strcmp(o->keyword, "host") == 0)
            host = o->val;
        if (o->val && *o->val && strcmp(o->keyword, "dbname") == 0)
            dbname = o->val;
    }
    l->name = text_format("database '%s' at %s", dbname, host);
    PQconninfoFree(options);
    return l->name ? 0 : estc_error_set(err, -ENOMEM, "out of memory");
}

static int open_it(const char *conninfo, bool create, struct ledger **out, struct estc_error *err) {
    struct ledger_postgres *l = calloc(1, sizeof(*l));
    if (!l)
        return estc_error_set(err, -ENOMEM, "out of memory");
    _cleanup(ledger_closep) struct ledger *ledger = &l->sql.base;
    l->sql = (struct ledger_sql){.base.ops = &ledger_sql_ops, .sql = &postgres_sql, .shared = true};
    l->conninfo = strdup(conninfo);
    int rc = l->conninfo ? name_it(l, err) : estc_error_set(err, -ENOMEM, "out of memory");
    if (!rc)
        rc = connect_now(l, create, err);
    if (rc)
        return rc;
    *out = TAKE(ledger);
    return 0;
}

int ledger_postgres_open(const char *conninfo, struct ledger **out, struct estc_error *err) {
    return open_it(conninfo, true, out, err);
}

int ledger_postgres_check(const char *conninfo, struct estc_error *err) {
    _cleanup(ledger_closep) struct ledger *ledger = NULL;
    return open_it(conninfo, false, &ledger, err);
}
