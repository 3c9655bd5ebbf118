/* SPDX-License-Identifier: BSD-2-Clause */
/* Keys and certificates of a site that est-registrar makes: new files, none of which may be there.
 */
#pragma once

#include <openssl/evp.h>
#include <openssl/x509.h>

#include <estc/error.h>

#include "mint.h"

/* A certificate with its key. */
struct pair {
    X509 *cert;
    EVP_PKEY *key;
};
void pair_clear(struct pair *pair);

int sitefiles_write_key(int dirfd, const char *path, const EVP_PKEY *key, struct estc_error *err);
/* One after the other. */
int sitefiles_write_certs(int dirfd, const char *path, const STACK_OF(X509) * certs,
                          struct estc_error *err);
