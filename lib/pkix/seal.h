/* SPDX-License-Identifier: BSD-2-Clause */
/* Algorithms that seal a private key; shared by seal.c and keypackage.c. */
#pragma once

#include <stddef.h>

#include <openssl/x509.h>

#include <estc/error.h>
#include <estc/keypackage.h>

/* estc_seal_wish.capabilities. */
enum seal_capability {
    SEAL_AES128_CBC = 1 << 0,
    SEAL_AES256_CBC = 1 << 1,
    SEAL_AES128_WRAP = 1 << 2,
    SEAL_AES256_WRAP = 1 << 3,
    SEAL_RSA_OAEP = 1 << 4,
    SEAL_RSA = 1 << 5,
    SEAL_ECDH_SHA256 = 1 << 6, /* RFC 5753, with one of the AES wraps */
};

/* The longest subject key identifier or issuer and serial number that is looked at. */
#define SEAL_WISH_ID_MAX 4096

/* Puts SMIMECapabilities and the identifier of seal into a request that is not signed yet. Errors
 * are those of estc_seal_check(). */
int seal_wish_add(X509_REQ *csr, const struct estc_seal *seal, struct estc_error *err);
