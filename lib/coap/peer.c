/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * One client's requests: has bodies put together, asks the program once for each whole request,
 * keeps its answer and cuts blocks from it. State belongs to the DTLS connection, so no other
 * client can reach it (RFC 7959 section 7); what it may hold are a few bodies (transfer.c), one
 * answer and the last few datagrams.
 */
#include "coap/peer.h"

#include <stdlib.h>
#include <string.h>

#include <openssl/evp.h>

#include "base/clock.h"

#define PEER_GET 1  /* 0.01 */
#define PEER_POST 2 /* 0.02 */
#define PEER_ETAG_LEN 4
/* When to come again while others take all the room for bodies. */
#define PEER_BUSY_S 30

struct peer *peer_new(X509 *cert, const char *address, size_t max_body,
                      struct transfer_budget *budget) {
    struct peer *p = calloc(1, sizeof(*p));
    char *text = strdup(address);
    if (!p || !text) {
        free(p);
        free(text);
        return NULL;
    }
    p->cert = cert;
    p->address = text;
    p->up.max = max_body;
    p->up.budget = budget;
    return p;
}

struct peer *peer_free(struct peer *p) {
    if (!p)
        return NULL;
    X509_free(p->cert);
    replay_clear(&p->replay);
    transfers_clear(&p->up);
    estc_response_clear(&p->down);
    transfer_key_clear(&p->down_key);
    transfer_key_clear(&p->waiting.key);
    free(p->address);
    free(p);
    return NULL;
}

/* Up */

static void peer_refuse_body(const struct peer *p, enum block_verdict why, struct reply *reply) {
    switch (why) {
    case BLOCK_CONTINUE:
        reply_init(reply, 231);
        break;
    case BLOCK_INCOMPLETE:
        reply_error(reply, 408, "block missing: start again with block 0");
        break;
    case BLOCK_TOO_LARGE:
        reply_error(reply, 413, "body too large");
        reply->size1 = (int64_t)p->up.max;
        break;
    case BLOCK_BAD:
        reply_error(reply, 400, "payload does not fit the Block1 option");
        break;
    case BLOCK_BUSY:
        reply_error(reply, 503, "too many requests are under way: come again");
        reply->max_age = PEER_BUSY_S;
        break;
    case BLOCK_COMPLETE:
    case BLOCK_NO_MEMORY:
        reply_error(reply, 500, "out of memory");
        break;
    }
}

/* The whole body, or NULL: the reply says what is to be done then. */
static struct transfer *peer_collect(struct peer *p, const struct message *m, const char *path,
                                     size_t room, struct reply *reply) {
    struct transfer *whole = NULL;
    enum block_verdict v = transfers_add(&p->up, m, path, clock_boot_ms(), &whole);
    if (v == BLOCK_COMPLETE)
        return whole;
    peer_refuse_body(p, v, reply);
    reply->has_block1 = true;
    reply->block1 = m->block1;
    /* Smaller ones from here on, when the path to the client carries no more (RFC 7959 section
     * 2.3). */
    while (m->block1.num == 0 && v == BLOCK_CONTINUE && reply->block1.szx > 0 &&
           block_size(reply->block1.szx) > room)
        reply->block1.szx--;
    return NULL;
}

/* Down */

static void peer_page(const struct peer *p, const struct message *m, size_t room,
                      struct reply *reply) {
    const struct estc_buf *body = &p->down.payload;
    struct block asked = m->has_block2 ? m->block2 : (struct block){.szx = BLOCK_SZX_MAX};
    while (asked.szx > 0 && block_size(asked.szx) > room) {
        asked.szx--;
        asked.num *= 2;
    }
    size_t offset, len;
    struct block block;
    if (!block_page(body->len, &asked, &block, &offset, &len)) {
        reply_error(reply, 400, "no such block");
        return;
    }
    reply_init(reply, p->down.code);
    reply->content_format = p->down.content_format;
    reply->max_age = p->down.max_age;
    if (block.more || block.num > 0) {
        reply->has_block2 = true;
        reply->block2 = block;
        reply->etag_len = p->down_etag_len;
        memcpy(reply->etag, p->down_etag, p->down_etag_len);
    }
    if (len > 0 && estc_buf_append(&reply->payload, body->data + offset, len) < 0)
        reply_init(reply, 500);
}

/* A client may see two versions of a resource; an ETag keeps it from mixing their blocks. */
static void peer_set_etag(struct peer *p) {
    unsigned char digest[EVP_MAX_MD_SIZE];
    p->down_etag_len = 0;
    if (EVP_Digest(p->down.payload.data ? (const void *)p->down.payload.data : "",
                   p->down.payload.len, digest, NULL, EVP_sha256(), NULL) == 1) {
        memcpy(p->down_etag, digest, PEER_ETAG_LEN);
        p->down_etag_len = PEER_ETAG_LEN;
    }
}

/* What was answered, or would be. */
static void peer_take(struct peer *p) {
    if (p->down.code < 200 || p->down.code > 599)
        p->down.code = 500;
    peer_set_etag(p);
}

static void peer_wait(struct peer *p, const struct message *m, size_t room, uint64_t ticket) {
    transfer_key_clear(&p->waiting.key);
    p->waiting =
        (struct peer_waiting){.ticket = ticket, .key = p->down_key, .options = *m, .room = room};
    p->waiting.options.payload = NULL;
    p->waiting.options.query = NULL;
    p->down_key = (struct transfer_key){0}; /* there are no blocks of it yet */
}

/* What is asked, but for its body. */
struct peer_question {
    const struct message *m;
    const char *path;
    size_t room;
    uint64_t ticket;
};

static bool peer_ask(struct peer *p, const struct peer_question *q, const void *body, size_t len,
                     estc_answer_fn answer, void *arg) {
    const struct message *m = q->m;
    struct estc_request request = {
        .method = m->code == PEER_POST ? ESTC_POST : ESTC_GET,
        .path = q->path,
        .query = m->query,
        .content_format = m->content_format,
        .accept = m->accept,
        .payload = body,
        .payload_len = len,
        .ticket = q->ticket,
    };
    struct estc_peer who = {
        .cert = p->cert,
        .address = p->address,
        .binding = p->binding.len > 0 ? &p->binding : NULL,
    };
    estc_response_clear(&p->down);
    if (!transfer_key_set(&p->down_key, m, q->path))
        return false;
    answer(arg, &who, &request, &p->down);
    if (p->down.later && q->ticket)
        peer_wait(p, m, q->room, q->ticket);
    else
        peer_take(p);
    return true;
}

static void peer_echo(const struct message *m, struct reply *reply) {
    if (!m->has_block1)
        return;
    reply->has_block1 = true;
    reply->block1 = m->block1;
}

void peer_resume(struct peer *p, struct estc_response *response, struct reply *reply) {
    const struct message m = p->waiting.options;
    size_t room = p->waiting.room;
    estc_response_clear(&p->down);
    transfer_key_clear(&p->down_key);
    p->down = *response;
    *response = (struct estc_response){.content_format = ESTC_FORMAT_NONE, .max_age = -1};
    p->down_key = p->waiting.key;
    p->waiting = (struct peer_waiting){0};
    peer_take(p);
    peer_page(p, &m, room, reply);
    peer_echo(&m, reply);
}

void peer_forget(struct peer *p) {
    transfer_key_clear(&p->waiting.key);
    p->waiting = (struct peer_waiting){0};
}

void peer_answer(struct peer *p, const struct message *m, const char *path, size_t room,
                 uint64_t ticket, estc_answer_fn answer, void *arg, struct reply *reply) {
    bool post = m->code == PEER_POST;
    if (!post && m->code != PEER_GET)
        return reply_error(reply, 405, "GET or POST only");
    if (!path)
        return reply_error(reply, 404, "no such resource");
    if (!post && m->has_block1)
        return reply_error(reply, 400, "a GET has no body");
    if (m->has_block2 && m->block2.num > 0) {
        if (transfer_key_is_answer(&p->down_key, m, path))
            return peer_page(p, m, room, reply);
        /* A POST is never carried out for the sake of its later blocks. */
        if (post)
            return reply_error(reply, 408, "no answer to continue: send the request again");
    }
    bool blockwise = post && m->has_block1;
    struct transfer *whole = blockwise ? peer_collect(p, m, path, room, reply) : NULL;
    if (blockwise && !whole)
        return;
    const void *body = whole ? whole->up.body.data : post ? m->payload : NULL;
    size_t len = whole ? whole->up.body.len : post ? m->payload_len : 0;
    const struct peer_question q = {.m = m, .path = path, .room = room, .ticket = ticket};
    if (len > p->up.max)
        peer_refuse_body(p, BLOCK_TOO_LARGE, reply);
    else if (!peer_ask(p, &q, body, len, answer, arg))
        reply_error(reply, 500, "out of memory");
    else if (ticket && p->waiting.ticket == ticket)
        reply_init(reply, 0);
    else
        peer_page(p, m, room, reply);
    if (whole)
        transfers_drop(&p->up, whole);
    peer_echo(m, reply);
}
