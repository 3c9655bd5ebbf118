/* SPDX-License-Identifier: BSD-2-Clause */
/* Messages without a session: written, read back by libcoap, and what a search takes for an answer.
 */
#include "support.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <estc/error.h>
#include <estc/transport.h>

#include "base/cleanup.h"
#include "coap/datagram.h"
#include "coap/probe.h"

static const unsigned char token[PROBE_TOKEN_LEN] = "12345678";

static void what_is_written_is_read(void **state) {
    (void)state;
    char query[400];
    struct datagram d;
    struct message m;
    memset(query, 'q', sizeof(query) - 1);
    query[sizeof(query) - 1] = '\0';
    for (size_t cut = 0; cut < sizeof(query); cut++) { /* over both borders of a length */
        datagram_begin(&d, DATAGRAM_CON, 1, 0xabcd, token, 8);
        datagram_option(&d, COAP_OPTION_URI_PATH, "a", 1);
        datagram_option(&d, COAP_OPTION_URI_PATH, "bb", 2);
        if (query[cut] && strlen(query + cut) < 256) /* what libcoap takes for one */
            datagram_option(&d, COAP_OPTION_URI_QUERY, query + cut, strlen(query + cut));
        datagram_uint(&d, COAP_OPTION_ACCEPT, 40);
        datagram_option(&d, 2048, query, cut); /* far away */
        datagram_payload(&d, "body", 4);
        assert_false(d.failed);
        _cleanup(coap_pdu_freep) coap_pdu_t *pdu = datagram_read(d.data, d.len);
        if (!pdu)
            fail_msg("%zu bytes of a query, %zu of another option", strlen(query + cut), cut);
        _cleanup(freep) char *path = message_path(pdu);
        _cleanup(freep) char *asked = message_query(pdu);
        assert_string_equal(path, "/a/bb");
        if (query[cut] && strlen(query + cut) < 256)
            assert_string_equal(asked, query + cut);
        assert_int_equal(coap_pdu_get_mid(pdu), 0xabcd);
        assert_int_equal(message_read(pdu, &m), 0);
        assert_int_equal(m.accept, 40);
        assert_int_equal(m.payload_len, 4);
    }
}

static void several_queries_are_joined(void **state) {
    (void)state;
    struct datagram d;
    datagram_begin(&d, DATAGRAM_NON, 1, 1, NULL, 0);
    datagram_option(&d, COAP_OPTION_URI_QUERY, "rt=a", 4);
    datagram_option(&d, COAP_OPTION_URI_QUERY, "if=b", 4);
    _cleanup(coap_pdu_freep) coap_pdu_t *pdu = datagram_read(d.data, d.len);
    _cleanup(freep) char *query = message_query(pdu);
    assert_string_equal(query, "rt=a&if=b");
    datagram_option(&d, COAP_OPTION_URI_QUERY, "a\0b", 3);
    _cleanup(coap_pdu_freep) coap_pdu_t *odd = datagram_read(d.data, d.len);
    assert_null(message_query(odd));
}

static void what_does_not_fit_is_told(void **state) {
    (void)state;
    static const unsigned char big[DATAGRAM_MAX];
    struct datagram d;
    datagram_begin(&d, DATAGRAM_ACK, 205, 1, NULL, 0);
    datagram_payload(&d, big, sizeof(big) - 5);
    assert_false(d.failed);
    assert_int_equal(d.len, sizeof(big));
    datagram_begin(&d, DATAGRAM_ACK, 205, 1, NULL, 0);
    datagram_payload(&d, big, sizeof(big) - 4);
    assert_true(d.failed);
    datagram_begin(&d, DATAGRAM_ACK, 205, 1, NULL, 0);
    assert_false(d.failed); /* begins anew */
}

static void u06_the_question(void **state) {
    (void)state;
    const struct block block = {.num = 5, .szx = 6};
    for (int i = 0; i < 2; i++) {
        struct datagram d;
        struct message m;
        probe_question(i ? DATAGRAM_CON : DATAGRAM_NON, 7, token, i ? &block : NULL, &d);
        _cleanup(coap_pdu_freep) coap_pdu_t *pdu = datagram_read(d.data, d.len);
        _cleanup(freep) char *path = message_path(pdu);
        _cleanup(freep) char *query = message_query(pdu);
        assert_string_equal(path, "/.well-known/core");
        assert_string_equal(query, "rt=ace.est*");
        assert_int_equal(message_read(pdu, &m), 0);
        assert_int_equal(m.code, 1);
        assert_int_equal(m.has_block2, i);
        if (i)
            assert_int_equal(m.block2.num, 5);
    }
}

/* An answer as a good server writes it. */
static void write_answer(struct datagram *d, unsigned code, const unsigned char *its_token) {
    unsigned char value[BLOCK_OPTION_MAX];
    const struct block block = {.num = 0, .more = true, .szx = 2};
    datagram_begin(d, DATAGRAM_ACK, code, 9, its_token, its_token ? PROBE_TOKEN_LEN : 0);
    datagram_uint(d, COAP_OPTION_CONTENT_FORMAT, 40);
    datagram_option(d, COAP_OPTION_BLOCK2, value, block_encode(&block, value));
    datagram_payload(d, "</est/crts>;rt=ace.est.crts", 27);
}

static void answers_and_what_is_none(void **state) {
    (void)state;
    static const struct {
        unsigned code;
        const char *token;
        int rc;
        bool ours;
    } rows[] = {
        {205, "12345678", 0, true},
        {404, "12345678", 0, true},
        {205, "12345679", 0, false},
        {205, NULL, 0, false},
        {1, "12345678", ESTC_E_PROTOCOL, false},
        {231, "12345678", 0, true},
        {131, "12345678", ESTC_E_PROTOCOL, false},
        {600, "12345678", ESTC_E_PROTOCOL, false},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct datagram d;
        struct probe_answer answer = {0};
        write_answer(&d, rows[i].code, (const unsigned char *)rows[i].token);
        assert_int_equal(probe_read(d.data, d.len, token, &answer), rows[i].rc);
        if (rows[i].rc)
            continue;
        assert_int_equal(answer.ours, rows[i].ours);
        assert_int_equal(answer.message.code, rows[i].code);
        assert_int_equal(answer.message.content_format, ESTC_FORMAT_LINK);
        assert_true(answer.message.has_block2 && answer.message.block2.more);
        assert_int_equal(answer.payload.len, 27);
        estc_buf_clear(&answer.payload);
    }
}

static void empty_messages(void **state) {
    (void)state;
    struct datagram d;
    struct probe_answer answer = {0};
    datagram_begin(&d, DATAGRAM_RST, 0, 0x1234, NULL, 0);
    assert_int_equal(probe_read(d.data, d.len, token, &answer), 0);
    assert_true(answer.empty);
    assert_int_equal(answer.type, DATAGRAM_RST);
    assert_int_equal(answer.mid, 0x1234);
    assert_null(answer.payload.data);
}

static void judge(const unsigned char *data, size_t len) {
    _cleanup(freep) unsigned char *exact = malloc(len ? len : 1);
    struct probe_answer answer = {0};
    memcpy(exact, data, len);
    if (probe_read(exact, len, token, &answer) == 0) {
        assert_true(answer.payload.len <= len);
        estc_buf_clear(&answer.payload);
    } else {
        assert_null(answer.payload.data);
    }
}

static void r08_cut_and_mutated(void **state) {
    (void)state;
    struct datagram d;
    write_answer(&d, 205, token);
    for (size_t len = 0; len <= d.len; len++)
        judge(d.data, len);
    for (size_t at = 0; at < d.len; at++) {
        unsigned char was = d.data[at];
        for (unsigned value = 0; value < 256; value++) {
            d.data[at] = (unsigned char)value;
            judge(d.data, d.len);
        }
        d.data[at] = was;
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_written_is_read),   cmocka_unit_test(several_queries_are_joined),
        cmocka_unit_test(what_does_not_fit_is_told), cmocka_unit_test(u06_the_question),
        cmocka_unit_test(answers_and_what_is_none),  cmocka_unit_test(empty_messages),
        cmocka_unit_test(r08_cut_and_mutated),
    };
    coap_set_log_level((coap_log_t)0); /* libcoap would tell of each broken one */
    return cmocka_run_group_tests(tests, NULL, NULL);
}
