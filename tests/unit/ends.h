/* SPDX-License-Identifier: BSD-2-Clause */
/* Our client and our listener with what they need: certificates, options, a request and its check.
 */
#pragma once

#include "net.h"

#include <estc/coaps.h>

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

struct ends_pki {
    struct net_id root, other_root, server, client;
    struct estc_trust *trust, *other_trust;
};
extern struct ends_pki ends_pki;

/* How often the answer function was called. */
extern atomic_uint *ends_calls;

/* POST returns what came, GET /N so many bytes. */
void ends_answer(void *arg, const struct estc_peer *peer, const struct estc_request *q,
                 struct estc_response *r);

struct net_server server_for(const struct net_id *id);
struct estc_coaps_options options_for(uint16_t port);
struct estc_transport *open_transport(const struct estc_coaps_options *o);
int connect_once(const struct estc_coaps_options *o, int ms, struct estc_error *err);
/* GET of so many bytes, or POST of them, and the check that they came back. */
void round_trip(struct estc_transport *t, enum estc_method method, size_t len);

int ends_set_up(void **state);
int ends_tear_down(void **state);
