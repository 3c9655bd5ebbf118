/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Our client against servers that take a request in blocks, or do not (RFC 7959). Each script is
 * one function, each expectation one row.
 */
#include "play.h"

#include <errno.h>
#include <string.h>

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
        cmocka_unit_test(long_paths),
    };
    return play_run(scenes, COUNT(scenes), tests, COUNT(tests));
}
