/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the registrar holds while it serves: CA, ledger and the trust in its clients, for as long as
 * it is open; and /crts, the operation that decides nothing.
 */
#include "registrar_internal.h"

#include <errno.h>
#include <stdlib.h>

#include <estc/cert.h>

#include "base/cleanup_estc.h"
#include "base/cleanup_ossl.h"
#include "base/clock.h"
#include "base/text.h"
#include "common/journal.h"
#include "common/pem.h"
#include "discover.h"
#include "forward.h"
#include "policy.h"
#include "upstream_cache.h"

#define RETRY_CRL 300 /* seconds, while a CRL is out of date */

static int out_of_memory(struct estc_error *err) {
    return estc_error_set(err, -ENOMEM, "out of memory");
}

/* --- certificates of ours --- */

bool registrar_is_ours(const struct registrar *registrar, X509 *cert, int64_t now) {
    return !estc_trust_verify(registrar->own, cert, NULL, ESTC_PURPOSE_ANY, now, NULL, NULL);
}

const char *registrar_client_ca(const struct registrar *registrar, X509 *cert, int64_t now) {
    for (size_t i = 0; i < registrar->config->client_cas.n; i++) {
        const struct config_client_ca *ca = config_client_ca_at(registrar->config, i);
        enum estc_purpose purpose =
            ca->accept_expired == CONF_TRUE ? ESTC_PURPOSE_EXPIRED_CLIENT : ESTC_PURPOSE_CLIENT;
        if (!estc_trust_verify(registrar->client_cas[i], cert, NULL, purpose, now, NULL, NULL))
            return ca->name;
    }
    return NULL;
}

int registrar_note_collected(struct registrar *registrar, const char *sha256, int64_t now,
                             struct ledger_entry *entry, struct estc_error *err) {
    struct ledger *ledger = registrar->ledger;
    int rc = ledger->ops->find(ledger, sha256, entry, err);
    if (!rc && entry->collected_at == 0)
        rc = ledger->ops->collected(ledger, sha256, now, err);
    return rc;
}

/* --- the operations --- */

static int op_cacerts(void *arg, const struct estc_peer *peer, const char *label,
                      STACK_OF(X509) * *out, struct estc_error *err) {
    struct registrar *registrar = arg;
    int rc = policy_label(registrar->config, label, err);
    if (rc)
        return rc;
    /* Who comes with a certificate of ours has received it; a device may ask for /crts first. */
    if (registrar_is_ours(registrar, peer->cert, clock_real())) {
        _cleanup(estc_cert_facts_clear) struct estc_cert_facts facts = {0};
        _cleanup(ledger_entry_clear) struct ledger_entry entry = {0};
        struct estc_error why = {0};
        rc = estc_cert_facts_get(peer->cert, &facts, &why);
        if (!rc)
            rc = registrar_note_collected(registrar, facts.sha256, clock_real(), &entry, &why);
        if (rc && rc != -ENOENT)
            journal_warning("%s", why.text);
    }
    return registrar->issuer->cacerts(registrar, label, out, err);
}

/* 0, ESTC_E_REJECTED, ESTC_E_TIMEOUT without a valid CRL, or the ledger's errno. */
static int ask_revoked(struct registrar *registrar, X509 *cert, struct estc_error *err) {
    struct ledger *ledger = registrar->ledger;
    _cleanup(estc_cert_facts_clear) struct estc_cert_facts facts = {0};
    _cleanup(ledger_entry_clear) struct ledger_entry entry = {0};
    int rc = crls_ask(registrar->crls, cert, clock_real(), err);
    if (!rc)
        rc = estc_cert_facts_get(cert, &facts, err);
    if (!rc)
        rc = ledger->ops->find(ledger, facts.sha256, &entry, err);
    if (!rc && entry.revoked_at)
        return estc_error_set(err, ESTC_E_REJECTED, "the client certificate is revoked");
    return rc == -ENOENT ? 0 : rc;
}

int registrar_is_revoked(struct registrar *registrar, X509 *cert) {
    struct estc_error why = {0};
    int rc = ask_revoked(registrar, cert, &why);
    return rc == ESTC_E_REJECTED ? 1 : rc > 0 ? -EAGAIN : rc;
}

/* Connections last, so each request asks anew. A ledger that cannot be read stops nobody here: what
 * needs it fails by itself, and /crts does not. */
static int op_admit(void *arg, const struct estc_peer *peer, int64_t *retry_after,
                    struct estc_error *err) {
    int rc = ask_revoked(arg, peer->cert, err);
    if (rc == ESTC_E_REJECTED)
        journal_notice("%s: refused: %s", peer->address, err->text);
    *retry_after = RETRY_CRL;
    return rc == ESTC_E_REJECTED || rc == ESTC_E_TIMEOUT ? rc : 0;
}

static bool op_issued(void *arg, const struct estc_peer *peer) {
    return registrar_is_ours(arg, peer->cert, clock_real());
}

/* An operation that is not there is not offered either. */
static struct estc_server_ops make_ops(const struct registrar *registrar) {
    return (struct estc_server_ops){
        .admit = op_admit,
        .cacerts = op_cacerts,
        .enroll = registrar_enroll,
        .generate = registrar->config->server_keys == CONF_TRUE ? registrar_generate : NULL,
        .csrattrs = registrar_csrattrs,
        .issued = op_issued,
    };
}

const struct estc_server_ops *registrar_server_ops(const struct registrar *registrar) {
    return &registrar->ops;
}

int registrar_fd(const struct registrar *registrar) {
    return registrar->keygen ? keygen_fd(registrar->keygen) : -1;
}

void registrar_seen(struct registrar *registrar) {
    keygen_seen(registrar->keygen);
}

void registrar_reopen(struct registrar *registrar) {
    audit_reopen(registrar->audit);
}

/* --- life --- */

struct registrar *registrar_close(struct registrar *registrar) {
    if (!registrar)
        return NULL;
    for (size_t i = 0; registrar->client_cas && i < registrar->config->client_cas.n; i++)
        estc_trust_free(registrar->client_cas[i]);
    free(registrar->client_cas);
    estc_trust_free(registrar->own);
    estc_trust_free(registrar->all);
    estc_trust_free(registrar->expired);
    crl_free(registrar->crl);
    crls_close(registrar->crls);
    ledger_closep(&registrar->ledger);
    keygen_close(registrar->keygen);
    audit_close(registrar->audit);
    ca_close(registrar->ca);
    forward_free(registrar->forward);
    upstream_cache_free(registrar->cache);
    upstream_free(registrar->upstream);
    text_list_free(registrar->labels);
    sk_X509_pop_free(registrar->ours, X509_free);
    free(registrar);
    return NULL;
}

CLEANUP_DEFINE(struct registrar *, registrar_closep, registrar_close);

const struct estc_trust *registrar_client_trust(const struct registrar *registrar) {
    return registrar->all;
}

const struct estc_trust *registrar_expired_trust(const struct registrar *registrar) {
    return estc_trust_count(registrar->expired) > 0 ? registrar->expired : NULL;
}

static int add_all(struct estc_trust *to, const STACK_OF(X509) * certs, struct estc_error *err) {
    int rc = 0;
    for (int i = 0; !rc && i < sk_X509_num(certs); i++)
        rc = estc_trust_add(to, sk_X509_value(certs, i), err);
    return rc;
}

/* Of what was issued here nothing counts after its end, and revocation would be worth nothing. A CA
 * is its key, of which there may be several certificates. */
static int check_not_ours(const STACK_OF(X509) * ours, const STACK_OF(X509) * anchors,
                          struct estc_error *err) {
    for (int i = 0; i < sk_X509_num(anchors); i++)
        for (int k = 0; k < sk_X509_num(ours); k++)
            if (estc_cert_has_key(sk_X509_value(anchors, i),
                                  X509_get0_pubkey(sk_X509_value(ours, k))))
                return estc_error_set(err, ESTC_E_CREDENTIAL,
                                      "accept_expired is not for the CA that issues here: remove "
                                      "it, or name the factory's CA");
    return 0;
}

const STACK_OF(X509) * registrar_ours_and_above(const struct ca *ca, const STACK_OF(X509) * ours) {
    return ca ? ca_certificates(ca) : ours;
}

int registrar_open_client_ca(const struct config_client_ca *config, const STACK_OF(X509) * ours,
                             struct estc_trust **out, struct estc_error *err) {
    _cleanup(trust_freep) struct estc_trust *trust = NULL;
    int rc = pem_read_trust(config->certificate, &trust, err);
    if (!rc && ours && config->accept_expired == CONF_TRUE)
        rc = check_not_ours(ours, estc_trust_anchors(trust), err);
    if (rc)
        return estc_error_prefix(err, "client_cas '%s'", config->name);
    *out = TAKE(trust);
    return 0;
}

static int add_client_ca(struct registrar *registrar, size_t i, struct estc_error *err) {
    const struct config_client_ca *config = config_client_ca_at(registrar->config, i);
    struct estc_trust **out = &registrar->client_cas[i];
    int rc = registrar_open_client_ca(
        config, registrar_ours_and_above(registrar->ca, registrar->ours), out, err);
    if (!rc)
        rc = add_all(registrar->all, estc_trust_anchors(*out), err);
    if (!rc && config->accept_expired == CONF_TRUE)
        rc = add_all(registrar->expired, estc_trust_anchors(*out), err);
    return rc;
}

int registrar_open_issuers(const struct config *config, struct ca **ca, STACK_OF(X509) * *out,
                           struct estc_error *err) {
    if (config_has_upstream(config))
        return pem_read_certs(config->upstream.issuers, out, err);
    int rc = ca_open(config, ca, err);
    if (rc)
        return rc;
    STACK_OF(X509) *ours = X509_chain_up_ref((STACK_OF(X509) *)(uintptr_t)ca_previous(*ca));
    if (!ours || !X509_add_cert(ours, ca_certificate(*ca), X509_ADD_FLAG_UP_REF)) {
        sk_X509_pop_free(ours, X509_free);
        return out_of_memory(err);
    }
    *out = ours;
    return 0;
}

static int open_trust(struct registrar *registrar, struct estc_error *err) {
    const struct config *config = registrar->config;
    struct estc_trust **const sets[] = {&registrar->own, &registrar->all};
    int rc = estc_trust_new(&registrar->expired, err);
    for (size_t i = 0; !rc && i < sizeof(sets) / sizeof(sets[0]); i++) {
        rc = estc_trust_new(sets[i], err);
        if (!rc)
            rc = add_all(*sets[i], registrar->ours, err);
    }
    registrar->client_cas = calloc(config->client_cas.n + 1, sizeof(*registrar->client_cas));
    if (!rc && !registrar->client_cas)
        rc = out_of_memory(err);
    for (size_t i = 0; !rc && i < config->client_cas.n; i++)
        rc = add_client_ca(registrar, i, err);
    return rc ? rc : crls_open(config, registrar->client_cas, &registrar->crls, err);
}

int registrar_open(const struct config *config, struct registrar **out, struct estc_error *err) {
    _cleanup(registrar_closep) struct registrar *registrar = calloc(1, sizeof(*registrar));
    if (!registrar)
        return out_of_memory(err);
    registrar->config = config;
    registrar->issuer = config_has_upstream(config) ? &issuer_upstream : &issuer_local;
    int rc = registrar_open_issuers(config, &registrar->ca, &registrar->ours, err);
    if (!rc)
        rc = open_trust(registrar, err);
    if (!rc && registrar->ca && config->server_keys == CONF_TRUE)
        rc = keygen_open(config, &registrar->keygen, err);
    if (!rc)
        rc = config->database ? ledger_postgres_open(config->database, &registrar->ledger, err)
                              : ledger_sqlite_open(config->ledger, &registrar->ledger, err);
    if (!rc)
        rc = audit_open(config->audit_log, &registrar->audit, err);
    if (!rc && registrar->ca && config->crl_file)
        rc = crl_new(config, registrar->ca, registrar->ledger, &registrar->crl, err);
    if (rc)
        return rc;
    registrar->ops = make_ops(registrar);
    *out = TAKE(registrar);
    return 0;
}

int registrar_start(struct registrar *registrar, sd_event *event, void (*decided)(void *arg),
                    void *arg, struct estc_error *err) {
    const struct config *config = registrar->config;
    if (registrar->crl)
        return crl_start(registrar->crl, event, err);
    if (!config_has_upstream(config))
        return 0;
    if (discover_labels(config, &registrar->labels))
        return out_of_memory(err);
    int rc = upstream_new(event, config, &registrar->upstream, err);
    if (!rc)
        rc = upstream_cache_new(event, config, registrar->upstream, registrar->labels,
                                &registrar->cache, err);
    return rc ? rc : forward_new(event, registrar, decided, arg, &registrar->forward, err);
}

bool registrar_is_starting(const struct registrar *registrar) {
    return registrar->cache && upstream_cache_is_starting(registrar->cache);
}
