/* SPDX-License-Identifier: BSD-2-Clause */
/* The CA that is here: what has been granted is made, and written down before anybody sees it. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup_ossl.h"
#include "common/journal.h"
#include "enroll_internal.h"
#include "issuer.h"

#define RETRY_RACE 1     /* seconds, when another registrar was faster */
#define RETRY_STORAGE 30 /* seconds, when the ledger cannot be used */
/* A key is there in seconds, unless many want one. */
#define KEY_HOLD 30
#define KEY_RETRY 5

static int out_of_memory(struct estc_error *err) {
    return estc_error_set(err, -ENOMEM, "out of memory");
}

int enroll_unavailable(struct estc_error *err, int64_t *retry_after) {
    journal_error("%s", err->text);
    *retry_after = RETRY_STORAGE;
    return estc_error_set(err, ESTC_E_TIMEOUT, "the CA cannot record anything now");
}

void enroll_use(struct request *r, X509_REQ *made) {
    X509_REQ_free(r->made);
    r->csr = r->made = made;
}

int enroll_fill_entry(const struct request *r, struct ledger_entry *out, struct estc_error *err) {
    *out = (struct ledger_entry){
        .subject_id = strdup(r->subject_id),
        .names_id = strdup(r->names_id),
        .subject = strdup(r->subject),
        .key_sha256 = strdup(r->key_sha256),
        .holder = strdup(r->holder),
        .authenticator = strdup(r->peer_facts.sha256),
        .op = strdup(estc_op_info(r->in->op)->name),
        .label = strdup(r->in->label),
        .rule = strdup(r->rule->name),
        .issued_at = r->now,
    };
    if (!out->subject_id || !out->names_id || !out->subject || !out->key_sha256 || !out->holder ||
        !out->authenticator || !out->op || !out->label || !out->rule)
        return out_of_memory(err);
    return 0;
}

int enroll_fill_cert(struct ledger_entry *entry, X509 *cert, struct estc_error *err) {
    _cleanup(estc_cert_facts_clear) struct estc_cert_facts facts = {0};
    int rc = estc_cert_facts_get(cert, &facts, err);
    if (rc)
        return rc;
    unsigned char *der = NULL;
    int len = i2d_X509(cert, &der);
    rc = len < 0 ? -ENOMEM : estc_buf_append(&entry->der, der, (size_t)len);
    OPENSSL_free(der);
    if (rc)
        return out_of_memory(err);
    entry->serial = TAKE(facts.serial);
    entry->sha256 = TAKE(facts.sha256);
    entry->not_before = facts.not_before;
    entry->not_after = facts.not_after;
    return 0;
}

static int make_key(struct request *r, int64_t *retry_after, struct estc_error *err) {
    X509_REQ *made = NULL;
    int rc = keygen_make(r->registrar->keygen, r->in->seal, &r->seal, r->csr, &made,
                         &r->generated->key, err);
    if (!rc)
        enroll_use(r, made);
    if (rc != -EINPROGRESS)
        return rc;
    *retry_after = r->in->may_wait ? KEY_HOLD : KEY_RETRY;
    return r->in->may_wait ? rc : ESTC_E_PENDING;
}

static int issue(struct request *r, X509 **issued, int64_t *retry_after, struct estc_error *err) {
    struct registrar *registrar = r->registrar;
    _cleanup(x509_freep) X509 *cert = NULL;
    _cleanup(ledger_entry_clear) struct ledger_entry entry = {0};
    int rc = r->generated ? make_key(r, retry_after, err) : 0;
    if (!rc)
        rc = ca_issue(registrar->ca, registrar->config, r->rule, r->csr, r->now, &cert, err);
    if (!rc)
        rc = enroll_fill_entry(r, &entry, err);
    if (!rc)
        rc = enroll_fill_cert(&entry, cert, err);
    if (rc)
        return rc;
    const char *superseded = r->superseded.sha256;
    rc = registrar->ledger->ops->insert(registrar->ledger, &entry, superseded, err);
    if (rc == -EEXIST) { /* what it has issued is found when the device asks again */
        *retry_after = RETRY_RACE;
        return estc_error_set(err, ESTC_E_PENDING, "another registrar is answering this request");
    }
    if (rc)
        return enroll_unavailable(err, retry_after);
    if (superseded)
        journal_notice("%s from %s for '%s': asked again; %s is superseded", entry.op,
                       r->peer->address, r->subject, r->superseded.serial);
    if (superseded)
        crl_soon(registrar->crl);
    *issued = TAKE(cert);
    return 0;
}

int enroll_supersede(struct request *r, X509 **issued, struct estc_error *err) {
    _cleanup(x509_freep) X509 *older = TAKE(*issued);
    r->repeated = false;
    return older ? estc_cert_facts_get(older, &r->superseded, err) : 0;
}

static int cacerts(struct registrar *registrar, const char *label, STACK_OF(X509) * *out,
                   struct estc_error *err) {
    (void)label; /* all of them are this CA's */
    *out = X509_chain_up_ref((STACK_OF(X509) *)(uintptr_t)ca_certificates(registrar->ca));
    return *out ? 0 : out_of_memory(err);
}

const struct issuer_ops issuer_local = {.issue = issue, .cacerts = cacerts};
