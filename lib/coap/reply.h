/* SPDX-License-Identifier: BSD-2-Clause */
/* A server's answer to one datagram, and the memory of the last ones. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include <coap3/coap.h>

#include <estc/buf.h>

#include "coap/block.h"

struct reply {
    unsigned code; /* class * 100 + detail; 0: an empty acknowledgement */
    int content_format;
    int64_t max_age;
    int64_t size1; /* -1: absent */
    bool has_block1, has_block2;
    struct block block1, block2;
    size_t etag_len;
    unsigned char etag[BLOCK_ETAG_MAX];
    struct estc_buf payload;
};

void reply_init(struct reply *reply, unsigned code);
/* A code with a diagnostic text (RFC 7252 section 5.5.2). */
void reply_error(struct reply *reply, unsigned code, const char *text);
void reply_clear(struct reply *reply);
/* False when it does not fit the PDU. */
bool reply_write(const struct reply *reply, coap_pdu_t *pdu);

/*
 * De-duplication (RFC 7252 section 4.5). A client has one message under way, so a repeated one is
 * the last or, with a detour on the network, one of the few before it: those are answered again
 * from memory. Older ones are recognised for the life of a message id, and not answered.
 */
#define REPLAY_ANSWERS 8
#define REPLAY_IDS 64

struct replay {
    struct {
        uint16_t mid;
        int64_t when;
    } ids[REPLAY_IDS];
    struct reply answers[REPLAY_ANSWERS]; /* of the last ids */
    uint64_t count;                       /* messages seen */
};

enum replay_result {
    REPLAY_NEW,
    REPLAY_AGAIN, /* *reply is what it was answered with */
    REPLAY_OLD,   /* seen, but the answer is forgotten */
};

enum replay_result replay_find(const struct replay *replay, uint16_t mid, int64_t now,
                               const struct reply **reply);
/* Remembers a message and takes its answer over, which is empty afterwards; the answer in memory
 * stays valid until REPLAY_ANSWERS more have come. */
const struct reply *replay_take(struct replay *replay, uint16_t mid, int64_t now,
                                struct reply *reply);
void replay_clear(struct replay *replay);
