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
#include "base/cleanup_ossl.h"
#include "base/clock.h"
#include "base/text.h"
#include "common/journal.h"
#include "enroll_internal.h"
#include "issuer.h"
#include "pkix/name.h"
#include "policy.h"
#include "rename.h"

static void request_clear(struct request *r) {
    estc_cert_facts_clear(&r->peer_facts);
    GENERAL_NAMES_free(r->names);
    free(r->subject);
    free(r->subject_id);
    free(r->names_id);
    free(r->key_sha256);
    free(r->holder);
    estc_cert_facts_clear(&r->superseded);
    X509_REQ_free(r->made);
}

static int out_of_memory(struct estc_error *err) {
    return estc_error_set(err, -ENOMEM, "out of memory");
}

/* --- the same request, or somebody else's name --- */

struct ledger_request enroll_kind(const struct request *r) {
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
    const struct ledger_request same = enroll_kind(r);
    _cleanup(ledger_entry_clear) struct ledger_entry entry = {0};
    int rc = ledger->ops->find_same(ledger, &same, r->now - r->registrar->config->repeat_window,
                                    r->now, &entry, err);
    return rc ? rc : ledger_entry_decode(&entry, issued, err);
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
    if (!approval_is_needed(r->rule, r->renewal))
        return 0;
    _cleanup(freep) char *names = names_text(r->names);
    if (!names)
        return out_of_memory(err);
    const struct approval approval = {
        .ledger = r->registrar->ledger,
        .audit = r->registrar->audit,
        .rule = r->rule,
        .kind = enroll_kind(r),
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

/* From here on the names are those that are wanted. */
static int use_new_names(struct request *r, struct estc_error *err) {
    X509_REQ *renamed = NULL;
    int rc = rename_apply(r->csr, &renamed, err);
    r->renamed = renamed;
    if (renamed)
        enroll_use(r, renamed);
    return rc;
}

static int describe(struct request *r, struct estc_error *err) {
    int rc = estc_cert_facts_get(r->peer->cert, &r->peer_facts, err);
    if (!rc)
        rc = use_new_names(r, err);
    if (!rc)
        rc = policy_names(r->csr, &r->names, err);
    if (rc)
        return rc;
    const X509_NAME *subject = X509_REQ_get_subject_name(r->csr);
    r->subject = shown_name(subject, r->names);
    r->subject_id = ledger_subject_id(subject, r->names);
    r->names_id = ledger_names_id(subject, r->names);
    r->key_sha256 = key_id(r->in->csr);
    return r->subject && r->subject_id && r->names_id && r->key_sha256 ? 0 : out_of_memory(err);
}

static int decide(struct request *r, X509 **issued, int64_t *retry_after, struct estc_error *err) {
    int rc = describe(r, err);
    if (!rc)
        rc = enroll_judge(r, retry_after, err);
    if (rc)
        return rc;
    const struct issuer_ops *issuer = r->registrar->issuer;
    rc = issuer->collect ? issuer->collect(r, issued, retry_after, err) : -ENOENT;
    if (rc != -ENOENT)
        return rc;
    rc = find_repeated(r, issued, err);
    r->repeated = rc == 0;
    if (rc == -ENOENT) {
        rc = check_holder(r, err);
        if (!rc)
            rc = approve(r, issued, retry_after, err);
    }
    if (!rc && r->generated)
        rc = enroll_supersede(r, issued, err);
    if (rc == ESTC_E_REJECTED || rc == ESTC_E_PENDING || rc == -EINPROGRESS)
        return rc;
    if (rc)
        return enroll_unavailable(err, retry_after);
    return *issued ? 0 : issuer->issue(r, issued, retry_after, err);
}

static void log_decision(const struct request *r, int rc, X509 *issued,
                         const struct estc_error *err) {
    const char *op = estc_op_info(r->in->op)->name;
    const char *who = r->peer_facts.subject ? r->peer_facts.subject : "?";
    struct audit *audit = r->registrar->audit;
    struct audit_record record = {.op = op,
                                  .label = r->in->label,
                                  .address = r->peer->address,
                                  .device = r->peer_facts.subject,
                                  .device_sha256 = r->peer_facts.sha256,
                                  .subject = r->subject,
                                  .rule = r->rule ? r->rule->name : NULL};
    if (rc == ESTC_E_PENDING || rc == -EINPROGRESS) {
        journal_info("%s from %s (%s) for '%s': %s", op, r->peer->address, who, r->subject,
                     err->text);
        return;
    }
    if (rc) {
        record.reason = err->text;
        audit_write(audit, AUDIT_REFUSED, &record, "%s from %s (%s) for '%s': refused: %s", op,
                    r->peer->address, who, r->subject ? r->subject : "?", err->text);
        return;
    }
    _cleanup(estc_cert_facts_clear) struct estc_cert_facts facts = {0};
    if (estc_cert_facts_get(issued, &facts, NULL))
        return;
    char until[CLOCK_TEXT_MAX];
    record.serial = facts.serial;
    record.not_after = clock_text(facts.not_after, until);
    record.superseded = r->superseded.serial;
    audit_write(audit, r->repeated ? AUDIT_SENT_AGAIN : AUDIT_ISSUED, &record,
                "%s from %s (%s) for '%s': %s %s by rule '%s' until %s", op, r->peer->address, who,
                r->subject, r->repeated ? "sent again" : "issued", facts.serial, r->rule->name,
                until);
}

/* Either operation, from beginning to end. */
static int run(struct request *r, X509 **issued, int64_t *retry_after, struct estc_error *err) {
    r->now = clock_real();
    r->csr = r->in->csr;
    int rc = decide(r, issued, retry_after, err);
    if (!r->told)
        log_decision(r, rc, rc ? NULL : *issued, err);
    return rc;
}

int registrar_generate(void *arg, const struct estc_peer *peer,
                       const struct estc_enroll_request *in, struct estc_generated *out,
                       int64_t *retry_after, struct estc_error *err) {
    _cleanup(estc_generated_clear) struct estc_generated made = {0};
    _cleanup(request_clear) struct request r = {
        .registrar = arg, .peer = peer, .in = in, .generated = &made};
    int rc = run(&r, &made.cert, retry_after, err);
    if (rc)
        return rc;
    *out = made;
    made = (struct estc_generated){0};
    return 0;
}

int registrar_enroll(void *arg, const struct estc_peer *peer, const struct estc_enroll_request *in,
                     X509 **issued, int64_t *retry_after, struct estc_error *err) {
    _cleanup(request_clear) struct request r = {.registrar = arg, .peer = peer, .in = in};
    return run(&r, issued, retry_after, err);
}
