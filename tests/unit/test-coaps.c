/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Our client and our listener over real sockets: bodies of all sizes, connections that break,
 * networks that repeat and lose.
 */
#include "ends.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Bodies */

static void bodies_of_all_sizes_in_blocks_of_all_sizes(void **state) {
    (void)state;
    static const size_t lengths[] = {0,  1,   15,   16,   17,   63,   64,
                                     65, 511, 1023, 1024, 1025, 2048, 3333};
    struct net_server server = server_for(&ends_pki.server);
    struct net_child child = net_serve(&server);
    for (unsigned size = 16; size <= 1024; size *= 2) {
        struct estc_coaps_options o = options_for(server.port);
        o.block_size = size;
        struct estc_transport *t = open_transport(&o);
        unsigned before = atomic_load(ends_calls);
        for (size_t i = 0; i < COUNT(lengths); i++) {
            round_trip(t, ESTC_POST, lengths[i]);
            round_trip(t, ESTC_GET, lengths[i]);
        }
        round_trip(t, ESTC_GET, 16384);
        round_trip(t, ESTC_POST, 16384);
        assert_int_equal(atomic_load(ends_calls) - before, 2 * COUNT(lengths) + 2);
        estc_transport_free(t);
    }
    net_stop(&child);
}

static void body_beyond_the_servers_limit(void **state) {
    (void)state;
    struct net_server server = server_for(&ends_pki.server);
    struct net_child child = net_serve(&server);
    struct estc_coaps_options o = options_for(server.port);
    struct estc_transport *t = open_transport(&o);
    unsigned char *body = calloc(1, 40000);
    struct estc_request q = {.method = ESTC_POST,
                             .path = "/x",
                             .content_format = -1,
                             .accept = -1,
                             .payload = body,
                             .payload_len = 40000};
    struct estc_wait wait = estc_wait_in(5000);
    struct estc_response r = {0};
    unsigned before = atomic_load(ends_calls);
    assert_int_equal(t->ops->request(t, &q, &wait, &r, NULL), 0);
    assert_int_equal(r.code, 413);
    assert_int_equal(atomic_load(ends_calls), before);
    estc_response_clear(&r);
    round_trip(t, ESTC_POST, 10); /* the connection is as good as before */
    estc_transport_free(t);
    free(body);
    net_stop(&child);
}

/* Connections that break */

static void server_that_restarts(void **state) {
    (void)state;
    struct net_server server = server_for(&ends_pki.server);
    struct net_child child = net_serve(&server);
    struct estc_coaps_options o = options_for(server.port);
    struct estc_transport *t = open_transport(&o);
    round_trip(t, ESTC_POST, 100);
    net_stop(&child); /* says goodbye */
    child = net_serve(&server);
    round_trip(t, ESTC_POST, 100);
    net_stop(&child);
    child = net_serve(&server);
    round_trip(t, ESTC_GET, 2000);
    /* Gone for good. */
    net_stop(&child);
    struct estc_request q = {.path = "/1", .content_format = -1, .accept = -1};
    struct estc_wait wait = estc_wait_in(5000);
    struct estc_response r = {0};
    struct estc_error err = {0};
    assert_int_equal(t->ops->request(t, &q, &wait, &r, &err), ESTC_E_UNREACHABLE);
    estc_transport_free(t);
}

static void second_listener_on_a_port(void **state) {
    (void)state;
    struct net_server server = server_for(&ends_pki.server);
    struct net_child child = net_serve(&server);
    static const char *const addresses[] = {NULL, "::1", "0.0.0.0", "127.0.0.1"};
    for (size_t i = 0; i < COUNT(addresses); i++) {
        struct estc_listener_options o = {
            .address = addresses[i],
            .port = server.port,
            .credentials = net_credentials(&ends_pki.server),
            .client_trust = ends_pki.trust,
            .answer = ends_answer,
        };
        struct estc_listener *l = NULL;
        struct estc_error err = {0};
        assert_int_equal(estc_listener_new(&o, &l, &err), -EADDRINUSE);
        char port[8];
        snprintf(port, sizeof(port), "%u", server.port);
        assert_non_null(strstr(err.text, port));
        assert_non_null(strstr(err.text, "another program uses it"));
    }
    net_stop(&child);
}

static void wrong_options(void **state) {
    (void)state;
    struct estc_coaps_options o = options_for(1);
    struct estc_transport *t = NULL;
    o.block_size = 100;
    assert_int_equal(estc_coaps_new(&o, &t, NULL), -EINVAL);
    o.block_size = 0;
    o.host = "";
    assert_int_equal(estc_coaps_new(&o, &t, NULL), -EINVAL);
    o = options_for(1);
    o.credentials.key = NULL;
    assert_int_equal(estc_coaps_new(&o, &t, NULL), -EINVAL);
    o = options_for(1);
    o.credentials.key = ends_pki.server.key; /* not the certificate's */
    struct estc_error err = {0};
    assert_int_equal(connect_once(&o, 1000, &err), ESTC_E_CREDENTIAL);
    struct estc_listener_options lo = {.address = "localhost",
                                       .credentials = net_credentials(&ends_pki.server),
                                       .client_trust = ends_pki.trust,
                                       .answer = ends_answer};
    struct estc_listener *l = NULL;
    assert_int_equal(estc_listener_new(&lo, &l, &err), -EINVAL);
    lo.address = "192.0.2.77";
    assert_int_equal(estc_listener_new(&lo, &l, &err), -EADDRNOTAVAIL);
}

/* Networks that repeat and lose */

static unsigned all_twice(unsigned n, bool to_server, size_t len, void *arg) {
    (void)n, (void)to_server, (void)len, (void)arg;
    return 2;
}

/* Small blocks and no retransmission of a whole flight: every sixth is lost on average. */
static unsigned every_third_lost(unsigned n, bool to_server, size_t len, void *arg) {
    (void)len, (void)arg;
    return to_server ? n % 3 != 1 : 1;
}

/* Once the handshake is done, the first answers are lost: the client has to repeat itself. */
static unsigned first_answers_lost(unsigned n, bool to_server, size_t len, void *arg) {
    atomic_uint *lost = arg;
    (void)n;
    if (to_server || len < 60 || len > 200 || atomic_load(lost) == 0)
        return 1;
    atomic_fetch_sub(lost, 1);
    return 0;
}

static void repeated_datagrams(void **state) {
    (void)state;
    struct net_server server = server_for(&ends_pki.server);
    struct net_child child = net_serve(&server);
    struct net_proxy proxy = {net_port(), server.port, all_twice, NULL};
    struct net_child between = net_forward(&proxy);
    struct estc_coaps_options o = options_for(proxy.port);
    o.block_size = 64;
    struct estc_transport *t = open_transport(&o);
    unsigned before = atomic_load(ends_calls);
    round_trip(t, ESTC_POST, 1000);
    round_trip(t, ESTC_GET, 1000);
    assert_int_equal(atomic_load(ends_calls) - before, 2);
    estc_transport_free(t);
    net_stop(&between);
    net_stop(&child);
}

static void lost_datagrams(void **state) {
    (void)state;
    struct net_server server = server_for(&ends_pki.server);
    struct net_child child = net_serve(&server);
    struct net_proxy proxy = {net_port(), server.port, every_third_lost, NULL};
    struct net_child between = net_forward(&proxy);
    struct estc_coaps_options o = options_for(proxy.port);
    struct estc_transport *t = open_transport(&o);
    unsigned before = atomic_load(ends_calls);
    round_trip(t, ESTC_POST, 2000);
    assert_int_equal(atomic_load(ends_calls) - before, 1);
    estc_transport_free(t);
    net_stop(&between);
    net_stop(&child);
}

/* The request arrived, its answer did not: the repeated request must not be carried out again. */
static void lost_answer(void **state) {
    (void)state;
    struct net_server server = server_for(&ends_pki.server);
    struct net_child child = net_serve(&server);
    atomic_uint *lost = net_shared(sizeof(*lost));
    struct net_proxy proxy = {net_port(), server.port, first_answers_lost, lost};
    struct net_child between = net_forward(&proxy);
    struct estc_coaps_options o = options_for(proxy.port);
    struct estc_transport *t = open_transport(&o);
    struct estc_wait wait = estc_wait_in(5000);
    assert_int_equal(t->ops->connect(t, &wait, NULL), 0);
    atomic_store(lost, 1);
    unsigned before = atomic_load(ends_calls);
    round_trip(t, ESTC_POST, 50);
    assert_int_equal(atomic_load(lost), 0);
    assert_int_equal(atomic_load(ends_calls) - before, 1);
    estc_transport_free(t);
    net_stop(&between);
    net_stop(&child);
    net_shared_free(lost, sizeof(*lost));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bodies_of_all_sizes_in_blocks_of_all_sizes),
        cmocka_unit_test(body_beyond_the_servers_limit),
        cmocka_unit_test(server_that_restarts),
        cmocka_unit_test(second_listener_on_a_port),
        cmocka_unit_test(wrong_options),
        cmocka_unit_test(repeated_datagrams),
        cmocka_unit_test(lost_datagrams),
        cmocka_unit_test(lost_answer),
    };
    return cmocka_run_group_tests(tests, ends_set_up, ends_tear_down);
}
