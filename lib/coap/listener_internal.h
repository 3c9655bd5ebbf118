/* SPDX-License-Identifier: BSD-2-Clause */
/* What the files of the listener share; nobody else includes this. */
#pragma once

#include <coap3/coap.h>

#include <estc/listener.h>

#include "coap/dtls.h"
#include "coap/front.h"
#include "coap/peer.h"
#include "coap/ration.h"

struct estc_listener {
    struct dtls *dtls;
    struct resume *resume;
    struct front *front;
    struct peer *peers;
    struct transfer_budget bodies; /* on their way up */
    size_t max_body;
    uint16_t port;
    estc_answer_fn answer;
    void *arg;
    struct ration refusals;
    uint64_t tickets;              /* given out so far */
    unsigned waiting, max_waiting; /* answers that are due */
};

/* The ticket for a new request of the peer; 0 when its answer cannot wait. */
uint64_t later_ticket(const struct estc_listener *l, const struct peer *peer);
/* Takes note of a request whose answer peer_answer() has left for later, if it has. */
void later_begin(struct estc_listener *l, struct peer *peer, const coap_pdu_t *request);
/* Nobody waits there any more. */
void later_drop(struct estc_listener *l, struct peer *peer);
