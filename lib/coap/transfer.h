/* SPDX-License-Identifier: BSD-2-Clause */
/* Request bodies that one client sends in blocks, several at a time, within its share of memory. */
#pragma once

#include <stdint.h>

#include <estc/transport.h>

#include "coap/block.h"
#include "coap/message.h"

/* A client that begins another body gives its oldest up. */
#define TRANSFERS_MAX 4
/* EXCHANGE_LIFETIME (RFC 7252 section 4.8.2). */
#define TRANSFER_LIFETIME_MS 247000

/* Which request a transfer belongs to (RFC 7959 section 2.5, RFC 9175 section 3.3). */
struct transfer_key {
    enum estc_method method;
    char *path, *query;
    int content_format, accept;
    size_t request_tag_len;
    unsigned char request_tag[MESSAGE_REQUEST_TAG_MAX];
};

/* False without memory. */
bool transfer_key_set(struct transfer_key *key, const struct message *m, const char *path);
void transfer_key_clear(struct transfer_key *key);
/* True for a request for further blocks of the answer to that request. */
bool transfer_key_is_answer(const struct transfer_key *key, const struct message *m,
                            const char *path);

/* What the bodies of all clients may take together. */
struct transfer_budget {
    size_t used, max; /* bytes */
    unsigned refused; /* that there was no room for; whoever looks takes it back to 0 */
};

struct transfer {
    struct transfer_key key; /* path NULL: free */
    struct block_assembly up;
    int64_t last; /* when its last block came, CLOCK_BOOTTIME */
};

/* Zero-initialise, set max and budget, which must outlive it. */
struct transfers {
    struct transfer at[TRANSFERS_MAX];
    size_t max; /* bytes of one body */
    struct transfer_budget *budget;
};

/*
 * Takes a message with a Block1 option. A block 0 begins anew. After BLOCK_COMPLETE *whole is the
 * transfer, to be dropped after use; after anything but that and BLOCK_CONTINUE it is gone.
 * Whatever has been silent for TRANSFER_LIFETIME_MS is dropped.
 */
enum block_verdict transfers_add(struct transfers *t, const struct message *m, const char *path,
                                 int64_t now, struct transfer **whole);
void transfers_drop(struct transfers *t, struct transfer *transfer);
void transfers_clear(struct transfers *t);
