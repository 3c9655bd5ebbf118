/* SPDX-License-Identifier: BSD-2-Clause */
/* The datagrams of a search: one question in its few forms, and what may come back. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <estc/buf.h>

#include "coap/block.h"
#include "coap/message.h"

#define PROBE_TOKEN_LEN 8
#define PROBE_MAX 128 /* bytes of a question, at most */

enum probe_type { PROBE_CON, PROBE_NON, PROBE_ACK, PROBE_RST };

/* GET /.well-known/core?rt=ace.est*; block is NULL for the first one. Returns its length. */
size_t probe_question(enum probe_type type, uint16_t mid,
                      const unsigned char token[static PROBE_TOKEN_LEN], const struct block *block,
                      unsigned char out[static PROBE_MAX]);
/* An empty acknowledgement. */
size_t probe_ack(uint16_t mid, unsigned char out[static PROBE_MAX]);

struct probe_answer {
    enum probe_type type;
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
