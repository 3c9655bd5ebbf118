/* SPDX-License-Identifier: BSD-2-Clause */
/* Writes what is new, and never over anything: a key that is lost is lost. */
#include "sitefiles.h"

#include <estc/cert.h>
#include <estc/key.h>

#include "base/cleanup.h"
#include "base/fs.h"

#define KEY_MODE 0600
#define CERT_MODE 0644

void pair_clear(struct pair *pair) {
    X509_free(pair->cert);
    EVP_PKEY_free(pair->key);
    *pair = (struct pair){0};
}

int sitefiles_write_key(int dirfd, const char *path, const EVP_PKEY *key, struct estc_error *err) {
    _cleanup(estc_buf_clear) struct estc_buf pem = {0};
    int rc = estc_key_to_pem(key, &pem, err);
    return rc ? rc : fs_write_new(dirfd, path, pem.data, pem.len, KEY_MODE, err);
}

int sitefiles_write_certs(int dirfd, const char *path, const STACK_OF(X509) * certs,
                          struct estc_error *err) {
    _cleanup(estc_buf_clear) struct estc_buf pem = {0};
    int rc = 0;
    for (int i = 0; !rc && i < sk_X509_num(certs); i++)
        rc = estc_cert_to_pem(sk_X509_value(certs, i), &pem, err);
    return rc ? rc : fs_write_new(dirfd, path, pem.data, pem.len, CERT_MODE, err);
}
