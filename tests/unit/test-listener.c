/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Our listener against clients that send bytes by hand: repeated datagrams, blocks out of order,
 * options that have no business here, and noise.
 */
#include "net.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))
#define OPT_IF_MATCH 1
#define OPT_ETAG 4
#define OPT_FORMAT 12
#define OPT_MAX_AGE 14
#define OPT_QUERY 15
#define OPT_ACCEPT 17
#define OPT_BLOCK2 23
#define OPT_BLOCK1 27
#define OPT_PROXY_URI 35
#define OPT_PROXY_SCHEME 39
#define OPT_SIZE1 60
#define OPT_REQUEST_TAG 292
#define MAX_BODY 2000

static struct { struct net_id root, server, client, other; } pki;

/* What the answer function saw, for both processes. */
struct seen {
    atomic_uint calls;
    struct estc_request last;
    char path[300], subject[100], address[100];
    unsigned char body[4096];
};
static struct seen *seen;

/* POST: 2.04 and the body back. GET /size/N: N bytes. GET /nothing: fills nothing in. */
static void answer(void *arg, const struct estc_peer *peer, const struct estc_request *q,
                   struct estc_response *r) {
    (void)arg;
    atomic_fetch_add(&seen->calls, 1);
    seen->last = *q;
    snprintf(seen->path, sizeof(seen->path), "%s", q->path);
    snprintf(seen->address, sizeof(seen->address), "%s", peer->address);
    X509_NAME_oneline(X509_get_subject_name(peer->cert), seen->subject, sizeof(seen->subject));
    if (q->payload_len > 0 && q->payload_len <= sizeof(seen->body))
        memcpy(seen->body, q->payload, q->payload_len);
    if (strcmp(q->path, "/nothing") == 0)
        return;
    unsigned size = 0;
    r->code = q->method == ESTC_POST ? 204 : 205;
    r->content_format = 42;
    r->max_age = strcmp(q->path, "/busy") == 0 ? 120 : -1;
    if (r->max_age >= 0)
        r->code = 503;
    if (q->method == ESTC_POST)
        estc_buf_append(&r->payload, q->payload, q->payload_len);
    else if (sscanf(q->path, "/size/%u", &size) == 1)
        for (unsigned i = 0; i < size; i++)
            estc_buf_append(&r->payload, &(unsigned char){(unsigned char)(i * 7 + i / 256)}, 1);
}

static struct net_server server;
static struct net_child child;
static uint16_t next_mid = 1;

static SSL *dial(const struct net_id *id) {
    struct net_tls how = {.id = id, .version = DTLS1_2_VERSION};
    SSL *ssl = net_connect(server.port, &how, NULL);
    assert_non_null(ssl);
    return ssl;
}

/* A request under construction */

static struct net_coap request(unsigned code, const char *path) {
    struct net_coap m;
    uint16_t mid = next_mid++;
    net_coap_begin(&m, NET_CON, code, mid, &mid, 2);
    net_coap_path(&m, path);
    return m;
}

static struct net_message exchange(SSL *ssl, const struct net_coap *m) {
    struct net_message a = {0};
    net_send(ssl, m);
    if (!net_receive(ssl, &a, 2000))
        fail_msg("no answer");
    assert_int_equal(a.type, NET_ACK);
    assert_int_equal(a.mid, m->data[2] << 8 | m->data[3]);
    return a;
}

/* One block of a body of 'a' + num. */
static struct net_message block(SSL *ssl, const char *path, uint32_t num, bool more, unsigned szx,
                                size_t len, int format) {
    struct net_coap m = request(2, path);
    unsigned char data[1024];
    memset(data, 'a' + (int)num, sizeof(data));
    if (format >= 0)
        net_coap_uint(&m, OPT_FORMAT, (uint32_t)format);
    net_coap_block(&m, OPT_BLOCK1, num, more, szx);
    if (len > 0)
        net_coap_payload(&m, data, len);
    return exchange(ssl, &m);
}

static unsigned calls(void) {
    return atomic_load(&seen->calls);
}

/* Requests */

static void request_reaches_the_program(void **state) {
    (void)state;
    SSL *ssl = dial(&pki.client);
    struct net_coap m = request(2, "/.well-known/est/label/sen");
    net_coap_uint(&m, OPT_FORMAT, 286);
    net_coap_uint(&m, OPT_ACCEPT, 281);
    net_coap_payload(&m, "body", 4);
    struct net_message a = exchange(ssl, &m);
    assert_int_equal(a.code, NET_CODE(2, 4));
    assert_int_equal(net_option(&a, OPT_FORMAT), 42);
    assert_int_equal(net_option(&a, OPT_MAX_AGE), -1);
    assert_int_equal(net_option(&a, OPT_BLOCK1), -1);
    assert_int_equal(net_option(&a, OPT_BLOCK2), -1);
    assert_int_equal(a.payload_len, 4);
    assert_int_equal(calls(), 1);
    assert_string_equal(seen->path, "/.well-known/est/label/sen");
    assert_string_equal(seen->subject, "/CN=client");
    assert_int_equal(strncmp(seen->address, "[::1]:", 6), 0);
    assert_int_equal(seen->last.method, ESTC_POST);
    assert_int_equal(seen->last.content_format, 286);
    assert_int_equal(seen->last.accept, 281);
    assert_memory_equal(seen->body, "body", 4);
    net_close(ssl);
}

/* What libcoap or we answer without asking the program. */
static void r04_refusals(void **state) {
    (void)state;
    static const struct {
        const char *what;
        unsigned method;
        const char *path;
        unsigned option; /* 0: none */
        const char *value;
        size_t len;
        unsigned times;
        unsigned code;
        unsigned calls;
    } rows[] = {
        {"PUT", 3, "/x", 0, NULL, 0, 0, NET_CODE(4, 5), 0},
        {"DELETE", 4, "/x", 0, NULL, 0, 0, NET_CODE(4, 5), 0},
        {"FETCH", 5, "/x", 0, NULL, 0, 0, NET_CODE(4, 5), 0},
        {"PATCH", 6, "/x", 0, NULL, 0, 0, NET_CODE(4, 5), 0},
        {"iPATCH", 7, "/x", 0, NULL, 0, 0, NET_CODE(4, 5), 0},
        {"method 0.08", 8, "/x", 0, NULL, 0, 0, NET_CODE(4, 4), 0},
        {"DELETE of the core", 4, "/.well-known/core", 0, NULL, 0, 0, NET_CODE(4, 5), 0},
        {"U-09 core", 1, "/.well-known/core", OPT_QUERY, "rt=ace.est*", 11, 1, NET_CODE(2, 5), 1},
        {"root", 1, "", 0, NULL, 0, 0, NET_CODE(2, 5), 1},
        {"dots", 1, "/a/../b", 0, NULL, 0, 0, NET_CODE(4, 4), 0},
        {"dot", 1, "/./b", 0, NULL, 0, 0, NET_CODE(4, 4), 0},
        {"empty segment", 1, "/a//b", 0, NULL, 0, 0, NET_CODE(4, 4), 0},
        {"slash in a segment", 1, "/a", 11, "b/c", 3, 1, NET_CODE(4, 4), 0},
        {"NUL in a segment", 1, "/a", 11, "b\0c", 3, 1, NET_CODE(4, 4), 0},
        {"unknown critical", 1, "/x", 2049, "x", 1, 1, NET_CODE(4, 2), 0},
        {"unknown elective", 1, "/x", 2048, "x", 1, 1, NET_CODE(2, 5), 1},
        {"Accept twice", 1, "/x", OPT_ACCEPT, "\x01", 1, 2, NET_CODE(4, 2), 0},
        {"B-02 Block2 twice", 1, "/x", OPT_BLOCK2, "\x06", 1, 2, NET_CODE(4, 2), 0},
        {"B-02 Block2 SZX 7", 1, "/x", OPT_BLOCK2, "\x07", 1, 1, NET_CODE(4, 0), 0},
        {"B-02 Block1 SZX 7", 2, "/x", OPT_BLOCK1, "\x07", 1, 1, NET_CODE(4, 0), 0},
        {"GET with Block1", 1, "/x", OPT_BLOCK1, "\x06", 1, 1, NET_CODE(4, 0), 0},
        {"Proxy-Uri", 1, "/x", OPT_PROXY_URI, "coaps://a/b", 11, 1, NET_CODE(5, 5), 0},
        {"Proxy-Scheme", 1, "/x", OPT_PROXY_SCHEME, "coaps", 5, 1, NET_CODE(5, 5), 0},
        {"an answer without a code", 1, "/nothing", 0, NULL, 0, 0, NET_CODE(5, 0), 1},
        {"no such block", 1, "/size/10", OPT_BLOCK2, "\x16", 1, 1, NET_CODE(4, 0), 1},
    };
    SSL *ssl = dial(&pki.client);
    for (size_t i = 0; i < COUNT(rows); i++) {
        atomic_store(&seen->calls, 0);
        struct net_coap m = request(rows[i].method, rows[i].path);
        for (unsigned k = 0; k < rows[i].times; k++)
            net_coap_option(&m, rows[i].option, rows[i].value, rows[i].len);
        struct net_message a = exchange(ssl, &m);
        if (a.code != rows[i].code || calls() != rows[i].calls)
            fail_msg("%s: %u.%02u, %u calls", rows[i].what, a.code >> 5, a.code & 31, calls());
    }
    net_close(ssl);
}

static void max_age_is_sent(void **state) {
    (void)state;
    SSL *ssl = dial(&pki.client);
    struct net_coap m = request(2, "/busy");
    struct net_message a = exchange(ssl, &m);
    assert_int_equal(a.code, NET_CODE(5, 3));
    assert_int_equal(net_option(&a, OPT_MAX_AGE), 120);
    net_close(ssl);
}

static void non_confirmable_request(void **state) {
    (void)state;
    SSL *ssl = dial(&pki.client);
    struct net_coap m = request(1, "/size/3");
    struct net_message a;
    m.data[0] = (unsigned char)((m.data[0] & 0xcf) | NET_NON << 4);
    net_send(ssl, &m);
    assert_true(net_receive(ssl, &a, 2000));
    assert_int_equal(a.type, NET_NON);
    assert_int_equal(a.code, NET_CODE(2, 5));
    /* Repeated: not asked again. */
    net_send(ssl, &m);
    assert_true(net_receive(ssl, &a, 2000));
    assert_int_equal(calls(), 1);
    net_close(ssl);
}

/* De-duplication */

static void repeated_request_is_answered_from_memory(void **state) {
    (void)state;
    SSL *ssl = dial(&pki.client);
    struct net_coap m = request(2, "/x");
    net_coap_payload(&m, "once", 4);
    struct net_message first = exchange(ssl, &m);
    for (int i = 0; i < 5; i++) {
        struct net_message again = exchange(ssl, &m);
        assert_int_equal(again.len, first.len);
        assert_memory_equal(again.data, first.data, first.len);
    }
    assert_int_equal(calls(), 1);
    net_close(ssl);
}

static void repeated_last_block_is_answered_from_memory(void **state) {
    (void)state;
    SSL *ssl = dial(&pki.client);
    assert_int_equal(block(ssl, "/x", 0, true, 2, 64, -1).code, NET_CODE(2, 31));
    next_mid--;
    assert_int_equal(block(ssl, "/x", 0, true, 2, 64, -1).code, NET_CODE(2, 31));
    assert_int_equal(block(ssl, "/x", 1, false, 2, 10, -1).code, NET_CODE(2, 4));
    next_mid--;
    struct net_message a = block(ssl, "/x", 1, false, 2, 10, -1);
    assert_int_equal(a.code, NET_CODE(2, 4));
    assert_int_equal(calls(), 1);
    assert_int_equal(seen->last.payload_len, 74);
    net_close(ssl);
}

/* An old one is recognised though its answer is gone, and is not carried out again. */
static void old_request_is_not_carried_out(void **state) {
    (void)state;
    SSL *ssl = dial(&pki.client);
    struct net_coap old = request(2, "/x");
    net_coap_payload(&old, "once", 4);
    exchange(ssl, &old);
    for (int i = 0; i < 40; i++) {
        struct net_coap m = request(1, "/size/1");
        exchange(ssl, &m);
    }
    assert_int_equal(calls(), 41);
    assert_int_equal(exchange(ssl, &old).code, 0); /* an empty acknowledgement */
    assert_int_equal(calls(), 41);
    net_close(ssl);
}

static void the_same_id_of_two_clients_is_two_requests(void **state) {
    (void)state;
    SSL *a = dial(&pki.client), *b = dial(&pki.other);
    struct net_coap m = request(2, "/x");
    exchange(a, &m);
    assert_string_equal(seen->subject, "/CN=client");
    exchange(b, &m);
    assert_string_equal(seen->subject, "/CN=other");
    assert_int_equal(calls(), 2);
    net_close(a);
    net_close(b);
}

/* Bodies */

static void b06_body_in_blocks(void **state) {
    (void)state;
    SSL *ssl = dial(&pki.client);
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
    assert_int_equal(seen->last.payload_len, 263);
    for (size_t i = 0; i < 263; i++)
        assert_int_equal(seen->body[i], 'a' + (int)i / 64);
    net_close(ssl);
}

static void b07_gaps(void **state) {
    (void)state;
    SSL *ssl = dial(&pki.client);
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
    SSL *ssl = dial(&pki.client), *other = dial(&pki.other);
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
    assert_string_equal(seen->path, "/y");
    net_close(ssl);
    net_close(other);
}

static void b10_body_too_large(void **state) {
    (void)state;
    SSL *ssl = dial(&pki.client);
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

static void b04_answer_in_blocks(void **state) {
    (void)state;
    SSL *ssl = dial(&pki.client);
    for (unsigned szx = 0; szx <= 6; szx++) {
        size_t size = (size_t)16 << szx, at = 0;
        int64_t etag = -1;
        atomic_store(&seen->calls, 0);
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
    SSL *ssl = dial(&pki.client);
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
    SSL *other = dial(&pki.other);
    assert_int_equal(ask_page(other, 2, "/x", 1, 2).code, NET_CODE(4, 8));
    assert_int_equal(calls(), 1);
    net_close(other);
    net_close(ssl);
}

/* Both ways at once: the last block brings the first page (RFC 7959 figure 11). */
static void block1_and_block2(void **state) {
    (void)state;
    SSL *ssl = dial(&pki.client);
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

/* Noise */

static void noise_inside_the_connection(void **state) {
    (void)state;
    SSL *ssl = dial(&pki.client);
    unsigned seed = 99;
    unsigned char good[64];
    struct net_coap m = request(2, "/x");
    net_coap_block(&m, OPT_BLOCK1, 0, false, 6);
    net_coap_payload(&m, "body", 4);
    size_t len = m.len;
    memcpy(good, m.data, len);
    for (int i = 0; i < 3000; i++) {
        unsigned char bad[64];
        struct net_message ignored;
        memcpy(bad, good, len);
        seed = seed * 1103515245U + 12345U;
        bad[(seed >> 16) % len] ^= (unsigned char)(1U << (seed >> 8 & 7));
        bad[(seed >> 4) % len] = (unsigned char)(seed >> 20);
        SSL_write(ssl, bad, (int)(seed & 3 ? len : (seed >> 12) % len + 1));
        if (i % 50 == 0)
            while (net_receive(ssl, &ignored, 1))
                ;
    }
    net_close(ssl);
    ssl = dial(&pki.client);
    m = request(1, "/size/1");
    assert_int_equal(exchange(ssl, &m).code, NET_CODE(2, 5));
    net_close(ssl);
}

/* OpenSSL's error queue belongs to the thread, not to a connection: what a stranger's failed
 * handshake leaves there must not look like an error of the next one who sends something. */
static void failure_of_one_is_not_the_end_of_another(void **state) {
    (void)state;
    SSL *ssl = dial(&pki.client);
    struct net_tls bad = {
        .id = &pki.client, .suites = "ECDHE-ECDSA-AES128-SHA256", .version = DTLS1_2_VERSION};
    assert_null(net_connect(server.port, &bad, NULL));
    static const unsigned char junk[] = {23, 0xfe, 0xfd, 0, 1};
    assert_int_equal(send(SSL_get_fd(ssl), junk, sizeof(junk), 0), sizeof(junk));
    struct net_coap m = request(1, "/size/1");
    assert_int_equal(exchange(ssl, &m).code, NET_CODE(2, 5));
    net_close(ssl);
}

static int udp_to_server(void) {
    int fd = socket(AF_INET6, SOCK_DGRAM, 0);
    struct sockaddr_in6 to = {.sin6_family = AF_INET6, .sin6_port = htons(server.port)};
    to.sin6_addr = in6addr_loopback;
    assert_int_equal(connect(fd, (struct sockaddr *)&to, sizeof(to)), 0);
    return fd;
}

static void t01_plain_coap_is_not_served(void **state) {
    (void)state;
    int fd = udp_to_server();
    struct net_coap m = request(1, "/size/1");
    unsigned char byte;
    struct timeval tv = {.tv_usec = 200000};
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof(tv));
    assert_int_equal(send(fd, m.data, m.len, 0), m.len);
    assert_int_equal(recv(fd, &byte, 1, 0), -1);
    assert_int_equal(calls(), 0);
    close(fd);
}

/* ClientHellos without a cookie, from many ports, and random bytes: the door stays open. */
static void z03_strangers_do_not_block_the_door(void **state) {
    (void)state;
    unsigned char hello[80] = {22, 0xfe, 0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 67, 1, 0, 0, 55};
    unsigned seed = 5;
    for (int i = 0; i < 300; i++) {
        int fd = udp_to_server();
        unsigned char noise[200];
        for (size_t k = 0; k < sizeof(noise); k++) {
            seed = seed * 1103515245U + 12345U;
            noise[k] = (unsigned char)(seed >> 16);
        }
        send(fd, hello, sizeof(hello), 0);
        send(fd, noise, seed % sizeof(noise) + 1, 0);
        memcpy(noise, hello, 14);
        send(fd, noise, seed % sizeof(noise) + 1, 0);
        close(fd);
    }
    SSL *ssl = dial(&pki.client);
    struct net_coap m = request(1, "/size/1");
    assert_int_equal(exchange(ssl, &m).code, NET_CODE(2, 5));
    net_close(ssl);
}

static void idle_connection_is_dropped(void **state) {
    (void)state;
    SSL *ssl = dial(&pki.client);
    struct net_message m;
    assert_false(net_receive(ssl, &m, 2600));
    /* The server said goodbye after two seconds. */
    assert_true(SSL_get_shutdown(ssl) & SSL_RECEIVED_SHUTDOWN);
    net_close(ssl);
}

static int before_each(void **state) {
    (void)state;
    atomic_store(&seen->calls, 0);
    return 0;
}

static int set_up(void **state) {
    (void)state;
    struct support_cert_spec spec = {.subject = "CN=root", .ca = 1};
    pki.root = net_issue(NULL, ESTC_KEY_P256, spec);
    pki.server =
        net_issue(&pki.root, ESTC_KEY_P256, (struct support_cert_spec){.subject = "CN=server"});
    pki.client =
        net_issue(&pki.root, ESTC_KEY_P256, (struct support_cert_spec){.subject = "CN=client"});
    pki.other =
        net_issue(&pki.root, ESTC_KEY_P256, (struct support_cert_spec){.subject = "CN=other"});
    seen = net_shared(sizeof(*seen));
    server = (struct net_server){
        .port = net_port(),
        .id = &pki.server,
        .client_root = &pki.root,
        .max_body = MAX_BODY,
        .idle_timeout = 2,
        .answer = answer,
    };
    child = net_serve(&server);
    return 0;
}

static int tear_down(void **state) {
    (void)state;
    net_stop(&child);
    net_id_clear(&pki.other);
    net_id_clear(&pki.client);
    net_id_clear(&pki.server);
    net_id_clear(&pki.root);
    net_shared_free(seen, sizeof(*seen));
    return 0;
}

#define TEST(name) cmocka_unit_test_setup(name, before_each)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(request_reaches_the_program),
        TEST(r04_refusals),
        TEST(max_age_is_sent),
        TEST(non_confirmable_request),
        TEST(repeated_request_is_answered_from_memory),
        TEST(repeated_last_block_is_answered_from_memory),
        TEST(old_request_is_not_carried_out),
        TEST(the_same_id_of_two_clients_is_two_requests),
        TEST(b06_body_in_blocks),
        TEST(b07_gaps),
        TEST(b08_b11_blocks_that_do_not_belong_together),
        TEST(b10_body_too_large),
        TEST(b04_answer_in_blocks),
        TEST(b13_post_is_carried_out_once),
        TEST(block1_and_block2),
        TEST(noise_inside_the_connection),
        TEST(failure_of_one_is_not_the_end_of_another),
        TEST(t01_plain_coap_is_not_served),
        TEST(z03_strangers_do_not_block_the_door),
        TEST(idle_connection_is_dropped),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
