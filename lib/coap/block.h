/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Block-wise transfer (RFC 7959) without a network: the option, and the four ends of a transfer.
 * Sender and collector are the client's, assembly and page the server's.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <estc/buf.h>

#define BLOCK_SZX_MAX 6 /* 1024 bytes; 7 is reserved over UDP (RFC 7959 section 2.2) */
#define BLOCK_NUM_MAX 0xfffffU
#define BLOCK_OPTION_MAX 3
#define BLOCK_ETAG_MAX 8

struct block {
    uint32_t num;
    bool more;
    unsigned szx;
};

/* Bytes of a block: 16 << szx. */
size_t block_size(unsigned szx);
/* The SZX of 16, 32, ... 1024 bytes; -EINVAL for any other size. */
int block_szx(unsigned size, unsigned *szx);

/* 0, or ESTC_E_PROTOCOL for more than three bytes or SZX 7. No bytes mean block 0 of 16 bytes. */
int block_decode(const unsigned char *value, size_t len, struct block *out);
/* Writes the shortest form and returns its length. */
size_t block_encode(const struct block *block, unsigned char out[static BLOCK_OPTION_MAX]);

/* A request body on its way up (Block1). The body is borrowed. */
struct block_sender {
    const unsigned char *data;
    size_t len;
    size_t offset; /* of the part under way */
    unsigned szx;
};

struct block_part {
    const unsigned char *data;
    size_t len;
    bool blockwise; /* false: the whole body, no Block1 option */
    struct block block;
};

/* -EMSGSIZE for a body that no block number can reach the end of. */
int block_sender_init(struct block_sender *sender, const void *data, size_t len, unsigned szx);
struct block_part block_sender_part(const struct block_sender *sender);
/* Moves on after a 2.31 with this Block1, heeding a smaller size; ESTC_E_PROTOCOL when it does not
 * answer the part under way. */
int block_sender_continue(struct block_sender *sender, const struct block *echo);
/* Back to the start, in blocks of this size. */
void block_sender_restart(struct block_sender *sender, unsigned szx);

/* An answer's body on its way down (Block2). Zero-initialise, set max and szx. */
struct block_collector {
    struct estc_buf body;
    size_t max;
    unsigned szx; /* size to ask for next */
    bool more;    /* the body is not complete yet */
    size_t etag_len;
    unsigned char etag[BLOCK_ETAG_MAX];
};

/* Adds what came; block is NULL without a Block2 option. ESTC_E_PROTOCOL for a block that was not
 * asked for, is short though more follow, or belongs to another version of the resource (ETag);
 * ESTC_E_TOO_LARGE beyond max; -ENOMEM. */
int block_collector_add(struct block_collector *collector, const struct block *block,
                        const void *data, size_t len, const void *etag, size_t etag_len);
/* The block to ask for next. */
struct block block_collector_next(const struct block_collector *collector);
void block_collector_clear(struct block_collector *collector);

/* A request body being put together by a server. Zero-initialise, set max. */
struct block_assembly {
    struct estc_buf body;
    size_t max;
};

enum block_verdict {
    BLOCK_CONTINUE,   /* 2.31 */
    BLOCK_COMPLETE,   /* the body is whole */
    BLOCK_INCOMPLETE, /* 4.08: a gap, or an order that we do not follow */
    BLOCK_TOO_LARGE,  /* 4.13 */
    BLOCK_BAD,        /* 4.00: the payload's length contradicts the option */
    BLOCK_NO_MEMORY,  /* 5.00 */
    BLOCK_BUSY,       /* 5.03: others take the room; block_assembly_add() never says so */
};

/* Block 0 begins anew. After anything but CONTINUE and COMPLETE the body is empty. */
enum block_verdict block_assembly_add(struct block_assembly *assembly, const struct block *block,
                                      const void *data, size_t len);

/* Cuts the asked block out of a body of total bytes; false when it begins behind the end. */
bool block_page(size_t total, const struct block *asked, struct block *out, size_t *offset,
                size_t *len);
