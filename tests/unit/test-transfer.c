/* SPDX-License-Identifier: BSD-2-Clause */
/* Bodies that clients send side by side: what belongs together, and how much may be there. */
#include "support.h"

#include <string.h>

#include <estc/error.h>

#include "coap/transfer.h"

#define PATH "/.well-known/est/sen"

static struct transfer_budget budget;
static struct transfers t;
static int64_t now;

static int set_up(void **state) {
    (void)state;
    budget = (struct transfer_budget){.max = 10000};
    t = (struct transfers){.max = 1000, .budget = &budget};
    now = 5000000;
    return 0;
}

static int tear_down(void **state) {
    (void)state;
    transfers_clear(&t);
    assert_int_equal(budget.used, 0);
    return 0;
}

static const unsigned char data[1024] = "0123456789abcdef";

static struct message part(const char *tag, uint32_t num, bool more) {
    struct message m = {
        .code = 2,
        .content_format = 286,
        .accept = -1,
        .max_age = -1,
        .has_block1 = true,
        .block1 = {.num = num, .more = more, .szx = 2},
        .request_tag_len = strlen(tag),
        .payload = data,
        .payload_len = 64,
    };
    memcpy(m.request_tag, tag, m.request_tag_len);
    return m;
}

static enum block_verdict add(const struct message *m, struct transfer **whole) {
    *whole = NULL;
    return transfers_add(&t, m, PATH, now, whole);
}

static enum block_verdict send_part(const char *tag, uint32_t num, bool more, size_t *total) {
    struct message m = part(tag, num, more);
    struct transfer *whole;
    enum block_verdict v = add(&m, &whole);
    assert_int_equal(whole != NULL, v == BLOCK_COMPLETE);
    if (whole && total)
        *total = whole->up.body.len;
    if (whole)
        transfers_drop(&t, whole);
    return v;
}

static void b11_bodies_side_by_side(void **state) {
    (void)state;
    static const char *const tags[] = {"", "a", "ab", "b"};
    size_t total = 0;
    for (uint32_t num = 0; num < 3; num++)
        for (size_t i = 0; i < 4; i++)
            assert_int_equal(send_part(tags[i], num, true, NULL), BLOCK_CONTINUE);
    assert_int_equal(budget.used, 4 * 3 * 64);
    for (size_t i = 0; i < 4; i++) {
        assert_int_equal(send_part(tags[i], 3, false, &total), BLOCK_COMPLETE);
        assert_int_equal(total, 256);
        assert_int_equal(send_part(tags[i], 4, false, NULL), BLOCK_INCOMPLETE); /* it is over */
    }
}

/* Each part of the key tells two bodies apart. */
static void b08_b11_what_makes_another_body(void **state) {
    (void)state;
    for (int what = 0; what < 5; what++) {
        struct transfer *whole;
        struct message m = part("x", 0, true);
        assert_int_equal(add(&m, &whole), BLOCK_CONTINUE);
        m.block1.num = 1;
        const char *path = PATH;
        if (what == 0)
            m.content_format = 40;
        else if (what == 1)
            m.accept = 281;
        else if (what == 2)
            m.request_tag[0] = 'y';
        else if (what == 3)
            path = "/.well-known/est/sren";
        else
            m.query = "q";
        whole = NULL;
        assert_int_equal(transfers_add(&t, &m, path, now, &whole), BLOCK_INCOMPLETE);
        assert_int_equal(send_part("x", 1, false, NULL), BLOCK_COMPLETE);
    }
}

static void b11_a_new_beginning_replaces_the_old_one(void **state) {
    (void)state;
    size_t total = 0;
    assert_int_equal(send_part("", 0, true, NULL), BLOCK_CONTINUE);
    assert_int_equal(send_part("", 1, true, NULL), BLOCK_CONTINUE);
    assert_int_equal(send_part("", 0, true, NULL), BLOCK_CONTINUE);
    assert_int_equal(budget.used, 64);
    assert_int_equal(send_part("", 1, false, &total), BLOCK_COMPLETE);
    assert_int_equal(total, 128);
}

/* One more than there may be: the one that has waited longest goes. */
static void b16_bodies_of_one_client_are_bounded(void **state) {
    (void)state;
    static const char *const tags[] = {"0", "1", "2", "3", "4"};
    for (size_t i = 0; i <= TRANSFERS_MAX; i++) {
        assert_int_equal(send_part(tags[i], 0, true, NULL), BLOCK_CONTINUE);
        now++;
    }
    assert_int_equal(budget.used, TRANSFERS_MAX * 64);
    assert_int_equal(send_part("0", 1, false, NULL), BLOCK_INCOMPLETE);
    for (size_t i = 1; i <= TRANSFERS_MAX; i++)
        assert_int_equal(send_part(tags[i], 1, false, NULL), BLOCK_COMPLETE);
}

static void b16_bytes_of_all_clients_are_bounded(void **state) {
    (void)state;
    struct transfers other = {.max = 1000, .budget = &budget};
    budget.max = 200;
    struct message m = part("", 0, true);
    struct transfer *whole = NULL;
    assert_int_equal(transfers_add(&other, &m, PATH, now, &whole), BLOCK_CONTINUE);
    assert_int_equal(send_part("", 0, true, NULL), BLOCK_CONTINUE);
    assert_int_equal(send_part("", 1, true, NULL), BLOCK_CONTINUE);
    assert_int_equal(send_part("", 2, true, NULL), BLOCK_BUSY);
    /* It is gone, and its room is there for others. */
    assert_int_equal(budget.used, 64);
    assert_int_equal(send_part("", 3, true, NULL), BLOCK_INCOMPLETE);
    m.block1.num = 1;
    assert_int_equal(transfers_add(&other, &m, PATH, now, &whole), BLOCK_CONTINUE);
    transfers_clear(&other);
    assert_int_equal(send_part("", 0, false, NULL), BLOCK_COMPLETE);
}

static void b10_b16_one_body_is_bounded(void **state) {
    (void)state;
    uint32_t num = 0;
    while (send_part("", num, true, NULL) == BLOCK_CONTINUE)
        num++;
    assert_int_equal(num, 1000 / 64);
    assert_int_equal(budget.used, 0);
}

static void b14_silence_ends_a_transfer(void **state) {
    (void)state;
    assert_int_equal(send_part("old", 0, true, NULL), BLOCK_CONTINUE);
    now += TRANSFER_LIFETIME_MS;
    assert_int_equal(send_part("old", 1, true, NULL), BLOCK_CONTINUE); /* just in time */
    now += TRANSFER_LIFETIME_MS + 1;
    assert_int_equal(send_part("new", 0, true, NULL), BLOCK_CONTINUE);
    assert_int_equal(budget.used, 64);
    assert_int_equal(send_part("old", 2, false, NULL), BLOCK_INCOMPLETE);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(b11_bodies_side_by_side),
        TEST(b08_b11_what_makes_another_body),
        TEST(b11_a_new_beginning_replaces_the_old_one),
        TEST(b16_bodies_of_one_client_are_bounded),
        TEST(b16_bytes_of_all_clients_are_bounded),
        TEST(b10_b16_one_body_is_bounded),
        TEST(b14_silence_ends_a_transfer),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
