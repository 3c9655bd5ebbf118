/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Remembers the addresses from which handshakes were begun and asks libcoap what has become of
 * them, so that no event can be missed and no pointer outlived. Whoever comes while there is no
 * room is not heard: its ClientHello comes again after a second, which costs nobody anything, while
 * a handshake that is cut off has to begin anew. Only one that has been under way for long is
 * ended.
 */
#include "coap/gate.h"

#include <stdlib.h>
#include <string.h>

#include "coap/quota.h"

/* A handshake takes six datagrams; what is needed beyond that is repetitions. */
#define GATE_PATIENCE_MS 5000
#define GATE_NETWORK_LEN 8 /* of IPv6: whoever has one address has as many as he likes */

struct gate_entry {
    coap_address_t remote;
    int interface;
    int64_t since; /* CLOCK_BOOTTIME, milliseconds */
};

struct gate {
    coap_context_t *coap;
    struct quota *quota;
    unsigned n, max;
    struct gate_entry *entries; /* the oldest first */
};

struct gate *gate_new(coap_context_t *coap, unsigned at_once, unsigned a_minute) {
    _cleanup(gate_freep) struct gate *g = calloc(1, sizeof(*g));
    if (!g)
        return NULL;
    g->coap = coap;
    g->max = at_once;
    g->entries = calloc(at_once, sizeof(*g->entries));
    g->quota = quota_new(a_minute);
    return g->entries && g->quota ? TAKE(g) : NULL;
}

struct gate *gate_free(struct gate *g) {
    if (!g)
        return NULL;
    quota_free(g->quota);
    free(g->entries);
    free(g);
    return NULL;
}

static coap_session_t *gate_session(const struct gate *g, const struct gate_entry *entry) {
    coap_session_t *session = coap_session_get_by_peer(g->coap, &entry->remote, entry->interface);
    return session && coap_session_get_state(session) == COAP_SESSION_STATE_HANDSHAKE ? session
                                                                                      : NULL;
}

/* Forgets what has ended, well or not. */
unsigned gate_count(struct gate *g) {
    unsigned kept = 0;
    for (unsigned i = 0; i < g->n; i++) {
        if (gate_session(g, &g->entries[i]))
            g->entries[kept++] = g->entries[i];
    }
    g->n = kept;
    return kept;
}

static bool gate_may(struct gate *g, const struct route *from, int64_t now_ms) {
    const struct sockaddr_in6 *v6 = (const void *)&from->to;
    const struct sockaddr_in *v4 = (const void *)&from->to;
    int64_t wait;
    if (from->to.ss_family != AF_INET6)
        return quota_take(g->quota, &v4->sin_addr, sizeof(v4->sin_addr), now_ms, &wait);
    bool mapped = IN6_IS_ADDR_V4MAPPED(&v6->sin6_addr);
    return quota_take(g->quota, &v6->sin6_addr, mapped ? sizeof(v6->sin6_addr) : GATE_NETWORK_LEN,
                      now_ms, &wait);
}

static void gate_remove(struct gate *g, unsigned at) {
    memmove(&g->entries[at], &g->entries[at + 1], (--g->n - at) * sizeof(*g->entries));
}

/* Whoever begins anew from the same address has given the other one up. */
static void gate_forget(struct gate *g, const struct route *from) {
    coap_address_t remote;
    route_remote(from, &remote);
    for (unsigned i = 0; i < g->n; i++) {
        if (g->entries[i].interface == (int)from->interface &&
            coap_address_equals(&g->entries[i].remote, &remote)) {
            gate_remove(g, i);
            return; /* there is one at most */
        }
    }
}

enum gate_verdict gate_enter(struct gate *g, const struct route *from, int64_t now_ms,
                             coap_session_t **instead) {
    *instead = NULL;
    gate_forget(g, from);
    if (g->n == g->max && gate_count(g) == g->max) {
        if (now_ms - g->entries[0].since < GATE_PATIENCE_MS)
            return GATE_FULL;
        *instead = gate_session(g, &g->entries[0]);
    }
    if (!gate_may(g, from, now_ms)) {
        *instead = NULL;
        return GATE_TOO_OFTEN;
    }
    if (g->n == g->max)
        gate_remove(g, 0);
    struct gate_entry *entry = &g->entries[g->n++];
    *entry = (struct gate_entry){.interface = (int)from->interface, .since = now_ms};
    route_remote(from, &entry->remote);
    return GATE_OPEN;
}
