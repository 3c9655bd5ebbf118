/* SPDX-License-Identifier: BSD-2-Clause */
/* A client finds the root of its server by asking it. */
#pragma once

#include <stdint.h>

#include <estc/discovery.h>
#include <estc/transport.h>

/* Whom the connection is to; host NULL: only relative links count. */
struct discovery_server {
    const char *host;
    uint16_t port;
};

/*
 * The path below which the server has the operations for this label ("": none): malloc'd. Links to
 * other servers are logged and left out, whatever they offer. ESTC_E_NOT_FOUND with the reason.
 */
int discovery_pick(const struct estc_offers *offers, const struct discovery_server *server,
                   const char *label, char **base, struct estc_error *err);

/* Asks over a transport, which authenticates, and picks. Also ESTC_E_PROTOCOL, _MALFORMED, or what
 * the transport returned. */
int discovery_ask(struct estc_transport *transport, const struct discovery_server *server,
                  const char *label, const struct estc_wait *wait, char **base,
                  struct estc_error *err);
