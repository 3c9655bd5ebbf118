/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Our client against servers that play a script with blocks down (RFC 7959). Each script is one
 * function, each expectation one row.
 */
#include "play.h"

#include <string.h>

/* A page of the pattern. */
static void page(SSL *ssl, const struct net_message *q, unsigned code, uint32_t num, bool more,
                 unsigned szx, size_t len, const char *etag) {
    struct net_coap m;
    unsigned char data[2048];
    begin_ack(&m, q, code);
    if (etag)
        net_coap_option(&m, OPT_ETAG, etag, strlen(etag));
    net_coap_block(&m, OPT_BLOCK2, num, more, szx);
    for (size_t i = 0; i < len; i++)
        data[i] = pattern_at(((size_t)16 << szx) * num + i);
    if (len > 0)
        net_coap_payload(&m, data, len);
    net_send(ssl, &m);
}

static uint32_t asked_num(const struct net_message *q) {
    int64_t option = net_option(q, OPT_BLOCK2);
    return option < 0 ? 0 : (uint32_t)option >> 4;
}

#define PAGES_LEN 300 /* five pages of 64 bytes */

static void page_64(SSL *ssl, const struct net_message *q, unsigned code, const char *etag) {
    uint32_t num = asked_num(q);
    page(ssl, q, code, num, num < 4, 2, num < 4 ? 64 : PAGES_LEN - 256, etag);
}

SCRIPT(pages) {
    UNUSED;
    if (is_request(q))
        page_64(ssl, q, CONTENT, "v1");
}

SCRIPT(pages_separately) {
    UNUSED;
    if (!is_request(q))
        return;
    struct net_coap m;
    unsigned char data[64];
    uint32_t num = asked_num(q);
    size_t len = num < 4 ? 64 : PAGES_LEN - 256;
    empty_ack(ssl, q);
    net_coap_begin(&m, NET_CON, CONTENT, (uint16_t)(0x7000 + n), q->token, q->token_len);
    net_coap_block(&m, OPT_BLOCK2, num, num < 4, 2);
    for (size_t i = 0; i < len; i++)
        data[i] = pattern_at(64 * num + i);
    net_coap_payload(&m, data, len);
    net_send(ssl, &m);
}

SCRIPT(page_skipped) {
    UNUSED;
    if (is_request(q))
        page(ssl, q, CONTENT, asked_num(q) * 2, true, 2, 64, NULL);
}

SCRIPT(page_short) {
    UNUSED;
    if (is_request(q))
        page(ssl, q, CONTENT, asked_num(q), true, 2, asked_num(q) ? 60 : 64, NULL);
}

SCRIPT(pages_shrink) {
    UNUSED;
    if (!is_request(q))
        return;
    uint32_t num = asked_num(q);
    if (num == 0)
        page(ssl, q, CONTENT, 0, true, 6, 1024, NULL);
    else /* 1024 is block 64 of 16 bytes; the client asks in that size from then on */
        page(ssl, q, CONTENT, num == 1 ? 64 : num, num < 66, 0, 16, NULL);
}

SCRIPT(pages_endless) {
    UNUSED;
    if (is_request(q))
        page(ssl, q, CONTENT, asked_num(q), true, 6, 1024, NULL);
}

SCRIPT(pages_change_always) {
    UNUSED;
    if (is_request(q))
        page_64(ssl, q, CONTENT, asked_num(q) ? "v2" : "v1");
}

SCRIPT(pages_change_once) {
    UNUSED;
    if (is_request(q))
        page_64(ssl, q, CONTENT, request_number() < 3 ? "v1" : "v2");
}

SCRIPT(pages_end_in_error) {
    UNUSED;
    if (!is_request(q))
        return;
    if (asked_num(q) < 2)
        page_64(ssl, q, CONTENT, NULL);
    else
        answer(ssl, q, NET_CODE(5, 0), "broke");
}

SCRIPT(pages_forgotten) {
    UNUSED;
    if (!is_request(q))
        return;
    if (asked_num(q) < 2)
        page_64(ssl, q, CHANGED, NULL);
    else
        answer(ssl, q, NET_CODE(4, 8), "");
}

static const struct scene scenes[] = {
    {"b01_b04_pages", pages, 0, 0, 2, 0, 205, PAGES_LEN, NULL, 10},
    {"d01_pages_in_separate_answers", pages_separately, 0, 0, 2, 0, 205, PAGES_LEN, NULL, 10},
    {"b04_pages_of_the_size_asked_for", pages, 0, 64, 0, 0, 205, PAGES_LEN, NULL, 5},
    {"b04_pages_that_shrink", pages_shrink, 0, 0, 0, 0, 205, 1024 + 3 * 16, NULL, 4},
    {"b12_page_skipped", page_skipped, 0, 0, 0, ESTC_E_PROTOCOL, 0, 0, "do not fit together", 2},
    {"b03_short_page", page_short, 0, 0, 0, ESTC_E_PROTOCOL, 0, 0, "do not fit together", 2},
    {"b15_endless_pages", pages_endless, 0, 0, 0, ESTC_E_TOO_LARGE, 0, 0, "5000 bytes", 5},
    {"b12_etag_changes_on_a_post", pages_change_always, 5, 0, 0, ESTC_E_PROTOCOL, 0, 0, "changed",
     2},
    {"b12_etag_changes_on_a_get", pages_change_always, 0, 0, 0, ESTC_E_PROTOCOL, 0, 0,
     "again and again", 8},
    {"b12_etag_changes_once", pages_change_once, 0, 0, 0, 0, 205, PAGES_LEN, NULL, 8},
    {"pages_end_in_an_error", pages_end_in_error, 0, 0, 0, 0, 500, 0, "broke", 3},
    {"pages_forgotten", pages_forgotten, 5, 0, 0, ESTC_E_PROTOCOL, 0, 0, "changed", 3},
};

static void b05_follow_up_shape(void **state) {
    (void)state;
    play_named(scenes, COUNT(scenes), "b04_pages_of_the_size_asked_for");
    const struct net_message *q = &play_seen->last;
    assert_int_equal(net_option(&play_seen->first, OPT_BLOCK2), 2);
    assert_int_equal(net_option(q, OPT_BLOCK2), 4 << 4 | 2);
    assert_int_equal(net_option(q, OPT_BLOCK1), -1);
    assert_int_equal(net_option(q, OPT_ACCEPT), 281);
    assert_int_equal(net_option(q, OPT_FORMAT), -1);
    assert_int_equal(q->payload_len, 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(b05_follow_up_shape),
    };
    return play_run(scenes, COUNT(scenes), tests, COUNT(tests));
}
