/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Messages written byte by byte, because libcoap writes them for its sessions only. Reading, which
 * is what strangers have a hand in, is libcoap's. Owns nothing, touches no network.
 */
#include "coap/datagram.h"

#include <string.h>

static void put(struct datagram *d, const void *data, size_t len) {
    if (len > sizeof(d->data) - d->len) {
        d->failed = true;
        return;
    }
    memcpy(d->data + d->len, data, len);
    d->len += len;
}

void datagram_begin(struct datagram *d, enum datagram_type type, unsigned code, uint16_t mid,
                    const void *token, size_t token_len) {
    const unsigned char head[] = {
        (unsigned char)(0x40 | (unsigned)type << 4 | token_len),
        (unsigned char)message_wire_code(code),
        (unsigned char)(mid >> 8),
        (unsigned char)mid,
    };
    d->len = 0;
    d->last = 0;
    d->failed = false;
    put(d, head, sizeof(head));
    put(d, token_len > 0 ? token : "", token_len);
}

/* RFC 7252 section 3.1: half a byte, or 13 and 14 with what stands behind. */
static unsigned nibble(size_t value, unsigned char out[static 2], size_t *len) {
    *len = 0;
    if (value < 13)
        return (unsigned)value;
    if (value < 269) {
        out[(*len)++] = (unsigned char)(value - 13);
        return 13;
    }
    out[(*len)++] = (unsigned char)((value - 269) >> 8);
    out[(*len)++] = (unsigned char)(value - 269);
    return 14;
}

void datagram_option(struct datagram *d, unsigned number, const void *value, size_t len) {
    unsigned char delta[2], length[2];
    size_t delta_len, length_len;
    unsigned char first = (unsigned char)(nibble(number - d->last, delta, &delta_len) << 4);
    first |= (unsigned char)nibble(len, length, &length_len);
    put(d, &first, 1);
    put(d, delta, delta_len);
    put(d, length, length_len);
    put(d, len > 0 ? value : "", len);
    d->last = number;
}

void datagram_uint(struct datagram *d, unsigned number, uint32_t value) {
    unsigned char bytes[sizeof(value)];
    datagram_option(d, number, bytes, coap_encode_var_safe(bytes, sizeof(bytes), value));
}

void datagram_payload(struct datagram *d, const void *data, size_t len) {
    static const unsigned char marker = 0xff;
    if (len == 0)
        return;
    put(d, &marker, 1);
    put(d, data, len);
}

coap_pdu_t *datagram_read(const unsigned char *data, size_t len) {
    coap_pdu_t *pdu = coap_pdu_init(COAP_MESSAGE_CON, COAP_EMPTY_CODE, 0, len);
    if (pdu && !coap_pdu_parse(COAP_PROTO_UDP, data, len, pdu)) {
        coap_delete_pdu(pdu);
        return NULL;
    }
    return pdu;
}
