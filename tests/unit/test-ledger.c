/* SPDX-License-Identifier: BSD-2-Clause */
/* The ledger on a real SQLite file: what it finds again, what it refuses, what survives. */
#include "place.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include <sqlite3.h>

#include <estc/csr.h>

#include "base/cleanup_ossl.h"
#include "est-registrar/ledger.h"

#define NOW 1000000

struct book {
    struct place *place;
    struct ledger *ledger;
    char path[PATH_MAX];
};

static struct ledger *reopen(struct book *b) {
    struct estc_error err = {0};
    if (b->ledger)
        b->ledger->ops->close(b->ledger);
    b->ledger = NULL;
    if (ledger_sqlite_open(b->path, &b->ledger, &err))
        fail_msg("%s", err.text);
    return b->ledger;
}

static int setup(void **state) {
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

static int teardown(void **state) {
    struct book *b = *state;
    ledger_closep(&b->ledger);
    void *place = b->place;
    place_teardown(&place);
    free(b);
    return 0;
}

static char *lit(const char *text) {
    return (char *)(uintptr_t)text;
}

/* The entry that most tests begin with; its texts are literals, so it is not to be cleared. */
static struct ledger_entry sample(void) {
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

static void insert(struct book *b, const struct ledger_entry *entry) {
    struct estc_error err = {0};
    if (b->ledger->ops->insert(b->ledger, entry, &err))
        fail_msg("%s", err.text);
}

static int find_same(struct book *b, const struct ledger_request *r, int64_t since, int64_t now) {
    _cleanup(ledger_entry_clear) struct ledger_entry found = {0};
    return b->ledger->ops->find_same(b->ledger, r, since, now, &found, NULL);
}

static void what_was_written_is_read(void **state) {
    struct book *b = *state;
    const struct ledger_entry in = sample();
    insert(b, &in);
    reopen(b);
    _cleanup(ledger_entry_clear) struct ledger_entry out = {0};
    assert_int_equal(b->ledger->ops->find(b->ledger, "C1", &out, NULL), 0);
    assert_string_equal(out.serial, "01");
    assert_int_equal(out.der.len, 5);
    assert_memory_equal(out.der.data, "DER\0!", 5);
    assert_string_equal(out.subject, "CN=gw");
    assert_string_equal(out.holder, "H1");
    assert_string_equal(out.rule, "devices");
    assert_int_equal(out.not_after, NOW + 1000);
    assert_int_equal(out.issued_at, NOW);
    assert_int_equal(out.collected_at, 0);
    assert_int_equal(b->ledger->ops->find(b->ledger, "C2", &out, NULL), -ENOENT);
}

static void the_same_request_is_every_part_of_it(void **state) {
    struct book *b = *state;
    const struct ledger_entry entry = sample();
    insert(b, &entry);
    assert_int_equal(find_same(b, &request, NOW - 5, NOW), 0);
    const struct ledger_request others[] = {
        {"A2", "sen", "", "N1", "K1"},  {"A1", "sren", "", "N1", "K1"},
        {"A1", "sen", "x", "N1", "K1"}, {"A1", "sen", "", "N2", "K1"},
        {"A1", "sen", "", "N1", "K2"},
    };
    for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++)
        assert_int_equal(find_same(b, &others[i], NOW - 5, NOW), -ENOENT);
    assert_int_equal(find_same(b, &request, NOW + 1, NOW), -ENOENT);  /* too long ago */
    assert_int_equal(find_same(b, &request, 0, NOW + 1000), -ENOENT); /* expired */
}

static void a_used_certificate_is_not_sent_again(void **state) {
    struct book *b = *state;
    const struct ledger_entry entry = sample();
    insert(b, &entry);
    assert_int_equal(b->ledger->ops->collected(b->ledger, "C1", NOW + 7, NULL), 0);
    assert_int_equal(b->ledger->ops->collected(b->ledger, "C1", NOW + 9, NULL), 0);
    assert_int_equal(find_same(b, &request, 0, NOW), -ENOENT);
    _cleanup(ledger_entry_clear) struct ledger_entry out = {0};
    assert_int_equal(b->ledger->ops->find(b->ledger, "C1", &out, NULL), 0);
    assert_int_equal(out.collected_at, NOW + 7); /* the first time counts */
}

static void a_live_name_has_one_holder(void **state) {
    struct book *b = *state;
    const struct ledger_entry entry = sample();
    struct ledger *l = b->ledger;
    insert(b, &entry);
    const struct {
        const char *subject_id, *holder;
        int64_t now;
        int expected;
    } rows[] = {
        {"S1", "H2", NOW, 0},
        {"S1", "H1", NOW, -ENOENT},
        {"S2", "H2", NOW, -ENOENT},
        {"S1", "H2", NOW + 1000, -ENOENT},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        _cleanup(ledger_entry_clear) struct ledger_entry out = {0};
        assert_int_equal(l->ops->find_other_holder(l, rows[i].subject_id, rows[i].holder,
                                                   rows[i].now, &out, NULL),
                         rows[i].expected);
    }
}

static void a_serial_number_stands_once(void **state) {
    struct book *b = *state;
    struct ledger_entry entry = sample();
    struct estc_error err = {0};
    insert(b, &entry);
    entry.sha256 = lit("C2");
    assert_true(b->ledger->ops->insert(b->ledger, &entry, &err) < 0);
    assert_non_null(strstr(err.text, b->path));
}

/* Runs SQL on the file from outside. */
static void outside(const struct book *b, const char *sql) {
    sqlite3 *db = NULL;
    assert_int_equal(sqlite3_open(b->path, &db), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
    sqlite3_close(db);
}

static void refused(struct book *b, const char *why, const char *remedy) {
    struct estc_error err = {0};
    struct ledger *ledger = NULL;
    assert_true(ledger_sqlite_open(b->path, &ledger, &err) < 0);
    assert_null(ledger);
    assert_non_null(strstr(err.text, b->path));
    if (!strstr(err.text, why) || !strstr(err.text, remedy))
        fail_msg("%s", err.text);
}

static void close_book(struct book *b) {
    b->ledger->ops->close(b->ledger);
    b->ledger = NULL;
}

static void a_newer_schema_is_refused(void **state) {
    struct book *b = *state;
    close_book(b);
    outside(b, "PRAGMA user_version = 99");
    refused(b, "schema 99", "install the newer one");
}

static void a_stranger_s_database_is_refused(void **state) {
    struct book *b = *state;
    close_book(b);
    outside(b, "PRAGMA user_version = 0; CREATE TABLE other (x)");
    refused(b, "another program", "name another file");
}

static void what_is_no_database_is_refused(void **state) {
    struct book *b = *state;
    close_book(b);
    static const char text[] = "this is not a database, and long enough to be looked at as if it "
                               "were one: ......................................................";
    assert_int_equal(fs_write_atomic(b->place->fd, "ledger.sqlite", text, strlen(text), 0600, NULL),
                     0);
    refused(b, "not a database", "name another file");
}

/* Every page but the first is overwritten: SQLite opens it, and only a check finds out. */
static void a_damaged_one_is_refused(void **state) {
    struct book *b = *state;
    struct ledger_entry entry = sample();
    char serial[16], sha256[16];
    for (int i = 0; i < 200; i++) {
        snprintf(serial, sizeof(serial), "%d", i);
        snprintf(sha256, sizeof(sha256), "C%d", i);
        entry.serial = serial;
        entry.sha256 = sha256;
        insert(b, &entry);
    }
    close_book(b);
    FILE *file = fopen(b->path, "r+");
    assert_non_null(file);
    fseek(file, 0, SEEK_END);
    long size = ftell(file);
    fseek(file, 4096, SEEK_SET);
    for (long at = 4096; at < size; at++)
        fputc(0xa5, file);
    fclose(file);
    refused(b, "ledger", "restore it from a backup");
}

static void the_file_is_nobody_else_s(void **state) {
    const struct book *b = *state;
    struct stat st;
    assert_int_equal(stat(b->path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
}

static void an_absent_folder_is_named(void **state) {
    struct book *b = *state;
    close_book(b);
    snprintf(b->path, sizeof(b->path), "%s/nowhere/ledger.sqlite", b->place->path);
    refused(b, "cannot open the ledger", "no such file or folder");
}

/* RFC 5280 section 7.1: case and spaces do not make another name; order and type do. */
static void names_are_folded(void **state) {
    (void)state;
    static const struct {
        const char *a, *b;
        bool same;
    } rows[] = {
        {"CN=gw,O=Example", "CN=GW,O=example", true},
        {"CN=a  b", "CN=A B", true},
        {"CN=gw,O=x", "CN=x,O=gw", false},
        {"CN=gw", "O=gw", false},
        {"CN=ab,O=c", "CN=a,O=bc", false},
        {"CN=gw", "CN=gw2", false},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        _cleanup(x509_name_freep) X509_NAME *a = NULL, *b = NULL;
        assert_int_equal(estc_subject_parse(rows[i].a, &a, NULL), 0);
        assert_int_equal(estc_subject_parse(rows[i].b, &b, NULL), 0);
        _cleanup(freep) char *x = ledger_subject_id(a, NULL);
        _cleanup(freep) char *y = ledger_subject_id(b, NULL);
        if ((strcmp(x, y) == 0) != rows[i].same)
            fail_msg("%s, %s", rows[i].a, rows[i].b);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(what_was_written_is_read, setup, teardown),
        cmocka_unit_test_setup_teardown(the_same_request_is_every_part_of_it, setup, teardown),
        cmocka_unit_test_setup_teardown(a_used_certificate_is_not_sent_again, setup, teardown),
        cmocka_unit_test_setup_teardown(a_live_name_has_one_holder, setup, teardown),
        cmocka_unit_test_setup_teardown(a_serial_number_stands_once, setup, teardown),
        cmocka_unit_test_setup_teardown(a_newer_schema_is_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(a_stranger_s_database_is_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(what_is_no_database_is_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(a_damaged_one_is_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(the_file_is_nobody_else_s, setup, teardown),
        cmocka_unit_test_setup_teardown(an_absent_folder_is_named, setup, teardown),
        cmocka_unit_test(names_are_folded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
