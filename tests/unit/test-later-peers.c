/* SPDX-License-Identifier: BSD-2-Clause */
/* Who may wait for an answer, how many at a time, and to whom none is sent. */
#include "late.h"

#include <poll.h>
#include <sys/socket.h>

/* Only one at a time, but anything else is answered meanwhile. */
static void one_of_a_connection_waits(void **state) {
    (void)state;
    SSL *ssl = late_dial();
    struct net_coap first = leave_waiting(ssl);
    struct net_coap get = late_request(NET_CON, GET, "/now");
    net_send(ssl, &get);
    assert_int_equal(receive(ssl, 2000).code, NET_CODE(2, 5));
    struct net_coap second = late_request(NET_CON, POST, "/wait");
    net_send(ssl, &second);
    assert_int_equal(receive(ssl, 2000).code, BUSY);
    answer_all(4);
    struct net_message a = take_answer(ssl, &first, 4);
    acknowledge(ssl, &a);
    net_close(ssl);
}

static void the_number_of_those_who_wait_is_limited(void **state) {
    (void)state;
    SSL *ssl[LATE_WAITING_MAX];
    for (int i = 0; i < LATE_WAITING_MAX; i++)
        leave_waiting(ssl[i] = late_dial());
    SSL *late = late_dial();
    struct net_coap m = late_request(NET_CON, POST, "/wait");
    net_send(late, &m);
    assert_int_equal(receive(late, 2000).code, BUSY);
    net_close(ssl[0]); /* one place is free again */
    for (int i = 0; i < 50; i++) {
        m = late_request(NET_CON, POST, "/wait");
        net_send(late, &m);
        if (receive(late, 2000).code == 0)
            break;
        poll(NULL, 0, 20);
    }
    answer_all(5);
    for (int i = 1; i < LATE_WAITING_MAX; i++) {
        struct net_message a = receive(ssl[i], 2000);
        assert_int_equal(a.code, CHANGED);
        net_close(ssl[i]);
    }
    take_answer(late, &m, 5);
    wait_until_answered(LATE_WAITING_MAX, 1);
    net_close(late);
}

static void who_has_gone_is_left_alone(void **state) {
    (void)state;
    SSL *ssl = late_dial();
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

static void who_waits_is_not_idle(void **state) {
    (void)state;
    late_restart(1);
    SSL *ssl = late_dial();
    struct net_coap m = leave_waiting(ssl);
    poll(NULL, 0, 3500);
    SSL *other = late_dial(); /* libcoap looks for idle sessions when something happens */
    answer_all(6);
    struct net_message a = take_answer(ssl, &m, 6);
    acknowledge(ssl, &a);
    net_close(other);
    net_close(ssl);
    late_restart(LATE_IDLE_TIMEOUT);
}

/* The server ends with an answer due (set_down), and nothing is wrong with that. */
static void one_is_left_over(void **state) {
    (void)state;
    SSL *ssl = late_dial();
    leave_waiting(ssl);
    assert_int_equal(atomic_load(&late_stage->has_binding), 1);
    SSL_free(ssl); /* without a word */
}

/* A datagram that cannot be sent is one that gets lost: it is tried again. What somebody left in
 * OpenSSL's error queue has nothing to do with it. */
static void d01_an_answer_that_cannot_be_sent_now_stays_due(void **state) {
    (void)state;
    SSL *ssl = late_dial();
    leave_waiting(ssl);
    atomic_store(&late_stage->mute, 1);
    answer_all(4);
    wait_until_answered(1, 0);
    SSL_free(ssl);
    late_restart(LATE_IDLE_TIMEOUT);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(one_of_a_connection_waits),
        TEST(the_number_of_those_who_wait_is_limited),
        TEST(who_has_gone_is_left_alone),
        TEST(who_waits_is_not_idle),
        TEST(d01_an_answer_that_cannot_be_sent_now_stays_due),
        TEST(one_is_left_over),
    };
    return cmocka_run_group_tests(tests, late_set_up, late_tear_down);
}
