/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * From the request to a certificate on disk: sent, checked, written down as a candidate. Nothing
 * that has not passed the check gets there.
 */
#include "attempt_internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup_ossl.h"
#include "base/text.h"
#include "timebase.h"

#define LOST_MAX 3 /* connections in a row */

static int out_of_memory(struct estc_error *err) {
    return estc_error_set(err, -ENOMEM, "out of memory");
}

/* A bound request whose connection was lost before it went out has not been sent at all: it is made
 * anew for the next connection, with the same key. */
static int send_request(struct attempt *a, struct estc_error *err) {
    for (int lost = 0;; lost++) {
        int rc = a->op == ESTC_OP_SKG
                     ? attempt_server_key(a, err)
                     : estc_client_enroll(a->client, a->op, a->pending.csr.data, a->pending.csr.len,
                                          &a->wait, &a->issued, &a->retry_after, err);
        if (rc != ESTC_E_STALE || lost == LOST_MAX)
            return rc;
        _cleanup(freep) char *detail = NULL;
        rc = attempt_csr(a, &detail, err);
        if (rc)
            return rc;
    }
}

int attempt_enroll(struct attempt *a, char **detail, struct estc_error *err) {
    int rc = send_request(a, err);
    a->unwilling = a->renaming && rc == ESTC_E_REJECTED;
    if (rc)
        return rc;
    _cleanup(estc_cert_facts_clear) struct estc_cert_facts facts = {0};
    rc = estc_cert_facts_get(a->issued, &facts, err);
    if (rc)
        return rc;
    *detail = text_format("serial %s", facts.serial);
    return *detail ? 0 : out_of_memory(err);
}

/* One that begins later waits as the candidate: see attempt_prove.c. */
static int verify_issued(const struct attempt *a, STACK_OF(X509) * *chain, struct estc_error *err) {
    return estc_trust_verify(a->anchors, a->issued, a->intermediates, ESTC_PURPOSE_ANY,
                             estc_at_least(timebase_now()), chain, err);
}

/* The CA may have got a new key between /crts and the enrolment: one look at /crts more decides. */
static int check_chain(struct attempt *a, STACK_OF(X509) * *chain, struct estc_error *err) {
    int rc = verify_issued(a, chain, err);
    if (rc != ESTC_E_UNTRUSTED)
        return rc;
    _cleanup(sk_x509_freep) STACK_OF(X509) *received = NULL;
    struct estc_error why = {0};
    if (estc_client_cacerts(a->client, &a->wait, &received, &why) ||
        attempt_take_trust(a, received, &why))
        return rc;
    return verify_issued(a, chain, err);
}

/* A server that does not know ChangeSubjectName issues for the names that stand in the request. */
static int check_names(struct attempt *a, struct estc_error *err) {
    int rc = a->renaming
                 ? estc_client_check_names(a->pending.csr.data, a->pending.csr.len, a->issued, err)
                 : 0;
    a->unwilling = rc == ESTC_E_MISMATCH;
    return rc;
}

static int stage(struct attempt *a, struct estc_error *err) {
    const struct store_issued issued = {
        .key = a->issued_key,
        .cert = a->issued,
        .chain = a->chain,
        .cacerts = estc_trust_anchors(a->anchors),
        .request_digest = a->pending.request_digest,
        .rest_digest = a->identity->rest_digest,
        .now = a->issued_at,
    };
    return store_stage(a->store, &issued, err);
}

/* Chain, dates and key, before it is written down. */
int attempt_check(struct attempt *a, char **detail, struct estc_error *err) {
    (void)detail;
    _cleanup(sk_x509_freep) STACK_OF(X509) *chain = NULL;
    int rc = check_chain(a, &chain, err);
    if (rc)
        return estc_error_prefix(err, "the issued certificate");
    EVP_PKEY *key = a->op == ESTC_OP_SKG ? a->server_key : a->pending.key;
    if (!estc_cert_has_key(a->issued, key))
        return estc_error_set(err, ESTC_E_MISMATCH,
                              "the issued certificate is not for the key that was made for it");
    if (X509_check_ca(a->issued) == 1)
        return estc_error_set(err, ESTC_E_MISMATCH,
                              "the issued certificate is one for a CA (basicConstraints CA:TRUE): "
                              "let the server issue end-entity certificates here");
    rc = check_names(a, err);
    if (rc)
        return rc;
    X509_free(sk_X509_shift(chain)); /* the certificate itself */
    X509_free(sk_X509_pop(chain));   /* the anchor */
    a->chain = TAKE(chain);
    if (!EVP_PKEY_up_ref(key))
        return out_of_memory(err);
    a->issued_key = key;
    a->issued_at = timebase_now();
    return stage(a, err);
}
