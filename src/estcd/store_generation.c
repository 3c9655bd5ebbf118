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
        if (store_generation_number(e->d_name) > highest)
            highest = store_generation_number(e->d_name);
    if (dir)
        closedir(dir);
    return highest;
}

/* Removes generations below `oldest`, other than `kept`. A failure costs space, nothing else. */
static void prune_generations(int all, int64_t oldest, int64_t kept) {
    int fd = openat(all, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *dir = fd < 0 ? NULL : fdopendir(fd);
    for (const struct dirent *e; dir && (e = readdir(dir));) {
        int64_t number = store_generation_number(e->d_name);
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
    _cleanup(fs_closep) int pending = fs_open_dir(store->dirfd, STORE_PENDING, NULL);
    if (!rc && pending >= 0)
        rc = sweep(pending, err);
    if (rc)
        return rc;
    *out = TAKE(store);
    return 0;
}

int store_dirfd(const struct store *store) {
    return store->dirfd;
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
        {STORE_KEY, &texts->key, STORE_KEY_MODE},
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

/* What stands where `current` should and is none of ours gives way to it. */
static int clear_the_way(struct store *store, struct estc_error *err) {
    struct stat st;
    bool foreign = store_current_number(store->dirfd) == 0 &&
                   fstatat(store->dirfd, STORE_CURRENT, &st, AT_SYMLINK_NOFOLLOW) == 0;
    return foreign ? store_set_aside(store->dirfd, store->path, STORE_CURRENT, err) : 0;
}

/* From the finished folder under its temporary name to what is in force. */
static int promote(struct store *store, int all, const char *number, struct estc_error *err) {
    _cleanup(freep) char *target = text_format(STORE_GENERATIONS "/%s", number);
    if (!target)
        return out_of_memory(err);
    if (renameat2(all, UNFINISHED, all, number, RENAME_NOREPLACE) < 0)
        return fs_fail(err, errno, "finish", target);
    int rc = fs_sync_dir(all, ".", err);
    if (!rc)
        rc = clear_the_way(store, err);
    return rc ? rc : fs_symlink_atomic(store->dirfd, target, STORE_CURRENT, err);
}

/* On a full disk every byte counts. What is in force stays, even if only the last sync failed. */
static void undo(struct store *store, int all, const char *number) {
    fs_remove_tree(all, UNFINISHED, NULL);
    if (store_current_number(store->dirfd) != store_generation_number(number))
        fs_remove_tree(all, number, NULL);
}

int store_commit(struct store *store, const struct store_issued *issued, struct facts *facts,
                 struct estc_error *err) {
    _cleanup(fs_closep) int all = open_generations(store, err);
    if (all < 0)
        return all;
    int64_t number = highest_generation(all) + 1;
    _cleanup(freep) char *name = text_format("%lld", (long long)number);
    if (!name)
        return out_of_memory(err);
    _cleanup(facts_clear) struct facts made = {0};
    _cleanup(generation_texts_clear) struct generation_texts texts = {0};
    int rc = facts_from_cert(issued->cert, issued->request_digest, number, issued->now, &made, err);
    if (!rc)
        rc = make_texts(issued, &texts, err);
    if (!rc)
        rc = write_generation(all, &texts, &made, err);
    if (!rc)
        rc = promote(store, all, name, err);
    if (rc) {
        undo(store, all, name);
        estc_error_prefix(err, "%s", store->path);
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
