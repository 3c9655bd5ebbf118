/* SPDX-License-Identifier: BSD-2-Clause */
/* The local CA. Holds the issuing key for as long as the program runs; the root's is elsewhere. */
#include "ca.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include <estc/cert.h>
#include <estc/key.h>
#include <estc/trust.h>

#include "base/cleanup_estc.h"
#include "base/cleanup_ossl.h"
#include "base/clock.h"
#include "base/text.h"
#include "common/pem.h"
#include "mint.h"
#include "pkix/ossl.h"
#include "policy.h"

struct ca {
    struct estc_credentials own; /* certificate and key; own.chain is empty or intermediates */
    STACK_OF(X509) * previous;
    STACK_OF(X509) * certificates;
    int64_t not_before, not_after;
};

struct ca *ca_close(struct ca *ca) {
    if (!ca)
        return NULL;
    pem_credentials_clear(&ca->own);
    sk_X509_pop_free(ca->previous, X509_free);
    sk_X509_pop_free(ca->certificates, X509_free);
    free(ca);
    return NULL;
}

CLEANUP_DEFINE(struct ca *, ca_closep, ca_close);

X509 *ca_certificate(const struct ca *ca) {
    return ca->own.cert;
}

const STACK_OF(X509) * ca_previous(const struct ca *ca) {
    return ca->previous;
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
    if (!rc && config->ca_previous)
        rc = pem_read_certs(config->ca_previous, &ca->previous, err);
    if (!rc)
        rc = add_all(ca->certificates, ca->own.chain, err);
    if (!rc)
        rc = add_all(ca->certificates, ca->previous, err);
    return rc ? rc : add_all(ca->certificates, above, err);
}

static int unfit(const struct config *config, const struct estc_cert_facts *facts, const char *why,
                 struct estc_error *err) {
    return estc_error_set(err, ESTC_E_CREDENTIAL, "ca.certificate %s: '%s' %s",
                          config->ca_certificate, facts->subject, why);
}

/* A CA that cannot issue is better found at start. */
static int check_fit(struct ca *ca, const struct config *config, struct estc_error *err) {
    _cleanup(estc_cert_facts_clear) struct estc_cert_facts facts = {0};
    int rc = estc_cert_facts_get(ca->own.cert, &facts, err);
    if (rc)
        return rc;
    ca->not_before = facts.not_before;
    ca->not_after = facts.not_after;
    if (!facts.is_ca || !(X509_get_key_usage(ca->own.cert) & KU_KEY_CERT_SIGN))
        return unfit(config, &facts, "is not for a CA: name the issuing CA's certificate", err);
    if (config->crl_file && !(X509_get_key_usage(ca->own.cert) & KU_CRL_SIGN))
        return unfit(config, &facts, "is not for CRLs (cRLSign): leave ca.crl out, or renew it",
                     err);
    char date[CLOCK_TEXT_MAX], why[CLOCK_TEXT_MAX + 80];
    int64_t now = clock_real();
    if (facts.not_before > now) {
        snprintf(why, sizeof(why), "is not valid before %s: check this machine's clock",
                 clock_text(facts.not_before, date));
        return unfit(config, &facts, why, err);
    }
    if (facts.not_after <= now) {
        snprintf(why, sizeof(why), "expired %s: renew it, or check this machine's clock",
                 clock_text(facts.not_after, date));
        return unfit(config, &facts, why, err);
    }
    return 0;
}

/* What /crts will send has to lead its readers from the issuing CA to a root, if it has one. */
static int check_chain(const struct ca *ca, const struct config *config, struct estc_error *err) {
    _cleanup(trust_freep) struct estc_trust *roots = NULL;
    int rc = estc_trust_new(&roots, err);
    for (int i = 0; !rc && i < sk_X509_num(ca->certificates); i++)
        if (estc_cert_is_self_signed(sk_X509_value(ca->certificates, i)))
            rc = estc_trust_add(roots, sk_X509_value(ca->certificates, i), err);
    if (rc || estc_trust_count(roots) == 0)
        return rc;
    rc = estc_trust_verify(roots, ca->own.cert, ca->certificates, ESTC_PURPOSE_ANY, clock_real(),
                           NULL, err);
    if (rc)
        estc_error_prefix(err, "ca.chain %s does not lead from the issuing CA to a root",
                          config->ca_chain ? config->ca_chain : config->ca_certificate);
    return rc;
}

/* A key with a passphrase, which is the first line of a file. */
static int read_key(const struct config *config, EVP_PKEY **out, struct estc_error *err) {
    _cleanup(estc_buf_clear) struct estc_buf pem = {0}, secret = {0};
    int rc = pem_read_private(config->ca_key, &pem, err);
    if (!rc)
        rc = pem_read_private(config->ca_passphrase, &secret, err);
    if (!rc && estc_buf_append(&secret, "", 1))
        rc = estc_error_set(err, -ENOMEM, "out of memory");
    if (rc)
        return rc;
    char *passphrase = (char *)secret.data;
    passphrase[strcspn(passphrase, "\r\n")] = '\0';
    _cleanup(bio_freep) BIO *bio = BIO_new_mem_buf(pem.data, (int)pem.len);
    *out = bio ? PEM_read_bio_PrivateKey(bio, NULL, NULL, passphrase) : NULL;
    OPENSSL_cleanse(secret.data, secret.len);
    ossl_forget();
    return *out ? 0
                : estc_error_set(err, ESTC_E_CREDENTIAL,
                                 "ca.key %s: no key that the passphrase in %s opens: name the file "
                                 "that has its passphrase in its first line",
                                 config->ca_key, config->ca_passphrase);
}

static int read_own(struct ca *ca, const struct config *config, struct estc_error *err) {
    if (!config->ca_passphrase)
        return pem_read_credentials(config->ca_certificate, config->ca_key, &ca->own, err);
    int rc = read_key(config, &ca->own.key, err);
    if (!rc)
        rc = pem_read_certs(config->ca_certificate, &ca->own.chain, err);
    if (rc)
        return rc;
    ca->own.cert = sk_X509_shift(ca->own.chain);
    return estc_cert_has_key(ca->own.cert, ca->own.key)
               ? 0
               : estc_error_set(err, ESTC_E_CREDENTIAL,
                                "ca.certificate %s and ca.key %s do not belong together: name the "
                                "pair that does",
                                config->ca_certificate, config->ca_key);
}

int ca_open(const struct config *config, struct ca **out, struct estc_error *err) {
    _cleanup(ca_closep) struct ca *ca = calloc(1, sizeof(*ca));
    if (!ca)
        return estc_error_set(err, -ENOMEM, "out of memory");
    int rc = read_own(ca, config, err);
    if (!rc)
        rc = check_fit(ca, config, err);
    if (!rc)
        rc = read_chain(ca, config, err);
    if (!rc)
        rc = check_chain(ca, config, err);
    if (rc)
        return rc;
    *out = TAKE(ca);
    return 0;
}

static const char *usages(const struct config_rule *rule) {
    static const char *const by_bits[] = {
        [0] = "serverAuth,clientAuth", /* none at all would mean all there are */
        [CONFIG_EKU_SERVER] = "serverAuth",
        [CONFIG_EKU_CLIENT] = "clientAuth",
        [CONFIG_EKU_SERVER | CONFIG_EKU_CLIENT] = "serverAuth,clientAuth",
    };
    return by_bits[rule->eku & (CONFIG_EKU_SERVER | CONFIG_EKU_CLIENT)];
}

/* "a,b"; *out is NULL where the rule says nothing. */
static int key_usage(const struct config_rule *rule, char **out, struct estc_error *err) {
    _cleanup(freep) char *all = NULL;
    for (char *const *usage = rule->key_usage; usage && *usage; usage++) {
        char *longer = text_format("%s%s%s", all ? all : "", all ? "," : "", *usage);
        free(all);
        all = longer;
        if (!all)
            return estc_error_set(err, -ENOMEM, "out of memory");
    }
    *out = TAKE(all);
    return 0;
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
    _cleanup(general_names_freep) GENERAL_NAMES *names = NULL;
    _cleanup(freep) char *usage = NULL;
    int rc = policy_names(csr, &names, err);
    if (!rc)
        rc = key_usage(rule, &usage, err);
    if (rc)
        return rc;
    const struct mint_spec spec = {
        .subject = X509_REQ_get_subject_name(csr),
        .key = X509_REQ_get0_pubkey((X509_REQ *)(uintptr_t)csr),
        .issuer = ca->own.cert,
        .signer = ca->own.key,
        .not_before = now - backdate > ca->not_before ? now - backdate : ca->not_before,
        .not_after = not_after,
        .usages = usages(rule),
        .names = names,
        .key_usage = usage,
        .crl_url = rule->crl_url,
    };
    return mint_certificate(&spec, out, err);
}

int ca_sign_crl(const struct ca *ca, X509_CRL *crl, struct estc_error *err) {
    enum estc_key_type type = ESTC_KEY_P256;
    X509V3_CTX ctx;
    X509V3_set_ctx(&ctx, ca->own.cert, NULL, NULL, crl, 0);
    _cleanup(extension_freep) X509_EXTENSION *key =
        X509V3_EXT_conf_nid(NULL, &ctx, NID_authority_key_identifier, "keyid:always");
    if (!X509_CRL_set_issuer_name(crl, X509_get_subject_name(ca->own.cert)) || !key ||
        !X509_CRL_add_ext(crl, key, -1) || estc_key_type_of(ca->own.key, &type) ||
        !X509_CRL_sign(crl, ca->own.key, type == ESTC_KEY_P384 ? EVP_sha384() : EVP_sha256()))
        return ossl_error(err, -EIO, "cannot sign a CRL");
    return 0;
}
