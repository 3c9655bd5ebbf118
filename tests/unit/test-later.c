/* SPDX-License-Identifier: BSD-2-Clause */
/* Answers that come later: what our listener sends meanwhile, then, and to whom not at all. */
#include "net.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>

#define OPT_BLOCK2 23
#define OPT_BLOCK1 27
#define POST 2
#define GET 1
#define CHANGED NET_CODE(2, 4)
#define BUSY NET_CODE(5, 3)
#define MAX_WAITING 3
#define TICKETS 16

/* What both processes see. */
static struct stage {
    atomic_uint calls; /* of the answer function */
    atomic_uint size;  /* > 0: the answers that are due are given, with a body of so many bytes */
    atomic_uint answered, gone;
    atomic_uint has_binding;
} * stage;

/* --- the server --- */

static uint64_t tickets[TICKETS];
static unsigned n_tickets;

/* GET /now: 2.05 at once. POST: later if it may be, else 5.03. */
static void answer(void *arg, const struct estc_peer *peer, const struct estc_request *q,
                   struct estc_response *r) {
    (void)arg;
    atomic_fetch_add(&stage->calls, 1);
    atomic_store(&stage->has_binding, peer->binding != NULL);
    if (q->method == ESTC_GET) {
        r->code = 205;
        return;
    }
    r->code = 503;
    if (q->ticket && n_tickets < TICKETS) {
        tickets[n_tickets++] = q->ticket;
        r->later = true;
    } else {
        r->later = q->ticket == 0; /* without a ticket this means nothing */
    }
}

static void tick(struct estc_listener *l, void *arg) {
    (void)arg;
    unsigned size = atomic_load(&stage->size);
    if (size == 0)
        return;
    for (unsigned i = 0; i < n_tickets; i++) {
        struct estc_response r = {.code = 204, .content_format = 281, .max_age = -1};
        for (unsigned k = 0; k < size; k++)
            NET_CHECK(!estc_buf_append(&r.payload, &(unsigned char){(unsigned char)(k * 7)}, 1));
        int rc = estc_listener_respond(l, tickets[i], &r);
        NET_CHECK(rc == 0 || rc == -ENOENT);
        NET_CHECK(!r.payload.data);
        atomic_fetch_add(rc ? &stage->gone : &stage->answered, 1);
        struct estc_response again = {.code = 204};
        NET_CHECK(estc_listener_respond(l, tickets[i], &again) == -ENOENT); /* once only */
    }
    struct estc_response none = {.code = 204};
    NET_CHECK(estc_listener_respond(l, 0, &none) == -ENOENT);
    n_tickets = 0;
    atomic_store(&stage->size, 0);
}

/* --- the client --- */

static struct net_id root, server_id, client_id;
static struct net_server server;
static struct net_child child;
static uint16_t next_mid = 100;

static SSL *dial(void) {
    struct net_tls how = {.id = &client_id, .version = DTLS1_2_VERSION};
    SSL *ssl = net_connect(server.port, &how, NULL);
    assert_non_null(ssl);
    return ssl;
}

static struct net_coap request(unsigned type, unsigned code, const char *path) {
    struct net_coap m;
    uint16_t mid = next_mid++;
    net_coap_begin(&m, type, code, mid, &mid, 2);
    net_coap_path(&m, path);
    return m;
}

static uint16_t mid_of(const struct net_coap *m) {
    return (uint16_t)(m->data[2] << 8 | m->data[3]);
}

static struct net_message receive(SSL *ssl, int ms) {
    struct net_message a = {0};
    if (!net_receive(ssl, &a, ms))
        fail_msg("nothing came");
    return a;
}

static void assert_silence(SSL *ssl, int ms) {
    struct net_message a = {0};
    if (net_receive(ssl, &a, ms))
        fail_msg("%u.%02u of type %u came", a.code >> 5, a.code & 31, a.type);
}

static void assert_empty_ack(SSL *ssl, const struct net_coap *m) {
    struct net_message a = receive(ssl, 2000);
    assert_int_equal(a.type, NET_ACK);
    assert_int_equal(a.code, 0);
    assert_int_equal(a.mid, mid_of(m));
    assert_int_equal(a.token_len, 0);
    assert_int_equal(a.payload_len, 0);
}

/* A POST that is acknowledged and not answered. */
static struct net_coap leave_waiting(SSL *ssl) {
    struct net_coap m = request(NET_CON, POST, "/wait");
    net_send(ssl, &m);
    assert_empty_ack(ssl, &m);
    return m;
}

static struct net_message take_answer(SSL *ssl, const struct net_coap *m, size_t size) {
    struct net_message a = receive(ssl, 2000);
    assert_int_equal(a.type, NET_CON);
    assert_int_equal(a.code, CHANGED);
    assert_int_equal(a.token_len, 2);
    assert_memory_equal(a.token, m->data + 4, 2); /* the token says whose it is */
    assert_int_equal(a.payload_len, size);
    return a;
}

static void acknowledge(SSL *ssl, const struct net_message *a) {
    struct net_coap ack;
    net_coap_begin(&ack, NET_ACK, 0, a->mid, NULL, 0);
    net_send(ssl, &ack);
}

static void answer_all(unsigned size) {
    atomic_store(&stage->size, size);
}

static void wait_until_answered(unsigned answered, unsigned gone) {
    for (int i = 0; i < 100 && atomic_load(&stage->size); i++)
        poll(NULL, 0, 20);
    assert_int_equal(atomic_load(&stage->answered), answered);
    assert_int_equal(atomic_load(&stage->gone), gone);
}

/* --- the tests --- */

static void d01_the_answer_is_a_message_of_its_own(void **state) {
    (void)state;
    SSL *ssl = dial();
    struct net_coap m = leave_waiting(ssl);
    assert_silence(ssl, 300);
    answer_all(10);
    struct net_message a = take_answer(ssl, &m, 10);
    assert_int_equal(net_option(&a, OPT_BLOCK2), -1);
    assert_int_equal(net_option(&a, OPT_BLOCK1), -1);
    acknowledge(ssl, &a);
    assert_silence(ssl, 3500); /* acknowledged: not sent again */
    wait_until_answered(1, 0);
    assert_int_equal(atomic_load(&stage->calls), 1);
    net_close(ssl);
}

static void d01_it_is_repeated_until_acknowledged(void **state) {
    (void)state;
    SSL *ssl = dial();
    struct net_coap m = leave_waiting(ssl);
    answer_all(3);
    struct net_message a = take_answer(ssl, &m, 3);
    struct net_message again = receive(ssl, 4000);
    assert_int_equal(again.len, a.len);
    assert_memory_equal(again.data, a.data, a.len);
    acknowledge(ssl, &again);
    assert_silence(ssl, 500);
    net_close(ssl);
}

static void d02_e13_a_repeated_request_gets_an_empty_ack_again(void **state) {
    (void)state;
    SSL *ssl = dial();
    struct net_coap m = leave_waiting(ssl);
    for (int i = 0; i < 3; i++) {
        net_send(ssl, &m);
        assert_empty_ack(ssl, &m);
    }
    answer_all(3);
    struct net_message a = take_answer(ssl, &m, 3);
    acknowledge(ssl, &a);
    net_send(ssl, &m); /* never piggybacked, not even now that the answer is there */
    assert_empty_ack(ssl, &m);
    assert_int_equal(atomic_load(&stage->calls), 1);
    net_close(ssl);
}

static struct net_message ask_block(SSL *ssl, const char *path, unsigned num, bool body) {
    struct net_coap m = request(NET_CON, POST, path);
    if (body)
        net_coap_block(&m, OPT_BLOCK1, num, num == 0, 4);
    else
        net_coap_block(&m, OPT_BLOCK2, num, false, 6);
    char data[256] = "";
    if (body)
        net_coap_payload(&m, data, num == 0 ? 256 : 7);
    net_send(ssl, &m);
    struct net_message a = receive(ssl, 2000);
    assert_int_equal(a.type, NET_ACK);
    return a;
}

static void d01_d02_blocks_up_and_blocks_down(void **state) {
    (void)state;
    SSL *ssl = dial();
    assert_int_equal(ask_block(ssl, "/wait", 0, true).code, NET_CODE(2, 31));
    struct net_message ack = ask_block(ssl, "/wait", 1, true);
    assert_int_equal(ack.code, 0);
    /* There is nothing to page through yet. */
    assert_int_equal(ask_block(ssl, "/wait", 1, false).code, NET_CODE(4, 8));
    answer_all(2500);
    struct net_message a = receive(ssl, 2000);
    assert_int_equal(a.type, NET_CON);
    assert_int_equal(a.code, CHANGED);
    assert_int_equal(net_option(&a, OPT_BLOCK1), 1 << 4 | 4);
    assert_int_equal(net_option(&a, OPT_BLOCK2), 8 | 6);
    assert_int_equal(a.payload_len, 1024);
    acknowledge(ssl, &a);
    struct net_message b = ask_block(ssl, "/wait", 1, false), c = ask_block(ssl, "/wait", 2, false);
    assert_int_equal(b.code, CHANGED);
    assert_int_equal(net_option(&b, OPT_BLOCK2), 1 << 4 | 8 | 6);
    assert_int_equal(net_option(&b, OPT_BLOCK1), -1);
    assert_int_equal(c.payload_len, 2500 - 2048);
    assert_int_equal(c.data[c.payload_at], (unsigned char)(2048 * 7));
    assert_int_equal(atomic_load(&stage->calls), 1);
    net_close(ssl);
}

/* Only one at a time, but anything else is answered meanwhile. */
static void one_of_a_connection_waits(void **state) {
    (void)state;
    SSL *ssl = dial();
    struct net_coap first = leave_waiting(ssl);
    struct net_coap get = request(NET_CON, GET, "/now");
    net_send(ssl, &get);
    assert_int_equal(receive(ssl, 2000).code, NET_CODE(2, 5));
    struct net_coap second = request(NET_CON, POST, "/wait");
    net_send(ssl, &second);
    assert_int_equal(receive(ssl, 2000).code, BUSY);
    answer_all(4);
    struct net_message a = take_answer(ssl, &first, 4);
    acknowledge(ssl, &a);
    net_close(ssl);
}

static void the_number_of_those_who_wait_is_limited(void **state) {
    (void)state;
    SSL *ssl[MAX_WAITING];
    for (int i = 0; i < MAX_WAITING; i++)
        leave_waiting(ssl[i] = dial());
    SSL *late = dial();
    struct net_coap m = request(NET_CON, POST, "/wait");
    net_send(late, &m);
    assert_int_equal(receive(late, 2000).code, BUSY);
    net_close(ssl[0]); /* one place is free again */
    for (int i = 0; i < 50; i++) {
        m = request(NET_CON, POST, "/wait");
        net_send(late, &m);
        if (receive(late, 2000).code == 0)
            break;
        poll(NULL, 0, 20);
    }
    answer_all(5);
    for (int i = 1; i < MAX_WAITING; i++) {
        struct net_message a = receive(ssl[i], 2000);
        assert_int_equal(a.code, CHANGED);
        net_close(ssl[i]);
    }
    take_answer(late, &m, 5);
    wait_until_answered(MAX_WAITING, 1);
    net_close(late);
}

static void who_has_gone_is_left_alone(void **state) {
    (void)state;
    SSL *ssl = dial();
    leave_waiting(ssl);
    int fd = dup(SSL_get_fd(ssl));
    net_close(ssl);
    poll(NULL, 0, 100);
    answer_all(5);
    wait_until_answered(0, 1);
    struct pollfd p = {.fd = fd, .events = POLLIN};
    while (poll(&p, 1, 500) > 0) {
        unsigned char record[2048];
        ssize_t n = recv(fd, record, sizeof(record), 0);
        if (n > 0)
            assert_int_not_equal(record[0], 22); /* a ClientHello would be a handshake record */
    }
    close(fd);
}

/* idle_timeout is a second. */
static void who_waits_is_not_idle(void **state) {
    (void)state;
    SSL *ssl = dial();
    struct net_coap m = leave_waiting(ssl);
    poll(NULL, 0, 3500);
    SSL *other = dial(); /* libcoap looks for idle sessions when something happens */
    answer_all(6);
    struct net_message a = take_answer(ssl, &m, 6);
    acknowledge(ssl, &a);
    net_close(other);
    net_close(ssl);
}

static void who_asked_without_confirmation_gets_none(void **state) {
    (void)state;
    SSL *ssl = dial();
    struct net_coap m = request(NET_NON, POST, "/wait");
    net_send(ssl, &m);
    assert_silence(ssl, 300);
    answer_all(2);
    struct net_message a = receive(ssl, 2000);
    assert_int_equal(a.type, NET_NON);
    assert_int_equal(a.code, CHANGED);
    assert_memory_equal(a.token, m.data + 4, 2);
    assert_silence(ssl, 3500);
    net_close(ssl);
}

/* The server ends with an answer due (set_down), and nothing is wrong with that. */
static void one_is_left_over(void **state) {
    (void)state;
    SSL *ssl = dial();
    leave_waiting(ssl);
    assert_int_equal(atomic_load(&stage->has_binding), 1);
    SSL_free(ssl); /* without a word */
}

static int before_each(void **state) {
    (void)state;
    for (int i = 0; i < 250 && atomic_load(&stage->size); i++) /* the last test's */
        poll(NULL, 0, 20);
    atomic_uint *const all[] = {&stage->calls, &stage->answered, &stage->gone};
    for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
        atomic_store(all[i], 0);
    return 0;
}

static int set_up(void **state) {
    (void)state;
    root = net_issue(NULL, ESTC_KEY_P256, (struct support_cert_spec){.subject = "CN=r", .ca = 1});
    server_id = net_issue(&root, ESTC_KEY_P256, (struct support_cert_spec){.subject = "CN=server"});
    client_id = net_issue(&root, ESTC_KEY_P256, (struct support_cert_spec){.subject = "CN=client"});
    stage = net_shared(sizeof(*stage));
    server = (struct net_server){.port = net_port(),
                                 .id = &server_id,
                                 .client_root = &root,
                                 .max_body = 4096,
                                 .idle_timeout = 1,
                                 .max_waiting = MAX_WAITING,
                                 .answer = answer,
                                 .tick = tick};
    child = net_serve(&server);
    return 0;
}

static int tear_down(void **state) {
    (void)state;
    net_stop(&child);
    net_id_clear(&client_id);
    net_id_clear(&server_id);
    net_id_clear(&root);
    net_shared_free(stage, sizeof(*stage));
    return 0;
}

#define TEST(name) cmocka_unit_test_setup(name, before_each)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(d01_the_answer_is_a_message_of_its_own),
        TEST(d01_it_is_repeated_until_acknowledged),
        TEST(d02_e13_a_repeated_request_gets_an_empty_ack_again),
        TEST(d01_d02_blocks_up_and_blocks_down),
        TEST(one_of_a_connection_waits),
        TEST(the_number_of_those_who_wait_is_limited),
        TEST(who_has_gone_is_left_alone),
        TEST(who_waits_is_not_idle),
        TEST(who_asked_without_confirmation_gets_none),
        TEST(one_is_left_over),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
