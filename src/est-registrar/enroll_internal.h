/* SPDX-License-Identifier: BSD-2-Clause */
/* Between the files that decide on a request: enroll.c, enroll_judge.c, enroll_issue.c. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include <openssl/x509v3.h>

#include <estc/cert.h>

#include "registrar_internal.h"

/* Everything that is known of one request; freed together. */
struct request {
    struct registrar *registrar;
    const struct estc_peer *peer;
    const struct estc_enroll_request *in;
    int64_t now;
    struct estc_cert_facts peer_facts;
    GENERAL_NAMES *names;                               /* of what is asked for, like the rest */
    char *subject, *subject_id, *names_id, *key_sha256; /* the first is for people */
    char *holder;
    const struct config_rule *rule;
    bool repeated;
    bool told;           /* what there is to say of it is in the logs already */
    bool renamed;        /* it asks for other names than it has; csr has them */
    bool renewal;        /* a successor, of the same names */
    const X509_REQ *csr; /* what is judged and issued for: in->csr, or made */
    /* /skg and /skc */
    struct estc_generated *generated; /* NULL: another operation */
    struct estc_seal seal;
    struct estc_cert_facts superseded; /* what will be issued takes its place; zeroed: nothing */
    X509_REQ *made; /* of these, and of what is renamed: owned, csr points to it */
};

/* Another request takes the place of what is judged and issued for. */
void enroll_use(struct request *r, X509_REQ *made);

/* Who asks, and may they: fills in rule and holder. ESTC_E_REJECTED and the like. */
int enroll_judge(struct request *r, int64_t *retry_after, struct estc_error *err);

/* What makes it the same request as another. Borrows. */
struct ledger_request enroll_kind(const struct request *r);

/* The request as the ledger has it, and the certificate that it gets. */
int enroll_fill_entry(const struct request *r, struct ledger_entry *out, struct estc_error *err);
int enroll_fill_cert(struct ledger_entry *entry, X509 *cert, struct estc_error *err);

/*
 * What was issued for a request for a key before (*issued, or NULL) went out with a key that is
 * nowhere now: whoever asks again has not received it, and gets another. *issued is NULL again; the
 * older one, which is of no use to anybody, ends with what enroll_issue() makes.
 */
int enroll_supersede(struct request *r, X509 **issued, struct estc_error *err);

/* The ledger failed: nothing may be issued, and the device should come again. */
int enroll_unavailable(struct estc_error *err, int64_t *retry_after);
