/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * One request and its whole answer, over a connection that is up. libcoap retransmits and
 * acknowledges single messages; the blocks of a body, up and down, are ours (its own block handling
 * drops separate responses and delivers short blocks). One message is under way at a time
 * (NSTART = 1), each with a token of its own. After an empty acknowledgement no event ever comes
 * from libcoap, so the caller's deadline is the only end of a long wait.
 *
 *   send -> wait -> (2.31: next part up | first block down: page on | 4.08: from the start) -> done
 *
 * It never repeats a request on another connection; session.c decides on that.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "coap/message.h"
#include "coap/session.h"

/* How often a server may lose what it has got, or change what it is giving. */
#define EXCHANGE_RESTARTS_MAX 3
#define EXCHANGE_TOKEN_MAX 8
/* Blocks so small come in frames that have no bytes for hints. */
#define EXCHANGE_NO_HINTS_SZX 2

struct exchange {
    struct session *s;
    const struct estc_request *request;
    const struct estc_wait *wait;
    struct estc_error *err;
    int64_t began;

    struct block_sender up;
    struct block_collector down;
    bool paging; /* the request is answered; further blocks of the answer are being fetched */
    bool done;
    unsigned restarts;
    unsigned code; /* of the answer's first block, with what came along */
    int content_format;
    int64_t max_age;
};

static const char *exchange_method(const struct exchange *x) {
    return x->request->method == ESTC_POST ? "POST" : "GET";
}

#define exchange_error(x, code, fmt, ...)                                                 \
    estc_error_set((x)->err, (code), "%s: %s %s: " fmt, (x)->s->name, exchange_method(x), \
                   (x)->request->path __VA_OPT__(, ) __VA_ARGS__)

/* Answers, as libcoap hands them over */

static size_t exchange_token(uint64_t counter, unsigned char out[static EXCHANGE_TOKEN_MAX]) {
    return coap_encode_var_safe8(out, EXCHANGE_TOKEN_MAX, counter);
}

static bool exchange_is_current(const struct session *s, const coap_pdu_t *pdu) {
    unsigned char token[EXCHANGE_TOKEN_MAX];
    size_t len = exchange_token(s->token, token);
    coap_bin_const_t got = coap_pdu_get_token(pdu);
    return got.length == len && memcmp(got.s, token, len) == 0;
}

coap_response_t exchange_on_response(coap_session_t *coap, const coap_pdu_t *sent,
                                     const coap_pdu_t *received, const coap_mid_t mid) {
    (void)sent, (void)mid;
    struct session *s = coap_get_app_data(coap_session_get_context(coap));
    struct session_answer *a = &s->answer;
    /* A message of an earlier request that was repeated is acknowledged and ignored. */
    if (a->complete || !exchange_is_current(s, received))
        return COAP_RESPONSE_OK;
    /* libcoap looks at the token alone; an acknowledgement has to name the message that it
     * acknowledges (RFC 7252 section 5.3.2). */
    if (coap_pdu_get_type(received) == COAP_MESSAGE_ACK && coap_pdu_get_mid(received) != s->mid)
        return COAP_RESPONSE_OK;
    a->complete = true;
    a->malformed = message_read(received, &a->message) != 0;
    estc_buf_clear(&a->payload);
    if (!a->malformed)
        a->no_memory = estc_buf_append(&a->payload, a->message.payload, a->message.payload_len) < 0;
    a->message.payload = NULL; /* libcoap's, and soon gone */
    return a->malformed ? COAP_RESPONSE_FAIL : COAP_RESPONSE_OK;
}

void exchange_on_nack(coap_session_t *coap, const coap_pdu_t *sent, const coap_nack_reason_t reason,
                      const coap_mid_t mid) {
    (void)mid;
    struct session *s = coap_get_app_data(coap_session_get_context(coap));
    /* An ICMP error is not final for libcoap, which would connect anew; for us the connection is
     * lost then, and the event says so. */
    if (!sent || reason == COAP_NACK_ICMP_ISSUE || !exchange_is_current(s, sent))
        return;
    s->answer.nack = true;
    s->answer.nack_reason = reason;
}

/* Requests */

static bool exchange_fill(struct exchange *x, coap_pdu_t *pdu, const struct block_part *part) {
    const struct estc_request *q = x->request;
    const struct session *s = x->s;
    /* The literal address needs no Uri-Host, a name does (RFC 7252 section 6.4). */
    if (!resolve_is_address(s->host) &&
        coap_add_option(pdu, COAP_OPTION_URI_HOST, strlen(s->host), (const uint8_t *)s->host) == 0)
        return false;
    if (!message_add_path(pdu, q->path))
        return false;
    if (!x->paging && q->content_format >= 0 &&
        !message_add_uint(pdu, COAP_OPTION_CONTENT_FORMAT, (uint32_t)q->content_format))
        return false;
    if (q->query && !message_add_query(pdu, q->query))
        return false;
    if (q->accept >= 0 && !message_add_uint(pdu, COAP_OPTION_ACCEPT, (uint32_t)q->accept))
        return false;
    /* A size is asked for with the last part of the request (RFC 7959 section 2.7). */
    struct block want = block_collector_next(&x->down);
    if (x->paging || (want.szx < BLOCK_SZX_MAX && !part->block.more)) {
        if (!message_add_block(pdu, COAP_OPTION_BLOCK2, &want))
            return false;
    }
    if (x->paging)
        return true;
    if (part->blockwise && !message_add_block(pdu, COAP_OPTION_BLOCK1, &part->block))
        return false;
    if (part->blockwise && part->block.num == 0 && s->szx > EXCHANGE_NO_HINTS_SZX &&
        !message_add_uint(pdu, COAP_OPTION_SIZE1, (uint32_t)x->up.len))
        return false;
    return part->len == 0 || coap_add_data(pdu, part->len, part->data);
}

/* NULL when it does not fit a datagram. */
static coap_pdu_t *exchange_build(struct exchange *x) {
    struct session *s = x->s;
    struct block_part part = block_sender_part(&x->up);
    size_t most = coap_session_max_pdu_size(s->coap);
    coap_pdu_t *pdu = coap_pdu_init(COAP_MESSAGE_CON,
                                    x->request->method == ESTC_POST ? COAP_REQUEST_CODE_POST
                                                                    : COAP_REQUEST_CODE_GET,
                                    coap_new_message_id(s->coap), s->room < most ? s->room : most);
    if (!pdu)
        return NULL;
    unsigned char token[EXCHANGE_TOKEN_MAX];
    size_t len = exchange_token(s->token, token);
    if (coap_add_token(pdu, len, token) && exchange_fill(x, pdu, &part))
        return pdu;
    coap_delete_pdu(pdu);
    return NULL;
}

static int exchange_nacked(struct exchange *x) {
    struct session *s = x->s;
    if (s->answer.nack && s->answer.nack_reason == COAP_NACK_TOO_MANY_RETRIES)
        return exchange_error(x, ESTC_E_UNREACHABLE,
                              "the server stopped answering; the request was repeated in vain");
    if (s->answer.nack && s->answer.nack_reason == COAP_NACK_RST)
        return exchange_error(x, ESTC_E_PROTOCOL, "the server reset the exchange");
    s->state = SESSION_LOST;
    return exchange_error(x, ESTC_E_UNREACHABLE, "the connection was lost");
}

static int exchange_send(struct exchange *x) {
    struct session *s = x->s;
    if (s->state != SESSION_UP)
        return exchange_nacked(x);
    s->token++;
    coap_pdu_t *pdu = exchange_build(x);
    /* A long path leaves less room for the payload. */
    while (!pdu && !x->paging && x->up.szx > 0 && x->up.len > 0) {
        x->up.szx--;
        pdu = exchange_build(x);
    }
    if (!pdu)
        return exchange_error(x, -EMSGSIZE, "the request does not fit a datagram");
    estc_buf_clear(&s->answer.payload);
    s->answer = (struct session_answer){0};
    s->mid = dtls_send(s->coap, pdu);
    if (s->mid == COAP_INVALID_MID)
        return exchange_error(x, ESTC_E_UNREACHABLE, "cannot send");
    return 0;
}

static int exchange_wait(struct exchange *x) {
    struct session *s = x->s;
    while (!s->answer.complete) {
        if (s->answer.nack || s->state != SESSION_UP)
            return exchange_nacked(x);
        int64_t now = clock_boot_ms();
        if (now >= x->wait->deadline)
            return exchange_error(x, ESTC_E_TIMEOUT, "no usable answer within %lld s",
                                  (long long)(now - x->began + 500) / 1000);
        int r = session_pump(s, x->wait, x->wait->deadline, x->err);
        if (r)
            return r;
    }
    if (s->answer.no_memory)
        return exchange_error(x, -ENOMEM, "out of memory");
    if (s->answer.malformed)
        return exchange_error(x, ESTC_E_PROTOCOL,
                              "the answer has an option that is not allowed there");
    return 0;
}

/* Steps */

static int exchange_restart(struct exchange *x, unsigned szx, const char *why) {
    if (++x->restarts > EXCHANGE_RESTARTS_MAX)
        return exchange_error(x, ESTC_E_PROTOCOL, "%s, again and again", why);
    block_sender_restart(&x->up, szx);
    block_collector_clear(&x->down);
    x->paging = false;
    return 0;
}

static int exchange_collect(struct exchange *x) {
    const struct session_answer *a = &x->s->answer;
    const struct message *m = &a->message;
    int r = block_collector_add(&x->down, m->has_block2 ? &m->block2 : NULL, a->payload.data,
                                a->payload.len, m->etag, m->etag_len);
    if (r == ESTC_E_TOO_LARGE)
        return exchange_error(x, r, "the answer is larger than the limit of %zu bytes",
                              x->down.max);
    if (r == ESTC_E_PROTOCOL)
        return exchange_error(x, r, "the blocks of the answer do not fit together");
    if (r)
        return exchange_error(x, r, "out of memory");
    x->paging = x->down.more;
    x->done = !x->down.more;
    return 0;
}

/* The first message of the final answer. */
static int exchange_take_answer(struct exchange *x) {
    const struct message *m = &x->s->answer.message;
    block_collector_clear(&x->down);
    x->code = m->code;
    x->content_format = m->content_format;
    x->max_age = m->max_age;
    return exchange_collect(x);
}

/* A body that went up in one piece may do in several: in the largest blocks that are smaller than
 * it and than the limit that the server names (RFC 7959 section 2.9.3). This happens once, for the
 * next refusal is one of a block. */
static bool exchange_split(struct exchange *x) {
    int64_t limit = x->s->answer.message.size1;
    unsigned szx = x->up.szx;
    while (szx > 0 &&
           (block_size(szx) >= x->up.len || (limit >= 0 && block_size(szx) > (uint64_t)limit)))
        szx--;
    if (block_size(szx) >= x->up.len)
        return false;
    block_sender_restart(&x->up, szx);
    return true;
}

/* While the request goes up: an acknowledgement of a part, a refusal, or the answer. */
static int exchange_take_first(struct exchange *x) {
    const struct message *m = &x->s->answer.message;
    struct block_part part = block_sender_part(&x->up);
    if (m->code == 231) {
        if (!m->has_block1 || !part.blockwise || block_sender_continue(&x->up, &m->block1))
            return exchange_error(x, ESTC_E_PROTOCOL, "2.31 does not fit the block sent");
        return 0;
    }
    if (m->code == 408 && part.blockwise)
        return exchange_restart(x, x->up.szx, "the server lost blocks of the request");
    /* Smaller blocks may fit (RFC 7959 section 2.9.3); this ends, for the size only shrinks. */
    if (m->code == 413 && m->has_block1 && m->block1.szx < x->up.szx && x->up.len > 0) {
        block_sender_restart(&x->up, m->block1.szx);
        return 0;
    }
    if (m->code == 413 && !part.blockwise && exchange_split(x))
        return 0;
    if (m->code < 300 && part.block.more)
        return exchange_error(x, ESTC_E_PROTOCOL, "an answer came before the request was complete");
    return exchange_take_answer(x);
}

/* While the answer comes down: its next block, or an error that takes its place. */
static int exchange_take_page(struct exchange *x) {
    static const char changed[] = "the answer changed while it was fetched";
    const struct session_answer *a = &x->s->answer;
    const struct message *m = &a->message;
    bool same = m->code == x->code && m->content_format == x->content_format &&
                m->etag_len == x->down.etag_len && memcmp(m->etag, x->down.etag, m->etag_len) == 0;
    if (same)
        return exchange_collect(x);
    if (m->code >= 400 && m->code != 408)
        return exchange_take_answer(x);
    /* Asking again is free for a GET; a POST may have done its work already. */
    if (x->request->method == ESTC_GET)
        return exchange_restart(x, x->up.szx, changed);
    return exchange_error(x, ESTC_E_PROTOCOL, "%s", changed);
}

static int exchange_step(struct exchange *x) {
    int r = exchange_send(x);
    if (!r)
        r = exchange_wait(x);
    if (r)
        return r;
    unsigned class = x->s->answer.message.code / 100;
    if (class != 2 && class != 4 && class != 5)
        return exchange_error(x, ESTC_E_PROTOCOL, "response code %u.%02u has no meaning", class,
                              x->s->answer.message.code % 100);
    return x->paging ? exchange_take_page(x) : exchange_take_first(x);
}

int exchange_run(struct session *s, const struct estc_request *request,
                 const struct estc_wait *wait, struct estc_response *response,
                 struct estc_error *err) {
    struct exchange x = {
        .s = s,
        .request = request,
        .wait = wait,
        .err = err,
        .began = clock_boot_ms(),
        .down = {.max = s->max_body, .szx = s->szx_now},
    };
    int r = block_sender_init(&x.up, request->payload, request->payload_len, s->szx_now);
    if (r)
        return exchange_error(&x, r, "a body of %zu bytes is too large to be sent",
                              request->payload_len);
    while (!r && !x.done)
        r = exchange_step(&x);
    if (!r) {
        *response = (struct estc_response){
            .code = x.code,
            .content_format = x.content_format,
            .max_age = x.max_age,
            .payload = x.down.body,
        };
        x.down.body = (struct estc_buf){0};
    }
    block_collector_clear(&x.down);
    return r;
}
