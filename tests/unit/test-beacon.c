/* SPDX-License-Identifier: BSD-2-Clause */
/* What a stranger is answered over plain CoAP, without a network. */
#include "support.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <estc/beacon.h>
#include <estc/transport.h>

#include "base/cleanup.h"
#include "coap/beacon_internal.h"
#include "coap/datagram.h"

#define CORE ".well-known", "core"

static const char text[] = "<coaps://[2001:db8::1]/est/crts>;rt=\"ace.est.crts\"";

/* The program behind the beacon. */
static struct {
    const char *links;
    int rc;
    char host[64], query[64];
} program;

static int links(void *arg, const char *host, const char *query, struct estc_buf *out) {
    (void)arg;
    snprintf(program.host, sizeof(program.host), "%s", host);
    snprintf(program.query, sizeof(program.query), "%s", query ? query : "(none)");
    return program.rc ? program.rc : estc_buf_append(out, program.links, strlen(program.links));
}

static int setup(void **state) {
    static struct beacon_answers answers;
    memset(&program, 0, sizeof(program));
    program.links = text;
    answers = (struct beacon_answers){.links = links};
    *state = &answers;
    return 0;
}

static struct reply ask(struct beacon_answers *from, const struct datagram *d, bool multicast) {
    _cleanup(coap_pdu_freep) coap_pdu_t *pdu = datagram_read(d->data, d->len);
    assert_non_null(pdu);
    const struct beacon_question question = {
        .pdu = pdu, .multicast = multicast, .host = "[2001:db8::1]"};
    struct reply reply;
    beacon_answer(from, &question, &reply);
    return reply;
}

static struct datagram question(unsigned method, const char *first, const char *second) {
    struct datagram d;
    datagram_begin(&d, DATAGRAM_NON, method, 1, "t", 1);
    datagram_option(&d, COAP_OPTION_URI_PATH, first, strlen(first));
    datagram_option(&d, COAP_OPTION_URI_PATH, second, strlen(second));
    return d;
}

static void u07_links_for_those_who_ask(void **state) {
    for (int multicast = 0; multicast < 2; multicast++) {
        struct datagram d = question(1, CORE);
        datagram_option(&d, COAP_OPTION_URI_QUERY, "rt=ace.est*", 11);
        struct reply reply = ask(*state, &d, multicast);
        assert_int_equal(reply.code, 205);
        assert_int_equal(reply.content_format, ESTC_FORMAT_LINK);
        assert_string_equal((char *)reply.payload.data, text);
        assert_false(reply.has_block2);
        assert_string_equal(program.host, "[2001:db8::1]");
        assert_string_equal(program.query, "rt=ace.est*");
        reply_clear(&reply);
    }
}

/* Every error is one for a single question and silence for a group. */
static void t01_r04_errors_for_one_silence_for_many(void **state) {
    struct datagram accept = question(1, CORE), critical = question(1, CORE),
                    block = question(1, CORE), proxy = question(1, CORE);
    datagram_uint(&accept, COAP_OPTION_ACCEPT, 281);
    datagram_option(&critical, 9999, "", 0);
    datagram_option(&block, COAP_OPTION_BLOCK2, "\x07", 1);
    datagram_option(&proxy, COAP_OPTION_PROXY_URI, "coap://x/", 9);
    const struct {
        struct datagram d;
        unsigned code;
    } rows[] = {
        {question(1, "est", "crts"), 404},
        {question(2, "est", "sen"), 404},
        {question(1, ".well-known", "est"), 404},
        {question(1, ".well-known", ".."), 404},
        {question(2, CORE), 405},
        {question(4, CORE), 405},
        {question(7, CORE), 405},
        {accept, 406},
        {critical, 402},
        {block, 402},
        {proxy, 505},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct reply reply = ask(*state, &rows[i].d, false);
        assert_int_equal(reply.code, rows[i].code);
        assert_true(reply.payload.len < 40); /* no lever */
        reply_clear(&reply);
        reply = ask(*state, &rows[i].d, true);
        assert_int_equal(reply.code, 0);
        assert_null(reply.payload.data);
    }
    assert_string_equal(program.host, ""); /* nobody asked the program */
}

static void nothing_to_say(void **state) {
    const struct datagram d = question(1, CORE);
    program.links = "";
    struct reply reply = ask(*state, &d, true);
    assert_int_equal(reply.code, 0);
    reply = ask(*state, &d, false);
    assert_int_equal(reply.code, 205); /* who asks alone gets an answer, though an empty one */
    assert_int_equal(reply.payload.len, 0);
    assert_string_equal(program.query, "(none)");
    program.rc = -ENOMEM;
    reply = ask(*state, &d, false);
    assert_int_equal(reply.code, 500);
    reply_clear(&reply);
    reply = ask(*state, &d, true);
    assert_int_equal(reply.code, 0);
}

static void long_lists_in_blocks(void **state) {
    char list[1500];
    memset(list, 'x', sizeof(list) - 1);
    list[sizeof(list) - 1] = '\0';
    program.links = list;
    struct datagram d = question(1, CORE);
    struct reply reply = ask(*state, &d, false);
    assert_true(reply.has_block2 && reply.block2.more);
    assert_int_equal(reply.payload.len, 1024);
    reply_clear(&reply);
    datagram_option(&d, COAP_OPTION_BLOCK2, "\x16", 1); /* the second one */
    reply = ask(*state, &d, false);
    assert_true(reply.has_block2 && !reply.block2.more && reply.block2.num == 1);
    assert_int_equal(reply.payload.len, sizeof(list) - 1 - 1024);
    reply_clear(&reply);
    d = question(1, CORE);
    datagram_option(&d, COAP_OPTION_BLOCK2, "\x26", 1);
    reply = ask(*state, &d, false);
    assert_int_equal(reply.code, 400);
    reply_clear(&reply);
}

static void answers_are_rationed(void **state) {
    const struct datagram d = question(1, CORE);
    unsigned given = 0;
    for (int i = 0; i < 100; i++) {
        struct reply reply = ask(*state, &d, false);
        given += reply.code == 205;
        if (reply.code != 205) {
            assert_int_equal(reply.code, 503);
            assert_true(reply.max_age > 0);
        }
        reply_clear(&reply);
    }
    assert_in_range(given, 20, 40); /* 40 where a window of 10 s ended in between */
}

/* Any bytes that libcoap takes for a request end in an answer or none. */
static void mutated_questions(void **state) {
    struct datagram d = question(1, CORE);
    datagram_option(&d, COAP_OPTION_URI_QUERY, "rt=ace.est*", 11);
    datagram_uint(&d, COAP_OPTION_ACCEPT, 40);
    coap_set_log_level((coap_log_t)0);
    for (size_t at = 4; at < d.len; at++) {
        unsigned char was = d.data[at];
        for (unsigned value = 0; value < 256; value++) {
            d.data[at] = (unsigned char)value;
            coap_pdu_t *pdu = datagram_read(d.data, d.len);
            if (!pdu)
                continue;
            coap_delete_pdu(pdu);
            struct reply reply = ask(*state, &d, value & 1);
            assert_true(reply.code == 0 || reply.code == 205 || reply.code >= 400);
            reply_clear(&reply);
        }
        d.data[at] = was;
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(u07_links_for_those_who_ask, setup),
        cmocka_unit_test_setup(t01_r04_errors_for_one_silence_for_many, setup),
        cmocka_unit_test_setup(nothing_to_say, setup),
        cmocka_unit_test_setup(long_lists_in_blocks, setup),
        cmocka_unit_test_setup(answers_are_rationed, setup),
        cmocka_unit_test_setup(mutated_questions, setup),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
