/* SPDX-License-Identifier: BSD-2-Clause */
/* What the files of the beacon share; nobody else includes this. */
#pragma once

#include <stdbool.h>

#include <estc/beacon.h>

#include "coap/datagram.h"
#include "coap/message.h"
#include "coap/ration.h"
#include "coap/reply.h"
#include "coap/route.h"

/* What is known of a question besides its bytes. */
struct beacon_question {
    const coap_pdu_t *pdu; /* a request */
    bool multicast;
    const char *host; /* ours, as it stands in a URL */
};

/* What a beacon answers from. */
struct beacon_answers {
    estc_beacon_fn links;
    void *arg;
    struct ration ration; /* of answers with a body */
};

/* Code 0 in *reply, which has to be cleared: no answer at all. */
void beacon_answer(struct beacon_answers *from, const struct beacon_question *question,
                   struct reply *reply);
