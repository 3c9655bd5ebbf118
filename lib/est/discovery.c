/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The client's question for /.well-known/core, on a connection whose other end has proven who it
 * is. The answer chooses a path and nothing else: whom the certificate has to name, and where
 * requests go, is the configuration's alone (RFC 7030 section 3.6, RFC 9148 section 9).
 */
#include "est/discovery.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/log.h"
#include "base/text.h"
#include "est/client_internal.h"

/* A link that names its server names this one, to the letter and the port. */
static bool is_here(const struct estc_offer *offer, const struct discovery_server *server) {
    if (!offer->host)
        return true;
    if (server->host && offer->port == server->port &&
        text_same(offer->host, server->host, strlen(server->host) + 1))
        return true;
    log_notice("discovery: a link to another server, [%s]:%u, is ignored: to enroll there, "
               "configure its URL",
               offer->host, (unsigned)offer->port);
    return false;
}

/* All that an enrolment needs, and RFC 9148 section 4.1 has listed at least. */
static bool is_complete(const struct estc_offer *offer) {
    return offer->ops[ESTC_OP_CRTS].offered && offer->ops[ESTC_OP_SEN].offered &&
           offer->ops[ESTC_OP_SREN].offered;
}

int discovery_pick(const struct estc_offers *offers, const struct discovery_server *server,
                   const char *label, char **base, struct estc_error *err) {
    const struct estc_offer *best = NULL, *other = NULL;
    for (size_t i = 0; i < offers->n; i++) {
        const struct estc_offer *offer = &offers->items[i];
        if (!is_here(offer, server) || !is_complete(offer))
            continue;
        bool exact = strcmp(offer->label, label) == 0;
        if (exact && (!best || strcmp(best->label, label) != 0))
            best = offer;
        else if (!exact && !*offer->label && !best)
            best = offer; /* labels need not be listed */
        else if (!exact)
            other = offer;
    }
    if (!best && other)
        return estc_error_set(err, ESTC_E_NOT_FOUND,
                              "the server offers EST for labels only, '%s' among them: set label",
                              other->label);
    if (!best)
        return estc_error_set(err, ESTC_E_NOT_FOUND,
                              "the server's " ESTC_CORE_PATH " lists no /crts, /sen and /sren of "
                              "its own");
    *base = text_format("%s%s%s", best->root, *label ? "/" : "", label);
    return *base ? 0 : estc_error_set(err, -ENOMEM, "out of memory");
}

int discovery_ask(struct estc_transport *transport, const struct discovery_server *server,
                  const char *label, const struct estc_wait *wait, char **base,
                  struct estc_error *err) {
    const struct estc_request request = {
        .method = ESTC_GET,
        .path = ESTC_CORE_PATH,
        .query = ESTC_CORE_QUERY,
        .content_format = ESTC_FORMAT_NONE,
        .accept = ESTC_FORMAT_LINK,
    };
    _cleanup(estc_response_clear) struct estc_response response = RESPONSE_NONE;
    _cleanup(estc_offers_clear) struct estc_offers offers = {0};
    int rc = transport->ops->request(transport, &request, wait, &response, err);
    if (rc)
        return rc;
    if (response.code != 205)
        return estc_error_set(err, ESTC_E_NOT_FOUND, ESTC_CORE_PATH ": the server answered %u.%02u",
                              response.code / 100, response.code % 100);
    if (response.content_format != ESTC_FORMAT_LINK && response.content_format != ESTC_FORMAT_NONE)
        return estc_error_set(err, ESTC_E_PROTOCOL,
                              ESTC_CORE_PATH ": the server answered in content format %d, asked "
                                             "for 40",
                              response.content_format);
    rc = estc_offers_read(response.payload.data, response.payload.len, &offers, err);
    if (rc) {
        estc_error_prefix(err, ESTC_CORE_PATH);
        return rc;
    }
    return discovery_pick(&offers, server, label, base, err);
}
