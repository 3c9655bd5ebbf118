/* SPDX-License-Identifier: BSD-2-Clause */
/* Requests whose clients wait for the answer with their connection open. */
#pragma once

#include <stdint.h>

#include <systemd/sd-event.h>

#include <estc/error.h>
#include <estc/listener.h>
#include <estc/server.h>

struct hold;

/* server and listener are borrowed, and end later. */
int hold_new(sd_event *event, const struct estc_server *server, struct estc_listener *listener,
             struct hold **out, struct estc_error *err);
struct hold *hold_free(struct hold *hold);

/* Keeps a request that estc_server_answer() left for later, for so many seconds at most. -ENOMEM:
 * it has to be answered now. */
int hold_add(struct hold *hold, const struct estc_peer *peer, const struct estc_request *request,
             int64_t seconds);

/* Something was decided: asks again for all that are kept, one at each turn of the loop, and
 * answers those that it was about. */
void hold_ask_again(struct hold *hold);
/* Something is there that one of them may have been waiting for: asks again, the longest waiting
 * first, until there is no more of it. */
void hold_ask_next(struct hold *hold);
