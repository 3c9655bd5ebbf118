/* SPDX-License-Identifier: BSD-2-Clause */
/* The way of a client's datagrams out of the machine: from which address, through which interface.
 */
#pragma once

#include <coap3/coap.h>

#include <estc/error.h>

#include "coap/resolve.h"

struct way {
    const char *source;    /* numeric local address; NULL: what the routes say */
    const char *interface; /* name; NULL: what the routes say */
};

/* Leaves those addresses in the list that can be reached from the source, and gives link-local ones
 * without a scope that of the interface. ESTC_E_UNREACHABLE when none is left. */
int way_filter(const struct way *way, const char *host, struct resolve_list *list,
               struct estc_error *err);

/* Tries the way with a socket of its own: *local is then the address to send from, without a port;
 * its size is 0 where nothing is prescribed. ESTC_E_UNREACHABLE with a text that does not name the
 * peer. */
int way_find(const struct way *way, const coap_address_t *peer, coap_address_t *local,
             struct estc_error *err);

/* Ties the socket of a session that is being made to the interface; nothing to do without one. 0 or
 * a negative errno. */
int way_take(const struct way *way, const coap_session_t *session);
