/* SPDX-License-Identifier: BSD-2-Clause */
/* The first message of a handshake as a stranger may send it, and the answer to it. */
#include "support.h"

#include <string.h>

#include "coap/hello.h"

#define RANDOM 27 /* where these stand in the datagram below */
#define COOKIE 60
#define LEN (sizeof(datagram))

/* Record of epoch 0, sequence number 0x0102; ClientHello with a cookie of three bytes, two suites
 * and one method of compression, and what extensions may follow. */
static const unsigned char datagram[] = {22,   0xfe, 0xff, 0,    0,    0,    0,   0,   0,
                                         1,    2,    0,    66, /* record */
                                         1,    0,    0,    54,   0,    0,    0,   0,   0,
                                         0,    0,    54, /* message */
                                         0xfe, 0xfd,     /* version */
                                         'r',  'r',  'r',  'r',  'r',  'r',  'r', 'r', 'r',
                                         'r',  'r',  'r',  'r',  'r',  'r',  'r', 'r', 'r',
                                         'r',  'r',  'r',  'r',  'r',  'r',  'r', 'r', 'r',
                                         'r',  'r',  'r',  'r',  'r',  0,    /* session id */
                                         3,    'c',  'c',  'c',              /* cookie */
                                         0,    4,    0xc0, 0x2b, 0xc0, 0xae, /* suites */
                                         1,    0,                            /* compression */
                                         0,    4,    'e',  'e',  'e',  'e',  0};

static void what_is_in_it(void **state) {
    (void)state;
    struct hello hello;
    assert_int_equal(hello_read(datagram, LEN, &hello), HELLO_WHOLE);
    assert_ptr_equal(hello.random, datagram + RANDOM);
    assert_int_equal(hello.cookie_len, 3);
    assert_memory_equal(hello.cookie, "ccc", 3);
    assert_int_equal(hello.before_len, 2 + HELLO_RANDOM_LEN + 1);
    assert_int_equal(hello.after_len, 2 + 4 + 1 + 1);
    assert_ptr_equal(hello.after, datagram + COOKIE + 1 + 3);
    assert_memory_equal(hello.record, "\0\0\0\0\1\2", 6);
}

static void what_is_none(void **state) {
    (void)state;
    struct hello hello;
    unsigned char other[LEN];
    static const struct {
        size_t at;
        unsigned char value;
    } rows[] = {{0, 20}, {0, 23}, {4, 1}, {13, 2}, {13, 16}};
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        memcpy(other, datagram, LEN);
        other[rows[i].at] = rows[i].value;
        assert_int_equal(hello_read(other, LEN, &hello), HELLO_NONE);
    }
    assert_int_equal(hello_read(datagram, 24, &hello), HELLO_NONE);
    assert_int_equal(hello_read(datagram, 0, &hello), HELLO_NONE);
}

/* Lengths that do not fit each other, fragments, other versions. */
static void what_no_handshake_begins_with(void **state) {
    (void)state;
    struct hello hello;
    unsigned char other[LEN];
    static const struct {
        size_t at;
        unsigned char value;
    } rows[] = {
        {1, 3},   {12, 67}, {12, 65}, {12, 11}, {12, 0},   {15, 1}, {16, 53},  {16, 55}, {21, 1},
        {24, 53}, {24, 55}, {25, 3},  {59, 33}, {60, 255}, {64, 1}, {65, 255}, {70, 9},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        memcpy(other, datagram, LEN);
        other[rows[i].at] = rows[i].value;
        if (hello_read(other, LEN, &hello) != HELLO_BROKEN)
            fail_msg("byte %zu as %u", rows[i].at, rows[i].value);
    }
    for (size_t len = 25; len < LEN - 1; len++)
        assert_int_equal(hello_read(datagram, len, &hello), HELLO_BROKEN);
}

static void z03_answer_is_smaller_than_the_question(void **state) {
    (void)state;
    struct hello hello;
    unsigned char cookie[HELLO_COOKIE_LEN], out[HELLO_VERIFY_LEN];
    memset(cookie, 'k', sizeof(cookie));
    assert_int_equal(hello_read(datagram, LEN, &hello), HELLO_WHOLE);
    hello_verify(&hello, cookie, out);
    static const unsigned char head[] = {22, 0xfe, 0xff, 0, 0, 0, 0, 0, 0, 1, 2,  0,    35,   3,
                                         0,  0,    23,   0, 0, 0, 0, 0, 0, 0, 23, 0xfe, 0xff, 20};
    assert_memory_equal(out, head, sizeof(head));
    assert_memory_equal(out + sizeof(head), cookie, sizeof(cookie));
    assert_int_equal(sizeof(out), sizeof(head) + sizeof(cookie));
    assert_true(sizeof(out) < LEN);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_in_it),
        cmocka_unit_test(what_is_none),
        cmocka_unit_test(what_no_handshake_begins_with),
        cmocka_unit_test(z03_answer_is_smaller_than_the_question),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
