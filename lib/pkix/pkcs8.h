/* SPDX-License-Identifier: BSD-2-Clause */
/* Shared by pkcs8.c and keypackage.c. */
#pragma once

#include <openssl/evp.h>

#include <estc/buf.h>
#include <estc/error.h>

/* AsymmetricKeyPackage (RFC 5958 section 2) of one key. */
int pkcs8_package_encode(const EVP_PKEY *key, struct estc_buf *out, struct estc_error *err);
int pkcs8_package_decode(const unsigned char *der, size_t len, EVP_PKEY **out,
                         struct estc_error *err);
