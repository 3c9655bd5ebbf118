/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The listener's limits on what authenticated clients take, and the counters of all of its limits.
 * What stands before a handshake is the gate's and the front's.
 */
#include <string.h>

#include <openssl/evp.h>

#include "base/clock.h"
#include "base/log.h"
#include "coap/listener_internal.h"

/* Requests: whole ones, on their way to the program. */
void limits_answer(void *arg, const struct estc_peer *peer, const struct estc_request *request,
                   struct estc_response *response) {
    struct estc_listener *l = arg;
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned len = 0;
    int64_t wait = 0;
    l->counts.requests++;
    if (X509_digest(peer->cert, EVP_sha256(), digest, &len) != 1 ||
        !quota_take(l->by_cert, digest, len, clock_boot_ms(), &wait)) {
        static const char text[] = "too many requests with this certificate: come again";
        l->counts.certificate_rate.refused++;
        response->code = 503;
        response->max_age = wait / 1000 + 1;
        (void)estc_buf_append(&response->payload, text, sizeof(text) - 1);
        return;
    }
    l->counts.waiting.refused += request->method == ESTC_POST && l->waiting >= l->max_waiting;
    l->answer(l->arg, peer, request, response);
}

/* What a request was refused for before it got to the program. */
void limits_note(struct estc_listener *l, const struct reply *reply) {
    l->counts.body.refused += reply->code == 413;
    l->counts.bodies.refused += l->bodies.refused;
    l->bodies.refused = 0;
}

/* The connection that has been silent longest, of those that wait for nothing. */
static struct peer *limits_stalest(const struct estc_listener *l) {
    struct peer *found = NULL;
    for (struct peer *p = l->peers; p; p = p->next) {
        if (!p->waiting.ticket && (!found || p->heard < found->heard))
            found = p;
    }
    return found;
}

void limits_keep(struct estc_listener *l) {
    struct peer *p;
    while (l->n_peers > l->counts.sessions.max && (p = limits_stalest(l))) {
        log_info("client %s: silent longest of all, ends for the sake of max_sessions", p->address);
        l->counts.sessions.refused++;
        listener_end(l, p->session);
    }
}

bool limits_admit(void *arg, const struct route *from) {
    struct estc_listener *l = arg;
    coap_session_t *instead = NULL;
    enum gate_verdict v = gate_enter(l->gate, from, clock_boot_ms(), &instead);
    l->counts.address_rate.refused += v == GATE_TOO_OFTEN;
    l->counts.handshakes.refused += v == GATE_FULL || instead;
    if (instead)
        listener_end(l, instead);
    return v == GATE_OPEN;
}

void estc_listener_count(const struct estc_listener *l, struct estc_listener_counts *out) {
    *out = l->counts;
    out->sessions.used = l->n_peers;
    out->handshakes.used = gate_count(l->gate);
    out->bodies.used = l->bodies.used;
    out->waiting.used = l->waiting;
    out->cookies = front_asked(l->front);
}
