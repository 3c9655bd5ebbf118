/* SPDX-License-Identifier: BSD-2-Clause */
/* The local CA. Holds the issuing key for as long as the program runs; the root's is elsewhere. */
#include "ca.h"

#include <errno.h>
#include <stdlib.h>

#include <openssl/x509v3.h>

#include <estc/cert.h>

#include "base/cleanup_ossl.h"
#include "base/clock.h"
#include "common/pem.h"
#include "mint.h"
#include "policy.h"

struct ca {
    struct estc_credentials own; /* certificate and key; own.chain is empty or intermediates */
    STACK_OF(X509) * certificates;
    int64_t not_after;
};

struct ca *ca_close(struct ca *ca) {
    if (!ca)
        return NULL;
    pem_credentials_clear(&ca->own);
    sk_X509_pop_free(ca->certificates, X509_free);
    free(ca);
    return NULL;
}

CLEANUP_DEFINE(struct ca *, ca_closep, ca_close);

X509 *ca_certificate(const struct ca *ca) {
    return ca->own.cert;
}

const STACK_OF(X509) * ca_certificates(const struct ca *ca) {
    return ca->certificates;
}

static int add_all(STACK_OF(X509) * to, const STACK_OF(X509) * from, struct estc_error *err) {
    for (int i = 0; i < sk_X509_num(from); i++)
        if (!X509_add_cert(to, sk_X509_value(from, i), X509_ADD_FLAG_UP_REF | X509_ADD_FLAG_NO_DUP))
            return estc_error_set(err, -ENOMEM, "out of memory");
    return 0;
}

static int read_chain(struct ca *ca, const struct config *config, struct estc_error *err) {
    _cleanup(sk_x509_freep) STACK_OF(X509) *above = NULL;
    ca->certificates = sk_X509_new_null();
    if (!ca->certificates || !X509_add_cert(ca->certificates, ca->own.cert, X509_ADD_FLAG_UP_REF))
        return estc_error_set(err, -ENOMEM, "out of memory");
    int rc = config->ca_chain ? pem_read_certs(config->ca_chain, &above, err) : 0;
    if (!rc)
        rc = add_all(ca->certificates, ca->own.chain, err);
    return rc ? rc : add_all(ca->certificates, above, err);
}

/* A CA that cannot issue is better found at start. */
static int check_fit(struct ca *ca, const struct config *config, struct estc_error *err) {
    _cleanup(estc_cert_facts_clear) struct estc_cert_facts facts = {0};
    int rc = estc_cert_facts_get(ca->own.cert, &facts, err);
    if (rc)
        return rc;
    ca->not_after = facts.not_after;
    char until[CLOCK_TEXT_MAX];
    if (!facts.is_ca)
        return estc_error_set(err, ESTC_E_CREDENTIAL, "ca.certificate %s: '%s' is no CA's",
                              config->ca_certificate, facts.subject);
    if (facts.not_after <= clock_real())
        return estc_error_set(err, ESTC_E_CREDENTIAL,
                              "ca.certificate %s: '%s' expired %s: renew it, or check this "
                              "machine's clock",
                              config->ca_certificate, facts.subject,
                              clock_text(facts.not_after, until));
    return 0;
}

int ca_open(const struct config *config, struct ca **out, struct estc_error *err) {
    _cleanup(ca_closep) struct ca *ca = calloc(1, sizeof(*ca));
    if (!ca)
        return estc_error_set(err, -ENOMEM, "out of memory");
    int rc = pem_read_credentials(config->ca_certificate, config->ca_key, &ca->own, err);
    if (!rc)
        rc = check_fit(ca, config, err);
    if (!rc)
        rc = read_chain(ca, config, err);
    if (rc)
        return rc;
    *out = TAKE(ca);
    return 0;
}

static const char *usages(const struct config_rule *rule) {
    static const char *const by_bits[] = {
        [CONFIG_EKU_SERVER] = "serverAuth",
        [CONFIG_EKU_CLIENT] = "clientAuth",
        [CONFIG_EKU_SERVER | CONFIG_EKU_CLIENT] = "serverAuth,clientAuth",
    };
    return by_bits[rule->eku & (CONFIG_EKU_SERVER | CONFIG_EKU_CLIENT)];
}

int ca_issue(const struct ca *ca, const struct config *config, const struct config_rule *rule,
             const X509_REQ *csr, int64_t now, X509 **out, struct estc_error *err) {
    int64_t lifetime = rule->lifetime ? rule->lifetime : config->lifetime;
    /* Clocks of devices lag behind; but a short certificate that begins far back would be due for
     * renewal when it arrives. */
    int64_t backdate = config->backdate < lifetime / 10 ? config->backdate : lifetime / 10;
    int64_t not_after = now + lifetime < ca->not_after ? now + lifetime : ca->not_after;
    if (not_after <= now)
        return estc_error_set(err, ESTC_E_CREDENTIAL, "the issuing CA has expired: renew it");
    ASN1_OCTET_STRING *san = NULL;
    int rc = policy_san(csr, &san, err);
    if (rc)
        return rc;
    const struct mint_spec spec = {
        .subject = X509_REQ_get_subject_name(csr),
        .key = X509_REQ_get0_pubkey((X509_REQ *)(uintptr_t)csr),
        .issuer = ca->own.cert,
        .signer = ca->own.key,
        .not_before = now - backdate,
        .not_after = not_after,
        .usages = usages(rule),
        .san_der = san,
    };
    rc = mint_certificate(&spec, out, err);
    ASN1_OCTET_STRING_free(san);
    return rc;
}
