/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The worker's hold on one identity's folder, and the generations in it. A generation is written
 * under a temporary name and synced, renamed to its number, and only then pointed at by `current`:
 * whoever reads through the link sees the old pair or the new one, never a mixture, after a power
 * cut as well. What a killed predecessor left half-written is removed when the folder is opened.
 */
#include "store_internal.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include <estc/cert.h>
#include <estc/key.h>

#include "base/cleanup_ossl.h"
#include "base/fs.h"
#include "base/log.h"
#include "base/text.h"
#include "ctl/json.h"

#define UNFINISHED ".unfinished"

static int out_of_memory(struct estc_error *err) {
    return estc_error_set(err, -ENOMEM, "out of memory");
}

/* --- the generations' numbers --- */

/* 0 for what is no number of ours. */
static int64_t generation_number(const char *name) {
    if (name[0] < '1' || name[0] > '9' || strlen(name) > 15 || name[strspn(name, "0123456789")])
        return 0;
    return strtoll(name, NULL, 10);
}

/* Opens the folder of all generations, made if need be. */
static int open_generations(const struct store *store, struct estc_error *err) {
    int fd = fs_open_dir(store->dirfd, STORE_GENERATIONS, NULL);
    if (fd == -ENOTDIR || fd == -ELOOP) {
        int rc = store_set_aside(store->dirfd, store->path, STORE_GENERATIONS, err);
        if (rc)
            return rc;
    }
    if (fd >= 0)
        return fd;
    int rc = fs_mkdir_all(store->dirfd, STORE_GENERATIONS, STORE_FOLDER_MODE, err);
    return rc ? rc : fs_open_dir(store->dirfd, STORE_GENERATIONS, err);
}

/* 0 without any. */
static int64_t highest_generation(int all) {
    int fd = openat(all, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *dir = fd < 0 ? NULL : fdopendir(fd);
    int64_t highest = 0;
    for (const struct dirent *e; dir && (e = readdir(dir));)
        if (generation_number(e->d_name) > highest)
            highest = generation_number(e->d_name);
    if (dir)
        closedir(dir);
    return highest;
}

/* Removes generations below `oldest`, other than `kept`. A failure costs space, nothing else. */
static void prune_generations(int all, int64_t oldest, int64_t kept) {
    int fd = openat(all, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *dir = fd < 0 ? NULL : fdopendir(fd);
    for (const struct dirent *e; dir && (e = readdir(dir));) {
        int64_t number = generation_number(e->d_name);
        struct estc_error why = {0};
        if (number > 0 && number < oldest && number != kept && fs_remove_tree(all, e->d_name, &why))
            log_warning("old generation stays: %s", why.text);
    }
    if (dir)
        closedir(dir);
}

/* --- the folder --- */

/* What a killed worker may have left under temporary names. */
static int sweep(int dirfd, struct estc_error *err) {
    int fd = openat(dirfd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *dir = fd < 0 ? NULL : fdopendir(fd);
    if (!dir)
        return estc_error_set(err, -errno, "cannot list the identity's folder: %m");
    int rc = 0;
    for (const struct dirent *e; !rc && (e = readdir(dir));)
        if (strncmp(e->d_name, FS_TEMP_PREFIX, strlen(FS_TEMP_PREFIX)) == 0)
            rc = fs_remove_tree(dirfd, e->d_name, err);
    closedir(dir);
    return rc;
}

static int lock_folder(struct store *store, struct estc_error *err) {
    struct stat st;
    if (fstatat(store->dirfd, "lock", &st, AT_SYMLINK_NOFOLLOW) == 0 && !S_ISREG(st.st_mode)) {
        int rc = store_set_aside(store->dirfd, store->path, "lock", err);
        if (rc)
            return rc;
    }
    store->lock_fd = openat(store->dirfd, "lock", O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (store->lock_fd < 0)
        return fs_fail(err, errno, "lock", store->path);
    if (flock(store->lock_fd, LOCK_EX | LOCK_NB) < 0)
        return estc_error_set(err, errno == EWOULDBLOCK ? -EBUSY : -errno,
                              "%s is in use by another worker", store->path);
    return 0;
}

struct store *store_close(struct store *store) {
    if (!store)
        return NULL;
    fs_closep(&store->lock_fd);
    fs_closep(&store->dirfd);
    free(store->path);
    free(store);
    return NULL;
}

CLEANUP_DEFINE(struct store *, store_closep, store_close);

int store_open(const char *state_directory, const char *id, struct store **out,
               struct estc_error *err) {
    _cleanup(store_closep) struct store *store = calloc(1, sizeof(*store));
    if (!store)
        return out_of_memory(err);
    store->lock_fd = -1;
    store->dirfd = store_open_identity(state_directory, id, true, err);
    if (store->dirfd < 0)
        return store->dirfd;
    store->path = text_format("%s/identities/%s", state_directory, id);
    if (!store->path)
        return out_of_memory(err);
    int rc = lock_folder(store, err);
    if (!rc)
        rc = sweep(store->dirfd, err);
    if (rc)
        return rc;
    _cleanup(fs_closep) int all = open_generations(store, err);
    if (all < 0)
        return all;
    rc = sweep(all, err);
    if (!rc)
        rc = fs_remove_tree(all, UNFINISHED, err);
    if (rc)
        return rc;
    *out = TAKE(store);
    return 0;
}

int store_dirfd(const struct store *store) {
    return store->dirfd;
}

/* --- what is in force --- */

void store_current_clear(struct store_current *current) {
    EVP_PKEY_free(current->key);
    X509_free(current->cert);
    sk_X509_pop_free(current->chain, X509_free);
    sk_X509_pop_free(current->cacerts, X509_free);
    facts_clear(&current->facts);
    *current = (struct store_current){0};
}

/* The certificates of one file; an empty file is an empty list when that is allowed. */
static int read_certs(int dirfd, const char *name, bool may_be_empty, STACK_OF(X509) * *out,
                      struct estc_error *err) {
    _cleanup(estc_buf_clear) struct estc_buf pem = {0};
    int rc = fs_read(dirfd, name, STORE_PEM_MAX, &pem, NULL, err);
    if (rc)
        return rc;
    if (pem.len == 0 && may_be_empty) {
        *out = sk_X509_new_null();
        return *out ? 0 : out_of_memory(err);
    }
    rc = estc_certs_from_pem(pem.data, pem.len, out, err);
    return rc ? estc_error_prefix(err, "%s", name) : 0;
}

static int read_key(int dirfd, const char *path, EVP_PKEY **out, struct estc_error *err) {
    _cleanup(estc_buf_clear) struct estc_buf pem = {0};
    int rc = store_check_key_file(dirfd, "key.pem", path, err);
    if (!rc)
        rc = fs_read(dirfd, "key.pem", STORE_PEM_MAX, &pem, NULL, err);
    return rc ? rc : estc_key_from_pem(pem.data, pem.len, out, err);
}

static int load_generation(int fd, const char *path, struct store_current *out,
                           struct estc_error *err) {
    _cleanup(sk_x509_freep) STACK_OF(X509) *leaf = NULL;
    int rc = read_key(fd, path, &out->key, err);
    if (!rc)
        rc = read_certs(fd, "cert.pem", false, &leaf, err);
    if (!rc)
        rc = read_certs(fd, "chain.pem", true, &out->chain, err);
    if (!rc)
        rc = read_certs(fd, "cacerts.pem", true, &out->cacerts, err);
    if (!rc)
        rc = store_read_facts(fd, path, &out->facts, err);
    if (rc)
        return rc;
    out->cert = sk_X509_shift(leaf);
    if (!estc_cert_has_key(out->cert, out->key))
        return estc_error_set(err, ESTC_E_CREDENTIAL,
                              "%s/" STORE_CURRENT ": key.pem and cert.pem do not belong together: "
                              "restore them, or remove " STORE_CURRENT ", and estcd enrolls anew",
                              path);
    _cleanup(estc_cert_facts_clear) struct estc_cert_facts seen = {0};
    rc = estc_cert_facts_get(out->cert, &seen, err);
    if (!rc && strcmp(seen.sha256, out->facts.sha256) != 0)
        rc = estc_error_set(err, ESTC_E_CREDENTIAL,
                            "%s/" STORE_CURRENT ": cert.pem is not the certificate that "
                            "facts.json describes: restore it, or remove " STORE_CURRENT
                            ", and estcd enrolls anew",
                            path);
    return rc;
}

int store_load_current(struct store *store, struct store_current *out, struct estc_error *err) {
    _cleanup(fs_closep) int fd = -1;
    int rc = store_open_current(store->dirfd, store->path, &fd, err);
    if (rc)
        return rc;
    _cleanup(store_current_clear) struct store_current current = {0};
    rc = load_generation(fd, store->path, &current, err);
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

/* --- a new one --- */

/* The texts of a generation's files. */
struct generation_texts {
    struct estc_buf key, cert, chain, fullchain, cacerts, combined;
};

static void generation_texts_clear(struct generation_texts *texts) {
    estc_buf_clear(&texts->key);
    estc_buf_clear(&texts->cert);
    estc_buf_clear(&texts->chain);
    estc_buf_clear(&texts->fullchain);
    estc_buf_clear(&texts->cacerts);
    estc_buf_clear(&texts->combined);
}

static int make_texts(const struct store_issued *issued, struct generation_texts *out,
                      struct estc_error *err) {
    int rc = estc_key_to_pem(issued->key, &out->key, err);
    if (!rc)
        rc = estc_cert_to_pem(issued->cert, &out->cert, err);
    if (!rc && issued->chain)
        rc = estc_certs_to_pem(issued->chain, &out->chain, err);
    if (!rc && issued->cacerts)
        rc = estc_certs_to_pem(issued->cacerts, &out->cacerts, err);
    if (rc)
        return rc;
    if (estc_buf_append(&out->fullchain, out->cert.data, out->cert.len) ||
        estc_buf_append(&out->fullchain, out->chain.data, out->chain.len) ||
        estc_buf_append(&out->combined, out->key.data, out->key.len) ||
        estc_buf_append(&out->combined, out->fullchain.data, out->fullchain.len))
        return out_of_memory(err);
    return 0;
}

static int write_generation(int all, const struct generation_texts *texts,
                            const struct facts *facts, struct estc_error *err) {
    const struct {
        const char *name;
        const struct estc_buf *text;
        mode_t mode;
    } files[] = {
        {"key.pem", &texts->key, STORE_KEY_MODE},
        {"cert.pem", &texts->cert, STORE_FILE_MODE},
        {"chain.pem", &texts->chain, STORE_FILE_MODE},
        {"fullchain.pem", &texts->fullchain, STORE_FILE_MODE},
        {"cacerts.pem", &texts->cacerts, STORE_FILE_MODE},
        {"combined.pem", &texts->combined, STORE_KEY_MODE},
    };
    int rc = fs_mkdir_all(all, UNFINISHED, STORE_FOLDER_MODE, err);
    if (rc)
        return rc;
    _cleanup(fs_closep) int fd = fs_open_dir(all, UNFINISHED, err);
    if (fd < 0)
        return fd;
    for (size_t i = 0; !rc && i < sizeof(files) / sizeof(files[0]); i++)
        rc = fs_write_new(fd, files[i].name, files[i].text->data, files[i].text->len, files[i].mode,
                          err);
    if (rc)
        return rc;
    _cleanup(json_freep) json_t *json = facts_to_json(facts);
    return json ? store_write_json(fd, "facts.json", json, false, STORE_FILE_MODE, err)
                : out_of_memory(err);
}

/* From the finished folder under its temporary name to what is in force. */
static int promote(struct store *store, int all, int64_t number, struct estc_error *err) {
    _cleanup(freep) char *name = text_format("%lld", (long long)number);
    _cleanup(freep) char *target = text_format(STORE_GENERATIONS "/%lld", (long long)number);
    if (!name || !target)
        return out_of_memory(err);
    if (renameat2(all, UNFINISHED, all, name, RENAME_NOREPLACE) < 0)
        return estc_error_set(err, -errno, "cannot finish %s/%s: %m", store->path, target);
    int rc = fs_sync_dir(all, ".", err);
    if (rc)
        return rc;
    struct stat st;
    if (fstatat(store->dirfd, STORE_CURRENT, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
        !S_ISLNK(st.st_mode)) {
        rc = store_set_aside(store->dirfd, store->path, STORE_CURRENT, err);
        if (rc)
            return rc;
    }
    return fs_symlink_atomic(store->dirfd, target, STORE_CURRENT, err);
}

int store_commit(struct store *store, const struct store_issued *issued, struct facts *facts,
                 struct estc_error *err) {
    _cleanup(fs_closep) int all = open_generations(store, err);
    if (all < 0)
        return all;
    int64_t number = highest_generation(all) + 1;
    _cleanup(facts_clear) struct facts made = {0};
    _cleanup(generation_texts_clear) struct generation_texts texts = {0};
    int rc = facts_from_cert(issued->cert, issued->request_digest, number, issued->now, &made, err);
    if (!rc)
        rc = make_texts(issued, &texts, err);
    if (!rc)
        rc = write_generation(all, &texts, &made, err);
    if (!rc)
        rc = promote(store, all, number, err);
    if (rc) {
        fs_remove_tree(all, UNFINISHED, NULL); /* on a full disk every byte counts */
        return rc;
    }
    /* The certificate is in force; what is left over of the attempt is only in the way. */
    struct estc_error why = {0};
    if (store_drop_pending(store, &why))
        log_warning("the finished request stays: %s", why.text);
    prune_generations(all, number - STORE_KEPT + 1, number);
    *facts = made;
    made = (struct facts){0};
    return 0;
}
