/* SPDX-License-Identifier: BSD-2-Clause */
/* What the files of an attempt share; nobody else includes this. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include <estc/estc.h>

#include "attempt.h"
#include "attempt_servers.h"
#include "common/sealfile.h"
#include "est/wishes.h"
#include "store.h"

/* Everything that one attempt owns; freed together. */
struct attempt {
    const struct attempt_task *task;
    const struct config_identity *identity;
    attempt_report_fn report;
    void *arg;
    struct attempt_servers *servers;
    struct estc_url server; /* the one that is asked */
    struct estc_wait wait;  /* of the server that is asked */
    enum attempt_step step;
    bool spoken; /* there was a connection with it */
    enum estc_op op;
    bool
        renewing; /* the current certificate authenticates, and its names are asked for again ... */
    bool renaming;  /* ... or, beside them, the new ones that are configured (ChangeSubjectName) */
    bool unwilling; /* which the server has refused, or passed over */

    struct store *store;
    bool have_facts; /* of what is in force */
    struct facts facts;
    struct estc_credentials credentials; /* who we are in the handshake */
    struct estc_trust *trust;            /* implicit anchors for the server, or NULL */
    char *configured;                    /* digest of what the configuration trusts */
    struct store_trust held;             /* explicit anchors that were there; or empty */
    struct estc_trust *designated;       /* explicit anchors by configuration or fingerprint */
    X509 *renewed;                       /* the certificate to renew, if renewing */
    struct estc_transport *transport;
    struct estc_client *client;
    struct estc_trust *anchors;     /* of the EST CA, by this attempt's /crts */
    struct estc_trust *earlier;     /* the ones before, if there were two answers */
    STACK_OF(X509) * intermediates; /* the same */
    struct store_pending pending;
    struct wishes_plan wishes; /* what of the server's wishes goes into the request */
    struct sealfile seal;      /* for /skg: with what the key is to be sealed; may be empty */
    EVP_PKEY *server_key;      /* of /skg, instead of pending.key */
    EVP_PKEY *issued_key;
    X509 *issued;
    STACK_OF(X509) * chain; /* what stands between issued and its anchor */
    int64_t issued_at;      /* when these three came, by our clock */
    bool found;             /* in an earlier attempt, and they are not in force */
    int64_t retry_after;
};

/*
 * The steps. Each begins with what the earlier ones have left in the struct, and has put what it
 * made on disk when it returns 0; *detail is then a text for people (malloc'd), or NULL.
 */
#define ATTEMPT_STEP(name) int name(struct attempt *a, char **detail, struct estc_error *err)
ATTEMPT_STEP(attempt_open); /* attempt_connect.c */
ATTEMPT_STEP(attempt_credentials);
ATTEMPT_STEP(attempt_reach);
ATTEMPT_STEP(attempt_cacerts);
ATTEMPT_STEP(attempt_attributes); /* attempt_wishes.c */
ATTEMPT_STEP(attempt_key);        /* attempt_request.c */
ATTEMPT_STEP(attempt_csr);
ATTEMPT_STEP(attempt_enroll); /* attempt_issue.c */
ATTEMPT_STEP(attempt_check);
ATTEMPT_STEP(attempt_prove); /* attempt_prove.c */
ATTEMPT_STEP(attempt_commit);
#undef ATTEMPT_STEP

/* Instead of all steps: back to the certificate before. attempt_prove.c */
int attempt_roll_back(struct attempt *a, struct estc_error *err);
/* What an earlier attempt got issued and did not put in force, if it still fits. attempt_prove.c */
int attempt_find_candidate(struct attempt *a, struct estc_error *err);
/* The server that is asked. */
static inline const char *attempt_url(const struct attempt *a) {
    return a->identity->urls[a->servers->asked];
}
/* Whether a certificate is in force that has not expired. attempt_connect.c */
bool attempt_has_working(const struct attempt *a);
/* Whether this is the key in force. attempt_connect.c */
bool attempt_keeps_key(const struct attempt *a, const EVP_PKEY *key);
/* The server and the way there, as these credentials. attempt_connect.c */
struct estc_coaps_options attempt_way(const struct attempt *a,
                                      const struct estc_credentials *credentials);
struct estc_client_options attempt_root(const struct attempt *a);

/* Who may vouch for the server: fills in trust, held and designated. attempt_trust.c */
int attempt_load_trust(struct attempt *a, struct estc_error *err);
/* The explicit anchors to begin with, or NULL. */
const struct estc_trust *attempt_explicit(const struct attempt *a);
/* Without any explicit ones, and with a fingerprint: asks whoever answers for a CA certificate that
 * has it. `options` and `client` are those of the connection that comes after. */
int attempt_bootstrap(struct attempt *a, const struct estc_coaps_options *options,
                      const struct estc_client_options *client, struct estc_error *err);
/* A /crts answer: anchors and intermediates, in force from now on if the server passes by them. */
int attempt_take_trust(struct attempt *a, const STACK_OF(X509) * received, struct estc_error *err);

/* Whether the pending request is to be sent again byte for byte (RFC 9148 section 4.7).
 * attempt_request.c */
bool attempt_resends(const struct attempt *a);
/* Whether the key that a server makes has to come sealed. */
static inline bool attempt_has_seal(const struct attempt *a) {
    return a->seal.cert || a->seal.n_secrets > 0;
}
/* /skg: sends the request, whose key is thrown away, and takes key and certificate.
 * attempt_server_key.c */
int attempt_server_key(struct attempt *a, struct estc_error *err);
