/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What is in force or about to be, as a worker reads it: key, certificates and facts of one
 * generation, opened once and judged together. Whatever is wrong with what is in force is
 * ESTC_E_CREDENTIAL, since somebody has to look; a candidate that is unfit is set aside.
 */
#include "store_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include <estc/cert.h>
#include <estc/key.h>

#include "base/cleanup_ossl.h"
#include "base/fs.h"
#include "base/log.h"

static int out_of_memory(struct estc_error *err) {
    return estc_error_set(err, -ENOMEM, "out of memory");
}

void store_current_clear(struct store_current *current) {
    EVP_PKEY_free(current->key);
    X509_free(current->cert);
    sk_X509_pop_free(current->chain, X509_free);
    sk_X509_pop_free(current->cacerts, X509_free);
    facts_clear(&current->facts);
    *current = (struct store_current){0};
}

int store_read_certs(int dirfd, const char *name, bool may_be_empty, STACK_OF(X509) * *out,
                     struct estc_error *err) {
    _cleanup(estc_buf_clear) struct estc_buf pem = {0};
    int rc = store_read_file(dirfd, name, STORE_PEM_MAX, &pem, err);
    if (rc)
        return rc;
    if (pem.len > 0 || !may_be_empty)
        return estc_certs_from_pem(pem.data, pem.len, out, err);
    *out = sk_X509_new_null();
    return *out ? 0 : out_of_memory(err);
}

static int read_key(int dirfd, EVP_PKEY **out, struct estc_error *err) {
    _cleanup(estc_buf_clear) struct estc_buf pem = {0};
    int rc = fs_read(dirfd, STORE_KEY, STORE_PEM_MAX, &pem, NULL, err);
    return rc ? rc : estc_key_from_pem(pem.data, pem.len, out, err);
}

/* The three files of certificates; the leaf is the first one's. */
static int read_all_certs(int fd, const char *path, const char *folder, struct store_current *out,
                          struct estc_error *err) {
    _cleanup(sk_x509_freep) STACK_OF(X509) *leaf = NULL;
    const struct {
        const char *name;
        bool may_be_empty;
        STACK_OF(X509) * *out;
    } files[] = {
        {"cert.pem", false, &leaf},
        {"chain.pem", true, &out->chain},
        {"cacerts.pem", true, &out->cacerts},
    };
    for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
        int rc = store_read_certs(fd, files[i].name, files[i].may_be_empty, files[i].out, err);
        if (rc) {
            estc_error_prefix(err, "%s/%s/%s", path, folder, files[i].name);
            return rc;
        }
    }
    out->cert = sk_X509_shift(leaf);
    return 0;
}

/* What was written together must still belong together. */
static int check_pair(const struct store_current *current, const char *path, const char *folder,
                      struct estc_error *err) {
    if (!estc_cert_has_key(current->cert, current->key))
        return estc_error_set(err, ESTC_E_CREDENTIAL,
                              "%s/%s: key.pem and cert.pem do not belong together: "
                              "restore them, or remove %s, and estcd enrolls anew",
                              path, folder, folder);
    _cleanup(estc_cert_facts_clear) struct estc_cert_facts seen = {0};
    int rc = estc_cert_facts_get(current->cert, &seen, err);
    if (!rc && strcmp(seen.sha256, current->facts.sha256) != 0)
        rc = estc_error_set(err, ESTC_E_CREDENTIAL,
                            "%s/%s: cert.pem is not the certificate that facts.json "
                            "describes: restore it, or remove %s, and estcd enrolls anew",
                            path, folder, folder);
    return rc;
}

int store_load_generation(int fd, const char *path, const char *folder, struct store_current *out,
                          struct estc_error *err) {
    int rc = store_check_key_file(fd, path, folder, err);
    if (rc)
        return rc;
    rc = read_key(fd, &out->key, err);
    if (rc) {
        estc_error_prefix(err, "%s/%s/" STORE_KEY, path, folder);
        return rc;
    }
    rc = read_all_certs(fd, path, folder, out, err);
    if (!rc)
        rc = store_read_facts(fd, path, folder, &out->facts, err);
    return rc ? rc : check_pair(out, path, folder, err);
}

int store_load_current(struct store *store, struct store_current *out, struct estc_error *err) {
    _cleanup(fs_closep) int fd = -1;
    int rc = store_open_generation(store->dirfd, store->path, &fd, err);
    if (rc)
        return rc;
    _cleanup(store_current_clear) struct store_current current = {0};
    rc = store_load_generation(fd, store->path, STORE_CURRENT, &current, err);
    if (rc == -ENOMEM)
        return rc;
    if (rc) {
        /* Whatever it is, a file of ours is unfit and somebody has to look at it. */
        if (err)
            err->code = ESTC_E_CREDENTIAL;
        return ESTC_E_CREDENTIAL;
    }
    *out = current;
    current = (struct store_current){0};
    return 0;
}

int store_load_candidate(struct store *store, struct store_current *out, struct estc_error *err) {
    struct stat st;
    if (fstatat(store->dirfd, STORE_CANDIDATE, &st, AT_SYMLINK_NOFOLLOW) < 0)
        return estc_error_set(err, errno == ENOENT ? -ENOENT : -errno, "no candidate (%m)");
    _cleanup(fs_closep) int fd = -1;
    _cleanup(store_current_clear) struct store_current candidate = {0};
    struct estc_error why = {0};
    int rc = store_open_link(store->dirfd, STORE_CANDIDATE, &fd, &why);
    if (!rc)
        rc = store_load_generation(fd, store->path, STORE_CANDIDATE, &candidate, &why);
    if (rc == -ENOMEM)
        return out_of_memory(err);
    if (!rc) {
        *out = candidate;
        candidate = (struct store_current){0};
        return 0;
    }
    log_warning("%s/" STORE_CANDIDATE ": %s", store->path, why.text);
    rc = store_set_aside(store->dirfd, store->path, STORE_CANDIDATE, err);
    return rc ? rc : estc_error_set(err, -ENOENT, "no candidate");
}
