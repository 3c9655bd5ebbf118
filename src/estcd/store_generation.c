/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The worker's hold on one identity's folder, and what a generation of key and certificate consists
 * of. What a killed predecessor left half-written is removed when the folder is opened.
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

static int out_of_memory(struct estc_error *err) {
    return estc_error_set(err, -ENOMEM, "out of memory");
}

/* --- the folder --- */

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
        rc = store_series_sweep(store, err);
    _cleanup(fs_closep) int pending = fs_open_dir(store->dirfd, STORE_PENDING, NULL);
    if (!rc && pending >= 0)
        rc = store_sweep(pending, err);
    if (!rc)
        rc = store_trust_sweep(store, err);
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

static int put_generation(struct store *store, int all, const struct generation_texts *texts,
                          const struct facts *facts, struct estc_error *err) {
    _cleanup(json_freep) json_t *json = facts_to_json(facts);
    _cleanup(freep) char *text = json ? json_dumps(json, JSON_INDENT(1)) : NULL;
    if (!text)
        return out_of_memory(err);
    const struct store_file files[] = {
        {STORE_KEY, texts->key.data, texts->key.len, STORE_KEY_MODE},
        {"cert.pem", texts->cert.data, texts->cert.len, STORE_FILE_MODE},
        {"chain.pem", texts->chain.data, texts->chain.len, STORE_FILE_MODE},
        {"fullchain.pem", texts->fullchain.data, texts->fullchain.len, STORE_FILE_MODE},
        {"cacerts.pem", texts->cacerts.data, texts->cacerts.len, STORE_FILE_MODE},
        {"combined.pem", texts->combined.data, texts->combined.len, STORE_KEY_MODE},
        {"facts.json", text, strlen(text), STORE_FILE_MODE},
        {NULL},
    };
    return store_series_put(store, all, facts->generation, files, STORE_CANDIDATE, err);
}

int store_stage(struct store *store, const struct store_issued *issued, struct estc_error *err) {
    _cleanup(fs_closep) int all = store_series_open(store, err);
    if (all < 0)
        return all;
    /* What earlier ones have left behind that never came into force. */
    store_series_prune(store, all);
    int64_t number = store_series_next(all);
    _cleanup(facts_clear) struct facts made = {0};
    _cleanup(generation_texts_clear) struct generation_texts texts = {0};
    int rc = facts_from_cert(issued->cert, issued->request_digest, issued->rest_digest, number,
                             issued->now, &made, err);
    if (!rc)
        rc = make_texts(issued, &texts, err);
    if (!rc)
        rc = put_generation(store, all, &texts, &made, err);
    if (rc) {
        estc_error_prefix(err, "%s", store->path);
        return rc;
    }
    store_finish_pending(store);
    return 0;
}

int store_promote(struct store *store, struct estc_error *err) {
    int rc = store_series_promote(store, err);
    if (rc)
        return estc_error_prefix(err, "%s", store->path);
    _cleanup(fs_closep) int all = store_series_open(store, NULL);
    if (all >= 0)
        store_series_prune(store, all);
    return 0;
}
