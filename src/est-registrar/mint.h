/* SPDX-License-Identifier: BSD-2-Clause */
/* Makes certificates: the only place that signs one. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include <openssl/evp.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include <estc/error.h>

struct mint_spec {
    const X509_NAME *subject;
    EVP_PKEY *key;                 /* of the subject; only its public half is used */
    X509 *issuer;                  /* NULL: self-signed */
    EVP_PKEY *signer;              /* the issuer's key, or the subject's own */
    int64_t not_before, not_after; /* seconds since 1970 */
    bool ca;            /* a CA's: keyCertSign and cRLSign; else CA:FALSE and digitalSignature */
    int path_length;    /* of a CA; -1: no limit */
    const char *usages; /* extendedKeyUsage as a list of OIDs or names, "clientAuth"; NULL: none */
    const GENERAL_NAMES *names; /* subjectAltName; NULL: none */
    const char *key_usage;      /* "digitalSignature,keyAgreement"; NULL: what its kind is for */
    const char *crl_url;        /* where the CRL is; NULL: not said */
};

/* A serial number of 128 random bits, the key identifiers, SHA-256 (SHA-384 by a P-384 key). */
int mint_certificate(const struct mint_spec *spec, X509 **out, struct estc_error *err);
