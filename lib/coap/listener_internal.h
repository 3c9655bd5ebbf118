/* SPDX-License-Identifier: BSD-2-Clause */
/* What the files of the listener share; nobody else includes this. */
#pragma once

#include <coap3/coap.h>

#include <estc/listener.h>

#include "coap/dtls.h"
#include "coap/front.h"
#include "coap/gate.h"
#include "coap/peer.h"
#include "coap/quota.h"
#include "coap/ration.h"
#include "coap/reply.h"

struct estc_listener {
    struct dtls *dtls;
    struct resume *resume;
    struct front *front;
    struct gate *gate;
    struct quota *by_cert; /* requests */
    struct peer *peers;
    unsigned n_peers;
    struct transfer_budget bodies; /* on their way up */
    size_t max_body;
    uint16_t port;
    estc_answer_fn answer;
    void *arg;
    struct ration refusals;
    uint64_t tickets;                   /* given out so far */
    unsigned waiting, max_waiting;      /* answers that are due */
    struct estc_listener_counts counts; /* without what is in use */
};

/* Ends a connection from outside of libcoap's handlers. */
void listener_end(struct estc_listener *l, coap_session_t *session);

/* l->answer, for those who have not asked too often; arg is the listener. */
void limits_answer(void *arg, const struct estc_peer *peer, const struct estc_request *request,
                   struct estc_response *response);
/* Counts what a reply says of limits. */
void limits_note(struct estc_listener *l, const struct reply *reply);
/* Ends connections that are too many. */
void limits_keep(struct estc_listener *l);
/* The front's question; arg is the listener. */
bool limits_admit(void *arg, const struct route *from);

/* The ticket for a new request of the peer; 0 when its answer cannot wait. */
uint64_t later_ticket(const struct estc_listener *l, const struct peer *peer);
/* Takes note of a request whose answer peer_answer() has left for later, if it has. */
void later_begin(struct estc_listener *l, struct peer *peer, const coap_pdu_t *request);
/* Nobody waits there any more. */
void later_drop(struct estc_listener *l, struct peer *peer);
