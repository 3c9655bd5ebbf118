/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Owns the bodies that a client is sending. They are told apart by all that describes the request,
 * Request-Tag included, so that several can go on side by side and blocks of two never meet
 * (RFC 7959 section 2.5, RFC 9175 section 3.3). Bounded three ways: bytes of a body, bodies of a
 * client, bytes of all clients together.
 */
#include "coap/transfer.h"

#include <stdlib.h>
#include <string.h>

#include <estc/error.h>

#define TRANSFER_POST 2 /* 0.02 */

/* Keys */

void transfer_key_clear(struct transfer_key *key) {
    free(key->path);
    free(key->query);
    *key = (struct transfer_key){0};
}

bool transfer_key_set(struct transfer_key *key, const struct message *m, const char *path) {
    transfer_key_clear(key);
    key->query = m->query ? strdup(m->query) : NULL;
    if (m->query && !key->query)
        return false;
    key->path = strdup(path);
    key->method = m->code == TRANSFER_POST ? ESTC_POST : ESTC_GET;
    key->content_format = m->content_format;
    key->accept = m->accept;
    key->request_tag_len = m->request_tag_len;
    memcpy(key->request_tag, m->request_tag, m->request_tag_len);
    return key->path;
}

static bool transfer_same_query(const char *a, const char *b) {
    return a && b ? strcmp(a, b) == 0 : a == b;
}

/* A request for further blocks repeats method, URI and Accept (RFC 7959 section 2.4)... */
bool transfer_key_is_answer(const struct transfer_key *key, const struct message *m,
                            const char *path) {
    return key->path && strcmp(key->path, path) == 0 && transfer_same_query(key->query, m->query) &&
           key->accept == m->accept && (key->method == ESTC_POST) == (m->code == TRANSFER_POST);
}

/* ...and blocks of one body agree in all that describes it (section 2.3). */
static bool transfer_key_is_body(const struct transfer_key *key, const struct message *m,
                                 const char *path) {
    return transfer_key_is_answer(key, m, path) && key->content_format == m->content_format &&
           key->request_tag_len == m->request_tag_len &&
           memcmp(key->request_tag, m->request_tag, m->request_tag_len) == 0;
}

/* Bodies */

void transfers_drop(struct transfers *t, struct transfer *transfer) {
    t->budget->used -= transfer->up.body.len;
    estc_buf_clear(&transfer->up.body);
    transfer_key_clear(&transfer->key);
}

void transfers_clear(struct transfers *t) {
    for (size_t i = 0; i < TRANSFERS_MAX; i++)
        transfers_drop(t, &t->at[i]);
}

static void transfers_forget_old(struct transfers *t, int64_t now) {
    for (size_t i = 0; i < TRANSFERS_MAX; i++) {
        if (t->at[i].key.path && now - t->at[i].last > TRANSFER_LIFETIME_MS)
            transfers_drop(t, &t->at[i]);
    }
}

static struct transfer *transfers_find(struct transfers *t, const struct message *m,
                                       const char *path) {
    for (size_t i = 0; i < TRANSFERS_MAX; i++) {
        if (transfer_key_is_body(&t->at[i].key, m, path))
            return &t->at[i];
    }
    return NULL;
}

/* A free place, or that of the one that has been silent longest. */
static struct transfer *transfers_begin(struct transfers *t, const struct message *m,
                                        const char *path) {
    struct transfer *place = &t->at[0];
    for (size_t i = 1; i < TRANSFERS_MAX && place->key.path; i++) {
        if (!t->at[i].key.path || t->at[i].last < place->last)
            place = &t->at[i];
    }
    transfers_drop(t, place);
    if (!transfer_key_set(&place->key, m, path)) {
        transfer_key_clear(&place->key);
        return NULL;
    }
    place->up.max = t->max;
    return place;
}

enum block_verdict transfers_add(struct transfers *t, const struct message *m, const char *path,
                                 int64_t now, struct transfer **whole) {
    transfers_forget_old(t, now);
    struct transfer *transfer = transfers_find(t, m, path);
    if (!transfer && m->block1.num > 0)
        return BLOCK_INCOMPLETE;
    if (!transfer && !(transfer = transfers_begin(t, m, path)))
        return BLOCK_NO_MEMORY;
    transfer->last = now;
    size_t before = transfer->up.body.len;
    t->budget->used -= before;
    if (m->block1.num == 0)
        before = 0;
    enum block_verdict v = BLOCK_BUSY;
    if (before + m->payload_len <= t->budget->max - t->budget->used)
        v = block_assembly_add(&transfer->up, &m->block1, m->payload, m->payload_len);
    t->budget->refused += v == BLOCK_BUSY;
    t->budget->used += transfer->up.body.len;
    if (v == BLOCK_COMPLETE)
        *whole = transfer;
    else if (v != BLOCK_CONTINUE)
        transfers_drop(t, transfer);
    return v;
}
