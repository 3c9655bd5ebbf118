/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Who asks, and may they: a birth certificate for its first certificate, a certificate of ours for
 * its successor. Decides and changes nothing, but for the note that a certificate has arrived.
 */
#include <errno.h>
#include <string.h>

#include "attributes.h"
#include "base/cleanup_ossl.h"
#include "enroll_internal.h"
#include "policy.h"

static int out_of_memory(struct estc_error *err) {
    return estc_error_set(err, -ENOMEM, "out of memory");
}

static int judge_enroll(struct request *r, struct estc_error *err) {
    const char *client_ca = registrar_client_ca(r->registrar, r->peer->cert, r->now);
    if (!client_ca)
        return estc_error_set(err, ESTC_E_REJECTED,
                              "/sen needs a birth certificate of a known client CA; a certificate "
                              "issued here is renewed with /sren");
    r->holder = strdup(r->peer_facts.sha256);
    if (!r->holder)
        return out_of_memory(err);
    return policy_judge(r->registrar->config, client_ca, r->peer->cert, r->in->label, r->csr,
                        &r->rule, err);
}

/* Names have been compared already (estc_reenroll_check): those that stand in the request. What
 * continues under the same names is not judged by patterns again. */
static int judge_reenroll(struct request *r, int64_t *retry_after, struct estc_error *err) {
    struct registrar *registrar = r->registrar;
    if (!registrar_is_ours(registrar, r->peer->cert, r->now))
        return estc_error_set(err, ESTC_E_REJECTED,
                              "/sren needs a certificate that was issued here: enroll with /sen");
    _cleanup(ledger_entry_clear) struct ledger_entry renewed = {0};
    int rc = registrar_note_collected(registrar, r->peer_facts.sha256, r->now, &renewed, err);
    if (rc == -ENOENT)
        return estc_error_set(err, ESTC_E_REJECTED, "the client certificate is not in the ledger");
    if (rc)
        return enroll_unavailable(err, retry_after);
    if (renewed.revoked_at)
        return estc_error_set(err, ESTC_E_REJECTED, "the client certificate is revoked");
    r->rule = config_rule_find(registrar->config, renewed.rule);
    if (!r->rule)
        return estc_error_set(err, ESTC_E_REJECTED,
                              "rule '%s', which granted the certificate, is no longer there",
                              renewed.rule);
    r->holder = TAKE(renewed.holder);
    r->renewal = !r->renamed;
    return r->renamed ? policy_judge_change(r->rule, r->peer->cert, r->csr, err)
                      : policy_judge_key(r->rule, r->csr, err);
}

/* The two ways into /skg and /skc, which have no names of their own: a certificate of ours asks for
 * a successor, as in /sren, any other for its first, as in /sen. */
static int judge_generate(struct request *r, int64_t *retry_after, struct estc_error *err) {
    X509_REQ *judgeable = NULL;
    const struct keygen *keygen = r->registrar->keygen;
    int rc = keygen ? keygen_find_seal(keygen, r->in->seal, r->peer->cert, &r->seal, err) : 0;
    if (!rc)
        rc = keygen_judgeable(r->csr, &judgeable, err);
    if (rc)
        return rc;
    enroll_use(r, judgeable);
    if (!registrar_is_ours(r->registrar, r->peer->cert, r->now))
        return judge_enroll(r, err);
    rc = estc_reenroll_check(r->in->csr, r->peer->cert, err);
    return rc ? rc : judge_reenroll(r, retry_after, err);
}

int enroll_judge(struct request *r, int64_t *retry_after, struct estc_error *err) {
    int rc = r->generated                ? judge_generate(r, retry_after, err)
             : r->in->op == ESTC_OP_SREN ? judge_reenroll(r, retry_after, err)
                                         : judge_enroll(r, err);
    if (!rc)
        rc = policy_judge_pop(r->rule, r->in->pop, err);
    return rc ? rc : attributes_judge(r->rule, r->in->op, r->renewal, r->csr, err);
}
