/* SPDX-License-Identifier: BSD-2-Clause */
/* Key, certificate and trust files of an operator: read, and judged fit or not. */
#pragma once

#include <openssl/evp.h>
#include <openssl/x509.h>

#include <estc/buf.h>
#include <estc/coaps.h>
#include <estc/error.h>
#include <estc/trust.h>

/*
 * A file of at most 64 KiB with a private key in it that only its owner can read: it belongs to us
 * or to root and has no bits for group and others, unless it lies in $CREDENTIALS_DIRECTORY.
 * ESTC_E_CREDENTIAL otherwise, with path, cause and remedy ("chmod 600 ...").
 */
int pem_read_private(const char *path, struct estc_buf *out, struct estc_error *err);

/* The key in it. */
int pem_read_key(const char *path, EVP_PKEY **out, struct estc_error *err);

/* A PEM file of certificates, at most 256 KiB. */
int pem_read_certs(const char *path, STACK_OF(X509) * *out, struct estc_error *err);
int pem_read_trust(const char *path, struct estc_trust **out, struct estc_error *err);

/* Certificate (leaf first, then intermediates) and key that belong together. Clear after use. */
int pem_read_credentials(const char *cert_path, const char *key_path, struct estc_credentials *out,
                         struct estc_error *err);
void pem_credentials_clear(struct estc_credentials *credentials);
