/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Our client against servers that play a script: separate answers, wrong tokens, blocks that do not
 * fit, silence. Each script is one function, each expectation one row.
 */
#include "net.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <estc/coaps.h>
#include <estc/transport.h>

#include "base/clock.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))
#define OPT_URI_HOST 3
#define OPT_ETAG 4
#define OPT_OSCORE 9
#define OPT_URI_PATH 11
#define OPT_FORMAT 12
#define OPT_MAX_AGE 14
#define OPT_ACCEPT 17
#define OPT_BLOCK2 23
#define OPT_BLOCK1 27
#define OPT_SIZE2 28
#define OPT_SIZE1 60
#define CONTENT NET_CODE(2, 5)
#define CHANGED NET_CODE(2, 4)
#define CONTINUE NET_CODE(2, 31)

static struct {
    struct net_id root, server, client;
    struct estc_trust *trust;
} pki;

/* What the scripted server saw, for both processes. */
struct seen {
    atomic_uint requests, acks, resets, connections;
    unsigned char body[4096];
    size_t body_len;
    struct net_message first, last;
};
static struct seen *seen;

static unsigned char pattern_at(size_t i) {
    return (unsigned char)(i * 37 + i / 256);
}

static void fill(unsigned char *out, size_t len) {
    for (size_t i = 0; i < len; i++)
        out[i] = pattern_at(i);
}

/* Script helpers */

static void begin_ack(struct net_coap *m, const struct net_message *q, unsigned code) {
    net_coap_begin(m, NET_ACK, code, q->mid, q->token, q->token_len);
}

static void answer(SSL *ssl, const struct net_message *q, unsigned code, const char *text) {
    struct net_coap m;
    begin_ack(&m, q, code);
    if (text[0])
        net_coap_payload(&m, text, strlen(text));
    net_send(ssl, &m);
}

static void empty_ack(SSL *ssl, const struct net_message *q) {
    struct net_coap m;
    net_coap_begin(&m, NET_ACK, 0, q->mid, NULL, 0);
    net_send(ssl, &m);
}

/* True for a request; counts what else comes. */
static bool is_request(const struct net_message *q) {
    if (q->type == NET_ACK)
        atomic_fetch_add(&seen->acks, 1);
    if (q->type == NET_RST)
        atomic_fetch_add(&seen->resets, 1);
    if (q->type != NET_CON || q->code == 0)
        return false;
    if (atomic_fetch_add(&seen->requests, 1) == 0)
        seen->first = *q;
    seen->last = *q;
    return true;
}

static unsigned request_number(void) {
    return atomic_load(&seen->requests);
}

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

/* Scripts: answers */

#define SCRIPT(name) static void name(SSL *ssl, const struct net_message *q, unsigned n, void *arg)
#define UNUSED (void)ssl, (void)q, (void)n, (void)arg

SCRIPT(piggybacked) {
    UNUSED;
    if (is_request(q))
        answer(ssl, q, CONTENT, "hello");
}

SCRIPT(separate_con) {
    UNUSED;
    if (!is_request(q))
        return;
    struct net_coap m;
    empty_ack(ssl, q);
    net_coap_begin(&m, NET_CON, CONTENT, (uint16_t)(0x7000 + n), q->token, q->token_len);
    net_coap_payload(&m, "hello", 5);
    net_send(ssl, &m);
}

SCRIPT(separate_non) {
    UNUSED;
    if (!is_request(q))
        return;
    struct net_coap m;
    empty_ack(ssl, q);
    net_coap_begin(&m, NET_NON, CONTENT, (uint16_t)(0x7000 + n), q->token, q->token_len);
    net_coap_payload(&m, "hello", 5);
    net_send(ssl, &m);
}

SCRIPT(answer_overtakes_ack) {
    UNUSED;
    if (!is_request(q))
        return;
    struct net_coap m;
    net_coap_begin(&m, NET_CON, CONTENT, (uint16_t)(0x7000 + n), q->token, q->token_len);
    net_coap_payload(&m, "hello", 5);
    net_send(ssl, &m);
    empty_ack(ssl, q);
}

SCRIPT(ack_then_silence) {
    UNUSED;
    if (is_request(q))
        empty_ack(ssl, q);
}

SCRIPT(silence) {
    UNUSED;
    is_request(q);
}

SCRIPT(wrong_token) {
    UNUSED;
    struct net_coap m;
    if (!is_request(q))
        return;
    net_coap_begin(&m, NET_ACK, CONTENT, q->mid, "\xee\xee", 2);
    net_coap_payload(&m, "wrong", 5);
    net_send(ssl, &m);
}

SCRIPT(wrong_token_then_right) {
    UNUSED;
    struct net_coap m;
    if (!is_request(q))
        return;
    net_coap_begin(&m, NET_NON, CONTENT, 1, "\xee\xee", 2);
    net_coap_payload(&m, "wrong", 5);
    net_send(ssl, &m);
    answer(ssl, q, CONTENT, "hello");
}

SCRIPT(garbage_then_right) {
    UNUSED;
    static const unsigned char bad[][6] = {{0x4f, 0x45, 0, 1, 2, 3},    /* token of 15 bytes */
                                           {0x40, 0x45, 0, 1, 0xff, 0}, /* marker alone */
                                           {0x40, 0x45, 0, 1, 0xf0, 0}, /* option nibble 15 */
                                           {0x80, 0x45, 0, 1, 0, 0}};   /* version 2 */
    if (!is_request(q))
        return;
    for (size_t i = 0; i < COUNT(bad); i++)
        SSL_write(ssl, bad[i], i == 1 ? 5 : 6);
    SSL_write(ssl, "x", 1);
    answer(ssl, q, CONTENT, "hello");
}

SCRIPT(answers_twice) {
    UNUSED;
    if (!is_request(q))
        return;
    answer(ssl, q, CONTENT, "hello");
    answer(ssl, q, CONTENT, "hello");
}

SCRIPT(resets) {
    UNUSED;
    struct net_coap m;
    if (!is_request(q))
        return;
    net_coap_begin(&m, NET_RST, 0, q->mid, NULL, 0);
    net_send(ssl, &m);
}

SCRIPT(hangs_up) {
    UNUSED;
    if (is_request(q))
        SSL_shutdown(ssl);
}

SCRIPT(hangs_up_once) {
    UNUSED;
    if (!is_request(q))
        return;
    if (request_number() == 1)
        SSL_shutdown(ssl);
    else
        answer(ssl, q, CONTENT, "hello");
}

SCRIPT(hangs_up_afterwards) {
    UNUSED;
    if (!is_request(q))
        return;
    answer(ssl, q, CONTENT, "hello");
    SSL_shutdown(ssl);
}

SCRIPT(all_options) {
    UNUSED;
    struct net_coap m;
    if (!is_request(q))
        return;
    begin_ack(&m, q, CHANGED);
    net_coap_uint(&m, OPT_FORMAT, 281);
    net_coap_uint(&m, OPT_MAX_AGE, 0xfffffffe);
    net_coap_uint(&m, OPT_SIZE2, 0xffffffff);
    net_coap_option(&m, 2048, "elective", 8);
    net_coap_payload(&m, "x", 1);
    net_send(ssl, &m);
}

SCRIPT(not_found) {
    UNUSED;
    if (is_request(q))
        answer(ssl, q, NET_CODE(4, 4), "no label 'x'");
}

SCRIPT(busy) {
    UNUSED;
    struct net_coap m;
    if (!is_request(q))
        return;
    begin_ack(&m, q, NET_CODE(5, 3));
    net_coap_uint(&m, OPT_MAX_AGE, 0);
    net_send(ssl, &m);
}

SCRIPT(code_3xx) {
    UNUSED;
    if (is_request(q))
        answer(ssl, q, NET_CODE(3, 1), "");
}

SCRIPT(code_6xx) {
    UNUSED;
    if (is_request(q))
        answer(ssl, q, NET_CODE(6, 0), "");
}

static void with_option(SSL *ssl, const struct net_message *q, unsigned number, const void *value,
                        size_t len, unsigned times) {
    struct net_coap m;
    begin_ack(&m, q, CONTENT);
    for (unsigned i = 0; i < times; i++)
        net_coap_option(&m, number, value, len);
    net_coap_payload(&m, "x", 1);
    net_send(ssl, &m);
}

SCRIPT(option_uri_path) {
    UNUSED;
    if (is_request(q))
        with_option(ssl, q, OPT_URI_PATH, "a", 1, 1);
}

SCRIPT(option_accept) {
    UNUSED;
    if (is_request(q))
        with_option(ssl, q, OPT_ACCEPT, "\x01", 1, 1);
}

SCRIPT(option_oscore) {
    UNUSED;
    if (is_request(q))
        with_option(ssl, q, OPT_OSCORE, "", 0, 1);
}

SCRIPT(option_block2_szx7) {
    UNUSED;
    if (is_request(q))
        with_option(ssl, q, OPT_BLOCK2, "\x07", 1, 1);
}

SCRIPT(option_block2_twice) {
    UNUSED;
    if (is_request(q))
        with_option(ssl, q, OPT_BLOCK2, "\x06", 1, 2);
}

/* Scripts: blocks down */

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

/* Scripts: blocks up */

static void keep_block(const struct net_message *q) {
    int64_t option = net_option(q, OPT_BLOCK1);
    size_t size = option < 0 ? 0 : (size_t)16 << (option & 7);
    size_t offset = option < 0 ? 0 : (size_t)(option >> 4) * size;
    if (offset + q->payload_len <= sizeof(seen->body)) {
        if (q->payload_len > 0)
            memcpy(seen->body + offset, q->data + q->payload_at, q->payload_len);
        seen->body_len = offset + q->payload_len;
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

/* The table */

struct scene {
    const char *name;
    void (*script)(SSL *ssl, const struct net_message *q, unsigned n, void *arg);
    size_t body;         /* > 0: a POST of so many bytes */
    unsigned block_size; /* 0: 1024 */
    unsigned times;      /* so many requests in a row; 0: 1 */
    int result;
    unsigned code;
    size_t pattern;    /* the answer is so much of the pattern... */
    const char *text;  /* ...or this, or part of the error */
    unsigned requests; /* messages that the server must have seen; 0: not checked */
};

#define SCENE_MS 700

static const struct scene scenes[] = {
    {"piggybacked", piggybacked, 0, 0, 3, 0, 205, 0, "hello", 3},
    {"D-01 separate, confirmable", separate_con, 0, 0, 3, 0, 205, 0, "hello", 3},
    {"D-01 separate, non-confirmable", separate_non, 0, 0, 3, 0, 205, 0, "hello", 3},
    {"T-15 answer before the ACK", answer_overtakes_ack, 0, 0, 3, 0, 205, 0, "hello", 3},
    {"D-01 ACK, then silence", ack_then_silence, 0, 0, 0, ESTC_E_TIMEOUT, 0, 0,
     "no usable answer within 1 s", 1},
    {"silence", silence, 5, 0, 0, ESTC_E_TIMEOUT, 0, 0, "POST /.well-known/est/crts", 1},
    {"wrong token", wrong_token, 0, 0, 0, ESTC_E_TIMEOUT, 0, 0, "no usable answer", 1},
    {"wrong token, then right", wrong_token_then_right, 0, 0, 2, 0, 205, 0, "hello", 2},
    {"R-08 garbage, then right", garbage_then_right, 0, 0, 2, 0, 205, 0, "hello", 2},
    {"answer repeated", answers_twice, 0, 0, 3, 0, 205, 0, "hello", 3},
    {"reset", resets, 0, 0, 0, ESTC_E_PROTOCOL, 0, 0, "reset the exchange", 1},
    {"hangs up, POST", hangs_up, 5, 0, 0, ESTC_E_UNREACHABLE, 0, 0, "connection was lost", 1},
    {"hangs up, GET", hangs_up, 0, 0, 0, ESTC_E_UNREACHABLE, 0, 0, "connection was lost", 2},
    {"hangs up once, GET", hangs_up_once, 0, 0, 0, 0, 205, 0, "hello", 2},
    {"hangs up between requests", hangs_up_afterwards, 5, 0, 3, 0, 205, 0, "hello", 3},
    {"all options", all_options, 5, 0, 0, 0, 204, 0, "x", 1},
    {"R-06 error with diagnostic", not_found, 5, 0, 0, 0, 404, 0, "no label 'x'", 1},
    {"D-03 busy", busy, 5, 0, 0, 0, 503, 0, "", 1},
    {"code 3.01", code_3xx, 0, 0, 0, ESTC_E_PROTOCOL, 0, 0, "3.01", 1},
    {"code 6.00", code_6xx, 0, 0, 0, ESTC_E_PROTOCOL, 0, 0, "6.00", 1},
    {"critical option Uri-Path", option_uri_path, 0, 0, 0, ESTC_E_PROTOCOL, 0, 0,
     "not allowed there", 1},
    {"critical option Accept", option_accept, 0, 0, 0, ESTC_E_PROTOCOL, 0, 0, "not allowed", 1},
    /* libcoap drops what it does not know, so all that is left is silence. */
    {"unknown critical option", option_oscore, 0, 0, 0, ESTC_E_TIMEOUT, 0, 0, "no usable", 1},
    {"B-02 SZX 7", option_block2_szx7, 0, 0, 0, ESTC_E_PROTOCOL, 0, 0, "not allowed", 1},
    {"B-02 Block2 twice", option_block2_twice, 0, 0, 0, ESTC_E_PROTOCOL, 0, 0, "not allowed", 1},

    {"B-04 pages", pages, 0, 0, 2, 0, 205, PAGES_LEN, NULL, 10},
    {"pages, separate answers", pages_separately, 0, 0, 2, 0, 205, PAGES_LEN, NULL, 10},
    {"pages, size asked for", pages, 0, 64, 0, 0, 205, PAGES_LEN, NULL, 5},
    {"pages that shrink", pages_shrink, 0, 0, 0, 0, 205, 1024 + 3 * 16, NULL, 4},
    {"B-12 page skipped", page_skipped, 0, 0, 0, ESTC_E_PROTOCOL, 0, 0, "do not fit together", 2},
    {"B-03 short page", page_short, 0, 0, 0, ESTC_E_PROTOCOL, 0, 0, "do not fit together", 2},
    {"B-15 endless pages", pages_endless, 0, 0, 0, ESTC_E_TOO_LARGE, 0, 0, "5000 bytes", 5},
    {"B-12 ETag changes, POST", pages_change_always, 5, 0, 0, ESTC_E_PROTOCOL, 0, 0, "changed", 2},
    {"B-12 ETag changes, GET", pages_change_always, 0, 0, 0, ESTC_E_PROTOCOL, 0, 0,
     "again and again", 8},
    {"B-12 ETag changes once", pages_change_once, 0, 0, 0, 0, 205, PAGES_LEN, NULL, 8},
    {"pages end in an error", pages_end_in_error, 0, 0, 0, 0, 500, 0, "broke", 3},
    {"B-13 pages forgotten", pages_forgotten, 5, 0, 0, ESTC_E_PROTOCOL, 0, 0, "changed", 3},

    {"B-06 blocks up", takes_blocks, 3000, 0, 0, 0, 204, 0, "", 3},
    {"blocks up, small", takes_blocks, 100, 16, 0, 0, 204, 0, "", 7},
    {"one block needs no option", takes_blocks, 16, 16, 0, 0, 204, 0, "", 1},
    {"B-09 smaller size", takes_smaller_blocks, 1500, 512, 0, 0, 204, 0, "", 32},
    {"B-10 4.13 names a size", refuses_large_blocks, 300, 0, 0, 0, 204, 0, "", 6},
    {"B-10 4.13 amid blocks", refuses_large_blocks, 300, 128, 0, 0, 204, 0, "", 6},
    {"4.13 for good", too_large, 3000, 0, 0, 0, 413, 0, "", 1},
    {"B-07 4.08 for ever", loses_blocks, 200, 128, 0, ESTC_E_PROTOCOL, 0, 0, "again and again", 8},
    {"B-07 4.08 once", loses_blocks_once, 200, 128, 0, 0, 204, 0, "", 4},
    {"answer before the end", answers_too_early, 200, 128, 0, ESTC_E_PROTOCOL, 0, 0,
     "before the request was complete", 1},
    {"refusal before the end", refuses_early, 200, 128, 0, 0, 403, 0, "", 1},
    {"2.31 for the last block", continues_for_ever, 200, 128, 0, ESTC_E_PROTOCOL, 0, 0, "2.31", 2},
    {"2.31 without Block1", continues_without_option, 200, 128, 0, ESTC_E_PROTOCOL, 0, 0, "2.31",
     1},
    {"2.31 for no block", continues_without_option, 20, 128, 0, ESTC_E_PROTOCOL, 0, 0, "2.31", 1},
    {"2.31 for another block", continues_with_wrong_number, 200, 128, 0, ESTC_E_PROTOCOL, 0, 0,
     "2.31", 1},
};

static void check_answer(const struct scene *s, const struct estc_response *r) {
    unsigned char want[4096];
    if (r->code != s->code)
        fail_msg("%s: code %u, not %u", s->name, r->code, s->code);
    if (s->text) {
        assert_int_equal(r->payload.len, strlen(s->text));
        if (r->payload.len > 0)
            assert_memory_equal(r->payload.data, s->text, r->payload.len);
        return;
    }
    fill(want, s->pattern);
    if (r->payload.len != s->pattern)
        fail_msg("%s: %zu bytes, not %zu", s->name, r->payload.len, s->pattern);
    assert_memory_equal(r->payload.data, want, s->pattern);
}

static struct estc_transport *transport_to(uint16_t port, unsigned block_size) {
    struct estc_coaps_options o = {
        .host = "::1",
        .port = port,
        .credentials = net_credentials(&pki.client),
        .trust = pki.trust,
        .block_size = block_size,
        .max_body = 5000,
    };
    struct estc_transport *t = NULL;
    assert_int_equal(estc_coaps_new(&o, &t, NULL), 0);
    return t;
}

static void play(const struct scene *s) {
    struct net_script script = {.port = net_port(), .id = &pki.server, .step = s->script};
    struct net_child child = net_act(&script);
    memset(seen, 0, sizeof(*seen));
    unsigned char body[4096];
    fill(body, s->body);
    struct estc_transport *t = transport_to(script.port, s->block_size);
    struct estc_request q = {
        .method = s->body ? ESTC_POST : ESTC_GET,
        .path = "/.well-known/est/crts",
        .content_format = s->body ? ESTC_FORMAT_PKCS10 : ESTC_FORMAT_NONE,
        .accept = ESTC_FORMAT_CERTS_ONLY,
        .payload = body,
        .payload_len = s->body,
    };
    for (unsigned i = 0; i < (s->times ? s->times : 1); i++) {
        struct estc_wait wait = estc_wait_in(s->result == ESTC_E_TIMEOUT ? SCENE_MS : 8000);
        struct estc_response response = {.code = 999};
        struct estc_error err = {0};
        int r = t->ops->request(t, &q, &wait, &response, &err);
        if (r != s->result)
            fail_msg("%s: %d (%s), not %d", s->name, r, err.text, s->result);
        if (r == 0) {
            check_answer(s, &response);
            estc_response_clear(&response);
        } else {
            assert_int_equal(response.code, 999); /* outputs on success only */
            assert_int_equal(err.code, r);
            if (!strstr(err.text, s->text) || strncmp(err.text, "server [::1]:", 13) != 0)
                fail_msg("%s: '%s'", s->name, err.text);
        }
    }
    estc_transport_free(t);
    net_stop(&child);
    if (s->requests && atomic_load(&seen->requests) != s->requests)
        fail_msg("%s: %u messages, not %u", s->name, atomic_load(&seen->requests), s->requests);
}

static void every_scene(void **state) {
    (void)state;
    for (size_t i = 0; i < COUNT(scenes); i++)
        play(&scenes[i]);
}

static void play_named(const char *name) {
    for (size_t i = 0; i < COUNT(scenes); i++) {
        if (strcmp(scenes[i].name, name) == 0)
            play(&scenes[i]);
    }
}

/* What the messages look like from the other side */

static void uploads_arrive_whole(void **state) {
    (void)state;
    static const char *const names[] = {"B-06 blocks up", "B-09 smaller size",
                                        "B-10 4.13 names a size", "B-07 4.08 once"};
    static const size_t lengths[] = {3000, 1500, 300, 200};
    for (size_t i = 0; i < COUNT(names); i++) {
        unsigned char want[4096];
        play_named(names[i]);
        fill(want, lengths[i]);
        assert_int_equal(seen->body_len, lengths[i]);
        assert_memory_equal(seen->body, want, lengths[i]);
    }
}

static void u04_request_shape(void **state) {
    (void)state;
    play_named("B-06 blocks up");
    const struct net_message *q = &seen->first;
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
    assert_true(q->token_len != seen->last.token_len ||
                memcmp(q->token, seen->last.token, q->token_len) != 0);
}

static void b05_follow_up_shape(void **state) {
    (void)state;
    play_named("pages, size asked for");
    const struct net_message *q = &seen->last;
    assert_int_equal(net_option(&seen->first, OPT_BLOCK2), 2);
    assert_int_equal(net_option(q, OPT_BLOCK2), 4 << 4 | 2);
    assert_int_equal(net_option(q, OPT_BLOCK1), -1);
    assert_int_equal(net_option(q, OPT_ACCEPT), 281);
    assert_int_equal(net_option(q, OPT_FORMAT), -1);
    assert_int_equal(q->payload_len, 0);
}

static void separate_answers_are_acknowledged(void **state) {
    (void)state;
    play_named("D-01 separate, confirmable");
    assert_int_equal(atomic_load(&seen->acks), 3);
    assert_int_equal(atomic_load(&seen->resets), 0);
}

static void response_options(void **state) {
    (void)state;
    static const struct {
        void (*script)(SSL *ssl, const struct net_message *q, unsigned n, void *arg);
        int content_format;
        int64_t max_age;
    } rows[] = {{all_options, 281, 0xfffffffeLL}, {busy, -1, 0}, {piggybacked, -1, -1}};
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct net_script script = {.port = net_port(), .id = &pki.server, .step = rows[i].script};
        struct net_child child = net_act(&script);
        struct estc_transport *t = transport_to(script.port, 0);
        struct estc_request q = {.path = "/x", .content_format = -1, .accept = -1};
        struct estc_wait wait = estc_wait_in(5000);
        struct estc_response r = {0};
        assert_int_equal(t->ops->request(t, &q, &wait, &r, NULL), 0);
        assert_int_equal(r.content_format, rows[i].content_format);
        assert_int_equal(r.max_age, rows[i].max_age);
        estc_response_clear(&r);
        estc_transport_free(t);
        net_stop(&child);
    }
}

/* A path that leaves little room makes the blocks smaller; one that leaves none is an error. */
static void long_paths(void **state) {
    (void)state;
    struct net_script script = {.port = net_port(), .id = &pki.server, .step = takes_blocks};
    struct net_child child = net_act(&script);
    struct estc_transport *t = transport_to(script.port, 0);
    char path[1400];
    unsigned char body[2000], want[2000];
    fill(body, sizeof(body));
    fill(want, sizeof(want));
    for (size_t i = 0; i < sizeof(path); i++)
        path[i] = i % 200 ? 'a' : '/';
    path[300] = 0;
    memset(seen, 0, sizeof(*seen));
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
    assert_int_equal(seen->first.payload_len, 512);
    assert_int_equal(seen->body_len, sizeof(want));
    assert_memory_equal(seen->body, want, sizeof(want));
    path[300] = 'a';
    path[1300] = 0;
    assert_int_equal(t->ops->request(t, &q, &wait, &r, &err), -EMSGSIZE);
    estc_transport_free(t);
    net_stop(&child);
}

static int set_up(void **state) {
    (void)state;
    static const char *const sans[] = {"IP:::1", NULL};
    pki.root =
        net_issue(NULL, ESTC_KEY_P256, (struct support_cert_spec){.subject = "CN=root", .ca = 1});
    pki.server = net_issue(&pki.root, ESTC_KEY_P256,
                           (struct support_cert_spec){.subject = "CN=server", .sans = sans});
    pki.client =
        net_issue(&pki.root, ESTC_KEY_P256, (struct support_cert_spec){.subject = "CN=client"});
    pki.trust = net_trust(&pki.root);
    seen = net_shared(sizeof(*seen));
    return 0;
}

static int tear_down(void **state) {
    (void)state;
    net_id_clear(&pki.client);
    net_id_clear(&pki.server);
    net_id_clear(&pki.root);
    estc_trust_free(pki.trust);
    net_shared_free(seen, sizeof(*seen));
    return 0;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_scene),
        cmocka_unit_test(uploads_arrive_whole),
        cmocka_unit_test(u04_request_shape),
        cmocka_unit_test(b05_follow_up_shape),
        cmocka_unit_test(separate_answers_are_acknowledged),
        cmocka_unit_test(response_options),
        cmocka_unit_test(long_paths),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
