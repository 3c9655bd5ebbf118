/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * One question, and the answers of strangers to it taken apart. Owns nothing, touches no network.
 */
#include "coap/probe.h"

#include <errno.h>
#include <string.h>

#include <estc/discovery.h>

#define PROBE_GET 1 /* 0.01 */

void probe_question(enum datagram_type type, uint16_t mid,
                    const unsigned char token[static PROBE_TOKEN_LEN], const struct block *block,
                    struct datagram *out) {
    datagram_begin(out, type, PROBE_GET, mid, token, PROBE_TOKEN_LEN);
    for (const char *p = ESTC_CORE_PATH; *p;) {
        size_t len = strcspn(++p, "/");
        datagram_option(out, COAP_OPTION_URI_PATH, p, len);
        p += len;
    }
    datagram_option(out, COAP_OPTION_URI_QUERY, ESTC_CORE_QUERY, sizeof(ESTC_CORE_QUERY) - 1);
    if (block) {
        unsigned char value[BLOCK_OPTION_MAX];
        datagram_option(out, COAP_OPTION_BLOCK2, value, block_encode(block, value));
    }
}

static int read_pdu(const coap_pdu_t *pdu, const unsigned char *token, struct probe_answer *out) {
    coap_bin_const_t got = coap_pdu_get_token(pdu);
    out->type = (enum datagram_type)coap_pdu_get_type(pdu);
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
    _cleanup(coap_pdu_freep) coap_pdu_t *pdu = datagram_read(data, len);
    int rc = pdu ? read_pdu(pdu, token, &answer) : ESTC_E_PROTOCOL;
    if (rc)
        estc_buf_clear(&answer.payload);
    else
        *out = answer;
    return rc;
}
