/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Single CoAP messages in datagrams (RFC 7252 section 3), for sockets that have no sessions: who
 * asks a group or answers strangers has many peers, while libcoap keeps a session for each.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/cleanup.h"
#include "coap/message.h"

#define DATAGRAM_MAX 1280 /* bytes of what we send, at most */

enum datagram_type { DATAGRAM_CON, DATAGRAM_NON, DATAGRAM_ACK, DATAGRAM_RST };

struct datagram {
    unsigned char data[DATAGRAM_MAX];
    size_t len;
    unsigned last; /* number of the option that was written last */
    bool failed;   /* something did not fit */
};

/* Options are written in the order of their numbers, then the payload. code: class * 100 + detail;
 * 0 is an empty message. */
void datagram_begin(struct datagram *d, enum datagram_type type, unsigned code, uint16_t mid,
                    const void *token, size_t token_len);
void datagram_option(struct datagram *d, unsigned number, const void *value, size_t len);
void datagram_uint(struct datagram *d, unsigned number, uint32_t value);
void datagram_payload(struct datagram *d, const void *data, size_t len);

/* Reads a message by libcoap: to be freed with coap_delete_pdu(). NULL for what is no CoAP message,
 * and when out of memory. */
coap_pdu_t *datagram_read(const unsigned char *data, size_t len);

CLEANUP_DEFINE(coap_pdu_t *, coap_pdu_freep, coap_delete_pdu);
