/* SPDX-License-Identifier: BSD-2-Clause */
/* Requests that wait for a decision, on a real SQLite file: which one it is, and what it becomes.
 */
#include "book.h"

static struct ledger_pending wish(void) {
    return (struct ledger_pending){
        .authenticator = lit("A1"),
        .op = lit("sen"),
        .label = lit(""),
        .names_id = lit("N1"),
        .key_sha256 = lit("K1"),
        .subject = lit("CN=gw"),
        .names = lit("DNS:gw.example"),
        .device = lit("CN=birth"),
        .address = lit("[::1]:1"),
        .rule = lit("devices"),
        .csr = {.data = (unsigned char *)lit("CSR\0!"), .len = 5},
        .asked_at = NOW,
    };
}

static int64_t add(struct book *b, const struct ledger_pending *p) {
    struct estc_error err = {0};
    int64_t id = 0;
    if (b->ledger->ops->add_request(b->ledger, p, 3, &id, &err))
        fail_msg("%s", err.text);
    return id;
}

static int find(struct book *b, const struct ledger_request *q, struct ledger_pending *out) {
    return b->ledger->ops->find_request(b->ledger, q, out, NULL);
}

static int decide(struct book *b, int64_t id, enum ledger_state state, const char *reason) {
    return b->ledger->ops->decide_request(b->ledger, id, state, reason, NOW + 5, NULL);
}

static int count_one(void *arg, const struct ledger_pending *pending) {
    (void)pending;
    ++*(int *)arg;
    return 0;
}

static int count(struct book *b, bool all) {
    int n = 0;
    assert_int_equal(b->ledger->ops->each_request(b->ledger, all, 0, count_one, &n, NULL), 0);
    return n;
}

static void d06_what_was_written_is_read_again(void **state) {
    struct book *b = *state;
    const struct ledger_pending in = wish();
    int64_t id = add(b, &in);
    reopen(b);
    _cleanup(ledger_pending_clear) struct ledger_pending out = {0};
    assert_int_equal(find(b, &request, &out), 0);
    assert_int_equal(out.id, id);
    assert_int_equal(out.state, LEDGER_PENDING);
    assert_string_equal(out.names, "DNS:gw.example");
    assert_string_equal(out.device, "CN=birth");
    assert_string_equal(out.address, "[::1]:1");
    assert_string_equal(out.rule, "devices");
    assert_string_equal(out.reason, "");
    assert_string_equal(out.certificate, "");
    assert_int_equal(out.csr.len, 5);
    assert_memory_equal(out.csr.data, "CSR\0!", 5);
    assert_int_equal(out.asked_at, NOW);
    assert_int_equal(out.last_at, NOW);
    assert_int_equal(out.decided_at, 0);
    ledger_pending_clear(&out);
    assert_int_equal(b->ledger->ops->seen_request(b->ledger, id, "[::1]:2", NOW + 9, NULL), 0);
    assert_int_equal(b->ledger->ops->get_request(b->ledger, id, &out, NULL), 0);
    assert_string_equal(out.address, "[::1]:2");
    assert_int_equal(out.last_at, NOW + 9);
    assert_int_equal(out.asked_at, NOW);
}

static void d06_every_part_makes_it_the_same(void **state) {
    struct book *b = *state;
    const struct ledger_pending in = wish();
    add(b, &in);
    const struct ledger_request others[] = {
        {"A2", "sen", "", "N1", "K1"},  {"A1", "sren", "", "N1", "K1"},
        {"A1", "sen", "x", "N1", "K1"}, {"A1", "sen", "", "N2", "K1"},
        {"A1", "sen", "", "N1", "K2"},
    };
    struct ledger_pending out;
    for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++)
        assert_int_equal(find(b, &others[i], &out), -ENOENT);
}

static void decisions_stand_until_something_was_issued(void **state) {
    struct book *b = *state;
    const struct ledger_pending in = wish();
    int64_t id = add(b, &in);
    assert_int_equal(decide(b, id + 1, LEDGER_APPROVED, ""), -ENOENT);
    assert_int_equal(decide(b, id, LEDGER_REJECTED, "not ours"), 0);
    assert_int_equal(decide(b, id, LEDGER_REJECTED, "again"), -EALREADY);
    reopen(b);
    _cleanup(ledger_pending_clear) struct ledger_pending out = {0};
    assert_int_equal(find(b, &request, &out), 0);
    assert_int_equal(out.state, LEDGER_REJECTED);
    assert_string_equal(out.reason, "not ours");
    assert_int_equal(out.decided_at, NOW + 5);
    assert_int_equal(decide(b, id, LEDGER_APPROVED, ""), 0);
    const struct ledger_entry entry = sample();
    insert(b, &entry);
    reopen(b);
    ledger_pending_clear(&out);
    assert_int_equal(find(b, &request, &out), 0);
    assert_int_equal(out.state, LEDGER_APPROVED);
    assert_string_equal(out.certificate, "C1");
    struct estc_error err = {0};
    assert_int_equal(b->ledger->ops->decide_request(b->ledger, id, LEDGER_REJECTED, "", NOW, &err),
                     -EALREADY);
    assert_non_null(strstr(err.text, "its certificate is issued"));
    assert_int_equal(count(b, false), 0);
    assert_int_equal(count(b, true), 1);
}

/* What is issued belongs to the approved request of its kind, and to no other. */
static void a_certificate_settles_its_own_request(void **state) {
    struct book *b = *state;
    struct ledger_pending in = wish();
    int64_t first = add(b, &in);
    in.names_id = lit("N2");
    int64_t second = add(b, &in);
    assert_int_equal(decide(b, first, LEDGER_APPROVED, ""), 0);
    assert_int_equal(decide(b, second, LEDGER_APPROVED, ""), 0);
    const struct ledger_entry entry = sample();
    insert(b, &entry);
    /* The same serial number again: nothing of it stays, neither entry nor mark. */
    struct ledger_entry broken = sample();
    broken.sha256 = lit("C2");
    broken.names_id = lit("N2");
    assert_true(b->ledger->ops->insert(b->ledger, &broken, NULL, NULL) < 0);
    _cleanup(ledger_pending_clear) struct ledger_pending out = {0};
    assert_int_equal(b->ledger->ops->get_request(b->ledger, second, &out, NULL), 0);
    assert_string_equal(out.certificate, "");
    broken.serial = lit("02");
    insert(b, &broken); /* and nothing stands in the way of the next one */
    ledger_pending_clear(&out);
    assert_int_equal(b->ledger->ops->get_request(b->ledger, second, &out, NULL), 0);
    assert_string_equal(out.certificate, "C2");
}

/* A certificate whose key never arrived ends with its successor, which its request has instead. */
static void k17_a_successor_is_in_its_place_or_nothing_is(void **state) {
    struct book *b = *state;
    const struct ledger_ops *ops = b->ledger->ops;
    const struct ledger_pending in = wish();
    int64_t id = add(b, &in);
    const struct ledger_entry first = sample();
    insert(b, &first);
    struct ledger_entry second = sample();
    second.sha256 = lit("C2");
    second.issued_at = NOW + 7;
    _cleanup(ledger_entry_clear) struct ledger_entry entry = {0}, other = {0};
    _cleanup(ledger_pending_clear) struct ledger_pending out = {0};
    /* The same serial number: not written, so the first one stays. */
    assert_true(ops->insert(b->ledger, &second, "C1", NULL) < 0);
    assert_int_equal(ops->find(b->ledger, "C1", &entry, NULL), 0);
    assert_int_equal(entry.revoked_at, 0);
    assert_int_equal(ops->get_request(b->ledger, id, &out, NULL), 0);
    assert_string_equal(out.certificate, "C1");
    second.serial = lit("02");
    assert_int_equal(ops->insert(b->ledger, &second, "C1", NULL), 0);
    reopen(b);
    ledger_entry_clear(&entry);
    ledger_pending_clear(&out);
    assert_int_equal(ops->find(b->ledger, "C1", &entry, NULL), 0);
    assert_int_equal(entry.revoked_at, NOW + 7);
    assert_int_equal(ops->find(b->ledger, "C2", &other, NULL), 0);
    assert_int_equal(other.revoked_at, 0);
    assert_int_equal(ops->get_request(b->ledger, id, &out, NULL), 0);
    assert_string_equal(out.certificate, "C2");
    /* What was issued for it and arrived stays with it. */
    struct ledger_entry third = sample();
    third.sha256 = lit("C3");
    third.serial = lit("03");
    insert(b, &third);
    ledger_pending_clear(&out);
    assert_int_equal(ops->get_request(b->ledger, id, &out, NULL), 0);
    assert_string_equal(out.certificate, "C2");
}

static void a_device_has_a_share_and_new_keys_replace_old_ones(void **state) {
    struct book *b = *state;
    struct ledger_pending in = wish();
    static const char *const names[] = {"N1", "N2", "N3", "N4"};
    int64_t id = 0;
    for (int i = 0; i < 3; i++) {
        in.names_id = lit(names[i]);
        assert_true(add(b, &in) > id);
        id++;
    }
    in.names_id = lit(names[3]);
    assert_int_equal(b->ledger->ops->add_request(b->ledger, &in, 3, &id, NULL), -EDQUOT);
    in.names_id = lit(names[0]);
    in.key_sha256 = lit("K2");
    assert_int_equal(add(b, &in), 4); /* no number is used twice */
    assert_int_equal(count(b, true), 3);
    in.authenticator = lit("A2"); /* somebody else has a share, too */
    add(b, &in);
    in.asked_at = NOW + LEDGER_KEEP + 1;
    in.authenticator = lit("A3");
    add(b, &in); /* and what nobody asks for any more goes */
    assert_int_equal(count(b, true), 1);
}

/* A ledger of any earlier schema keeps what it has and learns the rest. */
static void an_older_ledger_is_brought_up_to_date(void **state) {
    struct book *b = *state;
    static const char *const back[] = {
        "DROP INDEX certificate_by_revocation;"
        "ALTER TABLE certificates DROP COLUMN revoked_reason; PRAGMA user_version = 2",
        "DROP INDEX certificate_by_revocation;"
        "ALTER TABLE certificates DROP COLUMN revoked_reason;"
        "DROP TABLE requests; PRAGMA user_version = 1",
    };
    const struct ledger_entry entry = sample();
    const struct ledger_pending in = wish();
    insert(b, &entry);
    for (size_t i = 0; i < sizeof(back) / sizeof(back[0]); i++) {
        struct estc_error err = {0};
        close_book(b);
        outside(b, back[i]);
        assert_int_equal(ledger_sqlite_check(b->path, &err), 0); /* changes nothing */
        reopen(b);
        _cleanup(ledger_entry_clear) struct ledger_entry out = {0};
        assert_int_equal(b->ledger->ops->find(b->ledger, "C1", &out, NULL), 0);
        assert_int_equal(out.revoked_reason, 0);
        assert_int_equal(add(b, &in), 1);
        assert_int_equal(decide(b, 1, LEDGER_REJECTED, ""), 0);
    }
}

static int note(void *arg, const struct ledger_pending *pending) {
    char *seen = arg;
    size_t used = strlen(seen);
    snprintf(seen + used, 16 - used, "%lld ", (long long)pending->id);
    return pending->id == 3 ? 77 : 0;
}

static void a_list_goes_on_after_an_id(void **state) {
    struct book *b = *state;
    struct ledger_pending in = wish();
    static const char *const devices[] = {"A1", "A2", "A3", "A4"};
    for (int i = 0; i < 4; i++) {
        in.authenticator = lit(devices[i]);
        add(b, &in);
    }
    assert_int_equal(decide(b, 2, LEDGER_APPROVED, ""), 0);
    static const struct {
        bool all;
        int64_t after;
        const char *seen;
        int rc;
    } rows[] = {
        {true, 0, "1 2 3 ", 77}, {false, 0, "1 3 ", 77}, {true, 1, "2 3 ", 77},
        {false, 3, "4 ", 0},     {true, 4, "", 0},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        char seen[16] = "";
        assert_int_equal(
            b->ledger->ops->each_request(b->ledger, rows[i].all, rows[i].after, note, seen, NULL),
            rows[i].rc);
        assert_string_equal(seen, rows[i].seen);
    }
}

static void what_is_damaged_is_named(void **state) {
    struct book *b = *state;
    const struct ledger_pending in = wish();
    add(b, &in);
    outside(b, "UPDATE requests SET state = 'undecided'");
    struct ledger_pending out;
    struct estc_error err = {0};
    assert_int_equal(b->ledger->ops->find_request(b->ledger, &request, &out, &err), -EUCLEAN);
    assert_non_null(strstr(err.text, "request 1 has a state that is none"));
    int n = 0;
    assert_int_equal(b->ledger->ops->each_request(b->ledger, true, 0, count_one, &n, NULL),
                     -EUCLEAN);
    outside(b, "DROP TABLE requests");
    int64_t id;
    assert_true(b->ledger->ops->find_request(b->ledger, &request, &out, NULL) < 0);
    assert_true(b->ledger->ops->add_request(b->ledger, &in, 3, &id, NULL) < 0);
    assert_true(b->ledger->ops->seen_request(b->ledger, 1, "", NOW, NULL) < 0);
    assert_true(decide(b, 1, LEDGER_APPROVED, "") < 0);
    const struct ledger_entry entry = sample();
    assert_true(b->ledger->ops->insert(b->ledger, &entry, NULL, NULL) < 0); /* all or nothing */
    struct ledger_entry found;
    assert_int_equal(b->ledger->ops->find(b->ledger, "C1", &found, NULL), -ENOENT);
    close_book(b);
    refused(b, "another program", "name another file");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        BOOK(d06_what_was_written_is_read_again),
        BOOK(d06_every_part_makes_it_the_same),
        BOOK(decisions_stand_until_something_was_issued),
        BOOK(a_certificate_settles_its_own_request),
        BOOK(k17_a_successor_is_in_its_place_or_nothing_is),
        BOOK(a_device_has_a_share_and_new_keys_replace_old_ones),
        BOOK(an_older_ledger_is_brought_up_to_date),
        BOOK(a_list_goes_on_after_an_id),
        BOOK(what_is_damaged_is_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
