/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The explicit anchors of an identity: generations of their own in the folder "trust", since they
 * come before the first certificate and change without one. Nobody falls back to anything here: a
 * set that is there but cannot be read is for somebody to look at.
 */
#include "store_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <estc/cert.h>

#include "base/cleanup_estc.h"
#include "base/cleanup_ossl.h"
#include "base/fs.h"
#include "base/text.h"
#include "ctl/json.h"

#define ANCHORS "anchors.pem"
#define HELPERS "helpers.pem"
#define FACTS "trust.json"

static int out_of_memory(struct estc_error *err) {
    return estc_error_set(err, -ENOMEM, "out of memory");
}

void store_trust_clear(struct store_trust *trust) {
    estc_trust_free(trust->trust);
    trust_facts_clear(&trust->facts);
    *trust = (struct store_trust){0};
}

/* The folder, as one that has generations. */
static void folder_close(struct store *folder) {
    fs_closep(&folder->dirfd);
    free(folder->path);
}

/* -ENOENT without one, unless it is to be made. */
static int folder_open(int dirfd, const char *path, bool create, struct store *out,
                       struct estc_error *err) {
    _cleanup(folder_close) struct store f = {.dirfd = fs_open_dir(dirfd, STORE_TRUST, err),
                                             .lock_fd = -1};
    int rc = 0;
    if (create && (f.dirfd == -ENOTDIR || f.dirfd == -ELOOP))
        rc = store_set_aside(dirfd, path, STORE_TRUST, err);
    if (!rc && create && f.dirfd < 0) {
        rc = fs_mkdir_all(dirfd, STORE_TRUST, STORE_FOLDER_MODE, err);
        f.dirfd = rc ? -1 : fs_open_dir(dirfd, STORE_TRUST, err);
    }
    if (rc || f.dirfd < 0)
        return rc ? rc : f.dirfd;
    f.path = text_format("%s/" STORE_TRUST, path);
    if (!f.path)
        return out_of_memory(err);
    *out = f;
    f = (struct store){.dirfd = -1};
    return 0;
}

int store_trust_sweep(const struct store *store, struct estc_error *err) {
    _cleanup(folder_close) struct store folder = {.dirfd = -1};
    if (folder_open(store->dirfd, store->path, false, &folder, NULL))
        return 0; /* none, or nothing of ours */
    return store_series_sweep(&folder, err);
}

/* --- reading --- */

/* path: of the identity's folder. The one to remove is named in full: what is beside it is not to
 * be lost with it. */
static int unfit(struct estc_error *err, int rc, const char *path) {
    if (rc == -ENOMEM)
        return rc;
    return estc_error_set(err, ESTC_E_CREDENTIAL,
                          "the trust anchors in %s/" STORE_TRUST
                          ": %s: restore them, or remove the "
                          "folder %s/" STORE_TRUST ", and what the configuration trusts counts "
                          "again",
                          path, err ? err->text : "", path);
}

/* What is in force; 0 with a descriptor. */
static int open_current(int dirfd, const char *path, int *fd, struct estc_error *err) {
    _cleanup(folder_close) struct store folder = {.dirfd = -1};
    int rc = folder_open(dirfd, path, false, &folder, err);
    if (!rc)
        rc = store_open_link(folder.dirfd, STORE_CURRENT, fd, err);
    return rc == 0 || rc == -ENOENT ? rc : unfit(err, rc, path);
}

static int read_facts(int fd, struct trust_facts *out, struct estc_error *err) {
    _cleanup(json_freep) json_t *json = NULL;
    int rc = store_read_json(fd, FACTS, &json, err);
    return rc ? rc : trust_facts_from_json(json, out, err);
}

int store_load_trust_facts(const char *state_directory, const char *id, struct trust_facts *out,
                           struct estc_error *err) {
    _cleanup(fs_closep) int dirfd = store_open_identity(state_directory, id, false, err);
    if (dirfd < 0)
        return dirfd;
    _cleanup(freep) char *path = text_format("%s/identities/%s", state_directory, id);
    if (!path)
        return out_of_memory(err);
    _cleanup(fs_closep) int fd = -1;
    int rc = open_current(dirfd, path, &fd, err);
    if (rc)
        return rc;
    rc = read_facts(fd, out, err);
    return rc ? unfit(err, rc, path) : 0;
}

static int read_set(int fd, struct estc_trust **out, struct estc_error *err) {
    _cleanup(sk_x509_freep) STACK_OF(X509) *anchors = NULL;
    _cleanup(sk_x509_freep) STACK_OF(X509) *helpers = NULL;
    _cleanup(trust_freep) struct estc_trust *trust = NULL;
    int rc = store_read_certs(fd, ANCHORS, false, &anchors, err);
    if (!rc)
        rc = store_read_certs(fd, HELPERS, true, &helpers, err);
    if (!rc)
        rc = estc_trust_new(&trust, err);
    for (int i = 0; !rc && i < sk_X509_num(anchors); i++)
        rc = estc_trust_add(trust, sk_X509_value(anchors, i), err);
    for (int i = 0; !rc && i < sk_X509_num(helpers); i++)
        rc = estc_trust_add_helper(trust, sk_X509_value(helpers, i), err);
    if (!rc)
        *out = TAKE(trust);
    return rc;
}

int store_load_trust(struct store *store, struct store_trust *out, struct estc_error *err) {
    _cleanup(fs_closep) int fd = -1;
    int rc = open_current(store->dirfd, store->path, &fd, err);
    if (rc)
        return rc;
    _cleanup(store_trust_clear) struct store_trust made = {0};
    rc = read_facts(fd, &made.facts, err);
    if (!rc)
        rc = read_set(fd, &made.trust, err);
    if (rc)
        return unfit(err, rc, store->path);
    *out = made;
    made = (struct store_trust){0};
    return 0;
}

/* --- a new set --- */

static int put(const struct store *at, int all, const struct estc_trust *trust,
               const struct trust_facts *facts, struct estc_error *err) {
    _cleanup(estc_buf_clear) struct estc_buf anchors = {0};
    _cleanup(estc_buf_clear) struct estc_buf helpers = {0};
    _cleanup(json_freep) json_t *json = trust_facts_to_json(facts);
    _cleanup(freep) char *text = json ? json_dumps(json, JSON_INDENT(1)) : NULL;
    if (!text)
        return out_of_memory(err);
    int rc = estc_certs_to_pem(estc_trust_anchors(trust), &anchors, err);
    if (!rc)
        rc = estc_certs_to_pem(estc_trust_helpers(trust), &helpers, err);
    const struct store_file files[] = {
        {ANCHORS, anchors.data, anchors.len, STORE_FILE_MODE},
        {HELPERS, helpers.data, helpers.len, STORE_FILE_MODE},
        {FACTS, text, strlen(text), STORE_FILE_MODE},
        {NULL, NULL, 0, 0},
    };
    return rc ? rc : store_series_put(at, all, facts->generation, files, STORE_CURRENT, err);
}

int store_commit_trust(struct store *store, const struct estc_trust *trust,
                       struct trust_facts *facts, int64_t now, struct estc_error *err) {
    _cleanup(folder_close) struct store folder = {.dirfd = -1};
    int rc = folder_open(store->dirfd, store->path, true, &folder, err);
    if (rc)
        return rc;
    _cleanup(fs_closep) int all = store_series_open(&folder, err);
    if (all < 0)
        return all;
    facts->generation = store_series_next(all);
    facts->received_at = now > 0 ? now : 0;
    rc = put(&folder, all, trust, facts, err);
    if (rc) {
        estc_error_prefix(err, "%s", folder.path);
        return rc;
    }
    store_series_prune(&folder, all);
    return 0;
}
