/* SPDX-License-Identifier: BSD-2-Clause */
/* Private keys: generation and PEM. A key is an OpenSSL EVP_PKEY, so a hardware key fits too. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include <openssl/evp.h>

#include <estc/buf.h>
#include <estc/error.h>

enum estc_key_type {
    ESTC_KEY_P256, /* secp256r1: the default, mandatory in RFC 9148 section 3 */
    ESTC_KEY_P384,
    ESTC_KEY_RSA2048,
    ESTC_KEY_RSA3072,
    ESTC_KEY_RSA4096,
    ESTC_KEY_TYPE_MAX_,
};

/* "p256", "p384", "rsa2048", "rsa3072", "rsa4096". */
const char *estc_key_type_name(enum estc_key_type type);
/* 0, or -EINVAL for an unknown name. */
int estc_key_type_parse(const char *name, enum estc_key_type *out);
/* The type of a key or public key; -EINVAL when it is none of the above. */
int estc_key_type_of(const EVP_PKEY *key, enum estc_key_type *out);

/* A new key pair; the caller frees it with EVP_PKEY_free(). */
int estc_key_generate(enum estc_key_type type, EVP_PKEY **out, struct estc_error *err);

/*
 * A key pair that a TPM 2.0 makes and never lets out, by OpenSSL's provider tpm2 (tpm2-openssl),
 * which finds the TPM by TPM2OPENSSL_TCTI. estc_key_use_tpm() loads it: files and the TPM are
 * opened then, so it has to come before a sandbox; once is enough, and the other function as well
 * as reading such a key call it themselves. ESTC_E_CREDENTIAL when there is none, with the remedy.
 */
int estc_key_use_tpm(struct estc_error *err);
int estc_key_generate_in_tpm(enum estc_key_type type, EVP_PKEY **out, struct estc_error *err);

/* PKCS#8 "PRIVATE KEY" PEM, unencrypted; of a key in a TPM "TSS2 PRIVATE KEY", of use to that TPM
 * alone. */
int estc_key_to_pem(const EVP_PKEY *key, struct estc_buf *out, struct estc_error *err);
/* Reads PKCS#8, SEC1, PKCS#1 or TSS2 PEM. ESTC_E_CREDENTIAL when there is no usable private key in
 * it (an encrypted one included: no passphrase is ever asked for). */
int estc_key_from_pem(const void *pem, size_t len, EVP_PKEY **out, struct estc_error *err);
