/* SPDX-License-Identifier: BSD-2-Clause */
/* What the unit tests share: cmocka, vectors, temporary folders, certificates made on the spot. */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka.h wants the four above first. */
#include <cmocka.h>

#include <openssl/evp.h>
#include <openssl/x509.h>

#include <estc/buf.h>

/* A file of tests/vectors; fails the test when it cannot be read. */
struct estc_buf support_vector(const char *name);

/* A new empty folder, and its removal with all that is in it. */
char *support_tmpdir(void);
void support_tmpdir_remove(char *path); /* frees path, too */

struct support_cert_spec {
    const char *subject;     /* RFC 4514 */
    const char *const *sans; /* NULL-ended, or NULL */
    X509 *issuer;            /* NULL: self-signed */
    EVP_PKEY *issuer_key;
    int ca;             /* basicConstraints CA:TRUE, keyCertSign */
    int64_t not_before; /* 0: an hour ago */
    int64_t not_after;  /* 0: in a day */
    const char *eku;    /* as in openssl.cnf, "serverAuth,clientAuth"; or NULL */
};

/* A certificate for key; the caller frees it. */
X509 *support_cert(EVP_PKEY *key, const struct support_cert_spec *spec);
/* A fresh P-256 key. */
EVP_PKEY *support_key(void);
