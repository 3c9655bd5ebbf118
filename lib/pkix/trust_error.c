/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a failed validation says to a person: the certificate, the cause, the remedy. One table, for
 * path validation here and for handshakes alike.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <openssl/x509_vfy.h>

#include <estc/cert.h>
#include <estc/trust.h>

#include "base/cleanup_ossl.h"
#include "base/clock.h"
#include "base/text.h"
#include "pkix/cert.h"
#include "pkix/name.h"
#include "pkix/ossl.h"

/* What else to tell of the certificate. */
enum trust_detail { DETAIL_NONE, DETAIL_EXPIRY, DETAIL_START, DETAIL_ISSUER, DETAIL_NAMES };

#define NO_PATH_REMEDY \
    "add the CA's certificate to the trust, or let the peer send its intermediate certificates"
#define WEAK_REMEDY "reissue it with P-256, P-384 or RSA of 2048 bits or more, and SHA-256"
#define NAME_REMEDY "name the peer as its certificate does, or reissue it with the right name"
#define CA_REMEDY "the CA's certificates must be reissued"

static const struct trust_text {
    int v_err;
    enum trust_detail detail;
    const char *cause;
    const char *remedy;
} trust_texts[] = {
    {X509_V_ERR_CERT_HAS_EXPIRED, DETAIL_EXPIRY, "expired",
     "renew it, or check this machine's clock"},
    {X509_V_ERR_CERT_NOT_YET_VALID, DETAIL_START, "is not valid before",
     "this machine's clock may be wrong"},
    {X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT, DETAIL_ISSUER, "leads to no trust anchor",
     NO_PATH_REMEDY},
    {X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY, DETAIL_ISSUER, "leads to no trust anchor",
     NO_PATH_REMEDY},
    {X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE, DETAIL_ISSUER, "leads to no trust anchor",
     NO_PATH_REMEDY},
    {X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT, DETAIL_NONE, "is self-signed and no trust anchor",
     "add it to the trust if it is the right one"},
    {X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN, DETAIL_NONE, "is a root, but no trust anchor",
     "add it to the trust if it is the right one"},
    {X509_V_ERR_CERT_UNTRUSTED, DETAIL_NONE, "is not trusted for this use", CA_REMEDY},
    {X509_V_ERR_CERT_REJECTED, DETAIL_NONE, "is rejected for this use", CA_REMEDY},
    {X509_V_ERR_CERT_SIGNATURE_FAILURE, DETAIL_ISSUER, "has a signature that is not its issuer's",
     "it was changed, or another CA of the same name made it"},
    {X509_V_ERR_UNABLE_TO_DECRYPT_CERT_SIGNATURE, DETAIL_ISSUER, "has a signature that is broken",
     "reissue it"},
    {X509_V_ERR_INVALID_CA, DETAIL_NONE, "has issued a certificate but is no CA", CA_REMEDY},
    {X509_V_ERR_KEYUSAGE_NO_CERTSIGN, DETAIL_NONE,
     "has issued a certificate but its key usage forbids that", CA_REMEDY},
    {X509_V_ERR_PATH_LENGTH_EXCEEDED, DETAIL_NONE, "has more CAs below it than it allows",
     CA_REMEDY},
    {X509_V_ERR_CERT_CHAIN_TOO_LONG, DETAIL_NONE, "ends a chain that is too long",
     "shorten it, or make an intermediate a trust anchor"},
    {X509_V_ERR_INVALID_PURPOSE, DETAIL_NONE, "is not meant for this use",
     "reissue it with the right extended key usage (serverAuth or clientAuth)"},
    {X509_V_ERR_EE_KEY_TOO_SMALL, DETAIL_NONE, "has a key that is too weak", WEAK_REMEDY},
    {X509_V_ERR_CA_KEY_TOO_SMALL, DETAIL_NONE, "has a key that is too weak", WEAK_REMEDY},
    {X509_V_ERR_CA_MD_TOO_WEAK, DETAIL_NONE, "is signed with a hash that is too weak", WEAK_REMEDY},
    {X509_V_ERR_HOSTNAME_MISMATCH, DETAIL_NAMES, "is for another name", NAME_REMEDY},
    {X509_V_ERR_IP_ADDRESS_MISMATCH, DETAIL_NAMES, "is for another address", NAME_REMEDY},
    {X509_V_ERR_EMAIL_MISMATCH, DETAIL_NAMES, "is for another e-mail address", NAME_REMEDY},
    {X509_V_ERR_UNHANDLED_CRITICAL_EXTENSION, DETAIL_NONE,
     "has a critical extension that is not understood", "reissue it without that"},
    {X509_V_ERR_INVALID_EXTENSION, DETAIL_NONE, "has an extension that is broken", "reissue it"},
    {X509_V_ERR_ERROR_IN_CERT_NOT_BEFORE_FIELD, DETAIL_NONE, "has no proper notBefore",
     "reissue it"},
    {X509_V_ERR_ERROR_IN_CERT_NOT_AFTER_FIELD, DETAIL_NONE, "has no proper notAfter", "reissue it"},
    {X509_V_ERR_PERMITTED_VIOLATION, DETAIL_NAMES, "has a name that its CA may not certify",
     "reissue it with a permitted name"},
    {X509_V_ERR_EXCLUDED_VIOLATION, DETAIL_NAMES, "has a name that its CA may not certify",
     "reissue it with a permitted name"},
    {X509_V_ERR_CERT_REVOKED, DETAIL_NONE, "is revoked", "reissue it"},
};

static const struct trust_text *text_of(int v_err) {
    for (size_t i = 0; i < sizeof(trust_texts) / sizeof(trust_texts[0]); i++)
        if (trust_texts[i].v_err == v_err)
            return &trust_texts[i];
    return NULL;
}

/* " 2025-03-01T00:00:00Z (it is now ...)". */
static char *time_detail(const ASN1_TIME *at, int64_t now) {
    char when[CLOCK_TEXT_MAX], today[CLOCK_TEXT_MAX];
    int64_t seconds = 0;
    if (cert_time(at, &seconds))
        return text_format(" at a time that is no date");
    const char *sense = now < 0 ? "at least " : "";
    int64_t at_now = now < 0 ? -now : now > 0 ? now : (int64_t)time(NULL);
    return text_format(" %s (now: %s%s)", clock_text(seconds, when), sense,
                       clock_text(at_now, today));
}

/* " (DNS:a, DNS:b)". */
static char *names_detail(const X509 *cert) {
    _cleanup(general_names_freep) GENERAL_NAMES *names =
        X509_get_ext_d2i(cert, NID_subject_alt_name, NULL, NULL);
    _cleanup(freep) char *list = text_format("%s", names ? "" : "no subjectAltName");
    ossl_forget();
    for (int i = 0; list && i < sk_GENERAL_NAME_num(names) && strlen(list) < 200; i++) {
        _cleanup(freep) char *name = san_text(sk_GENERAL_NAME_value(names, i));
        char *longer = name ? text_format("%s%s%s", list, i ? ", " : "", name) : NULL;
        free(list);
        list = longer;
    }
    return list ? text_format(" (%s)", list) : NULL;
}

static char *detail_of(enum trust_detail detail, X509 *cert, int64_t now) {
    switch (detail) {
    case DETAIL_NONE:
        break;
    case DETAIL_EXPIRY:
        return time_detail(X509_get0_notAfter(cert), now);
    case DETAIL_START:
        return time_detail(X509_get0_notBefore(cert), now);
    case DETAIL_ISSUER: {
        _cleanup(freep) char *issuer = estc_name_text(X509_get_issuer_name(cert));
        return issuer ? text_format(" (issuer '%.200s')", issuer) : NULL;
    }
    case DETAIL_NAMES:
        return names_detail(cert);
    }
    return text_format("%s", "");
}

int estc_trust_error(int x509_v_err, X509 *at_fault, int64_t now, struct estc_error *err) {
    if (x509_v_err == X509_V_OK)
        return 0;
    ossl_forget();
    if (x509_v_err == X509_V_ERR_OUT_OF_MEM)
        return estc_error_set(err, -ENOMEM, "out of memory");
    const struct trust_text *text = text_of(x509_v_err);
    const char *cause = text ? text->cause : X509_verify_cert_error_string(x509_v_err);
    const char *colon = text ? ": " : "";
    const char *remedy = text ? text->remedy : "";
    if (!at_fault)
        return estc_error_set(err, ESTC_E_UNTRUSTED, "the peer's certificate %s%s%s", cause, colon,
                              remedy);
    _cleanup(freep) char *subject = estc_name_text(X509_get_subject_name(at_fault));
    _cleanup(freep) char *detail = detail_of(text ? text->detail : DETAIL_NONE, at_fault, now);
    if (!subject || !detail)
        return estc_error_set(err, -ENOMEM, "out of memory");
    return estc_error_set(err, ESTC_E_UNTRUSTED, "certificate '%.200s' %s%s%s%s%s", subject,
                          text ? "" : "fails: ", cause, detail, colon, remedy);
}
