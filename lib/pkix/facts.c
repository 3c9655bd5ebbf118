/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What people and schedulers want to know of a certificate, as plain bounded text and numbers, so
 * that they need not touch it. Judges nothing: that is trust.c.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <estc/cert.h>
#include <estc/key.h>

#include "base/cleanup_ossl.h"
#include "base/text.h"
#include "pkix/cert.h"
#include "pkix/name.h"
#include "pkix/ossl.h"

#define FACTS_SERIAL_MAX 64 /* RFC 5280 section 4.1.2.2 has 20 octets */
#define FACTS_SANS_MAX 128  /* names beyond are left out */

static char *serial_text(const X509 *cert) {
    _cleanup(bn_freep) BIGNUM *bn = ASN1_INTEGER_to_BN(X509_get0_serialNumber(cert), NULL);
    char *hex = bn ? BN_bn2hex(bn) : NULL;
    char *out = hex ? text_clean(hex, strlen(hex), FACTS_SERIAL_MAX) : NULL;
    OPENSSL_free(hex);
    return out;
}

static char *key_type_text(const X509 *cert) {
    enum estc_key_type type;
    const EVP_PKEY *key = X509_get0_pubkey(cert);
    ossl_forget();
    if (!key || estc_key_type_of(key, &type))
        return text_format("other");
    return text_format("%s", estc_key_type_name(type));
}

static char *cert_hash_text(const X509 *cert) {
    unsigned char hash[EVP_MAX_MD_SIZE];
    unsigned len = 0;
    return X509_digest(cert, EVP_sha256(), hash, &len) ? text_hex(hash, len) : NULL;
}

static char *key_hash_text(const X509 *cert) {
    unsigned char hash[EVP_MAX_MD_SIZE];
    unsigned hash_len = 0;
    unsigned char *der = NULL;
    int len = i2d_X509_PUBKEY(X509_get_X509_PUBKEY(cert), &der);
    bool ok = len > 0 && EVP_Digest(der, (size_t)len, hash, &hash_len, EVP_sha256(), NULL);
    OPENSSL_free(der);
    return ok ? text_hex(hash, hash_len) : NULL;
}

static int sans_list(const X509 *cert, char ***out) {
    *out = calloc(1, sizeof(**out));
    if (!*out)
        return -ENOMEM;
    _cleanup(general_names_freep) GENERAL_NAMES *names =
        X509_get_ext_d2i(cert, NID_subject_alt_name, NULL, NULL);
    ossl_forget(); /* absent or broken: nothing to list */
    for (int i = 0; i < sk_GENERAL_NAME_num(names) && i < FACTS_SANS_MAX; i++) {
        _cleanup(freep) char *text = san_text(sk_GENERAL_NAME_value(names, i));
        if (!text || text_list_add(out, text))
            return -ENOMEM;
    }
    return 0;
}

/* RFC 5280 section 4.2.1.12: without the extension every use is allowed. */
static bool fit_for_client(X509 *cert) {
    uint32_t flags = X509_get_extension_flags(cert);
    if (flags & EXFLAG_INVALID)
        return false;
    if (!(flags & EXFLAG_XKUSAGE))
        return true;
    return (X509_get_extended_key_usage(cert) & (XKU_SSL_CLIENT | XKU_ANYEKU)) != 0;
}

int estc_cert_facts_get(X509 *cert, struct estc_cert_facts *out, struct estc_error *err) {
    _cleanup(estc_cert_facts_clear) struct estc_cert_facts facts = {0};
    if (cert_time(X509_get0_notBefore(cert), &facts.not_before) ||
        cert_time(X509_get0_notAfter(cert), &facts.not_after))
        return estc_error_set(err, ESTC_E_MALFORMED, "a certificate's validity is no date");
    facts.subject = estc_name_text(X509_get_subject_name(cert));
    facts.issuer = estc_name_text(X509_get_issuer_name(cert));
    facts.serial = serial_text(cert);
    facts.key_type = key_type_text(cert);
    facts.sha256 = cert_hash_text(cert);
    facts.key_sha256 = key_hash_text(cert);
    int rc = sans_list(cert, &facts.sans);
    ossl_forget();
    if (rc || !facts.subject || !facts.issuer || !facts.serial || !facts.key_type ||
        !facts.sha256 || !facts.key_sha256)
        return estc_error_set(err, -ENOMEM, "out of memory");
    facts.is_ca = (X509_get_extension_flags(cert) & EXFLAG_CA) != 0;
    facts.has_client_auth = fit_for_client(cert);
    ossl_forget();
    *out = facts;
    facts = (struct estc_cert_facts){0};
    return 0;
}

void estc_cert_facts_clear(struct estc_cert_facts *facts) {
    if (!facts)
        return;
    free(facts->subject);
    free(facts->issuer);
    free(facts->serial);
    text_list_free(facts->sans);
    free(facts->key_type);
    free(facts->sha256);
    free(facts->key_sha256);
    *facts = (struct estc_cert_facts){0};
}
