/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Certificates out of a specification, field by field. What an extension says comes from the
 * specification alone, never from a request, with the one exception of the names that a rule has
 * granted, which are copied as they were asked for.
 */
#include "mint.h"

#include <errno.h>
#include <string.h>
#include <time.h>

#include <openssl/x509v3.h>

#include <estc/key.h>

#include "base/cleanup_ossl.h"
#include "base/text.h"
#include "pkix/ossl.h"

#define SERIAL_BITS 128

static int failed(struct estc_error *err) {
    return ossl_error(err, -EIO, "cannot make a certificate");
}

/* 128 random bits; with the sign 17 bytes at the most (RFC 5280, 4.1.2.2: 20). */
static bool set_serial(X509 *cert) {
    _cleanup(bn_freep) BIGNUM *number = BN_new();
    return number && BN_rand(number, SERIAL_BITS, BN_RAND_TOP_ANY, BN_RAND_BOTTOM_ANY) &&
           !BN_is_zero(number) && BN_to_ASN1_INTEGER(number, X509_get_serialNumber(cert));
}

static bool set_dates(X509 *cert, int64_t not_before, int64_t not_after) {
    return ASN1_TIME_adj(X509_getm_notBefore(cert), (time_t)not_before, 0, 0) &&
           ASN1_TIME_adj(X509_getm_notAfter(cert), (time_t)not_after, 0, 0);
}

static bool add_extension(X509 *cert, X509V3_CTX *ctx, int nid, const char *value) {
    _cleanup(extension_freep) X509_EXTENSION *ext = X509V3_EXT_conf_nid(NULL, ctx, nid, value);
    return ext && X509_add_ext(cert, ext, -1);
}

static bool add_key_usage(X509 *cert, X509V3_CTX *ctx, const struct mint_spec *spec) {
    const char *usage = spec->ca                          ? "keyCertSign,cRLSign"
                        : spec->key_usage                 ? spec->key_usage
                        : EVP_PKEY_is_a(spec->key, "RSA") ? "digitalSignature,keyEncipherment"
                                                          : "digitalSignature";
    _cleanup(freep) char *value = text_format("critical,%s", usage);
    return value && add_extension(cert, ctx, NID_key_usage, value);
}

static void dist_points_free(CRL_DIST_POINTS *points) {
    CRL_DIST_POINTS_free(points);
}

CLEANUP_DEFINE(CRL_DIST_POINTS *, dist_points_freep, dist_points_free);

/* By hand: in OpenSSL's text form a comma in a URL would mean something. */
static bool add_crl_url(X509 *cert, const char *url) {
    _cleanup(dist_points_freep) CRL_DIST_POINTS *points = CRL_DIST_POINTS_new();
    DIST_POINT *point = DIST_POINT_new();
    if (!points || !point || !sk_DIST_POINT_push(points, point)) {
        DIST_POINT_free(point);
        return false;
    }
    GENERAL_NAME *name = GENERAL_NAME_new();
    ASN1_IA5STRING *text = ASN1_IA5STRING_new();
    point->distpoint = DIST_POINT_NAME_new();
    bool ok = name && text && point->distpoint && ASN1_STRING_set(text, url, -1);
    if (ok) {
        point->distpoint->type = 0;
        point->distpoint->name.fullname = GENERAL_NAMES_new();
        GENERAL_NAME_set0_value(name, GEN_URI, text);
        text = NULL;
        ok = point->distpoint->name.fullname &&
             sk_GENERAL_NAME_push(point->distpoint->name.fullname, name);
        if (ok)
            name = NULL;
    }
    ASN1_IA5STRING_free(text);
    GENERAL_NAME_free(name);
    return ok && X509_add1_ext_i2d(cert, NID_crl_distribution_points, points, 0, 0) == 1;
}

/* Critical when there is no subject beside it (RFC 5280, 4.2.1.6). */
static bool add_names(X509 *cert, const struct mint_spec *spec) {
    int critical = X509_NAME_entry_count(spec->subject) == 0;
    _cleanup(extension_freep) X509_EXTENSION *ext =
        X509V3_EXT_i2d(NID_subject_alt_name, critical, (GENERAL_NAMES *)(uintptr_t)spec->names);
    return ext && X509_add_ext(cert, ext, -1);
}

static bool add_extensions(X509 *cert, const struct mint_spec *spec) {
    char constraints[48] = "critical,CA:FALSE";
    if (spec->ca && spec->path_length >= 0)
        snprintf(constraints, sizeof(constraints), "critical,CA:TRUE,pathlen:%d",
                 spec->path_length);
    else if (spec->ca)
        strcpy(constraints, "critical,CA:TRUE");
    X509V3_CTX ctx;
    X509V3_set_ctx(&ctx, spec->issuer ? spec->issuer : cert, cert, NULL, NULL, 0);
    return add_extension(cert, &ctx, NID_basic_constraints, constraints) &&
           add_key_usage(cert, &ctx, spec) &&
           add_extension(cert, &ctx, NID_subject_key_identifier, "hash") &&
           add_extension(cert, &ctx, NID_authority_key_identifier, "keyid:always") &&
           (!spec->usages || add_extension(cert, &ctx, NID_ext_key_usage, spec->usages)) &&
           (!spec->names || add_names(cert, spec)) &&
           (!spec->crl_url || add_crl_url(cert, spec->crl_url));
}

int mint_certificate(const struct mint_spec *spec, X509 **out, struct estc_error *err) {
    _cleanup(x509_freep) X509 *cert = X509_new();
    const X509_NAME *issuer = spec->issuer ? X509_get_subject_name(spec->issuer) : spec->subject;
    enum estc_key_type signer;
    if (estc_key_type_of(spec->signer, &signer))
        return estc_error_set(err, ESTC_E_CREDENTIAL, "the CA's key is of an unsupported type");
    if (!cert || !X509_set_version(cert, X509_VERSION_3) || !set_serial(cert) ||
        !X509_set_subject_name(cert, spec->subject) || !X509_set_issuer_name(cert, issuer) ||
        !X509_set_pubkey(cert, spec->key) || !set_dates(cert, spec->not_before, spec->not_after) ||
        !add_extensions(cert, spec) ||
        !X509_sign(cert, spec->signer, signer == ESTC_KEY_P384 ? EVP_sha384() : EVP_sha256()))
        return failed(err);
    *out = TAKE(cert);
    return 0;
}
