/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * /att: which rule a client would be judged by, and what that rule wishes to see. Decides nothing
 * and writes nothing; a client that no rule is for gets no wishes (4.04), and the reason when it
 * enrolls.
 */
#include <errno.h>

#include <estc/cert.h>

#include "attributes.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "common/journal.h"
#include "policy.h"
#include "registrar_internal.h"

/* The rule that granted a certificate of ours; NULL when none did. */
static const struct config_rule *rule_of_issued(const struct registrar *registrar, X509 *cert) {
    _cleanup(estc_cert_facts_clear) struct estc_cert_facts facts = {0};
    _cleanup(ledger_entry_clear) struct ledger_entry entry = {0};
    struct ledger *ledger = registrar->ledger;
    struct estc_error err = {0};
    int rc = estc_cert_facts_get(cert, &facts, &err);
    if (!rc)
        rc = ledger->ops->find(ledger, facts.sha256, &entry, &err);
    if (rc && rc != -ENOENT)
        journal_warning("%s", err.text);
    return rc ? NULL : config_rule_find(registrar->config, entry.rule);
}

int registrar_csrattrs(void *arg, const struct estc_peer *peer, const char *label,
                       struct estc_buf *der, struct estc_error *err) {
    struct registrar *registrar = arg;
    const struct config *config = registrar->config;
    int rc = policy_label(config, label, err);
    if (rc)
        return rc;
    const char *client_ca = registrar_client_ca(registrar, peer->cert, clock_real());
    const struct config_rule *rule = client_ca ? NULL : rule_of_issued(registrar, peer->cert);
    bool bound = false; /* whichever rule grants, a binding is right where one of them wants it */
    for (size_t i = 0; client_ca && i < config->rules.n; i++) {
        const struct config_rule *candidate = config_rule_at(config, i);
        if (!policy_is_for(candidate, client_ca, label))
            continue;
        rule = rule ? rule : candidate;
        bound = bound || candidate->pop == CONFIG_POP_REQUIRED;
    }
    if (!rule)
        return 0;
    if (registrar->issuer->csrattrs) {
        rc = registrar->issuer->csrattrs(registrar, label, der, err);
        if (rc || der->len > 0)
            return rc;
    }
    _cleanup(estc_csrattrs_clear) struct estc_csrattrs attrs = {0};
    rc = attributes_of(rule, &attrs, err);
    if (rc)
        return rc;
    attrs.challenge = attrs.challenge || bound;
    if (!estc_csrattrs_any(&attrs))
        return 0;
    return estc_csrattrs_encode(&attrs, (enum estc_csrattrs_form)rule->attributes.form, der, err);
}
