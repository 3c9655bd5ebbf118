/* SPDX-License-Identifier: BSD-2-Clause */
/* `est-registrar ca`: new certificates for the CAs of a folder that init has made. */
#pragma once

#include <estc/error.h>

struct rollover_options {
    const char *dir;
    const char *root_key; /* where the present root's key is; NULL: where init has put it */
};

/* What was made, relative to the folder; NULL: not made. Texts are owned. */
struct rollover {
    char *root_key, *trust, *chain, *issuing, *server;
    char *until; /* when the old one ends: "2046-11-25T00:00:00Z" */
};
void rollover_clear(struct rollover *made);

/* Another certificate for the issuing CA: the same key, new dates. */
int rollover_renew(const struct rollover_options *options, struct rollover *made,
                   struct estc_error *err);

/* Another key for the root, and what leads from the old one to it and back (RFC 4210 section 4.4);
 * the issuing CA keeps its key. */
int rollover_root(const struct rollover_options *options, struct rollover *made,
                  struct estc_error *err);
