/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * An attempt under way: its key, on disk before anything that mentions it leaves the machine, and
 * its request, so that a later worker can send the very same bytes again. The key's file is written
 * first and removed last; a request without its key, or with another one, is of no use and dropped.
 */
#include "store_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <estc/csr.h>
#include <estc/key.h>

#include "base/cleanup_ossl.h"
#include "base/clock.h"
#include "base/fs.h"
#include "base/log.h"
#include "base/text.h"
#include "ctl/json.h"

#define REQUEST_FILE "request.json"
#define DIGEST_MAX 128
#define URL_MAX 1024

static int out_of_memory(struct estc_error *err) {
    return estc_error_set(err, -ENOMEM, "out of memory");
}

void store_pending_clear(struct store_pending *pending) {
    EVP_PKEY_free(pending->key);
    free(pending->request_digest);
    free(pending->url);
    estc_buf_clear(&pending->csr);
    *pending = (struct store_pending){0};
}

int store_drop_pending(struct store *store, struct estc_error *err) {
    _cleanup(fs_closep) int fd = fs_open_dir(store->dirfd, STORE_PENDING, NULL);
    if (fd == -ENOENT)
        return 0;
    if (fd == -ENOTDIR || fd == -ELOOP)
        return store_set_aside(store->dirfd, store->path, STORE_PENDING, err);
    /* The request first: a key alone is a key that was never used. */
    int rc = fd < 0 ? 0 : fs_remove_tree(fd, REQUEST_FILE, err);
    if (!rc)
        rc = fs_remove_tree(store->dirfd, STORE_PENDING, err);
    return rc ? rc : fs_sync_dir(store->dirfd, ".", err);
}

void store_finish_pending(struct store *store) {
    struct estc_error why = {0};
    if (store_drop_pending(store, &why))
        log_warning("the finished request stays: %s", why.text);
}

/* --- writing --- */

static char *base64(const struct estc_buf *data) {
    if (data->len > INT_MAX / 2)
        return NULL;
    char *out = malloc(4 * ((data->len + 2) / 3) + 1);
    if (out)
        EVP_EncodeBlock((unsigned char *)out, data->data, (int)data->len);
    return out;
}

static json_t *pending_to_json(const struct store_pending *pending) {
    _cleanup(freep) char *csr = base64(&pending->csr);
    if (!csr)
        return NULL;
    return json_pack("{s:s, s:s, s:s, s:I, s:I, s:s*}", "op", estc_op_info(pending->op)->name,
                     "request_digest", pending->request_digest, "csr", csr, "retry_at",
                     (json_int_t)pending->retry_at, "since", (json_int_t)pending->since, "url",
                     pending->url);
}

/* The folder, in place of whatever stands there; a descriptor, or negative. */
static int make_folder(struct store *store, struct estc_error *err) {
    struct stat st;
    if (fstatat(store->dirfd, STORE_PENDING, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
        !S_ISDIR(st.st_mode)) {
        int rc = store_set_aside(store->dirfd, store->path, STORE_PENDING, err);
        if (rc)
            return rc;
    }
    int rc = fs_mkdir_all(store->dirfd, STORE_PENDING, 0700, err);
    return rc ? rc : fs_open_dir(store->dirfd, STORE_PENDING, err);
}

static int write_pending(struct store *store, const struct store_pending *pending,
                         struct estc_error *err) {
    _cleanup(fs_closep) int fd = make_folder(store, err);
    if (fd < 0)
        return fd;
    _cleanup(estc_buf_clear) struct estc_buf pem = {0};
    int rc = estc_key_to_pem(pending->key, &pem, err);
    if (!rc)
        rc = fs_write_atomic(fd, STORE_KEY, pem.data, pem.len, STORE_KEY_MODE, err);
    if (rc)
        return rc;
    _cleanup(json_freep) json_t *json = pending_to_json(pending);
    return json ? store_write_json(fd, REQUEST_FILE, json, true, STORE_KEY_MODE, err)
                : out_of_memory(err);
}

int store_save_pending(struct store *store, const struct store_pending *pending,
                       struct estc_error *err) {
    int rc = write_pending(store, pending, err);
    if (rc)
        estc_error_prefix(err, "%s/" STORE_PENDING, store->path);
    return rc;
}

/* --- reading --- */

/* Decodes text into out; false when it is no base64. */
static bool unbase64(const char *text, size_t len, struct estc_buf *out) {
    if (len % 4 != 0 || len > INT_MAX)
        return false;
    if (len == 0)
        return true;
    _cleanup(freep) unsigned char *data = malloc(len / 4 * 3 + 1);
    int n = data ? EVP_DecodeBlock(data, (const unsigned char *)text, (int)len) : -1;
    size_t padding = (text[len - 1] == '=' ? 1u : 0u) + (text[len - 2] == '=' ? 1u : 0u);
    return n >= 0 && (size_t)n >= padding && estc_buf_append(out, data, (size_t)n - padding) == 0;
}

static bool pending_from_json(const json_t *json, struct store_pending *out) {
    const char *op = json_string_value(json_object_get(json, "op"));
    const char *digest = json_string_value(json_object_get(json, "request_digest"));
    const json_t *csr = json_object_get(json, "csr");
    const json_t *retry_at = json_object_get(json, "retry_at");
    if (!op || !digest || !json_is_string(csr) || !json_is_integer(retry_at) ||
        estc_op_parse(op, &out->op) || estc_op_info(out->op)->method != ESTC_POST ||
        strlen(digest) > DIGEST_MAX)
        return false;
    out->retry_at = json_integer_value(retry_at);
    /* Earlier versions did not write when it began. */
    const json_t *since = json_object_get(json, "since");
    if (since && !json_is_integer(since))
        return false;
    out->since = json_integer_value(since);
    if (out->retry_at < 0 || out->retry_at > CLOCK_LAST || out->since < 0 ||
        out->since > CLOCK_LAST)
        return false;
    const json_t *url = json_object_get(json, "url"); /* nor who had said so */
    if (url && (!json_is_string(url) || json_string_length(url) > URL_MAX))
        return false;
    out->url = url ? strdup(json_string_value(url)) : NULL;
    out->request_digest = strdup(digest);
    return out->request_digest && (out->url || !url) &&
           unbase64(json_string_value(csr), json_string_length(csr), &out->csr);
}

/* The request must be one, and of this key. */
static int check_request(const struct store_pending *pending, struct estc_error *err) {
    if (pending->csr.len == 0)
        return 0;
    _cleanup(x509_req_freep) X509_REQ *csr = NULL;
    int rc = estc_csr_parse(pending->csr.data, pending->csr.len, &csr, err);
    if (!rc && EVP_PKEY_eq(X509_REQ_get0_pubkey(csr), pending->key) != 1)
        rc = estc_error_set(err, ESTC_E_MISMATCH, "the request is of another key");
    return rc;
}

static int read_pending(int fd, const char *path, struct store_pending *out,
                        struct estc_error *err) {
    _cleanup(estc_buf_clear) struct estc_buf pem = {0};
    _cleanup(json_freep) json_t *json = NULL;
    if (faccessat(fd, STORE_KEY, F_OK, AT_SYMLINK_NOFOLLOW) < 0 && errno == ENOENT)
        return -ENOENT;
    int rc = store_check_key_file(fd, path, STORE_PENDING, err);
    if (!rc)
        rc = fs_read(fd, STORE_KEY, STORE_PEM_MAX, &pem, NULL, err);
    if (!rc)
        rc = estc_key_from_pem(pem.data, pem.len, &out->key, err);
    if (!rc)
        rc = store_read_json(fd, REQUEST_FILE, &json, err);
    if (!rc && !pending_from_json(json, out))
        rc = estc_error_set(err, ESTC_E_MALFORMED, "%s: not what estcd writes", REQUEST_FILE);
    return rc ? rc : check_request(out, err);
}

int store_load_pending(struct store *store, struct store_pending *out, struct estc_error *err) {
    _cleanup(fs_closep) int fd = fs_open_dir(store->dirfd, STORE_PENDING, NULL);
    if (fd == -ENOENT)
        return estc_error_set(err, -ENOENT, "no attempt is under way");
    _cleanup(store_pending_clear) struct store_pending pending = {0};
    struct estc_error why = {.text = "not a folder"};
    int rc = fd < 0 ? fd : read_pending(fd, store->path, &pending, &why);
    if (rc == -ENOMEM)
        return out_of_memory(err);
    if (!rc) {
        *out = pending;
        pending = (struct store_pending){0};
        return 0;
    }
    /* A kill between two steps leaves an empty folder, or a key without a request; that is no harm,
     * only of no use. Anything else is kept for whoever wants to look at it. */
    if (rc == -ENOENT)
        rc = store_drop_pending(store, err);
    else {
        log_warning("%s/" STORE_PENDING ": %s", store->path, why.text);
        rc = store_set_aside(store->dirfd, store->path, STORE_PENDING, err);
    }
    return rc ? rc : estc_error_set(err, -ENOENT, "no attempt is under way");
}
