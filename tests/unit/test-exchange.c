/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Our client against servers that play a script: separate answers, wrong tokens, options that do
 * not belong, silence. Each script is one function, each expectation one row.
 */
#include "play.h"

#include <string.h>

SCRIPT(piggybacked) {
    UNUSED;
    if (is_request(q))
        answer(ssl, q, CONTENT, "hello");
}

SCRIPT(separate_con) {
    UNUSED;
    if (!is_request(q))
        return;
    struct net_coap m;
    empty_ack(ssl, q);
    net_coap_begin(&m, NET_CON, CONTENT, (uint16_t)(0x7000 + n), q->token, q->token_len);
    net_coap_payload(&m, "hello", 5);
    net_send(ssl, &m);
}

SCRIPT(separate_non) {
    UNUSED;
    if (!is_request(q))
        return;
    struct net_coap m;
    empty_ack(ssl, q);
    net_coap_begin(&m, NET_NON, CONTENT, (uint16_t)(0x7000 + n), q->token, q->token_len);
    net_coap_payload(&m, "hello", 5);
    net_send(ssl, &m);
}

SCRIPT(answer_overtakes_ack) {
    UNUSED;
    if (!is_request(q))
        return;
    struct net_coap m;
    net_coap_begin(&m, NET_CON, CONTENT, (uint16_t)(0x7000 + n), q->token, q->token_len);
    net_coap_payload(&m, "hello", 5);
    net_send(ssl, &m);
    empty_ack(ssl, q);
}

SCRIPT(ack_then_silence) {
    UNUSED;
    if (is_request(q))
        empty_ack(ssl, q);
}

SCRIPT(silence) {
    UNUSED;
    is_request(q);
}

SCRIPT(wrong_token) {
    UNUSED;
    struct net_coap m;
    if (!is_request(q))
        return;
    net_coap_begin(&m, NET_ACK, CONTENT, q->mid, "\xee\xee", 2);
    net_coap_payload(&m, "wrong", 5);
    net_send(ssl, &m);
}

SCRIPT(wrong_mid_then_right) {
    UNUSED;
    struct net_coap m;
    if (!is_request(q))
        return;
    net_coap_begin(&m, NET_ACK, CONTENT, q->mid ^ 0x55, q->token, q->token_len);
    net_coap_payload(&m, "wrong", 5);
    net_send(ssl, &m);
    answer(ssl, q, CONTENT, "hello");
}

SCRIPT(wrong_token_then_right) {
    UNUSED;
    struct net_coap m;
    if (!is_request(q))
        return;
    net_coap_begin(&m, NET_NON, CONTENT, 1, "\xee\xee", 2);
    net_coap_payload(&m, "wrong", 5);
    net_send(ssl, &m);
    answer(ssl, q, CONTENT, "hello");
}

SCRIPT(garbage_then_right) {
    UNUSED;
    static const unsigned char bad[][6] = {{0x4f, 0x45, 0, 1, 2, 3},    /* token of 15 bytes */
                                           {0x40, 0x45, 0, 1, 0xff, 0}, /* marker alone */
                                           {0x40, 0x45, 0, 1, 0xf0, 0}, /* option nibble 15 */
                                           {0x80, 0x45, 0, 1, 0, 0}};   /* version 2 */
    if (!is_request(q))
        return;
    for (size_t i = 0; i < COUNT(bad); i++)
        SSL_write(ssl, bad[i], i == 1 ? 5 : 6);
    SSL_write(ssl, "x", 1);
    answer(ssl, q, CONTENT, "hello");
}

SCRIPT(answers_twice) {
    UNUSED;
    if (!is_request(q))
        return;
    answer(ssl, q, CONTENT, "hello");
    answer(ssl, q, CONTENT, "hello");
}

SCRIPT(resets) {
    UNUSED;
    struct net_coap m;
    if (!is_request(q))
        return;
    net_coap_begin(&m, NET_RST, 0, q->mid, NULL, 0);
    net_send(ssl, &m);
}

SCRIPT(hangs_up) {
    UNUSED;
    if (is_request(q))
        SSL_shutdown(ssl);
}

SCRIPT(hangs_up_once) {
    UNUSED;
    if (!is_request(q))
        return;
    if (request_number() == 1)
        SSL_shutdown(ssl);
    else
        answer(ssl, q, CONTENT, "hello");
}

SCRIPT(hangs_up_afterwards) {
    UNUSED;
    if (!is_request(q))
        return;
    answer(ssl, q, CONTENT, "hello");
    SSL_shutdown(ssl);
}

SCRIPT(all_options) {
    UNUSED;
    struct net_coap m;
    if (!is_request(q))
        return;
    begin_ack(&m, q, CHANGED);
    net_coap_uint(&m, OPT_FORMAT, 281);
    net_coap_uint(&m, OPT_MAX_AGE, 0xfffffffe);
    net_coap_uint(&m, OPT_SIZE2, 0xffffffff);
    net_coap_option(&m, 2048, "elective", 8);
    net_coap_payload(&m, "x", 1);
    net_send(ssl, &m);
}

SCRIPT(not_found) {
    UNUSED;
    if (is_request(q))
        answer(ssl, q, NET_CODE(4, 4), "no label 'x'");
}

SCRIPT(busy) {
    UNUSED;
    struct net_coap m;
    if (!is_request(q))
        return;
    begin_ack(&m, q, NET_CODE(5, 3));
    net_coap_uint(&m, OPT_MAX_AGE, 0);
    net_send(ssl, &m);
}

SCRIPT(code_3xx) {
    UNUSED;
    if (is_request(q))
        answer(ssl, q, NET_CODE(3, 1), "");
}

SCRIPT(code_6xx) {
    UNUSED;
    if (is_request(q))
        answer(ssl, q, NET_CODE(6, 0), "");
}

static void with_option(SSL *ssl, const struct net_message *q, unsigned number, const void *value,
                        size_t len, unsigned times) {
    struct net_coap m;
    begin_ack(&m, q, CONTENT);
    for (unsigned i = 0; i < times; i++)
        net_coap_option(&m, number, value, len);
    net_coap_payload(&m, "x", 1);
    net_send(ssl, &m);
}

SCRIPT(option_uri_path) {
    UNUSED;
    if (is_request(q))
        with_option(ssl, q, OPT_URI_PATH, "a", 1, 1);
}

SCRIPT(option_accept) {
    UNUSED;
    if (is_request(q))
        with_option(ssl, q, OPT_ACCEPT, "\x01", 1, 1);
}

SCRIPT(option_oscore) {
    UNUSED;
    if (is_request(q))
        with_option(ssl, q, OPT_OSCORE, "", 0, 1);
}

SCRIPT(option_block2_szx7) {
    UNUSED;
    if (is_request(q))
        with_option(ssl, q, OPT_BLOCK2, "\x07", 1, 1);
}

SCRIPT(option_block2_twice) {
    UNUSED;
    if (is_request(q))
        with_option(ssl, q, OPT_BLOCK2, "\x06", 1, 2);
}

static const struct scene scenes[] = {
    {"t15_piggybacked", piggybacked, 0, 0, 3, 0, 205, 0, "hello", 3},
    {"d01_t15_separate_confirmable", separate_con, 0, 0, 3, 0, 205, 0, "hello", 3},
    {"d01_t15_separate_non_confirmable", separate_non, 0, 0, 3, 0, 205, 0, "hello", 3},
    {"t15_answer_before_the_ack", answer_overtakes_ack, 0, 0, 3, 0, 205, 0, "hello", 3},
    {"d01_ack_then_silence", ack_then_silence, 0, 0, 0, ESTC_E_TIMEOUT, 0, 0,
     "no usable answer within 1 s", 1},
    {"silence", silence, 5, 0, 0, ESTC_E_TIMEOUT, 0, 0, "POST /.well-known/est/crts", 1},
    {"wrong_token", wrong_token, 0, 0, 0, ESTC_E_TIMEOUT, 0, 0, "no usable answer", 1},
    {"wrong_token_then_right", wrong_token_then_right, 0, 0, 2, 0, 205, 0, "hello", 2},
    {"t14_wrong_mid_then_right", wrong_mid_then_right, 0, 0, 2, 0, 205, 0, "hello", 2},
    {"r08_garbage_then_right", garbage_then_right, 0, 0, 2, 0, 205, 0, "hello", 2},
    {"answer_repeated", answers_twice, 0, 0, 3, 0, 205, 0, "hello", 3},
    {"reset", resets, 0, 0, 0, ESTC_E_PROTOCOL, 0, 0, "reset the exchange", 1},
    {"hangs_up_on_a_post", hangs_up, 5, 0, 0, ESTC_E_UNREACHABLE, 0, 0, "connection was lost", 1},
    {"hangs_up_on_a_get", hangs_up, 0, 0, 0, ESTC_E_UNREACHABLE, 0, 0, "connection was lost", 2},
    {"hangs_up_on_a_get_once", hangs_up_once, 0, 0, 0, 0, 205, 0, "hello", 2},
    {"hangs_up_between_requests", hangs_up_afterwards, 0, 0, 3, 0, 205, 0, "hello", 0},
    {"all_options", all_options, 5, 0, 0, 0, 204, 0, "x", 1},
    {"f11_error_with_diagnostic", not_found, 5, 0, 0, 0, 404, 0, "no label 'x'", 1},
    {"busy", busy, 5, 0, 0, 0, 503, 0, "", 1},
    {"code_3_01", code_3xx, 0, 0, 0, ESTC_E_PROTOCOL, 0, 0, "3.01", 1},
    {"code_6_00", code_6xx, 0, 0, 0, ESTC_E_PROTOCOL, 0, 0, "6.00", 1},
    {"critical_option_uri_path", option_uri_path, 0, 0, 0, ESTC_E_PROTOCOL, 0, 0,
     "not allowed there", 1},
    {"critical_option_accept", option_accept, 0, 0, 0, ESTC_E_PROTOCOL, 0, 0, "not allowed", 1},
    /* libcoap drops what it does not know, so all that is left is silence. */
    {"critical_option_oscore", option_oscore, 0, 0, 0, ESTC_E_PROTOCOL, 0, 0, "not allowed", 1},
    {"block2_szx_7", option_block2_szx7, 0, 0, 0, ESTC_E_PROTOCOL, 0, 0, "not allowed", 1},
    {"block2_twice", option_block2_twice, 0, 0, 0, ESTC_E_PROTOCOL, 0, 0, "not allowed", 1},
};

static void d01_separate_answers_are_acknowledged(void **state) {
    (void)state;
    play_named(scenes, COUNT(scenes), "d01_t15_separate_confirmable");
    /* Of three; the last may reach a server that has been stopped. */
    assert_true(atomic_load(&play_seen->acks) >= 2);
    assert_int_equal(atomic_load(&play_seen->resets), 0);
}

static void response_options(void **state) {
    (void)state;
    static const struct {
        void (*script)(SSL *ssl, const struct net_message *q, unsigned n, void *arg);
        int content_format;
        int64_t max_age;
    } rows[] = {{all_options, 281, 0xfffffffeLL}, {busy, -1, 0}, {piggybacked, -1, -1}};
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct net_script script = {
            .port = net_port(), .id = &play_pki.server, .step = rows[i].script};
        struct net_child child = net_act(&script);
        struct estc_transport *t = play_transport("::1", script.port, 0);
        struct estc_request q = {.path = "/x", .content_format = -1, .accept = -1};
        struct estc_wait wait = estc_wait_in(5000);
        struct estc_response r = {0};
        assert_int_equal(t->ops->request(t, &q, &wait, &r, NULL), 0);
        assert_int_equal(r.content_format, rows[i].content_format);
        assert_int_equal(r.max_age, rows[i].max_age);
        estc_response_clear(&r);
        estc_transport_free(t);
        net_stop(&child);
    }
}

/* RFC 7252 section 6.4: a name goes along as Uri-Host, an address does not. */
static void u04_uri_host(void **state) {
    (void)state;
    static const char *const hosts[] = {"localhost", "LOCALHOST", "::1"};
    for (size_t i = 0; i < COUNT(hosts); i++) {
        struct net_script script = {
            .port = net_port(), .id = &play_pki.server, .step = piggybacked};
        struct net_child child = net_act(&script);
        struct estc_transport *t = play_transport(hosts[i], script.port, 0);
        struct estc_request q = {.path = "/x", .content_format = -1, .accept = -1};
        struct estc_wait wait = estc_wait_in(5000);
        struct estc_response r = {0};
        memset(play_seen, 0, sizeof(*play_seen));
        assert_int_equal(t->ops->request(t, &q, &wait, &r, NULL), 0);
        const struct net_message *m = &play_seen->first;
        assert_int_equal(m->option[0].number, i < 2 ? OPT_URI_HOST : OPT_URI_PATH);
        if (i < 2) { /* in the case that the configuration has */
            assert_int_equal(m->option[0].len, strlen(hosts[i]));
            assert_memory_equal(m->data + m->option[0].at, hosts[i], m->option[0].len);
        }
        estc_response_clear(&r);
        estc_transport_free(t);
        net_stop(&child);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(d01_separate_answers_are_acknowledged),
        cmocka_unit_test(response_options),
        cmocka_unit_test(u04_uri_host),
    };
    return play_run(scenes, COUNT(scenes), tests, COUNT(tests));
}
