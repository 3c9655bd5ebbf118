/* SPDX-License-Identifier: BSD-2-Clause */
/* The datagrams of a search: one question in its few forms, and what may come back. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <estc/buf.h>

#include "coap/block.h"
#include "coap/datagram.h"
#include "coap/message.h"

#define PROBE_TOKEN_LEN 8

/* GET /.well-known/core?rt=ace.est*; block is NULL for the first one. */
void probe_question(enum datagram_type type, uint16_t mid,
                    const unsigned char token[static PROBE_TOKEN_LEN], const struct block *block,
                    struct datagram *out);

struct probe_answer {
    enum datagram_type type;
    uint16_t mid;
    bool empty;             /* an acknowledgement or a reset alone; the rest is not set */
    bool ours;              /* it has our token */
    struct message message; /* without its payload */
    struct estc_buf payload;
};

/* 0; ESTC_E_PROTOCOL for what is no CoAP, no response, or has options that make no sense; -ENOMEM.
 * Clear the payload afterwards. */
int probe_read(const unsigned char *data, size_t len,
               const unsigned char token[static PROBE_TOKEN_LEN], struct probe_answer *out);
