/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * An operator's key, certificate and trust files: read, and judged fit or not. Whatever is wrong is
 * ESTC_E_CREDENTIAL, since all of it is for the operator to mend; the text says how.
 */
#include "common/pem.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <estc/cert.h>
#include <estc/key.h>

#include "base/cleanup_estc.h"
#include "base/cleanup_ossl.h"
#include "base/fs.h"
#include "common/credential.h"

#define PEM_KEY_MAX (64 * 1024)
#define PEM_CERTS_MAX (256 * 1024)

/* Turns any failure but a lack of memory into one of the file. */
static int unfit(struct estc_error *err, int rc) {
    if (!rc || rc == -ENOMEM)
        return rc;
    if (err)
        err->code = ESTC_E_CREDENTIAL;
    return ESTC_E_CREDENTIAL;
}

/* The bytes of a file; errors name it. */
static int read_pem(const char *path, const char *what, size_t max, struct estc_buf *out,
                    struct stat *st, struct estc_error *err) {
    const char *credential = credential_of(path);
    int rc = fs_read(AT_FDCWD, path, max, out, st, err);
    if (rc == -ENOENT && credential)
        estc_error_set(err, rc,
                       "%s: systemd has not passed it: add LoadCredential=%s:FILE to the unit",
                       path, credential);
    if (rc)
        estc_error_prefix(err, "%s", what);
    return unfit(err, rc);
}

/* The same for what is in it. */
static int unfit_content(struct estc_error *err, int rc, const char *what, const char *path) {
    if (rc)
        estc_error_prefix(err, "%s %s", what, path);
    return unfit(err, rc);
}

static int check_owner(const char *path, const struct stat *st, struct estc_error *err) {
    if (credential_is_ours(path))
        return 0;
    if (st->st_mode & 077)
        return estc_error_set(err, ESTC_E_CREDENTIAL,
                              "private key %s: others than its owner have access (mode %04o): "
                              "chmod 600 %s",
                              path, (unsigned)(st->st_mode & 07777), path);
    if (st->st_uid != 0 && st->st_uid != geteuid())
        return estc_error_set(err, ESTC_E_CREDENTIAL,
                              "private key %s: belongs to user %u, neither root nor us: chown it",
                              path, (unsigned)st->st_uid);
    return 0;
}

int pem_read_private(const char *path, struct estc_buf *out, struct estc_error *err) {
    _cleanup(estc_buf_clear) struct estc_buf content = {0};
    struct stat st = {0};
    int rc = read_pem(path, "private key", PEM_KEY_MAX, &content, &st, err);
    if (!rc)
        rc = check_owner(path, &st, err);
    if (rc)
        return rc;
    estc_buf_clear(out);
    *out = content;
    content = (struct estc_buf){0};
    return 0;
}

int pem_read_key(const char *path, EVP_PKEY **out, struct estc_error *err) {
    _cleanup(estc_buf_clear) struct estc_buf pem = {0};
    int rc = pem_read_private(path, &pem, err);
    if (rc)
        return rc;
    return unfit_content(err, estc_key_from_pem(pem.data, pem.len, out, err), "private key", path);
}

static int read_certs(const char *path, const char *what, STACK_OF(X509) * *out,
                      struct estc_error *err) {
    _cleanup(estc_buf_clear) struct estc_buf pem = {0};
    int rc = read_pem(path, what, PEM_CERTS_MAX, &pem, NULL, err);
    if (rc)
        return rc;
    return unfit_content(err, estc_certs_from_pem(pem.data, pem.len, out, err), what, path);
}

int pem_read_certs(const char *path, STACK_OF(X509) * *out, struct estc_error *err) {
    return read_certs(path, "certificate", out, err);
}

int pem_read_trust(const char *path, struct estc_trust **out, struct estc_error *err) {
    _cleanup(sk_x509_freep) STACK_OF(X509) *certs = NULL;
    _cleanup(trust_freep) struct estc_trust *trust = NULL;
    int rc = read_certs(path, "trust file", &certs, err);
    if (!rc)
        rc = estc_trust_new(&trust, err);
    for (int i = 0; !rc && i < sk_X509_num(certs); i++)
        rc = estc_trust_add(trust, sk_X509_value(certs, i), err);
    if (rc)
        return rc;
    *out = TAKE(trust);
    return 0;
}

void pem_credentials_clear(struct estc_credentials *credentials) {
    EVP_PKEY_free(credentials->key);
    X509_free(credentials->cert);
    sk_X509_pop_free(credentials->chain, X509_free);
    *credentials = (struct estc_credentials){0};
}

int pem_read_credentials(const char *cert_path, const char *key_path, struct estc_credentials *out,
                         struct estc_error *err) {
    _cleanup(pem_credentials_clear) struct estc_credentials made = {0};
    int rc = pem_read_key(key_path, &made.key, err);
    if (!rc)
        rc = pem_read_certs(cert_path, &made.chain, err);
    if (rc)
        return rc;
    made.cert = sk_X509_shift(made.chain);
    if (!estc_cert_has_key(made.cert, made.key))
        return estc_error_set(err, ESTC_E_CREDENTIAL,
                              "certificate %s and private key %s do not belong together: name the "
                              "pair that does",
                              cert_path, key_path);
    *out = made;
    made = (struct estc_credentials){0};
    return 0;
}
