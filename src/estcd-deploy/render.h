/* SPDX-License-Identifier: BSD-2-Clause */
/* A credential as the bytes of one file. Pure: opens nothing, knows no owner. */
#pragma once

#include <openssl/evp.h>
#include <openssl/x509.h>

#include <estc/buf.h>
#include <estc/error.h>

#include "agent/config_deploy.h"

struct credential {
    EVP_PKEY *key;
    X509 *cert;
    STACK_OF(X509) * chain;   /* intermediates */
    STACK_OF(X509) * cacerts; /* anchors of the CA */
};
void credential_clear(struct credential *credential);

/* Appends to out. name and password are for PKCS#12: what it calls the key, and its passphrase
 * (NULL: an empty one). */
int render(const struct credential *credential, enum config_content content,
           enum config_format format, const char *name, const char *password, struct estc_buf *out,
           struct estc_error *err);
