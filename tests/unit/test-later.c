/* SPDX-License-Identifier: BSD-2-Clause */
/* Answers that come later: what our listener sends meanwhile, and then. */
#include "late.h"

static void d01_the_answer_is_a_message_of_its_own(void **state) {
    (void)state;
    SSL *ssl = late_dial();
    struct net_coap m = leave_waiting(ssl);
    assert_silence(ssl, 300);
    answer_all(10);
    struct net_message a = take_answer(ssl, &m, 10);
    assert_int_equal(net_option(&a, OPT_BLOCK2), -1);
    assert_int_equal(net_option(&a, OPT_BLOCK1), -1);
    acknowledge(ssl, &a);
    assert_silence(ssl, 3500); /* acknowledged: not sent again */
    wait_until_answered(1, 0);
    assert_int_equal(atomic_load(&late_stage->calls), 1);
    net_close(ssl);
}

static void d01_it_is_repeated_until_acknowledged(void **state) {
    (void)state;
    SSL *ssl = late_dial();
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
    SSL *ssl = late_dial();
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
    assert_int_equal(atomic_load(&late_stage->calls), 1);
    net_close(ssl);
}

static struct net_message ask_block(SSL *ssl, const char *path, unsigned num, bool body) {
    struct net_coap m = late_request(NET_CON, POST, path);
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
    SSL *ssl = late_dial();
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
    assert_int_equal(atomic_load(&late_stage->calls), 1);
    net_close(ssl);
}

static void who_asked_without_confirmation_gets_none(void **state) {
    (void)state;
    SSL *ssl = late_dial();
    struct net_coap m = late_request(NET_NON, POST, "/wait");
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

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(d01_the_answer_is_a_message_of_its_own),
        TEST(d01_it_is_repeated_until_acknowledged),
        TEST(d02_e13_a_repeated_request_gets_an_empty_ack_again),
        TEST(d01_d02_blocks_up_and_blocks_down),
        TEST(who_asked_without_confirmation_gets_none),
    };
    return cmocka_run_group_tests(tests, late_set_up, late_tear_down);
}
