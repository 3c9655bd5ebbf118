/* SPDX-License-Identifier: BSD-2-Clause */
/* Our listener and blocks of all kinds: bodies put together, answers cut (RFC 7959). */
#include "dial.h"

#include <string.h>

/* Bodies */

static void b01_b06_body_in_blocks(void **state) {
    (void)state;
    SSL *ssl = dial(&dial_pki.client);
    for (uint32_t i = 0; i < 4; i++) {
        struct net_message a = block(ssl, "/x", i, true, 2, 64, 286);
        assert_int_equal(a.code, NET_CODE(2, 31));
        assert_int_equal(net_option(&a, OPT_BLOCK1), i << 4 | 8 | 2);
        assert_int_equal(net_option(&a, OPT_BLOCK2), -1);
        assert_int_equal(a.payload_len, 0);
        assert_int_equal(calls(), 0);
    }
    struct net_message a = block(ssl, "/x", 4, false, 2, 7, 286);
    assert_int_equal(a.code, NET_CODE(2, 4));
    assert_int_equal(net_option(&a, OPT_BLOCK1), 4 << 4 | 2);
    assert_int_equal(calls(), 1);
    assert_int_equal(dial_seen->last.payload_len, 263);
    for (size_t i = 0; i < 263; i++)
        assert_int_equal(dial_seen->body[i], 'a' + (int)i / 64);
    net_close(ssl);
}

static void b07_gaps(void **state) {
    (void)state;
    SSL *ssl = dial(&dial_pki.client);
    assert_int_equal(block(ssl, "/x", 3, false, 2, 7, -1).code, NET_CODE(4, 8));
    assert_int_equal(block(ssl, "/x", 0, true, 2, 64, -1).code, NET_CODE(2, 31));
    struct net_message a = block(ssl, "/x", 2, false, 2, 64, -1);
    assert_int_equal(a.code, NET_CODE(4, 8));
    assert_int_equal(net_option(&a, OPT_BLOCK1), 2 << 4 | 2);
    /* What had come is gone: it begins again at 0. */
    assert_int_equal(block(ssl, "/x", 1, false, 2, 64, -1).code, NET_CODE(4, 8));
    assert_int_equal(block(ssl, "/x", 0, true, 2, 64, -1).code, NET_CODE(2, 31));
    assert_int_equal(block(ssl, "/x", 1, true, 2, 63, -1).code, NET_CODE(4, 0));
    assert_int_equal(calls(), 0);
    net_close(ssl);
}

static void b08_b11_blocks_that_do_not_belong_together(void **state) {
    (void)state;
    SSL *ssl = dial(&dial_pki.client), *other = dial(&dial_pki.other);
    assert_int_equal(block(ssl, "/x", 0, true, 2, 64, 286).code, NET_CODE(2, 31));
    assert_int_equal(block(ssl, "/x", 1, false, 2, 64, 281).code, NET_CODE(4, 8));
    assert_int_equal(block(ssl, "/x", 0, true, 2, 64, 286).code, NET_CODE(2, 31));
    assert_int_equal(block(ssl, "/y", 1, false, 2, 64, 286).code, NET_CODE(4, 8));
    assert_int_equal(block(ssl, "/x", 0, true, 2, 64, 286).code, NET_CODE(2, 31));
    assert_int_equal(block(other, "/x", 1, false, 2, 64, 286).code, NET_CODE(4, 8));
    struct net_coap m = request(2, "/x");
    net_coap_uint(&m, OPT_FORMAT, 286);
    net_coap_block(&m, OPT_BLOCK1, 1, false, 2);
    net_coap_option(&m, OPT_REQUEST_TAG, "t", 1);
    net_coap_payload(&m, "tail", 4);
    assert_int_equal(exchange(ssl, &m).code, NET_CODE(4, 8));
    assert_int_equal(calls(), 0);
    /* A new block 0 replaces what was there. */
    assert_int_equal(block(ssl, "/x", 0, true, 2, 64, 286).code, NET_CODE(2, 31));
    assert_int_equal(block(ssl, "/y", 0, true, 2, 64, 286).code, NET_CODE(2, 31));
    assert_int_equal(block(ssl, "/y", 1, false, 2, 1, 286).code, NET_CODE(2, 4));
    assert_string_equal(dial_seen->path, "/y");
    net_close(ssl);
    net_close(other);
}

static void b10_body_too_large(void **state) {
    (void)state;
    SSL *ssl = dial(&dial_pki.client);
    unsigned code = NET_CODE(2, 31);
    struct net_message a = {0};
    uint32_t num = 0;
    for (; code == NET_CODE(2, 31); num++) {
        a = block(ssl, "/x", num, true, 6, 1024, -1);
        code = a.code;
    }
    assert_int_equal(num, 2); /* 2048 bytes are more than 2000 */
    assert_int_equal(code, NET_CODE(4, 13));
    assert_int_equal(net_option(&a, OPT_SIZE1), MAX_BODY);
    assert_int_equal(calls(), 0);
    /* 40 KB in all, whatever it answers in between: never more than the limit is kept. */
    for (num = 0; num < 40; num++)
        block(ssl, "/x", num, num < 39, 6, 1024, -1);
    assert_int_equal(calls(), 0);
    net_close(ssl);
}

/* Answers */

static struct net_message ask_page(SSL *ssl, unsigned method, const char *path, uint32_t num,
                                   unsigned szx) {
    struct net_coap m = request(method, path);
    net_coap_block(&m, OPT_BLOCK2, num, false, szx);
    return exchange(ssl, &m);
}

static void b01_b04_answer_in_blocks(void **state) {
    (void)state;
    SSL *ssl = dial(&dial_pki.client);
    for (unsigned szx = 0; szx <= 6; szx++) {
        size_t size = (size_t)16 << szx, at = 0;
        int64_t etag = -1;
        atomic_store(&dial_seen->calls, 0);
        for (uint32_t num = 0; at < 3000; num++) {
            struct net_coap m = request(1, "/size/3000");
            net_coap_block(&m, OPT_BLOCK2, num, false, szx);
            struct net_message a = exchange(ssl, &m);
            size_t len = 3000 - at < size ? 3000 - at : size;
            assert_int_equal(a.code, NET_CODE(2, 5));
            assert_int_equal(net_option(&a, OPT_BLOCK2),
                             num << 4 | (at + len < 3000 ? 8 : 0) | szx);
            assert_int_equal(a.payload_len, len);
            for (size_t i = 0; i < len; i++, at++)
                assert_int_equal(a.data[a.payload_at + i], (unsigned char)(at * 7 + at / 256));
            if (num == 0)
                etag = net_option(&a, OPT_ETAG);
            assert_true(etag >= 0 && net_option(&a, OPT_ETAG) == etag);
        }
        assert_int_equal(calls(), 1);
    }
    /* Without a wish, in blocks of 1024. */
    struct net_coap m = request(1, "/size/1025");
    struct net_message a = exchange(ssl, &m);
    assert_int_equal(net_option(&a, OPT_BLOCK2), 8 | 6);
    net_close(ssl);
}

/* B-13: later blocks of a POST come from memory, or not at all. */
static void b13_post_is_carried_out_once(void **state) {
    (void)state;
    SSL *ssl = dial(&dial_pki.client);
    assert_int_equal(ask_page(ssl, 2, "/x", 1, 2).code, NET_CODE(4, 8));
    assert_int_equal(calls(), 0);
    struct net_coap m = request(2, "/x");
    unsigned char body[500];
    memset(body, 'z', sizeof(body));
    net_coap_block(&m, OPT_BLOCK2, 0, false, 2);
    net_coap_payload(&m, body, sizeof(body));
    struct net_message a = exchange(ssl, &m);
    assert_int_equal(a.code, NET_CODE(2, 4));
    assert_int_equal(net_option(&a, OPT_BLOCK2), 8 | 2);
    for (uint32_t num = 1; num < 8; num++)
        assert_int_equal(ask_page(ssl, 2, "/x", num, 2).code, NET_CODE(2, 4));
    assert_int_equal(ask_page(ssl, 2, "/x", 8, 2).code, NET_CODE(4, 0));
    assert_int_equal(ask_page(ssl, 2, "/y", 1, 2).code, NET_CODE(4, 8));
    assert_int_equal(calls(), 1);
    SSL *other = dial(&dial_pki.other);
    assert_int_equal(ask_page(other, 2, "/x", 1, 2).code, NET_CODE(4, 8));
    assert_int_equal(calls(), 1);
    net_close(other);
    net_close(ssl);
}

/* Both ways at once: the last block brings the first page (RFC 7959 figure 11). */
static void block1_and_block2(void **state) {
    (void)state;
    SSL *ssl = dial(&dial_pki.client);
    for (uint32_t i = 0; i < 3; i++)
        block(ssl, "/x", i, true, 2, 64, -1);
    struct net_coap m = request(2, "/x");
    net_coap_block(&m, OPT_BLOCK2, 0, false, 1);
    net_coap_block(&m, OPT_BLOCK1, 3, false, 2);
    net_coap_payload(&m, "end", 3);
    struct net_message a = exchange(ssl, &m);
    assert_int_equal(a.code, NET_CODE(2, 4));
    assert_int_equal(net_option(&a, OPT_BLOCK1), 3 << 4 | 2);
    assert_int_equal(net_option(&a, OPT_BLOCK2), 8 | 1);
    assert_int_equal(a.payload_len, 32);
    a = ask_page(ssl, 2, "/x", 6, 1);
    assert_int_equal(net_option(&a, OPT_BLOCK2), 6 << 4 | 1);
    assert_int_equal(a.payload_len, 3);
    assert_int_equal(calls(), 1);
    net_close(ssl);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(b01_b06_body_in_blocks),
        TEST(b07_gaps),
        TEST(b08_b11_blocks_that_do_not_belong_together),
        TEST(b10_body_too_large),
        TEST(b01_b04_answer_in_blocks),
        TEST(b13_post_is_carried_out_once),
        TEST(block1_and_block2),
    };
    return cmocka_run_group_tests(tests, dial_set_up, dial_tear_down);
}
