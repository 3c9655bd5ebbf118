/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * One question, written byte by byte: libcoap writes messages for sessions only, and a session
 * has one peer, while whoever hears a multicast may answer. Reading, which is what strangers have a
 * hand in, is left to libcoap. Owns nothing, touches no network.
 */
#include "coap/probe.h"

#include <errno.h>
#include <string.h>

#include <estc/discovery.h>

#define CODE_GET 1
#define NIBBLE_MAX 12 /* of an option's delta and length, without further bytes */

struct writer {
    unsigned char *out;
    size_t at;
    unsigned last; /* number of the option before */
};

/* All options of the question are short and near each other; the assertion of the unit test is
 * that it decodes. */
static void put_option(struct writer *w, unsigned number, const void *value, size_t len) {
    unsigned delta = number - w->last;
    if (delta > NIBBLE_MAX || len > NIBBLE_MAX || w->at + 1 + len > PROBE_MAX)
        return;
    w->out[w->at++] = (unsigned char)(delta << 4 | len);
    memcpy(w->out + w->at, value, len);
    w->at += len;
    w->last = number;
}

static void put_head(struct writer *w, enum probe_type type, size_t token_len, unsigned code,
                     uint16_t mid) {
    w->out[0] = (unsigned char)(0x40 | (unsigned)type << 4 | token_len);
    w->out[1] = (unsigned char)code;
    w->out[2] = (unsigned char)(mid >> 8);
    w->out[3] = (unsigned char)mid;
    w->at = 4;
}

size_t probe_question(enum probe_type type, uint16_t mid,
                      const unsigned char token[static PROBE_TOKEN_LEN], const struct block *block,
                      unsigned char out[static PROBE_MAX]) {
    struct writer w = {.out = out};
    put_head(&w, type, PROBE_TOKEN_LEN, CODE_GET, mid);
    memcpy(out + w.at, token, PROBE_TOKEN_LEN);
    w.at += PROBE_TOKEN_LEN;
    for (const char *p = ESTC_CORE_PATH; *p;) {
        size_t len = strcspn(++p, "/");
        put_option(&w, COAP_OPTION_URI_PATH, p, len);
        p += len;
    }
    put_option(&w, COAP_OPTION_URI_QUERY, ESTC_CORE_QUERY, sizeof(ESTC_CORE_QUERY) - 1);
    if (block) {
        unsigned char value[BLOCK_OPTION_MAX];
        put_option(&w, COAP_OPTION_BLOCK2, value, block_encode(block, value));
    }
    return w.at;
}

size_t probe_ack(uint16_t mid, unsigned char out[static PROBE_MAX]) {
    struct writer w = {.out = out};
    put_head(&w, PROBE_ACK, 0, 0, mid);
    return w.at;
}

static int read_pdu(const coap_pdu_t *pdu, const unsigned char *token, struct probe_answer *out) {
    coap_bin_const_t got = coap_pdu_get_token(pdu);
    out->type = (enum probe_type)coap_pdu_get_type(pdu);
    out->mid = (uint16_t)coap_pdu_get_mid(pdu);
    out->empty = coap_pdu_get_code(pdu) == COAP_EMPTY_CODE;
    out->ours = got.length == PROBE_TOKEN_LEN && memcmp(got.s, token, PROBE_TOKEN_LEN) == 0;
    if (out->empty)
        return 0;
    if (message_read(pdu, &out->message) || out->message.code < 200 || out->message.code > 599)
        return ESTC_E_PROTOCOL;
    int rc = estc_buf_append(&out->payload, out->message.payload, out->message.payload_len);
    out->message.payload = NULL; /* it is the PDU's */
    return rc;
}

int probe_read(const unsigned char *data, size_t len,
               const unsigned char token[static PROBE_TOKEN_LEN], struct probe_answer *out) {
    struct probe_answer answer = {0};
    coap_pdu_t *pdu = coap_pdu_init(COAP_MESSAGE_CON, COAP_EMPTY_CODE, 0, len);
    if (!pdu)
        return -ENOMEM;
    int rc = coap_pdu_parse(COAP_PROTO_UDP, data, len, pdu) ? read_pdu(pdu, token, &answer)
                                                            : ESTC_E_PROTOCOL;
    coap_delete_pdu(pdu);
    if (rc)
        estc_buf_clear(&answer.payload);
    else
        *out = answer;
    return rc;
}
