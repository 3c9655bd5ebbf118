/* SPDX-License-Identifier: BSD-2-Clause */
/* Scope cleanup for OpenSSL's types. */
#pragma once

#include <openssl/bio.h>
#include <openssl/evp.h>
#include <openssl/pkcs7.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include "base/cleanup.h"

static inline void cleanup_sk_x509_free(STACK_OF(X509) * sk) {
    sk_X509_pop_free(sk, X509_free);
}

static inline void cleanup_sk_extension_free(STACK_OF(X509_EXTENSION) * sk) {
    sk_X509_EXTENSION_pop_free(sk, X509_EXTENSION_free);
}

/* The list alone: its certificates stay with their owner. */
static inline void cleanup_sk_x509_shallow_free(STACK_OF(X509) * sk) {
    sk_X509_free(sk);
}

CLEANUP_DEFINE(X509 *, x509_freep, X509_free);
CLEANUP_DEFINE(X509_REQ *, x509_req_freep, X509_REQ_free);
CLEANUP_DEFINE(X509_NAME *, x509_name_freep, X509_NAME_free);
CLEANUP_DEFINE(X509_STORE *, x509_store_freep, X509_STORE_free);
CLEANUP_DEFINE(X509_STORE_CTX *, x509_store_ctx_freep, X509_STORE_CTX_free);
CLEANUP_DEFINE(STACK_OF(X509) *, sk_x509_freep, cleanup_sk_x509_free);
CLEANUP_DEFINE(STACK_OF(X509) *, sk_x509_shallow_freep, cleanup_sk_x509_shallow_free);
CLEANUP_DEFINE(X509_EXTENSION *, extension_freep, X509_EXTENSION_free);
CLEANUP_DEFINE(STACK_OF(X509_EXTENSION) *, extensions_freep, cleanup_sk_extension_free);
CLEANUP_DEFINE(ASN1_OBJECT *, object_freep, ASN1_OBJECT_free);
CLEANUP_DEFINE(ASN1_STRING *, asn1_string_freep, ASN1_STRING_free);
CLEANUP_DEFINE(GENERAL_NAME *, general_name_freep, GENERAL_NAME_free);
CLEANUP_DEFINE(GENERAL_NAMES *, general_names_freep, GENERAL_NAMES_free);
CLEANUP_DEFINE(EVP_PKEY *, pkey_freep, EVP_PKEY_free);
CLEANUP_DEFINE(EVP_PKEY_CTX *, pkey_ctx_freep, EVP_PKEY_CTX_free);
CLEANUP_DEFINE(EVP_MD_CTX *, md_ctx_freep, EVP_MD_CTX_free);
CLEANUP_DEFINE(BIO *, bio_freep, BIO_free_all);
CLEANUP_DEFINE(BIGNUM *, bn_freep, BN_free);
CLEANUP_DEFINE(PKCS7 *, pkcs7_freep, PKCS7_free);
