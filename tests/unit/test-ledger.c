/* SPDX-License-Identifier: BSD-2-Clause */
/* The ledger on a real SQLite file: what it finds again, and what counts as the same. */
#include "book.h"

#include <estc/csr.h>

#include "base/cleanup_ossl.h"

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

static void d06_the_same_request_is_every_part_of_it(void **state) {
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
    assert_true(b->ledger->ops->insert(b->ledger, &entry, NULL, &err) < 0);
    assert_non_null(strstr(err.text, b->path));
}

static void the_newest_of_several_is_sent(void **state) {
    struct book *b = *state;
    struct ledger_entry entry = sample();
    insert(b, &entry);
    entry.serial = lit("02");
    entry.sha256 = lit("C2");
    entry.issued_at = NOW + 3;
    insert(b, &entry);
    _cleanup(ledger_entry_clear) struct ledger_entry out = {0};
    assert_int_equal(b->ledger->ops->find_same(b->ledger, &request, 0, NOW + 3, &out, NULL), 0);
    assert_string_equal(out.sha256, "C2");
}

static void a_revoked_certificate_is_neither_sent_nor_in_the_way(void **state) {
    struct book *b = *state;
    const struct ledger_entry entry = sample();
    _cleanup(ledger_entry_clear) struct ledger_entry out = {0};
    struct ledger *l = b->ledger;
    insert(b, &entry);
    outside(b, "UPDATE certificates SET revoked_at = 1000001");
    assert_int_equal(find_same(b, &request, 0, NOW + 5), -ENOENT);
    assert_int_equal(l->ops->find_other_holder(l, "S1", "H2", NOW + 5, &out, NULL), -ENOENT);
    assert_int_equal(l->ops->find(l, "C1", &out, NULL), 0);
    assert_int_equal(out.revoked_at, 1000001);
}

/* Once is enough, and what is not there is not ended. */
static void k17_what_is_superseded_is_revoked_once(void **state) {
    struct book *b = *state;
    struct ledger_entry entry = sample();
    insert(b, &entry);
    static const struct {
        const char *sha256, *serial, *superseded;
    } rows[] = {{"C2", "02", NULL}, {"C3", "03", "C1"}, {"C4", "04", "C1"}, {"C5", "05", "C9"}};
    static const int64_t revoked_at[] = {NOW + 1, 0, 0, 0};
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        entry.sha256 = lit(rows[i].sha256);
        entry.serial = lit(rows[i].serial);
        entry.issued_at = NOW + (int64_t)i;
        assert_int_equal(b->ledger->ops->insert(b->ledger, &entry, rows[i].superseded, NULL), 0);
    }
    static const char *const all[] = {"C1", "C2", "C3", "C4"};
    for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
        _cleanup(ledger_entry_clear) struct ledger_entry out = {0};
        assert_int_equal(b->ledger->ops->find(b->ledger, all[i], &out, NULL), 0);
        assert_int_equal(out.revoked_at, revoked_at[i]);
    }
}

static int note_revoked(void *arg, const char *serial, int64_t at, int64_t reason) {
    char *seen = arg;
    size_t used = strlen(seen);
    snprintf(seen + used, 64 - used, "%s/%lld/%lld ", serial, (long long)(at - NOW),
             (long long)reason);
    return 0;
}

static void what_is_revoked_is_listed_until_it_ends(void **state) {
    struct book *b = *state;
    struct ledger_entry entry = sample();
    struct ledger *l = b->ledger;
    insert(b, &entry);
    entry.serial = lit("02");
    entry.sha256 = lit("C2");
    entry.not_after = NOW + 10;
    insert(b, &entry);
    static const struct {
        const char *serial;
        int64_t reason;
        int rc;
    } rows[] = {{"03", 1, -ENOENT}, {"02", 4, 0}, {"01", 1, 0}, {"02", 5, -EALREADY}};
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        _cleanup(ledger_entry_clear) struct ledger_entry out = {0};
        assert_int_equal(
            l->ops->revoke(l, rows[i].serial, rows[i].reason, NOW + (int64_t)i, &out, NULL),
            rows[i].rc);
        if (rows[i].rc != -ENOENT)
            assert_string_equal(out.serial, rows[i].serial);
    }
    char seen[64] = "";
    assert_int_equal(l->ops->each_revoked(l, NOW, note_revoked, seen, NULL), 0);
    assert_string_equal(seen, "02/1/4 01/2/1 ");
    seen[0] = '\0';
    assert_int_equal(l->ops->each_revoked(l, NOW + 10, note_revoked, seen, NULL), 0);
    assert_string_equal(seen, "01/2/1 ");
}

/* What is written is bound, never part of a statement. */
static void text_is_only_text(void **state) {
    struct book *b = *state;
    struct ledger_entry entry = sample();
    entry.subject = lit("CN='); DROP TABLE certificates; --");
    entry.label = lit("\" OR 1=1 --");
    entry.rule = lit("\xff\xfe%s%n");
    insert(b, &entry);
    reopen(b);
    _cleanup(ledger_entry_clear) struct ledger_entry out = {0};
    assert_int_equal(b->ledger->ops->find(b->ledger, "C1", &out, NULL), 0);
    assert_string_equal(out.subject, entry.subject);
    assert_string_equal(out.label, entry.label);
    assert_string_equal(out.rule, entry.rule);
    assert_int_equal(find_same(b, &request, 0, NOW), -ENOENT); /* another label */
    assert_int_equal(b->ledger->ops->find(b->ledger, "' OR '1", &out, NULL), -ENOENT);
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

static GENERAL_NAMES *names_of(const char *const *texts) {
    GENERAL_NAMES *names = GENERAL_NAMES_new();
    for (; *texts; texts++) {
        GENERAL_NAME *name = NULL;
        assert_int_equal(estc_san_parse(*texts, &name, NULL), 0);
        assert_true(sk_GENERAL_NAME_push(names, name) > 0);
    }
    return names;
}

/* Without a subject the other names say whose it is; two requests are the same only if all names
 * are, to the letter. */
static void other_names_count_in_their_way(void **state) {
    (void)state;
    static const struct {
        const char *subject[2];
        const char *a[4], *b[4];
        bool same_subject, same_names;
    } rows[] = {
        {{"", ""}, {"DNS:a", "DNS:b"}, {"DNS:a", "DNS:b"}, true, true},
        {{"", ""}, {"DNS:a", "DNS:b"}, {"DNS:B", "DNS:a"}, true, false},
        {{"", ""}, {"URI:x:Y"}, {"URI:x:y"}, true, false},
        {{"", ""}, {"email:a@b"}, {"email:A@b"}, true, false},
        {{"", ""}, {"DNS:a"}, {"DNS:b"}, false, false},
        {{"", ""}, {"DNS:a"}, {"DNS:a", "DNS:b"}, false, false},
        {{"", ""}, {"IP:65.0.0.1"}, {"IP:97.0.0.1"}, false, false}, /* 'A' and 'a' */
        {{"", ""}, {"DNS:a"}, {"URI:a:a"}, false, false},
        {{"CN=x", "CN=X"}, {"DNS:a"}, {"DNS:b"}, true, false},
        {{"CN=x", "CN=x"}, {"DNS:a"}, {NULL}, true, false},
        {{"CN=x", "CN=x"}, {"DNS:a"}, {"DNS:a"}, true, true},
        {{"CN=x", ""}, {"DNS:a"}, {"DNS:a"}, false, false},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        _cleanup(x509_name_freep) X509_NAME *subject_a = NULL, *subject_b = NULL;
        assert_int_equal(estc_subject_parse(rows[i].subject[0], &subject_a, NULL), 0);
        assert_int_equal(estc_subject_parse(rows[i].subject[1], &subject_b, NULL), 0);
        _cleanup(general_names_freep) GENERAL_NAMES *a = names_of(rows[i].a);
        _cleanup(general_names_freep) GENERAL_NAMES *b = names_of(rows[i].b);
        const GENERAL_NAMES *or_none = rows[i].b[0] ? b : NULL;
        _cleanup(freep) char *id_a = ledger_subject_id(subject_a, a);
        _cleanup(freep) char *id_b = ledger_subject_id(subject_b, or_none);
        _cleanup(freep) char *all_a = ledger_names_id(subject_a, a);
        _cleanup(freep) char *all_b = ledger_names_id(subject_b, or_none);
        if ((strcmp(id_a, id_b) == 0) != rows[i].same_subject ||
            (strcmp(all_a, all_b) == 0) != rows[i].same_names)
            fail_msg("row %zu", i);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        BOOK(what_was_written_is_read),
        BOOK(d06_the_same_request_is_every_part_of_it),
        BOOK(a_used_certificate_is_not_sent_again),
        BOOK(a_live_name_has_one_holder),
        BOOK(a_serial_number_stands_once),
        BOOK(the_newest_of_several_is_sent),
        BOOK(a_revoked_certificate_is_neither_sent_nor_in_the_way),
        BOOK(k17_what_is_superseded_is_revoked_once),
        BOOK(what_is_revoked_is_listed_until_it_ends),
        BOOK(text_is_only_text),
        cmocka_unit_test(names_are_folded),
        cmocka_unit_test(other_names_count_in_their_way),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
