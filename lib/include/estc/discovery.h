/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Where EST is (RFC 9148 section 4.1): links of /.well-known/core (RFC 6690), written by servers
 * and reduced by clients to what they need. Whatever is read here is a hint, whoever sent it: no
 * link changes whom the server's certificate has to name.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <estc/error.h>
#include <estc/op.h>
#include <estc/server.h>

#define ESTC_CORE_PATH "/.well-known/core"
#define ESTC_CORE_QUERY "rt=ace.est*"

/* One place where operations are offered. */
struct estc_offer {
    char *host;    /* as in struct estc_url; NULL: a link relative to whoever answered */
    uint16_t port; /* 0 with host NULL */
    char *root;    /* "/.well-known/est" */
    char *label;   /* "": none. Only told apart below ESTC_DEFAULT_ROOT and roots listed as well */
    struct estc_offer_op {
        bool offered;
        /* Formats that its answers can have (ct), as far as told: ended by ESTC_FORMAT_NONE. */
        int formats[4];
    } ops[ESTC_OP_MAX_];
};

struct estc_offers {
    struct estc_offer *items;
    size_t n;
    size_t
        ignored; /* links of EST that are of no use: another scheme, a path that is no EST path */
};

/*
 * Reads a payload of content format 40. Links that have no resource type ace.est.* are passed over.
 * ESTC_E_MALFORMED for what is no link format; ESTC_E_TOO_LARGE for offers of more than 64 places.
 */
int estc_offers_read(const void *text, size_t len, struct estc_offers *out, struct estc_error *err);
void estc_offers_clear(struct estc_offers *offers);

/*
 * The other side: appends the links of all that a server offers below its roots and labels and that
 * a query (struct estc_request) asks for. `authority` is put before each path: "coaps://host:port",
 * or "" where the links are read over coaps from this very server. 0 or -ENOMEM.
 */
int estc_server_links(const struct estc_server *server, const char *authority, const char *query,
                      struct estc_buf *out);
