/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Our client against servers that play a script with blocks, up and down (RFC 7959). Each script is
 * one function, each expectation one row.
 */
#include "play.h"

#include <errno.h>
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

/* Down */

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

/* Up */

static void keep_block(const struct net_message *q) {
    int64_t option = net_option(q, OPT_BLOCK1);
    size_t size = option < 0 ? 0 : (size_t)16 << (option & 7);
    size_t offset = option < 0 ? 0 : (size_t)(option >> 4) * size;
    if (offset + q->payload_len <= sizeof(play_seen->body)) {
        if (q->payload_len > 0)
            memcpy(play_seen->body + offset, q->data + q->payload_at, q->payload_len);
        play_seen->body_len = offset + q->payload_len;
    }
}

static void acknowledge(SSL *ssl, const struct net_message *q, unsigned code, unsigned szx) {
    struct net_coap m;
    int64_t option = net_option(q, OPT_BLOCK1);
    begin_ack(&m, q, code);
    if (option >= 0)
        net_coap_block(&m, OPT_BLOCK1, (uint32_t)option >> 4, option & 8,
                       szx < (option & 7) ? szx : option & 7);
    net_send(ssl, &m);
}

static bool is_last(const struct net_message *q) {
    int64_t option = net_option(q, OPT_BLOCK1);
    return option < 0 || !(option & 8);
}

SCRIPT(takes_blocks) {
    UNUSED;
    if (!is_request(q))
        return;
    keep_block(q);
    acknowledge(ssl, q, is_last(q) ? CHANGED : CONTINUE, 6);
}

SCRIPT(takes_smaller_blocks) {
    UNUSED;
    if (!is_request(q))
        return;
    keep_block(q);
    acknowledge(ssl, q, is_last(q) ? CHANGED : CONTINUE, 1);
}

/* Nothing above 64 bytes in one message, and no word about blocks. */
SCRIPT(refuses_large_messages) {
    UNUSED;
    if (!is_request(q))
        return;
    struct net_coap m;
    if (q->payload_len <= 64) {
        keep_block(q);
        acknowledge(ssl, q, net_option(q, OPT_BLOCK1) & 8 ? CONTINUE : CHANGED, 2);
        return;
    }
    begin_ack(&m, q, NET_CODE(4, 13));
    net_coap_uint(&m, OPT_SIZE1, 64);
    net_send(ssl, &m);
}

SCRIPT(refuses_large_blocks) {
    UNUSED;
    if (!is_request(q))
        return;
    int64_t option = net_option(q, OPT_BLOCK1);
    struct net_coap m;
    if (q->payload_len > 64) {
        begin_ack(&m, q, NET_CODE(4, 13));
        net_coap_block(&m, OPT_BLOCK1, option < 0 ? 0 : (uint32_t)option >> 4, false, 2);
        net_send(ssl, &m);
        return;
    }
    keep_block(q);
    acknowledge(ssl, q, is_last(q) ? CHANGED : CONTINUE, 6);
}

SCRIPT(too_large) {
    UNUSED;
    struct net_coap m;
    if (!is_request(q))
        return;
    begin_ack(&m, q, NET_CODE(4, 13));
    net_coap_block(&m, OPT_BLOCK1, 0, false, 6);
    net_coap_uint(&m, OPT_SIZE1, 100);
    net_send(ssl, &m);
}

SCRIPT(loses_blocks) {
    UNUSED;
    if (is_request(q))
        acknowledge(ssl, q, is_last(q) ? NET_CODE(4, 8) : CONTINUE, 6);
}

SCRIPT(loses_blocks_once) {
    UNUSED;
    if (!is_request(q))
        return;
    keep_block(q);
    acknowledge(ssl, q,
                request_number() == 2 ? NET_CODE(4, 8)
                : is_last(q)          ? CHANGED
                                      : CONTINUE,
                6);
}

SCRIPT(answers_too_early) {
    UNUSED;
    if (is_request(q))
        acknowledge(ssl, q, CHANGED, 6);
}

SCRIPT(refuses_early) {
    UNUSED;
    if (is_request(q))
        acknowledge(ssl, q, NET_CODE(4, 3), 6);
}

SCRIPT(continues_for_ever) {
    UNUSED;
    if (is_request(q))
        acknowledge(ssl, q, CONTINUE, 6);
}

SCRIPT(continues_without_option) {
    UNUSED;
    if (is_request(q))
        answer(ssl, q, CONTINUE, "");
}

SCRIPT(continues_with_wrong_number) {
    UNUSED;
    struct net_coap m;
    if (!is_request(q))
        return;
    begin_ack(&m, q, CONTINUE);
    net_coap_block(&m, OPT_BLOCK1, 5, true, 6);
    net_send(ssl, &m);
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

    {"b01_blocks_up", takes_blocks, 3000, 0, 0, 0, 204, 0, "", 3},
    {"small_blocks_up", takes_blocks, 100, 16, 0, 0, 204, 0, "", 7},
    {"one_block_needs_no_option", takes_blocks, 16, 16, 0, 0, 204, 0, "", 1},
    {"b09_smaller_size", takes_smaller_blocks, 1500, 512, 0, 0, 204, 0, "", 32},
    {"b10_413_names_a_size", refuses_large_blocks, 300, 0, 0, 0, 204, 0, "", 6},
    {"b10_413_amid_blocks", refuses_large_blocks, 300, 128, 0, 0, 204, 0, "", 6},
    {"b10_413_to_one_piece", refuses_large_messages, 300, 0, 0, 0, 204, 0, "", 6},
    {"b10_413_to_one_piece_for_good", too_large, 300, 0, 0, 0, 413, 0, "", 2},
    {"b10_413_to_the_smallest_piece", too_large, 16, 0, 0, 0, 413, 0, "", 1},
    {"code_413_for_good", too_large, 3000, 0, 0, 0, 413, 0, "", 1},
    {"b07_408_for_ever", loses_blocks, 200, 128, 0, ESTC_E_PROTOCOL, 0, 0, "again and again", 8},
    {"b07_408_once", loses_blocks_once, 200, 128, 0, 0, 204, 0, "", 4},
    {"answer_before_the_end", answers_too_early, 200, 128, 0, ESTC_E_PROTOCOL, 0, 0,
     "before the request was complete", 1},
    {"refusal_before_the_end", refuses_early, 200, 128, 0, 0, 403, 0, "", 1},
    {"continue_for_the_last_block", continues_for_ever, 200, 128, 0, ESTC_E_PROTOCOL, 0, 0, "2.31",
     2},
    {"continue_without_block1", continues_without_option, 200, 128, 0, ESTC_E_PROTOCOL, 0, 0,
     "2.31", 1},
    {"continue_for_no_block", continues_without_option, 20, 128, 0, ESTC_E_PROTOCOL, 0, 0, "2.31",
     1},
    {"continue_for_another_block", continues_with_wrong_number, 200, 128, 0, ESTC_E_PROTOCOL, 0, 0,
     "2.31", 1},
};

/* What the messages look like from the other side */

static void uploads_arrive_whole(void **state) {
    (void)state;
    static const char *const names[] = {"b01_blocks_up", "b09_smaller_size", "b10_413_names_a_size",
                                        "b10_413_to_one_piece", "b07_408_once"};
    static const size_t lengths[] = {3000, 1500, 300, 300, 200};
    for (size_t i = 0; i < COUNT(names); i++) {
        unsigned char want[4096];
        play_named(scenes, COUNT(scenes), names[i]);
        fill(want, lengths[i]);
        assert_int_equal(play_seen->body_len, lengths[i]);
        assert_memory_equal(play_seen->body, want, lengths[i]);
    }
}

static void f01_t16_u04_request_shape(void **state) {
    (void)state;
    play_named(scenes, COUNT(scenes), "b01_blocks_up");
    const struct net_message *q = &play_seen->first;
    assert_int_equal(q->code, NET_CODE(0, 2));
    assert_int_equal(net_option(q, OPT_URI_HOST), -1); /* an address */
    assert_int_equal(net_option(q, OPT_FORMAT), 286);
    assert_int_equal(net_option(q, OPT_ACCEPT), 281);
    assert_int_equal(net_option(q, OPT_BLOCK1), 0x0e);
    assert_int_equal(net_option(q, OPT_SIZE1), 3000);
    assert_int_equal(net_option(q, OPT_BLOCK2), -1);
    assert_int_equal(q->payload_len, 1024);
    static const char *const segments[] = {".well-known", "est", "crts"};
    size_t n = 0;
    for (size_t i = 0; i < q->options; i++) {
        if (q->option[i].number != OPT_URI_PATH)
            continue;
        assert_true(n < COUNT(segments) && q->option[i].len == strlen(segments[n]));
        assert_memory_equal(q->data + q->option[i].at, segments[n++], q->option[i].len);
    }
    assert_int_equal(n, 3);
    /* T-16: another token for each message. */
    assert_true(q->token_len != play_seen->last.token_len ||
                memcmp(q->token, play_seen->last.token, q->token_len) != 0);
}

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

/* A path that leaves little room makes the blocks smaller; one that leaves none is an error. */
static void long_paths(void **state) {
    (void)state;
    struct net_script script = {.port = net_port(), .id = &play_pki.server, .step = takes_blocks};
    struct net_child child = net_act(&script);
    struct estc_transport *t = play_transport("::1", script.port, 0);
    char path[1400];
    unsigned char body[2000], want[2000];
    fill(body, sizeof(body));
    fill(want, sizeof(want));
    for (size_t i = 0; i < sizeof(path); i++)
        path[i] = i % 200 ? 'a' : '/';
    path[300] = 0;
    memset(play_seen, 0, sizeof(*play_seen));
    struct estc_request q = {.method = ESTC_POST,
                             .path = path,
                             .content_format = -1,
                             .accept = -1,
                             .payload = body,
                             .payload_len = sizeof(body)};
    struct estc_wait wait = estc_wait_in(5000);
    struct estc_response r = {0};
    struct estc_error err = {0};
    assert_int_equal(t->ops->request(t, &q, &wait, &r, &err), 0);
    assert_int_equal(play_seen->first.payload_len, 512);
    assert_int_equal(play_seen->body_len, sizeof(want));
    assert_memory_equal(play_seen->body, want, sizeof(want));
    estc_response_clear(&r);
    path[300] = 'a';
    path[1300] = 0;
    assert_int_equal(t->ops->request(t, &q, &wait, &r, &err), -EMSGSIZE);
    estc_transport_free(t);
    net_stop(&child);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(uploads_arrive_whole),
        cmocka_unit_test(f01_t16_u04_request_shape),
        cmocka_unit_test(b05_follow_up_shape),
        cmocka_unit_test(long_paths),
    };
    return play_run(scenes, COUNT(scenes), tests, COUNT(tests));
}
