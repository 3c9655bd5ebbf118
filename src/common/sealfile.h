/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Files with what private keys are sealed with on their way from a server that made them: secrets
 * that both ends have, as text, and certificates, as PEM.
 */
#pragma once

#include <stddef.h>

#include <openssl/evp.h>
#include <openssl/x509.h>

#include <estc/error.h>
#include <estc/keypackage.h>

#define SEALFILE_SECRET_MAX 32

struct sealfile_secret {
    unsigned char id[ESTC_SEAL_ID_MAX];
    size_t id_len;
    unsigned char key[SEALFILE_SECRET_MAX];
    size_t key_len;
};

struct sealfile {
    struct sealfile_secret *secrets;
    size_t n_secrets;
    /* Of sealfile_read_own(): one certificate and its key. */
    X509 *cert;
    EVP_PKEY *key;
};
void sealfile_clear(struct sealfile *file); /* wipes */

/*
 * Lines "NAME SECRET", both in hexadecimal: 1 to 64 bytes, and 16 or 32. Empty lines and those
 * beginning with "#" say nothing. Readable by its owner only, like a private key.
 * ESTC_E_CREDENTIAL, with path and line. No name may stand twice.
 */
int sealfile_read_secrets(const char *path, struct sealfile *out, struct estc_error *err);

/* What one device opens its keys with: one such line, or PEM with a certificate and its key. */
int sealfile_read_own(const char *path, struct sealfile *out, struct estc_error *err);

/* As estc_keypackage_open() wants it; points into file. */
struct estc_seal sealfile_seal(const struct sealfile *file);
struct estc_seal sealfile_secret_seal(const struct sealfile_secret *secret);
