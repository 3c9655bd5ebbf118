/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * From a request to a decision and a certificate, in one order that nothing goes around: find out
 * who asks, judge, look whether the very same was asked before, look whether the names are somebody
 * else's, have it approved, issue, write down, answer. What is not in the ledger is never sent.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/x509v3.h>

#include <estc/cert.h>

#include "approval.h"
#include "attributes.h"
#include "base/cleanup_ossl.h"
#include "base/clock.h"
#include "base/text.h"
#include "common/journal.h"
#include "pkix/name.h"
#include "policy.h"
#include "registrar_internal.h"

#define RETRY_STORAGE 30 /* seconds, when the ledger cannot be used */

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
};

static void request_clear(struct request *r) {
    estc_cert_facts_clear(&r->peer_facts);
    GENERAL_NAMES_free(r->names);
    free(r->subject);
    free(r->subject_id);
    free(r->names_id);
    free(r->key_sha256);
    free(r->holder);
}

static int out_of_memory(struct estc_error *err) {
    return estc_error_set(err, -ENOMEM, "out of memory");
}

/* The ledger failed: nothing may be issued, and the device should come again. */
static int unavailable(struct estc_error *err, int64_t *retry_after) {
    journal_error("%s", err->text);
    *retry_after = RETRY_STORAGE;
    return estc_error_set(err, ESTC_E_TIMEOUT, "the CA cannot record anything now");
}

/* --- the two ways in --- */

static int judge_enroll(struct request *r, struct estc_error *err) {
    const char *client_ca = registrar_client_ca(r->registrar, r->peer->cert, r->now);
    if (!client_ca)
        return estc_error_set(err, ESTC_E_REJECTED,
                              "/sen needs a birth certificate of a known client CA; a certificate "
                              "issued here is renewed with /sren");
    r->holder = strdup(r->peer_facts.sha256);
    if (!r->holder)
        return out_of_memory(err);
    return policy_judge(r->registrar->config, client_ca, r->peer->cert, r->in->label, r->in->csr,
                        &r->rule, err);
}

/* Names have been compared already (estc_reenroll_check). */
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
        return unavailable(err, retry_after);
    if (renewed.revoked_at)
        return estc_error_set(err, ESTC_E_REJECTED, "the client certificate is revoked");
    r->rule = config_rule_find(registrar->config, renewed.rule);
    if (!r->rule)
        return estc_error_set(err, ESTC_E_REJECTED,
                              "rule '%s', which granted the certificate, is no longer there",
                              renewed.rule);
    r->holder = TAKE(renewed.holder);
    return policy_judge_key(r->rule, r->in->csr, err);
}

/* --- the same request, or somebody else's name --- */

static int decode(const struct ledger_entry *entry, X509 **out, struct estc_error *err) {
    const unsigned char *p = entry->der.data;
    X509 *cert = d2i_X509(NULL, &p, (long)entry->der.len);
    if (!cert)
        return estc_error_set(err, -EUCLEAN, "ledger: certificate %s cannot be decoded",
                              entry->serial);
    *out = cert;
    return 0;
}

/* What makes it the same request as another. */
static struct ledger_request kind_of(const struct request *r) {
    return (struct ledger_request){
        .authenticator = r->peer_facts.sha256,
        .op = estc_op_info(r->in->op)->name,
        .label = r->in->label,
        .names_id = r->names_id,
        .key_sha256 = r->key_sha256,
    };
}

static int find_repeated(struct request *r, X509 **issued, struct estc_error *err) {
    struct ledger *ledger = r->registrar->ledger;
    const struct ledger_request same = kind_of(r);
    _cleanup(ledger_entry_clear) struct ledger_entry entry = {0};
    int rc = ledger->ops->find_same(ledger, &same, r->now - r->registrar->config->repeat_window,
                                    r->now, &entry, err);
    return rc ? rc : decode(&entry, issued, err);
}

static int check_holder(struct request *r, struct estc_error *err) {
    struct ledger *ledger = r->registrar->ledger;
    _cleanup(ledger_entry_clear) struct ledger_entry entry = {0};
    int rc = ledger->ops->find_other_holder(ledger, r->subject_id, r->holder, r->now, &entry, err);
    if (rc == -ENOENT)
        return 0;
    if (rc)
        return rc;
    char until[CLOCK_TEXT_MAX];
    return estc_error_set(err, ESTC_E_REJECTED, "the name '%s' belongs to another device until %s",
                          r->subject, clock_text(entry.not_after, until));
}

/* --- approval --- */

/* "DNS:gw.example, IP:192.0.2.1" */
static char *names_text(const GENERAL_NAMES *names) {
    char *all = strdup("");
    for (int i = 0; all && names && i < sk_GENERAL_NAME_num(names); i++) {
        _cleanup(freep) char *one = san_text(sk_GENERAL_NAME_value(names, i));
        char *longer = one ? text_format("%s%s%s", all, *all ? ", " : "", one) : NULL;
        free(all);
        all = longer;
    }
    return all;
}

static int approve(struct request *r, X509 **issued, int64_t *retry_after, struct estc_error *err) {
    if (!approval_is_needed(r->rule, r->in->op == ESTC_OP_SREN))
        return 0;
    _cleanup(freep) char *names = names_text(r->names);
    if (!names)
        return out_of_memory(err);
    const struct approval approval = {
        .ledger = r->registrar->ledger,
        .rule = r->rule,
        .kind = kind_of(r),
        .subject = r->subject,
        .names = names,
        .device = r->peer_facts.subject,
        .address = r->peer->address,
        .csr = r->in->der,
        .csr_len = r->in->der_len,
        .now = r->now,
        .may_wait = r->in->may_wait,
    };
    int rc = approval_judge(&approval, issued, retry_after, err);
    r->repeated = *issued;
    return rc;
}

/* --- issue and record --- */

static int fill_entry(const struct request *r, X509 *cert, struct ledger_entry *out,
                      struct estc_error *err) {
    _cleanup(estc_cert_facts_clear) struct estc_cert_facts facts = {0};
    int rc = estc_cert_facts_get(cert, &facts, err);
    if (rc)
        return rc;
    unsigned char *der = NULL;
    int len = i2d_X509(cert, &der);
    *out = (struct ledger_entry){
        .serial = strdup(facts.serial),
        .sha256 = strdup(facts.sha256),
        .subject_id = strdup(r->subject_id),
        .names_id = strdup(r->names_id),
        .subject = strdup(r->subject),
        .key_sha256 = strdup(facts.key_sha256),
        .holder = strdup(r->holder),
        .authenticator = strdup(r->peer_facts.sha256),
        .op = strdup(estc_op_info(r->in->op)->name),
        .label = strdup(r->in->label),
        .rule = strdup(r->rule->name),
        .not_before = facts.not_before,
        .not_after = facts.not_after,
        .issued_at = r->now,
    };
    rc = len < 0 ? -ENOMEM : estc_buf_append(&out->der, der, (size_t)len);
    OPENSSL_free(der);
    if (rc || !out->serial || !out->sha256 || !out->subject_id || !out->names_id || !out->subject ||
        !out->key_sha256 || !out->holder || !out->authenticator || !out->op || !out->label ||
        !out->rule)
        return out_of_memory(err);
    return 0;
}

static int issue(struct request *r, X509 **issued, int64_t *retry_after, struct estc_error *err) {
    struct registrar *registrar = r->registrar;
    _cleanup(x509_freep) X509 *cert = NULL;
    _cleanup(ledger_entry_clear) struct ledger_entry entry = {0};
    int rc = ca_issue(registrar->ca, registrar->config, r->rule, r->in->csr, r->now, &cert, err);
    if (!rc)
        rc = fill_entry(r, cert, &entry, err);
    if (rc)
        return rc;
    rc = registrar->ledger->ops->insert(registrar->ledger, &entry, err);
    if (rc)
        return unavailable(err, retry_after);
    *issued = TAKE(cert);
    return 0;
}

/* --- the operations --- */

/* The subject, or the first of the other names. */
static char *shown_name(const X509_NAME *subject, const GENERAL_NAMES *names) {
    return X509_NAME_entry_count(subject) == 0 && names ? san_text(sk_GENERAL_NAME_value(names, 0))
                                                        : estc_name_text(subject);
}

static char *key_id(const X509_REQ *csr) {
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned char *spki = NULL;
    unsigned len = 0;
    int spki_len = i2d_X509_PUBKEY(X509_REQ_get_X509_PUBKEY((X509_REQ *)(uintptr_t)csr), &spki);
    bool ok =
        spki_len > 0 && EVP_Digest(spki, (size_t)spki_len, digest, &len, EVP_sha256(), NULL) == 1;
    OPENSSL_free(spki);
    return ok ? text_hex(digest, len) : NULL;
}

static int describe(struct request *r, struct estc_error *err) {
    const X509_NAME *subject = X509_REQ_get_subject_name(r->in->csr);
    int rc = estc_cert_facts_get(r->peer->cert, &r->peer_facts, err);
    if (!rc)
        rc = policy_names(r->in->csr, &r->names, err);
    if (rc)
        return rc;
    r->subject = shown_name(subject, r->names);
    r->subject_id = ledger_subject_id(subject, r->names);
    r->names_id = ledger_names_id(subject, r->names);
    r->key_sha256 = key_id(r->in->csr);
    return r->subject && r->subject_id && r->names_id && r->key_sha256 ? 0 : out_of_memory(err);
}

static int decide(struct request *r, X509 **issued, int64_t *retry_after, struct estc_error *err) {
    int rc = describe(r, err);
    if (!rc)
        rc = r->in->op == ESTC_OP_SREN ? judge_reenroll(r, retry_after, err) : judge_enroll(r, err);
    if (!rc)
        rc = policy_judge_pop(r->rule, r->in->pop, err);
    if (!rc)
        rc = attributes_judge(r->rule, r->in->op, r->in->csr, err);
    if (rc)
        return rc;
    rc = find_repeated(r, issued, err);
    r->repeated = rc == 0;
    if (rc == -ENOENT)
        rc = check_holder(r, err);
    else if (!rc)
        return 0;
    if (!rc)
        rc = approve(r, issued, retry_after, err);
    if (rc == ESTC_E_REJECTED || rc == ESTC_E_PENDING || rc == -EINPROGRESS)
        return rc;
    if (rc)
        return unavailable(err, retry_after);
    return *issued ? 0 : issue(r, issued, retry_after, err);
}

static void log_decision(const struct request *r, int rc, X509 *issued,
                         const struct estc_error *err) {
    const char *op = estc_op_info(r->in->op)->name;
    const char *who = r->peer_facts.subject ? r->peer_facts.subject : "?";
    if (rc == ESTC_E_PENDING || rc == -EINPROGRESS) {
        journal_info("%s from %s (%s) for '%s': %s", op, r->peer->address, who, r->subject,
                     err->text);
        return;
    }
    if (rc) {
        journal_notice("%s from %s (%s) for '%s': refused: %s", op, r->peer->address, who,
                       r->subject ? r->subject : "?", err->text);
        return;
    }
    _cleanup(estc_cert_facts_clear) struct estc_cert_facts facts = {0};
    if (estc_cert_facts_get(issued, &facts, NULL))
        return;
    char until[CLOCK_TEXT_MAX];
    journal_notice("%s from %s (%s) for '%s': %s %s by rule '%s' until %s", op, r->peer->address,
                   who, r->subject, r->repeated ? "sent again" : "issued", facts.serial,
                   r->rule->name, clock_text(facts.not_after, until));
}

int registrar_enroll(void *arg, const struct estc_peer *peer, const struct estc_enroll_request *in,
                     X509 **issued, int64_t *retry_after, struct estc_error *err) {
    _cleanup(request_clear) struct request r = {
        .registrar = arg, .peer = peer, .in = in, .now = clock_real()};
    int rc = decide(&r, issued, retry_after, err);
    log_decision(&r, rc, rc ? NULL : *issued, err);
    return rc;
}
