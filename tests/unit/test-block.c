/* SPDX-License-Identifier: BSD-2-Clause */
/* Block-wise transfer as tables: options, both ends up, both ends down (RFC 7959). */
#include "support.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <estc/error.h>

#include "coap/block.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

static unsigned char *pattern(size_t len) {
    unsigned char *data = malloc(len + 1);
    assert_non_null(data);
    for (size_t i = 0; i < len; i++)
        data[i] = (unsigned char)(i * 31 + i / 251);
    return data;
}

/* Options */

static void b02_b03_options(void **state) {
    (void)state;
    static const struct {
        unsigned char value[4];
        size_t len;
        int result;
        struct block block;
        bool canonical;
    } rows[] = {
        {{0}, 0, 0, {0, false, 0}, true},
        {{0x00}, 1, 0, {0, false, 0}, false},
        {{0x06}, 1, 0, {0, false, 6}, true},
        {{0x0e}, 1, 0, {0, true, 6}, true},
        {{0x08}, 1, 0, {0, true, 0}, true},
        {{0xf2}, 1, 0, {15, false, 2}, true},
        {{0x01, 0x0a}, 2, 0, {16, true, 2}, true},
        {{0xff, 0xff}, 2, ESTC_E_PROTOCOL, {0}, false},
        {{0xff, 0xfe}, 2, 0, {0xfff, true, 6}, true},
        {{0xff, 0xff, 0xfe}, 3, 0, {0xfffff, true, 6}, true},
        {{0x00, 0x00, 0x1e}, 3, 0, {1, true, 6}, false},
        {{0x07}, 1, ESTC_E_PROTOCOL, {0}, false},
        {{0x0f}, 1, ESTC_E_PROTOCOL, {0}, false},
        {{0x17}, 1, ESTC_E_PROTOCOL, {0}, false},
        {{0, 0, 0, 6}, 4, ESTC_E_PROTOCOL, {0}, false},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct block got = {.num = 77, .szx = 5};
        assert_int_equal(block_decode(rows[i].value, rows[i].len, &got), rows[i].result);
        if (rows[i].result) {
            assert_int_equal(got.num, 77); /* outputs on success only */
            continue;
        }
        assert_int_equal(got.num, rows[i].block.num);
        assert_int_equal(got.more, rows[i].block.more);
        assert_int_equal(got.szx, rows[i].block.szx);
        unsigned char out[BLOCK_OPTION_MAX];
        size_t len = block_encode(&got, out);
        if (rows[i].canonical) {
            assert_int_equal(len, rows[i].len);
            assert_memory_equal(out, rows[i].value, len);
        } else {
            assert_true(len < rows[i].len);
        }
    }
}

static void every_option_survives_both_ways(void **state) {
    (void)state;
    for (uint32_t num = 0; num <= BLOCK_NUM_MAX; num += num < 5000 ? 1 : 9973) {
        for (unsigned bits = 0; bits < 14; bits++) {
            struct block in = {.num = num, .more = bits & 1, .szx = bits >> 1}, out;
            unsigned char value[BLOCK_OPTION_MAX];
            size_t len = block_encode(&in, value);
            assert_int_equal(block_decode(value, len, &out), 0);
            assert_int_equal(out.num, in.num);
            assert_int_equal(out.more, in.more);
            assert_int_equal(out.szx, in.szx);
        }
    }
}

static void sizes(void **state) {
    (void)state;
    unsigned szx = 9;
    for (unsigned i = 0; i <= BLOCK_SZX_MAX; i++) {
        assert_int_equal(block_szx(16U << i, &szx), 0);
        assert_int_equal(szx, i);
        assert_int_equal(block_size(i), 16U << i);
    }
    static const unsigned bad[] = {0, 1, 15, 17, 96, 1000, 2048, ~0U};
    for (size_t i = 0; i < COUNT(bad); i++)
        assert_int_equal(block_szx(bad[i], &szx), -EINVAL);
}

/* Sender against assembly: what one cuts, the other puts together. */

static const size_t lengths[] = {0,   1,   15,  16,   17,   31,   32,   33,   63,   64,  65,
                                 127, 128, 129, 1023, 1024, 1025, 2047, 2048, 2049, 5000};

static void b06_bodies_go_up(void **state) {
    (void)state;
    for (unsigned szx = 0; szx <= BLOCK_SZX_MAX; szx++) {
        for (size_t i = 0; i < COUNT(lengths); i++) {
            unsigned char *body = pattern(lengths[i]);
            struct block_sender s;
            struct block_assembly a = {.max = 5000};
            assert_int_equal(block_sender_init(&s, body, lengths[i], szx), 0);
            enum block_verdict v = BLOCK_CONTINUE;
            unsigned parts = 0;
            for (; v == BLOCK_CONTINUE; parts++) {
                struct block_part p = block_sender_part(&s);
                assert_int_equal(p.blockwise, lengths[i] > block_size(szx));
                v = block_assembly_add(&a, &p.block, p.data, p.len);
                if (v == BLOCK_CONTINUE)
                    assert_int_equal(block_sender_continue(&s, &p.block), 0);
            }
            assert_int_equal(v, BLOCK_COMPLETE);
            size_t want = (lengths[i] + block_size(szx) - 1) / block_size(szx);
            assert_int_equal(parts, want ? want : 1);
            assert_int_equal(a.body.len, lengths[i]);
            assert_memory_equal(a.body.data, body, lengths[i]);
            estc_buf_clear(&a.body);
            free(body);
        }
    }
}

/* RFC 7959 section 2.3: after block 0 of 128 bytes and the wish for 32, block 4 of 32 follows. */
static void b09_smaller_size_is_heeded(void **state) {
    (void)state;
    unsigned char *body = pattern(300);
    struct block_sender s;
    assert_int_equal(block_sender_init(&s, body, 300, 3), 0);
    assert_int_equal(block_sender_continue(&s, &(struct block){0, true, 1}), 0);
    struct block_part p = block_sender_part(&s);
    assert_int_equal(p.block.num, 4);
    assert_int_equal(p.block.szx, 1);
    assert_int_equal(p.len, 32);
    assert_memory_equal(p.data, body + 128, 32);
    free(body);
}

static void sender_refuses_foreign_answers(void **state) {
    (void)state;
    unsigned char *body = pattern(300);
    struct block_sender s;
    assert_int_equal(block_sender_init(&s, body, 300, 3), 0);
    static const struct block wrong[] = {{1, true, 3}, {0xfffff, true, 3}, {0, true, 4}};
    for (size_t i = 0; i < COUNT(wrong); i++)
        assert_int_equal(block_sender_continue(&s, &wrong[i]), ESTC_E_PROTOCOL);
    assert_int_equal(s.offset, 0);
    s.offset = 256; /* the last part is not answered with 2.31 */
    assert_int_equal(block_sender_continue(&s, &(struct block){2, false, 3}), ESTC_E_PROTOCOL);
    block_sender_restart(&s, 2);
    assert_int_equal(block_sender_part(&s).len, 64);
    assert_int_equal(block_sender_part(&s).block.num, 0);
    free(body);
}

static void sender_refuses_what_no_number_reaches(void **state) {
    (void)state;
    struct block_sender s;
    assert_int_equal(block_sender_init(&s, "", (size_t)1 << 24, 6), -EMSGSIZE);
    assert_int_equal(block_sender_init(&s, "", ((size_t)1 << 24) - 1, 6), 0);
}

static void b07_assembly_refuses(void **state) {
    (void)state;
    unsigned char data[1100] = {0};
    static const struct {
        const char *what;
        struct block first; /* szx 7: none */
        size_t first_len;
        struct block then;
        size_t len;
        enum block_verdict verdict;
    } rows[] = {
        {"gap at the start", {.szx = 7}, 0, {1, true, 2}, 64, BLOCK_INCOMPLETE},
        {"final block alone", {.szx = 7}, 0, {3, false, 2}, 10, BLOCK_INCOMPLETE},
        {"gap", {0, true, 2}, 64, {2, true, 2}, 64, BLOCK_INCOMPLETE},
        {"the same block again", {0, true, 2}, 64, {0, true, 2}, 64, BLOCK_CONTINUE},
        {"number in another size", {0, true, 2}, 64, {1, true, 3}, 128, BLOCK_INCOMPLETE},
        {"smaller size, renumbered", {0, true, 2}, 64, {2, true, 1}, 32, BLOCK_CONTINUE},
        {"short though more follow", {0, true, 2}, 64, {1, true, 2}, 63, BLOCK_BAD},
        {"empty though more follow", {.szx = 7}, 0, {0, true, 2}, 0, BLOCK_BAD},
        {"longer than its size", {0, true, 2}, 64, {1, false, 2}, 65, BLOCK_BAD},
        {"empty last block", {0, true, 2}, 64, {1, false, 2}, 0, BLOCK_COMPLETE},
        {"beyond the limit", {0, true, 6}, 1024, {1, false, 6}, 1, BLOCK_TOO_LARGE},
        {"at the limit", {0, true, 5}, 512, {1, false, 5}, 512, BLOCK_COMPLETE},
        {"number at the end of the range",
         {0, true, 2},
         64,
         {0xfffff, true, 2},
         64,
         BLOCK_INCOMPLETE},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct block_assembly a = {.max = 1024};
        if (rows[i].first.szx <= BLOCK_SZX_MAX)
            assert_int_equal(block_assembly_add(&a, &rows[i].first, data, rows[i].first_len),
                             BLOCK_CONTINUE);
        enum block_verdict v = block_assembly_add(&a, &rows[i].then, data, rows[i].len);
        if (v != rows[i].verdict)
            fail_msg("%s: %d, not %d", rows[i].what, v, rows[i].verdict);
        if (v != BLOCK_CONTINUE && v != BLOCK_COMPLETE)
            assert_int_equal(a.body.len, 0);
        estc_buf_clear(&a.body);
    }
}

/* Page against collector. */

static void b12_bodies_come_down(void **state) {
    (void)state;
    for (unsigned szx = 0; szx <= BLOCK_SZX_MAX; szx++) {
        for (size_t i = 0; i < COUNT(lengths); i++) {
            unsigned char *body = pattern(lengths[i]);
            struct block_collector c = {.max = 5000, .szx = szx};
            unsigned pages = 0;
            do {
                struct block ask = block_collector_next(&c), out;
                size_t offset, len;
                assert_true(block_page(lengths[i], &ask, &out, &offset, &len));
                bool option = out.more || out.num > 0;
                assert_int_equal(
                    block_collector_add(&c, option ? &out : NULL, body + offset, len, "tag", 3), 0);
                pages++;
            } while (c.more);
            size_t want = (lengths[i] + block_size(szx) - 1) / block_size(szx);
            assert_int_equal(pages, want ? want : 1);
            assert_int_equal(c.body.len, lengths[i]);
            assert_memory_equal(c.body.data, body, lengths[i]);
            block_collector_clear(&c);
            free(body);
        }
    }
}

static void b12_collector_refuses(void **state) {
    (void)state;
    unsigned char data[1100] = {0};
    static const struct {
        const char *what;
        bool first; /* block 0 of 64 bytes with ETag "v1" has come */
        bool option;
        struct block block;
        size_t len;
        const char *etag;
        int result;
    } rows[] = {
        {"no option, small", false, false, {0}, 10, "", 0},
        {"no option, empty", false, false, {0}, 0, "", 0},
        {"begins in the middle", false, true, {1, true, 2}, 64, "", ESTC_E_PROTOCOL},
        {"short first block", false, true, {0, true, 2}, 63, "", ESTC_E_PROTOCOL},
        {"long last block", false, true, {0, false, 2}, 65, "", ESTC_E_PROTOCOL},
        {"beyond the limit", false, true, {0, true, 6}, 1024, "", ESTC_E_TOO_LARGE},
        {"beyond the limit without option", false, false, {0}, 1000, "", ESTC_E_TOO_LARGE},
        {"the next", true, true, {1, true, 2}, 64, "v1", 0},
        {"the last", true, true, {1, false, 2}, 5, "v1", 0},
        {"the last, empty", true, true, {1, false, 2}, 0, "v1", 0},
        {"option gone", true, false, {0}, 64, "v1", ESTC_E_PROTOCOL},
        {"the same again", true, true, {0, true, 2}, 64, "v1", ESTC_E_PROTOCOL},
        {"one skipped", true, true, {2, true, 2}, 64, "v1", ESTC_E_PROTOCOL},
        {"larger size", true, true, {0, true, 3}, 128, "v1", ESTC_E_PROTOCOL},
        {"smaller size, renumbered", true, true, {4, true, 0}, 16, "v1", 0},
        {"another version", true, true, {1, true, 2}, 64, "v2", ESTC_E_PROTOCOL},
        {"version gone", true, true, {1, true, 2}, 64, "", ESTC_E_PROTOCOL},
        {"longer version", true, true, {1, true, 2}, 64, "v1x", ESTC_E_PROTOCOL},
        {"version too long", false, true, {0, true, 2}, 64, "123456789", ESTC_E_PROTOCOL},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct block_collector c = {.max = 999, .szx = 6};
        if (rows[i].first)
            assert_int_equal(
                block_collector_add(&c, &(struct block){0, true, 2}, data, 64, "v1", 2), 0);
        size_t before = c.body.len;
        int r = block_collector_add(&c, rows[i].option ? &rows[i].block : NULL, data, rows[i].len,
                                    rows[i].etag, strlen(rows[i].etag));
        if (r != rows[i].result)
            fail_msg("%s: %d, not %d", rows[i].what, r, rows[i].result);
        assert_int_equal(c.body.len, r ? before : before + rows[i].len);
        block_collector_clear(&c);
        assert_null(c.body.data);
    }
}

/* A server that never ends costs the limit and no more. */
static void b15_endless_answer_ends_at_the_limit(void **state) {
    (void)state;
    unsigned char data[16] = {0};
    struct block_collector c = {.max = 1000, .szx = 0};
    int r = 0;
    unsigned blocks = 0;
    for (; !r; blocks++) {
        struct block b = block_collector_next(&c);
        b.more = true;
        r = block_collector_add(&c, &b, data, sizeof(data), NULL, 0);
        assert_true(blocks < 100);
    }
    assert_int_equal(r, ESTC_E_TOO_LARGE);
    assert_int_equal(blocks, 1000 / 16 + 1);
    block_collector_clear(&c);
}

static void b04_pages(void **state) {
    (void)state;
    static const struct {
        size_t total;
        struct block ask;
        bool ok;
        struct block out;
        size_t offset, len;
    } rows[] = {
        {0, {0, false, 6}, true, {0, false, 6}, 0, 0},
        {0, {1, false, 6}, false, {0}, 0, 0},
        {64, {0, false, 2}, true, {0, false, 2}, 0, 64},
        {64, {1, false, 2}, false, {0}, 0, 0},
        {65, {0, false, 2}, true, {0, true, 2}, 0, 64},
        {65, {1, false, 2}, true, {1, false, 2}, 64, 1},
        {65, {2, true, 1}, true, {2, false, 1}, 64, 1},
        {65, {0xfffff, false, 6}, false, {0}, 0, 0},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct block out = {0};
        size_t offset = 0, len = 0;
        assert_int_equal(block_page(rows[i].total, &rows[i].ask, &out, &offset, &len), rows[i].ok);
        assert_int_equal(out.num, rows[i].out.num);
        assert_int_equal(out.more, rows[i].out.more);
        assert_int_equal(out.szx, rows[i].out.szx);
        assert_int_equal(offset, rows[i].offset);
        assert_int_equal(len, rows[i].len);
    }
}

/* Whatever numbers come, nothing is read or kept beyond what was given. */
static void random_blocks_never_break_a_bound(void **state) {
    (void)state;
    unsigned seed = 4711;
    unsigned char *data = pattern(1024);
    struct block_assembly a = {.max = 3000};
    struct block_collector c = {.max = 3000, .szx = 6};
    for (int i = 0; i < 200000; i++) {
        seed = seed * 1103515245U + 12345U;
        struct block b = {.num = (seed >> 20) % 5, .more = seed & 0x100, .szx = (seed >> 10) % 7};
        size_t size = block_size(b.szx);
        size_t len = seed & 0x200 ? size : (seed >> 12) % (size + 1);
        block_assembly_add(&a, &b, data, len);
        assert_true(a.body.len <= 3000);
        if (block_collector_add(&c, &b, data, len, NULL, 0) || !c.more)
            block_collector_clear(&c);
        assert_true(c.body.len <= 3000);
    }
    estc_buf_clear(&a.body);
    block_collector_clear(&c);
    free(data);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(b02_b03_options),
        cmocka_unit_test(every_option_survives_both_ways),
        cmocka_unit_test(sizes),
        cmocka_unit_test(b06_bodies_go_up),
        cmocka_unit_test(b09_smaller_size_is_heeded),
        cmocka_unit_test(sender_refuses_foreign_answers),
        cmocka_unit_test(sender_refuses_what_no_number_reaches),
        cmocka_unit_test(b07_assembly_refuses),
        cmocka_unit_test(b12_bodies_come_down),
        cmocka_unit_test(b12_collector_refuses),
        cmocka_unit_test(b15_endless_answer_ends_at_the_limit),
        cmocka_unit_test(b04_pages),
        cmocka_unit_test(random_blocks_never_break_a_bound),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
