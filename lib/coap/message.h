/* SPDX-License-Identifier: BSD-2-Clause */
/* The options of a CoAP message that EST uses, read and written (RFC 7252 section 5.10). */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <coap3/coap.h>

#include "coap/block.h"

#define MESSAGE_REQUEST_TAG_MAX 8

struct message {
    unsigned code;      /* class * 100 + detail */
    int content_format; /* -1: absent */
    int accept;         /* -1: absent */
    int64_t max_age;    /* -1: absent */
    int64_t size1;      /* -1: absent */
    bool has_block1, has_block2;
    struct block block1, block2;
    size_t etag_len, request_tag_len;
    unsigned char etag[BLOCK_ETAG_MAX];
    unsigned char request_tag[MESSAGE_REQUEST_TAG_MAX];
    const unsigned char *payload; /* the PDU's */
    size_t payload_len;
    const char *query; /* message_query(), set by who calls it; NULL: none */
};

/* 0; ESTC_E_MALFORMED for a Block option that cannot be decoded; ESTC_E_PROTOCOL for a critical
 * option that repeats though it must not or, in a response, has no meaning there. */
int message_read(const coap_pdu_t *pdu, struct message *out);

/* "/.well-known/est/sen" from the Uri-Path options: malloc'd. NULL for a path that has no such
 * form (a segment that is empty, ".", ".." or contains "/" or NUL) or when out of memory. */
char *message_path(const coap_pdu_t *pdu);

/* The Uri-Query options joined by "&": malloc'd. NULL without any, for one with a NUL in it, or
 * when out of memory. */
char *message_query(const coap_pdu_t *pdu);

/* False when there is no room left. */
bool message_add_uint(coap_pdu_t *pdu, coap_option_num_t number, uint32_t value);
bool message_add_block(coap_pdu_t *pdu, coap_option_num_t number, const struct block *block);
bool message_add_path(coap_pdu_t *pdu, const char *path);
bool message_add_query(coap_pdu_t *pdu, const char *query);

/* 204 <-> 0x44 (2.04). */
unsigned message_code(coap_pdu_code_t wire);
coap_pdu_code_t message_wire_code(unsigned code);
