/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Our listener against single messages: requests, repeated datagrams, options that have no business
 * here, and noise.
 */
#include "dial.h"

#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>

/* Requests */

static void request_reaches_the_program(void **state) {
    (void)state;
    SSL *ssl = dial(&dial_pki.client);
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
    assert_string_equal(dial_seen->path, "/.well-known/est/label/sen");
    assert_string_equal(dial_seen->subject, "/CN=client");
    assert_int_equal(strncmp(dial_seen->address, "[::1]:", 6), 0);
    assert_int_equal(dial_seen->last.method, ESTC_POST);
    assert_int_equal(dial_seen->last.content_format, 286);
    assert_int_equal(dial_seen->last.accept, 281);
    assert_memory_equal(dial_seen->body, "body", 4);
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
    SSL *ssl = dial(&dial_pki.client);
    for (size_t i = 0; i < COUNT(rows); i++) {
        atomic_store(&dial_seen->calls, 0);
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
    SSL *ssl = dial(&dial_pki.client);
    struct net_coap m = request(2, "/busy");
    struct net_message a = exchange(ssl, &m);
    assert_int_equal(a.code, NET_CODE(5, 3));
    assert_int_equal(net_option(&a, OPT_MAX_AGE), 120);
    net_close(ssl);
}

static void non_confirmable_request(void **state) {
    (void)state;
    SSL *ssl = dial(&dial_pki.client);
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
    SSL *ssl = dial(&dial_pki.client);
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
    SSL *ssl = dial(&dial_pki.client);
    assert_int_equal(block(ssl, "/x", 0, true, 2, 64, -1).code, NET_CODE(2, 31));
    request_repeat();
    assert_int_equal(block(ssl, "/x", 0, true, 2, 64, -1).code, NET_CODE(2, 31));
    assert_int_equal(block(ssl, "/x", 1, false, 2, 10, -1).code, NET_CODE(2, 4));
    request_repeat();
    struct net_message a = block(ssl, "/x", 1, false, 2, 10, -1);
    assert_int_equal(a.code, NET_CODE(2, 4));
    assert_int_equal(calls(), 1);
    assert_int_equal(dial_seen->last.payload_len, 74);
    net_close(ssl);
}

/* An old one is recognised though its answer is gone, and is not carried out again. */
static void old_request_is_not_carried_out(void **state) {
    (void)state;
    SSL *ssl = dial(&dial_pki.client);
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
    SSL *a = dial(&dial_pki.client), *b = dial(&dial_pki.other);
    struct net_coap m = request(2, "/x");
    exchange(a, &m);
    assert_string_equal(dial_seen->subject, "/CN=client");
    exchange(b, &m);
    assert_string_equal(dial_seen->subject, "/CN=other");
    assert_int_equal(calls(), 2);
    net_close(a);
    net_close(b);
}

/* Noise */

static void noise_inside_the_connection(void **state) {
    (void)state;
    SSL *ssl = dial(&dial_pki.client);
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
    ssl = dial(&dial_pki.client);
    m = request(1, "/size/1");
    assert_int_equal(exchange(ssl, &m).code, NET_CODE(2, 5));
    net_close(ssl);
}

/* OpenSSL's error queue belongs to the thread, not to a connection: what a stranger's failed
 * handshake leaves there must not look like an error of the next one who sends something. */
static void failure_of_one_is_not_the_end_of_another(void **state) {
    (void)state;
    SSL *ssl = dial(&dial_pki.client);
    struct net_tls bad = {
        .id = &dial_pki.client, .suites = "ECDHE-ECDSA-AES128-SHA256", .version = DTLS1_2_VERSION};
    assert_null(net_connect(dial_port(), &bad, NULL));
    static const unsigned char junk[] = {23, 0xfe, 0xfd, 0, 1};
    assert_int_equal(send(SSL_get_fd(ssl), junk, sizeof(junk), 0), sizeof(junk));
    struct net_coap m = request(1, "/size/1");
    assert_int_equal(exchange(ssl, &m).code, NET_CODE(2, 5));
    net_close(ssl);
}

static int udp_to_server(void) {
    int fd = socket(AF_INET6, SOCK_DGRAM, 0);
    struct sockaddr_in6 to = {.sin6_family = AF_INET6, .sin6_port = htons(dial_port())};
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
    SSL *ssl = dial(&dial_pki.client);
    struct net_coap m = request(1, "/size/1");
    assert_int_equal(exchange(ssl, &m).code, NET_CODE(2, 5));
    net_close(ssl);
}

static void idle_connection_is_dropped(void **state) {
    (void)state;
    SSL *ssl = dial(&dial_pki.client);
    struct net_message m;
    assert_false(net_receive(ssl, &m, 2600));
    /* The server said goodbye after two seconds. */
    assert_true(SSL_get_shutdown(ssl) & SSL_RECEIVED_SHUTDOWN);
    net_close(ssl);
}

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
        TEST(noise_inside_the_connection),
        TEST(failure_of_one_is_not_the_end_of_another),
        TEST(t01_plain_coap_is_not_served),
        TEST(z03_strangers_do_not_block_the_door),
        TEST(idle_connection_is_dropped),
    };
    return cmocka_run_group_tests(tests, dial_set_up, dial_tear_down);
}
