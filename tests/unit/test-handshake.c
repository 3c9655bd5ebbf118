/* SPDX-License-Identifier: BSD-2-Clause */
/* The flights of both ends, in one process and over memory: how they are cut. */
#include "ends.h"

#include <poll.h>
#include <string.h>

#include "coap/handshake.h"

#define RECORD_HEADER 13
#define MESSAGE_HEADER 12
#define CERTIFICATE 11

struct ends_ssl {
    SSL *server, *client;
};

/* What a flight consists of. */
struct flight_seen {
    unsigned beginnings_of_one_byte, handshake_records;
    size_t largest; /* record with a part of the Certificate in it */
};

static int take_any(X509_STORE_CTX *store, void *arg) {
    (void)store, (void)arg;
    return 1;
}

static SSL_CTX *make_end(const SSL_METHOD *method, const struct net_id *id) {
    SSL_CTX *ctx = SSL_CTX_new(method);
    assert_true(ctx && SSL_CTX_use_cert_and_key(ctx, id->cert, id->key, NULL, 1));
    SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER, NULL); /* the client shows one as well */
    SSL_CTX_set_cert_verify_callback(ctx, take_any, NULL);
    return ctx;
}

static SSL *make_ssl(SSL_CTX *ctx, bool server) {
    SSL *ssl = SSL_new(ctx);
    BIO *in = BIO_new(BIO_s_mem()), *out = BIO_new(BIO_s_mem());
    assert_true(ssl && in && out);
    BIO_set_mem_eof_return(in, -1);
    SSL_set_bio(ssl, in, out);
    SSL_set_options(ssl, SSL_OP_NO_QUERY_MTU); /* memory has no idea of it; nor has libcoap */
    SSL_set_mtu(ssl, 1232);
    if (server)
        SSL_set_accept_state(ssl);
    else
        SSL_set_connect_state(ssl);
    return ssl;
}

static struct ends_ssl make_ends(SSL_CTX *server, SSL_CTX *client) {
    return (struct ends_ssl){make_ssl(server, true), make_ssl(client, false)};
}

static void free_ends(struct ends_ssl *ends) {
    SSL_free(ends->server);
    SSL_free(ends->client);
}

static size_t number(const unsigned char *at, size_t bytes) {
    size_t n = 0;
    for (size_t i = 0; i < bytes; i++)
        n = n << 8 | at[i];
    return n;
}

static void see(const unsigned char *record, size_t len, struct flight_seen *seen) {
    const unsigned char *message = record + RECORD_HEADER;
    if (record[0] != SSL3_RT_HANDSHAKE || number(record + 3, 2) > 0) /* encrypted */
        return;
    size_t whole = number(message + 1, 3), at = number(message + 6, 3);
    size_t part = number(message + 9, 3);
    seen->handshake_records++;
    seen->beginnings_of_one_byte += at == 0 && part == 1 && whole > 1;
    if (message[0] == CERTIFICATE && len > seen->largest)
        seen->largest = len;
}

/* One end's words to the other. */
static void pass_on(SSL *from, SSL *to, struct flight_seen *seen) {
    unsigned char data[8192];
    int n = BIO_read(SSL_get_wbio(from), data, sizeof(data));
    size_t len = n > 0 ? (size_t)n : 0;
    for (size_t at = 0, record; at < len; at += record) {
        record = RECORD_HEADER + number(data + at + 11, 2);
        assert_true(at + record <= len);
        if (seen)
            see(data + at, record, seen);
    }
    if (to && len > 0)
        assert_int_equal(BIO_write(SSL_get_rbio(to), data, n), n);
}

static void shake_hands(const struct ends_ssl *ends, struct flight_seen *server,
                        struct flight_seen *client) {
    for (int i = 0; i < 10 && !SSL_is_init_finished(ends->client); i++) {
        SSL_do_handshake(ends->client);
        pass_on(ends->client, ends->server, client);
        SSL_do_handshake(ends->server);
        pass_on(ends->server, ends->client, server);
    }
    assert_true(SSL_is_init_finished(ends->client));
}

/* GnuTLS 3.7.9 cannot put such messages together. */
static void assert_cut_well(const struct net_id *server_id, size_t size) {
    SSL_CTX *server = make_end(DTLS_server_method(), server_id);
    SSL_CTX *client = make_end(DTLS_client_method(), &ends_pki.client);
    struct handshake h[2] = {{.first_s = 1, .datagram = size}, {.first_s = 1, .datagram = size}};
    struct flight_seen seen[2] = {0};
    assert_int_equal(handshake_watch(server, &h[0]), 0);
    assert_int_equal(handshake_watch(client, &h[1]), 0);
    struct ends_ssl ends = make_ends(server, client);
    shake_hands(&ends, &seen[0], &seen[1]);
    for (int i = 0; i < 2; i++) {
        assert_true(seen[i].handshake_records > 3);
        if (seen[i].beginnings_of_one_byte > 0)
            fail_msg("%s with datagrams of %zu bytes", i ? "client" : "server", size);
    }
    free_ends(&ends);
    handshake_bury(&h[0]);
    handshake_bury(&h[1]);
    SSL_CTX_free(server);
    SSL_CTX_free(client);
}

/* Among so many sizes are some where each message of either flight would come to begin so. */
static void no_message_begins_with_a_single_byte(void **state) {
    (void)state;
    for (size_t size = HANDSHAKE_DATAGRAM_MIN; size < 900; size++)
        assert_cut_well(&ends_pki.server, size);
}

/* A certificate of each length, until a datagram is full. */
static void nor_does_one_in_the_smallest_datagrams(void **state) {
    (void)state;
    char san[HANDSHAKE_DATAGRAM_MIN + 8] = "DNS:";
    const char *const sans[] = {san, NULL};
    for (size_t len = 4; len < HANDSHAKE_DATAGRAM_MIN; len++) {
        san[len] = len % 40 ? 'a' : '.';
        if (san[len] == '.')
            continue; /* a name does not end so */
        struct net_id id = net_issue(&ends_pki.root, ESTC_KEY_P256,
                                     (struct support_cert_spec){.subject = "CN=l", .sans = sans});
        assert_cut_well(&id, HANDSHAKE_DATAGRAM_MIN);
        net_id_clear(&id);
    }
}

/* Two clients at a time, both behind a path that carries less: each flight is cut for itself. */
static void m04_silence_shrinks_each_handshake(void **state) {
    (void)state;
    static const char *const sans[] = {
        "DNS:a-name-of-some-length.that-fills-a-certificate.and-says-nothing-else.at-all.test",
        "DNS:b-name-of-some-length.that-fills-a-certificate.and-says-nothing-else.at-all.test",
        "DNS:c-name-of-some-length.that-fills-a-certificate.and-says-nothing-else.at-all.test",
        "DNS:d-name-of-some-length.that-fills-a-certificate.and-says-nothing-else.at-all.test",
        NULL};
    struct net_id large = net_issue(&ends_pki.root, ESTC_KEY_P256,
                                    (struct support_cert_spec){.subject = "CN=l", .sans = sans});
    SSL_CTX *client = make_end(DTLS_client_method(), &ends_pki.client);
    SSL_CTX *server = make_end(DTLS_server_method(), &large);
    struct handshake h = {.first_s = 1, .datagram = 1232};
    struct flight_seen seen[2] = {0};
    assert_int_equal(handshake_watch(server, &h), 0);
    struct ends_ssl ends[2] = {make_ends(server, client), make_ends(server, client)};
    for (int i = 0; i < 2; i++) {
        SSL_do_handshake(ends[i].client);
        pass_on(ends[i].client, ends[i].server, NULL);
        SSL_do_handshake(ends[i].server);
        pass_on(ends[i].server, NULL, &seen[i]);
        assert_true(seen[i].largest > 548);
    }
    for (int repeated = 0; repeated < 6; poll(NULL, 0, 20)) {
        for (int i = 0; i < 2; i++) {
            if (DTLSv1_handle_timeout(ends[i].server) != 1)
                continue;
            repeated++;
            seen[i].largest = 0;
            pass_on(ends[i].server, NULL, &seen[i]);
        }
    }
    for (int i = 0; i < 2; i++) {
        assert_in_range(seen[i].largest, 400, 548);
        assert_int_equal(seen[i].beginnings_of_one_byte, 0);
        free_ends(&ends[i]);
    }
    handshake_bury(&h);
    SSL_CTX_free(server);
    SSL_CTX_free(client);
    net_id_clear(&large);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_message_begins_with_a_single_byte),
        cmocka_unit_test(nor_does_one_in_the_smallest_datagrams),
        cmocka_unit_test(m04_silence_shrinks_each_handshake),
    };
    return cmocka_run_group_tests(tests, ends_set_up, ends_tear_down);
}
