/* SPDX-License-Identifier: BSD-2-Clause */
/* What the types of keys are made of. */
#pragma once

#include <estc/key.h>

/* NID of its curve; NID_undef for RSA. */
int key_type_curve(enum estc_key_type type);
/* Of the modulus, or of the curve's field. */
/* The same as OpenSSL's name; NULL for RSA. */
const char *key_type_group(enum estc_key_type type);
unsigned key_type_bits(enum estc_key_type type);

/* tpm.c: keys that only a TPM can use. In PEM text; whether it is one; written to and read from a
 * BIO. */
bool tpm_is_pem(const void *pem, size_t len);
bool tpm_has_key(const EVP_PKEY *key);
int tpm_to_pem(const EVP_PKEY *key, BIO *mem, struct estc_error *err);
int tpm_from_pem(BIO *mem, EVP_PKEY **out, struct estc_error *err);
