/* SPDX-License-Identifier: BSD-2-Clause */
/* Between the files of the registrar itself. */
#pragma once

#include "audit.h"
#include "crl.h"
#include "crls.h"
#include "issuer.h"
#include "keygen.h"
#include "registrar.h"

struct registrar {
    const struct config *config;
    const struct issuer_ops *issuer;
    struct ca *ca;                /* NULL: others issue */
    struct upstream *upstream;    /* these others; NULL: nobody does, or before the start */
    struct upstream_cache *cache; /* what they say to everybody */
    struct forward *forward;      /* what they are being asked */
    char **labels;                /* that there are, then */
    STACK_OF(X509) * ours;        /* who issues: whose certificates were issued by way of here */
    struct ledger *ledger;
    struct crl *crl;   /* NULL: none is written */
    struct crls *crls; /* of the client CAs */
    struct audit *audit;
    struct keygen *keygen;          /* NULL: no keys are made here */
    struct estc_server_ops ops;     /* what there is accordingly */
    struct estc_trust **client_cas; /* one for each of config->client_cas */
    struct estc_trust *own;         /* the same as a set */
    struct estc_trust *all;
    struct estc_trust *expired; /* of those of client_cas that accept_expired */
};

/* Whether the certificate was issued by our CA. */
bool registrar_is_ours(const struct registrar *registrar, X509 *cert, int64_t now);

/* The name of the configured client CA that it leads to; NULL when there is none. */
const char *registrar_client_ca(const struct registrar *registrar, X509 *cert, int64_t now);

/* A certificate of ours that is shown has arrived: from now on its request is not repeated. *entry
 * is what the ledger says of it; -ENOENT when that is nothing. */
int registrar_note_collected(struct registrar *registrar, const char *sha256, int64_t now,
                             struct ledger_entry *entry, struct estc_error *err);

/* estc_server_ops.enroll; arg is the registrar. */
int registrar_enroll(void *arg, const struct estc_peer *peer, const struct estc_enroll_request *in,
                     X509 **issued, int64_t *retry_after, struct estc_error *err);

/* estc_server_ops.csrattrs. */
int registrar_csrattrs(void *arg, const struct estc_peer *peer, const char *label,
                       struct estc_buf *der, struct estc_error *err);

/* estc_server_ops.generate, with a keygen. */
int registrar_generate(void *arg, const struct estc_peer *peer,
                       const struct estc_enroll_request *in, struct estc_generated *out,
                       int64_t *retry_after, struct estc_error *err);
