/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Block-wise transfer as pure functions: they see options and payloads, never a message or a
 * socket. They own the bodies that they collect, bound them, and trust nothing that the peer says
 * about sizes: only M = 0 ends a body (RFC 7959 section 4). Blocks are accepted in order only.
 */
#include "coap/block.h"

#include <errno.h>
#include <string.h>

#include <estc/error.h>

#define BLOCK_SIZE_MIN 16

size_t block_size(unsigned szx) {
    return (size_t)BLOCK_SIZE_MIN << szx;
}

int block_szx(unsigned size, unsigned *szx) {
    for (unsigned i = 0; i <= BLOCK_SZX_MAX; i++) {
        if (block_size(i) == size) {
            *szx = i;
            return 0;
        }
    }
    return -EINVAL;
}

int block_decode(const unsigned char *value, size_t len, struct block *out) {
    if (len > BLOCK_OPTION_MAX)
        return ESTC_E_PROTOCOL;
    uint32_t bits = 0;
    for (size_t i = 0; i < len; i++)
        bits = bits << 8 | value[i];
    if ((bits & 7) > BLOCK_SZX_MAX)
        return ESTC_E_PROTOCOL;
    *out = (struct block){.num = bits >> 4, .more = bits & 8, .szx = bits & 7};
    return 0;
}

size_t block_encode(const struct block *block, unsigned char out[static BLOCK_OPTION_MAX]) {
    uint32_t bits = block->num << 4 | (block->more ? 8U : 0U) | block->szx;
    size_t len = bits > 0xffff ? 3 : bits > 0xff ? 2 : bits > 0 ? 1 : 0;
    for (size_t i = 0; i < len; i++)
        out[i] = (unsigned char)(bits >> 8 * (len - 1 - i));
    return len;
}

/* Request bodies, client's side */

int block_sender_init(struct block_sender *sender, const void *data, size_t len, unsigned szx) {
    /* A server may ask for the smallest blocks at any time, so even those have to reach the end. */
    if (len / BLOCK_SIZE_MIN > BLOCK_NUM_MAX)
        return -EMSGSIZE;
    *sender = (struct block_sender){.data = data, .len = len, .szx = szx};
    return 0;
}

struct block_part block_sender_part(const struct block_sender *sender) {
    size_t size = block_size(sender->szx);
    size_t left = sender->len - sender->offset;
    bool more = left > size;
    return (struct block_part){
        .data = sender->data ? sender->data + sender->offset : NULL,
        .len = more ? size : left,
        .blockwise = sender->len > size || sender->offset > 0,
        .block = {.num = (uint32_t)(sender->offset / size), .more = more, .szx = sender->szx},
    };
}

int block_sender_continue(struct block_sender *sender, const struct block *echo) {
    struct block_part part = block_sender_part(sender);
    /* A number counts in the size that it was sent with, whatever the answer proposes for the
     * following blocks (RFC 7959 section 2.3, figure 8). */
    if (!part.block.more || echo->num != part.block.num || echo->szx > sender->szx)
        return ESTC_E_PROTOCOL;
    sender->offset += part.len;
    sender->szx = echo->szx;
    return 0;
}

void block_sender_restart(struct block_sender *sender, unsigned szx) {
    sender->offset = 0;
    sender->szx = szx;
}

/* Answer bodies, client's side */

static bool collector_same_version(struct block_collector *c, bool first, const void *etag,
                                   size_t etag_len) {
    if (etag_len > BLOCK_ETAG_MAX)
        return false;
    if (first) {
        c->etag_len = etag_len;
        if (etag_len > 0)
            memcpy(c->etag, etag, etag_len);
        return true;
    }
    return c->etag_len == etag_len && (etag_len == 0 || memcmp(c->etag, etag, etag_len) == 0);
}

int block_collector_add(struct block_collector *c, const struct block *block, const void *data,
                        size_t len, const void *etag, size_t etag_len) {
    static const struct block whole = {.szx = BLOCK_SZX_MAX};
    bool first = c->body.len == 0 && !c->more;
    if (!block && !first)
        return ESTC_E_PROTOCOL;
    const struct block *b = block ? block : &whole;
    size_t size = block_size(b->szx);
    if ((size_t)b->num * size != c->body.len || b->szx > BLOCK_SZX_MAX)
        return ESTC_E_PROTOCOL;
    if (block && (b->more ? len != size : len > size))
        return ESTC_E_PROTOCOL;
    if (!first && b->szx > c->szx)
        return ESTC_E_PROTOCOL;
    if (!collector_same_version(c, first, etag, etag_len))
        return ESTC_E_PROTOCOL;
    if (len > c->max - c->body.len)
        return ESTC_E_TOO_LARGE;
    int r = estc_buf_append(&c->body, data, len);
    if (r < 0)
        return r;
    c->more = b->more;
    c->szx = b->szx;
    return 0;
}

struct block block_collector_next(const struct block_collector *c) {
    return (struct block){.num = (uint32_t)(c->body.len / block_size(c->szx)), .szx = c->szx};
}

void block_collector_clear(struct block_collector *c) {
    estc_buf_clear(&c->body);
    *c = (struct block_collector){.max = c->max, .szx = c->szx};
}

/* Request bodies, server's side */

static enum block_verdict assembly_refuse(struct block_assembly *a, enum block_verdict why) {
    estc_buf_clear(&a->body);
    return why;
}

enum block_verdict block_assembly_add(struct block_assembly *a, const struct block *block,
                                      const void *data, size_t len) {
    size_t size = block_size(block->szx);
    if (block->more ? len != size : len > size)
        return assembly_refuse(a, BLOCK_BAD);
    if (block->num == 0)
        estc_buf_clear(&a->body);
    if ((size_t)block->num * size != a->body.len)
        return assembly_refuse(a, BLOCK_INCOMPLETE);
    if (len > a->max - a->body.len)
        return assembly_refuse(a, BLOCK_TOO_LARGE);
    if (estc_buf_append(&a->body, data, len) < 0)
        return assembly_refuse(a, BLOCK_NO_MEMORY);
    return block->more ? BLOCK_CONTINUE : BLOCK_COMPLETE;
}

bool block_page(size_t total, const struct block *asked, struct block *out, size_t *offset,
                size_t *len) {
    size_t size = block_size(asked->szx);
    size_t begin = (size_t)asked->num * size;
    if (begin > 0 && begin >= total)
        return false;
    size_t left = total - begin;
    *offset = begin;
    *len = left < size ? left : size;
    *out = (struct block){.num = asked->num, .more = left > size, .szx = asked->szx};
    return true;
}
