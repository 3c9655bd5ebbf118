/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The way to a server, looked at piece by piece for people: no connection is made, and what is sent
 * asks for nothing but to be answered.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include <openssl/x509.h>

#include <estc/error.h>
#include <estc/transport.h>

#include "coap/resolve.h"

#define SURVEY_TEXT_MAX 128
#define SURVEY_SIZE_MIN 256 /* bytes of the smallest packet that can be asked about */

/* Source address and interface; NULL: what the routes say. */
struct survey_way {
    const char *source, *interface;
};

/* The addresses of the host that can be reached from there. ESTC_E_UNREACHABLE, _TIMEOUT. */
int survey_resolve(const struct survey_way *way, const char *host, uint16_t port,
                   const struct estc_wait *wait, struct resolve_list *out, struct estc_error *err);

/* From which address and through which interface packets leave: "192.0.2.7, eth0". */
int survey_route(const struct survey_way *way, const struct resolve_list *list, size_t at,
                 char text[SURVEY_TEXT_MAX], struct estc_error *err);

/*
 * Whether an IP packet of exactly that size reaches who listens there and is answered: a
 * ClientHello, padded (RFC 7685), with the order not to fragment it. 0; -EMSGSIZE: it does not even
 * leave; ESTC_E_TIMEOUT; ESTC_E_UNREACHABLE.
 */
int survey_size(const struct survey_way *way, const struct resolve_list *list, size_t at,
                size_t size, const struct estc_wait *wait, struct estc_error *err);

/* Of a transport that is connected. */
struct survey_peer {
    const char *version, *suite; /* OpenSSL's */
    X509 *cert;                  /* the server's, borrowed; or NULL */
};
void survey_peer(const struct estc_transport *transport, struct survey_peer *out);
