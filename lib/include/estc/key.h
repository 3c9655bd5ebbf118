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

/* PKCS#8 "PRIVATE KEY" PEM, unencrypted. */
int estc_key_to_pem(const EVP_PKEY *key, struct estc_buf *out, struct estc_error *err);
/* Reads PKCS#8, SEC1 or PKCS#1 PEM. ESTC_E_CREDENTIAL when there is no usable private key in it
 * (an encrypted one included: no passphrase is ever asked for). */
int estc_key_from_pem(const void *pem, size_t len, EVP_PKEY **out, struct estc_error *err);
