/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Keeps one number for each: the moment until which what was taken has been paid for by waiting.
 * It may lie a minute ahead at the most. Which place in the table somebody gets hangs on a secret,
 * so that nobody can choose to share one with another.
 */
#include "coap/quota.h"

#include <stdlib.h>
#include <string.h>

#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/rand.h>

#define QUOTA_SETS 1024 /* a power of two */
#define QUOTA_WAYS 4
#define QUOTA_SECRET_LEN 32
#define QUOTA_MINUTE_US INT64_C(60000000)

struct quota_place {
    uint64_t whose;
    int64_t until; /* microseconds; 0: nobody's */
};

struct quota {
    int64_t each; /* microseconds that one costs; 0: nothing */
    unsigned char secret[QUOTA_SECRET_LEN];
    struct quota_place places[QUOTA_SETS][QUOTA_WAYS];
};

struct quota *quota_new(unsigned a_minute) {
    struct quota *q = calloc(1, sizeof(*q));
    if (!q || RAND_bytes(q->secret, sizeof(q->secret)) != 1)
        return quota_free(q);
    q->each = a_minute ? QUOTA_MINUTE_US / a_minute : 0;
    return q;
}

struct quota *quota_free(struct quota *q) {
    free(q);
    return NULL;
}

/* Its place, or that which is given up for it; NULL: cannot be told. */
static struct quota_place *quota_find(struct quota *q, const void *key, size_t len) {
    unsigned char mac[EVP_MAX_MD_SIZE];
    unsigned mac_len;
    uint64_t whose;
    uint32_t set;
    if (!HMAC(EVP_sha256(), q->secret, sizeof(q->secret), key, len, mac, &mac_len))
        return NULL;
    memcpy(&whose, mac, sizeof(whose));
    memcpy(&set, mac + sizeof(whose), sizeof(set));
    struct quota_place *ways = q->places[set % QUOTA_SETS], *least = ways;
    for (size_t i = 0; i < QUOTA_WAYS; i++) {
        if (ways[i].until && ways[i].whose == whose)
            return &ways[i];
        if (ways[i].until < least->until)
            least = &ways[i];
    }
    *least = (struct quota_place){.whose = whose};
    return least;
}

bool quota_take(struct quota *q, const void *key, size_t len, int64_t now_ms, int64_t *wait_ms) {
    int64_t now = now_ms * 1000;
    struct quota_place *place = q->each ? quota_find(q, key, len) : NULL;
    *wait_ms = 0;
    if (!place)
        return true;
    int64_t from = place->until > now ? place->until : now;
    int64_t over = from + q->each - now - QUOTA_MINUTE_US;
    if (over > 0) {
        *wait_ms = (over + 999) / 1000;
        return false;
    }
    place->until = from + q->each;
    return true;
}
