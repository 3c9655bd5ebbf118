/* SPDX-License-Identifier: BSD-2-Clause */
/* What our client says about records and chains, and what becomes of a stranger's greeting. */
#include "ends.h"

#include <string.h>
#include <sys/socket.h>

#include "coap/session.h"

#define EXTENSION_MAX_FRAGMENT_LENGTH 1

/* The extension of the last ClientHello; -1: absent. */
static int see_fragment_length(SSL *ssl, int *alert, void *arg) {
    atomic_int *seen = arg;
    const unsigned char *value;
    size_t len;
    (void)alert;
    bool there = SSL_client_hello_get0_ext(ssl, EXTENSION_MAX_FRAGMENT_LENGTH, &value, &len) == 1 &&
                 len == 1;
    atomic_store(seen, there ? value[0] : -1);
    return SSL_CLIENT_HELLO_SUCCESS;
}

static void wait_only(SSL *ssl, const struct net_message *request, unsigned n, void *arg) {
    (void)ssl, (void)request, (void)n, (void)arg;
}

/* RFC 6066 section 4: 1 means 512 bytes, 2 means 1024. */
static void t12_max_fragment_length_with_small_blocks(void **state) {
    (void)state;
    static const struct {
        unsigned block_size, mtu;
        int extension;
    } rows[] = {{0, 0, -1}, {1024, 0, -1}, {512, 0, 2}, {256, 0, 1}, {64, 0, 1}, {0, 576, 1}};
    atomic_int *seen = net_shared(sizeof(*seen));
    struct net_script script = {.port = net_port(),
                                .id = &ends_pki.server,
                                .hello = see_fragment_length,
                                .step = wait_only,
                                .arg = seen};
    struct net_child child = net_act(&script);
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct estc_coaps_options o = options_for(script.port);
        struct estc_error err = {0};
        o.block_size = rows[i].block_size;
        o.mtu = rows[i].mtu;
        atomic_store(seen, -2);
        if (connect_once(&o, 8000, &err))
            fail_msg("row %zu: %s", i, err.text);
        assert_int_equal(atomic_load(seen), rows[i].extension);
    }
    net_stop(&child);
    net_shared_free(seen, sizeof(*seen));
}

/* A server that takes the extension at its word still gives whole answers. */
static void t12_small_records_carry_whole_answers(void **state) {
    (void)state;
    struct net_server server = server_for(&ends_pki.server);
    struct net_child child = net_serve(&server);
    for (unsigned size = 64; size <= 512; size *= 2) {
        struct estc_coaps_options o = options_for(server.port);
        o.block_size = size;
        struct estc_transport *t = open_transport(&o);
        round_trip(t, ESTC_POST, 3000);
        round_trip(t, ESTC_GET, 3000);
        const struct session *s = (const struct session *)t;
        const SSL_SESSION *session = SSL_get0_session(coap_session_get_tls(s->coap, NULL));
        assert_int_equal(SSL_SESSION_get_max_fragment_length(session),
                         size > 256 ? TLSEXT_max_fragment_length_1024
                                    : TLSEXT_max_fragment_length_512);
        estc_transport_free(t);
    }
    net_stop(&child);
}

/* Five certificates below the anchor, both ways. */
static void t13_chains_of_five(void **state) {
    (void)state;
    static const char *const sans[] = {"IP:::1", NULL};
    static const char *const names[] = {"CN=one", "CN=two", "CN=three", "CN=four"};
    struct net_id cas[4];
    for (size_t i = 0; i < 4; i++)
        cas[i] = net_issue(i ? &cas[i - 1] : &ends_pki.root, ESTC_KEY_P256,
                           (struct support_cert_spec){.subject = names[i], .ca = 1});
    struct net_id server_id =
        net_issue(&cas[3], ESTC_KEY_P256,
                  (struct support_cert_spec){.subject = "CN=deep server", .sans = sans});
    struct net_id client_id =
        net_issue(&cas[3], ESTC_KEY_P256, (struct support_cert_spec){.subject = "CN=deep client"});
    struct net_server server = server_for(&server_id);
    struct net_child child = net_serve(&server);
    struct estc_coaps_options o = options_for(server.port);
    o.credentials = net_credentials(&client_id);
    struct estc_transport *t = open_transport(&o);
    round_trip(t, ESTC_POST, 100);
    const struct session *s = (const struct session *)t;
    assert_int_equal(sk_X509_num(SSL_get_peer_cert_chain(coap_session_get_tls(s->coap, NULL))), 5);
    estc_transport_free(t);
    net_stop(&child);
    net_id_clear(&client_id);
    net_id_clear(&server_id);
    for (size_t i = 4; i > 0; i--)
        net_id_clear(&cas[i - 1]);
}

/* What is small and goes to the server comes twice: the ClientHellos above all. */
static unsigned greet_again(unsigned n, bool to_server, size_t len, void *arg) {
    (void)n, (void)arg;
    return to_server && len < 400 ? 2 : 1;
}

/* Nor does one of epoch 0 that anybody could send in the client's name. */
static void z03_repeated_greeting_ends_no_connection(void **state) {
    (void)state;
    struct net_server server = server_for(&ends_pki.server);
    struct net_child child = net_serve(&server);
    struct net_proxy proxy = {net_port(), server.port, greet_again, NULL};
    struct net_child between = net_forward(&proxy);
    struct estc_coaps_options o = options_for(proxy.port);
    struct estc_transport *t = open_transport(&o);
    struct estc_wait wait = estc_wait_in(10000);
    assert_int_equal(t->ops->connect(t, &wait, NULL), 0);
    uint64_t connection = ((const struct session *)t)->connection;
    round_trip(t, ESTC_POST, 2000);
    /* A ClientHello by hand, from the same address as the client's: the proxy's socket. */
    static const unsigned char hello[] = {
        22,   0xfe, 0xff, 0,  0,  0,  0,  0,  0,  0,  9,    0,    54, /* record of epoch 0 */
        1,    0,    0,    42, 0,  0,  0,  0,  0,  0,  0,    42,       /* ClientHello */
        0xfe, 0xfd, 1,    2,  3,  4,  5,  6,  7,  8,  9,    10,   11, 12,
        13,   14,   15,   16, 17, 18, 19, 20, 21, 22, 23,   24,   25, 26,
        27,   28,   29,   30, 31, 32, 0,  0,  0,  2,  0xc0, 0x2b, 1,  0};
    const struct session *s = (const struct session *)t;
    const coap_address_t *own = coap_session_get_addr_local(s->coap);
    for (int fd = 0; fd < 256; fd++) {
        coap_address_t name = {.size = sizeof(name.addr)};
        if (getsockname(fd, &name.addr.sa, &name.size) == 0 && coap_address_equals(&name, own))
            for (int i = 0; i < 5; i++)
                assert_int_equal(send(fd, hello, sizeof(hello), 0), sizeof(hello));
    }
    round_trip(t, ESTC_POST, 2000);
    round_trip(t, ESTC_GET, 2000);
    assert_int_equal(s->connection, connection);
    estc_transport_free(t);
    net_stop(&between);
    net_stop(&child);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(t12_max_fragment_length_with_small_blocks),
        cmocka_unit_test(t12_small_records_carry_whole_answers),
        cmocka_unit_test(t13_chains_of_five),
        cmocka_unit_test(z03_repeated_greeting_ends_no_connection),
    };
    return cmocka_run_group_tests(tests, ends_set_up, ends_tear_down);
}
