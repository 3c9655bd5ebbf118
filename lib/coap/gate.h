/* SPDX-License-Identifier: BSD-2-Clause */
/* Who may begin a handshake, of those who have shown that they are where they say. */
#pragma once

#include <coap3/coap.h>

#include "base/cleanup.h"
#include "coap/route.h"

struct gate;

/* So many handshakes at once, and so many a minute from one address (0: no bound). NULL without
 * memory. coap is borrowed. */
struct gate *gate_new(coap_context_t *coap, unsigned at_once, unsigned a_minute);
struct gate *gate_free(struct gate *gate);

enum gate_verdict {
    GATE_OPEN,      /* one more is under way from here on */
    GATE_FULL,      /* it may come again, as clients do by themselves */
    GATE_TOO_OFTEN, /* the same */
};

/* *instead is a connection that has to end for it, or NULL: of a handshake that does not get on. */
enum gate_verdict gate_enter(struct gate *gate, const struct route *from, int64_t now_ms,
                             coap_session_t **instead);

/* Handshakes that are under way. */
unsigned gate_count(struct gate *gate);

CLEANUP_DEFINE(struct gate *, gate_freep, gate_free);
