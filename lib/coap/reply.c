/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Answers as values: they are written into libcoap's PDU as often as the same datagram comes. Owns
 * the payloads; a session's memory of them is bounded by REPLAY_ANSWERS blocks.
 */
#include "coap/reply.h"

#include <string.h>

#include <estc/transport.h>

#include "coap/message.h"

/* EXCHANGE_LIFETIME: a message id is not used again before (RFC 7252 section 4.8.2). */
#define REPLAY_LIFETIME_MS 247000

void reply_init(struct reply *reply, unsigned code) {
    *reply = (struct reply){
        .code = code, .content_format = ESTC_FORMAT_NONE, .max_age = -1, .size1 = -1};
}

void reply_error(struct reply *reply, unsigned code, const char *text) {
    reply_init(reply, code);
    /* Without memory it is an error without a text. */
    (void)estc_buf_append(&reply->payload, text, strlen(text));
}

void reply_clear(struct reply *reply) {
    estc_buf_clear(&reply->payload);
    reply_init(reply, 0);
}

static bool reply_write_options(const struct reply *r, coap_pdu_t *pdu) {
    uint32_t age = r->max_age > UINT32_MAX ? UINT32_MAX : (uint32_t)r->max_age;
    if (r->etag_len > 0 && coap_add_option(pdu, COAP_OPTION_ETAG, r->etag_len, r->etag) == 0)
        return false;
    if (r->content_format >= 0 &&
        !message_add_uint(pdu, COAP_OPTION_CONTENT_FORMAT, (uint32_t)r->content_format))
        return false;
    if (r->max_age >= 0 && !message_add_uint(pdu, COAP_OPTION_MAXAGE, age))
        return false;
    if (r->has_block2 && !message_add_block(pdu, COAP_OPTION_BLOCK2, &r->block2))
        return false;
    if (r->has_block1 && !message_add_block(pdu, COAP_OPTION_BLOCK1, &r->block1))
        return false;
    return r->size1 < 0 || message_add_uint(pdu, COAP_OPTION_SIZE1, (uint32_t)r->size1);
}

bool reply_write(const struct reply *r, coap_pdu_t *pdu) {
    if (r->code == 0)
        return true;
    coap_pdu_set_code(pdu, message_wire_code(r->code));
    return reply_write_options(r, pdu) &&
           (r->payload.len == 0 || coap_add_data(pdu, r->payload.len, r->payload.data));
}

enum replay_result replay_find(const struct replay *replay, uint16_t mid, int64_t now,
                               const struct reply **reply) {
    /* Youngest first. */
    for (uint64_t age = 1; age <= REPLAY_IDS && age <= replay->count; age++) {
        uint64_t n = replay->count - age;
        size_t at = n % REPLAY_IDS;
        if (replay->ids[at].mid != mid || now - replay->ids[at].when > REPLAY_LIFETIME_MS)
            continue;
        if (age > REPLAY_ANSWERS)
            return REPLAY_OLD;
        *reply = &replay->answers[n % REPLAY_ANSWERS];
        return REPLAY_AGAIN;
    }
    return REPLAY_NEW;
}

const struct reply *replay_take(struct replay *replay, uint16_t mid, int64_t now,
                                struct reply *reply) {
    size_t id = replay->count % REPLAY_IDS, at = replay->count % REPLAY_ANSWERS;
    replay->ids[id].mid = mid;
    replay->ids[id].when = now;
    estc_buf_clear(&replay->answers[at].payload);
    replay->answers[at] = *reply;
    reply_init(reply, 0);
    replay->count++;
    return &replay->answers[at];
}

void replay_clear(struct replay *replay) {
    for (size_t i = 0; i < REPLAY_ANSWERS; i++)
        estc_buf_clear(&replay->answers[i].payload);
    *replay = (struct replay){0};
}
