/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a person has brought: read once from the descriptors that came with it, and kept as a folder
 * that is put in the place of the last one by one rename. What is in force is never half of one and
 * half of another.
 */
#include "bootstrap.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <estc/trust.h>

#include "base/cleanup.h"
#include "base/cleanup_estc.h"
#include "base/fs.h"
#include "base/text.h"
#include "common/pem.h"
#include "store_internal.h"

#define FOLDER "bootstrap"
#define UNFINISHED FS_TEMP_PREFIX FOLDER
#define CERTIFICATE "cert.pem"
#define KEY "key.pem"
#define TRUST "trust.pem"
#define FINGERPRINT "fingerprint"
#define FOLDER_MODE 0700
#define FILE_MAX_BYTES (64 * 1024)

const char *const bootstrap_file_names[] = {[BOOTSTRAP_BIRTH] = "birth",
                                            [BOOTSTRAP_BIRTH_KEY] = "birth_key",
                                            [BOOTSTRAP_TRUST] = "trust",
                                            [BOOTSTRAP_FILE_MAX_] = NULL};

static int out_of_memory(struct estc_error *err) {
    return estc_error_set(err, -ENOMEM, "out of memory");
}

/* --- the new folder --- */

/* A file of it: what is offered, else what was there before. Neither: none. */
struct part {
    const char *name;
    int fd;           /* -1: not offered */
    const char *text; /* instead of a descriptor, or NULL */
    const char *what; /* for people */
    bool drop;        /* what was there before does not count any more */
};

static int read_offered(const struct part *part, struct estc_buf *out, struct estc_error *err) {
    struct estc_error why = {0};
    if (part->text)
        return estc_buf_append(out, part->text, strlen(part->text)) ? out_of_memory(err) : 0;
    int rc = fs_read_fd(part->fd, part->what, FILE_MAX_BYTES, out, NULL, &why);
    return rc == -ENOMEM ? out_of_memory(err)
           : rc          ? estc_error_set(err, ESTC_E_CREDENTIAL, "%s", why.text)
                         : 0;
}

static int make_part(int old, int new, const struct part *part, struct estc_error *err) {
    _cleanup(estc_buf_clear) struct estc_buf content = {0};
    int rc;
    if (part->fd >= 0 || part->text)
        rc = read_offered(part, &content, err);
    else if (old < 0 || part->drop)
        return 0;
    else if ((rc = fs_read(old, part->name, FILE_MAX_BYTES, &content, NULL, err)) == -ENOENT)
        return 0;
    return rc ? rc
              : fs_write_atomic(new, part->name, content.data, content.len, STORE_KEY_MODE, err);
}

/* The folder's name means nothing to whoever brought a file of another name. */
static void leave_out(struct estc_error *err, const char *folder) {
    size_t len = strlen(folder);
    for (char *at = strstr(err->text, folder); at && at[len] == '/'; at = strstr(at, folder))
        memmove(at, at + len + 1, strlen(at + len + 1) + 1);
}

/* The whole of what would be in force, judged as an attempt will read it. */
static int judge(const char *folder, int fd, struct estc_error *err) {
    _cleanup(freep) char *cert = text_format("%s/" CERTIFICATE, folder);
    _cleanup(freep) char *key = text_format("%s/" KEY, folder);
    _cleanup(freep) char *anchors = text_format("%s/" TRUST, folder);
    _cleanup(pem_credentials_clear) struct estc_credentials credentials = {0};
    _cleanup(trust_freep) struct estc_trust *trust = NULL;
    if (!cert || !key || !anchors)
        return out_of_memory(err);
    int rc = 0;
    if (faccessat(fd, CERTIFICATE, F_OK, 0) == 0)
        rc = pem_read_credentials(cert, key, &credentials, err);
    else if (faccessat(fd, KEY, F_OK, 0) == 0)
        rc = estc_error_set(err, ESTC_E_CREDENTIAL,
                            "a key alone is no birth credential: give the "
                            "certificate, too (--birth)");
    if (!rc && faccessat(fd, TRUST, F_OK, 0) == 0)
        rc = pem_read_trust(anchors, &trust, err);
    if (rc)
        leave_out(err, folder);
    return rc;
}

static int make_folder(const struct store *store, const struct bootstrap_offer *offer,
                       struct estc_error *err) {
    const int *files = offer->files;
    bool birth = files[BOOTSTRAP_BIRTH] >= 0, trust = files[BOOTSTRAP_TRUST] >= 0;
    int key = files[BOOTSTRAP_BIRTH_KEY] >= 0 ? files[BOOTSTRAP_BIRTH_KEY] : files[BOOTSTRAP_BIRTH];
    const struct part parts[] = {
        {CERTIFICATE, files[BOOTSTRAP_BIRTH], NULL, "the birth certificate's file", birth},
        {KEY, key, NULL, "the birth key's file", birth},
        {TRUST, files[BOOTSTRAP_TRUST], NULL, "the trust file", offer->fingerprint != NULL},
        {FINGERPRINT, -1, offer->fingerprint, "the fingerprint", trust},
    };
    struct estc_fingerprint ignored;
    int rc = offer->fingerprint ? estc_fingerprint_parse(offer->fingerprint, &ignored, err) : 0;
    if (!rc)
        rc = fs_mkdir_all(store->dirfd, UNFINISHED, FOLDER_MODE, err);
    if (rc)
        return rc;
    _cleanup(fs_closep) int old = fs_open_dir(store->dirfd, FOLDER, NULL);
    _cleanup(fs_closep) int new = fs_open_dir(store->dirfd, UNFINISHED, err);
    _cleanup(freep) char *path = text_format("%s/" UNFINISHED, store->path);
    if (new < 0 || !path)
        return new < 0 ? new : out_of_memory(err);
    for (size_t i = 0; !rc && i < sizeof(parts) / sizeof(parts[0]); i++) {
        if (i == 1 && files[BOOTSTRAP_BIRTH] >= 0 && key == files[BOOTSTRAP_BIRTH])
            lseek(key, 0, SEEK_SET); /* the same file a second time */
        rc = make_part(old, new, &parts[i], err);
    }
    if (!rc)
        rc = judge(path, new, err);
    return rc ? rc : fs_sync_dir(new, ".", err);
}

/* In the place of what was there, which is removed. */
static int put_folder(const struct store *store, struct estc_error *err) {
    bool there = faccessat(store->dirfd, FOLDER, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
    unsigned how = there ? RENAME_EXCHANGE : RENAME_NOREPLACE;
    if (renameat2(store->dirfd, UNFINISHED, store->dirfd, FOLDER, how) < 0)
        return fs_fail(err, errno, "put in place", FOLDER);
    int rc = fs_sync_dir(store->dirfd, ".", err);
    return rc ? rc : fs_remove_tree(store->dirfd, UNFINISHED, err);
}

static int take_back(const struct store *store, struct estc_error *err) {
    if (renameat(store->dirfd, FOLDER, store->dirfd, UNFINISHED) < 0)
        return errno == ENOENT ? 0 : fs_fail(err, errno, "take away", FOLDER);
    int rc = fs_sync_dir(store->dirfd, ".", err);
    return rc ? rc : fs_remove_tree(store->dirfd, UNFINISHED, err);
}

int bootstrap_take(const char *state_directory, const char *id, const struct bootstrap_offer *offer,
                   struct estc_error *err) {
    struct store *store = NULL;
    int rc = store_open(state_directory, id, &store, err); /* which removes what was unfinished */
    if (rc)
        return rc;
    rc = offer->reset ? take_back(store, err) : make_folder(store, offer, err);
    if (!rc && !offer->reset)
        rc = put_folder(store, err);
    if (rc)
        fs_remove_tree(store->dirfd, UNFINISHED, NULL);
    store_close(store);
    return rc;
}

/* --- in force --- */

static char *path_of(int fd, const char *folder, const char *name) {
    struct stat st;
    bool there = fstatat(fd, name, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISREG(st.st_mode);
    return there ? text_format("%s/%s", folder, name) : NULL;
}

void bootstrap_texts_clear(struct bootstrap_texts *texts) {
    free(texts->certificate);
    free(texts->key);
    free(texts->trust);
    free(texts->fingerprint);
    *texts = (struct bootstrap_texts){0};
}

static int read_fingerprint(int fd, char **out, struct estc_error *err) {
    _cleanup(estc_buf_clear) struct estc_buf text = {0};
    int rc = fs_read(fd, FINGERPRINT, FILE_MAX_BYTES, &text, NULL, err);
    if (rc)
        return rc;
    *out = text_format("%.*s", (int)text.len, (const char *)text.data);
    return *out ? 0 : out_of_memory(err);
}

int bootstrap_apply(const char *state_directory, const struct config_identity *identity,
                    struct bootstrap_texts *texts, struct config_identity *out,
                    struct estc_error *err) {
    _cleanup(freep) char *folder =
        text_format("%s/identities/%s/" FOLDER, state_directory, identity->id);
    *out = *identity;
    if (!folder)
        return out_of_memory(err);
    _cleanup(fs_closep) int fd = fs_open_dir(AT_FDCWD, folder, NULL);
    if (fd < 0)
        return 0;
    texts->certificate = path_of(fd, folder, CERTIFICATE);
    texts->key = path_of(fd, folder, KEY);
    texts->trust = path_of(fd, folder, TRUST);
    _cleanup(freep) char *fingerprint = path_of(fd, folder, FINGERPRINT);
    int rc = fingerprint ? read_fingerprint(fd, &texts->fingerprint, err) : 0;
    if (rc)
        return rc;
    if (texts->certificate && texts->key) {
        out->birth_certificate = texts->certificate;
        out->birth_key = texts->key;
    }
    if (texts->trust || texts->fingerprint) {
        out->trust = texts->trust;
        out->fingerprint = texts->fingerprint;
    }
    return 0;
}

bool bootstrap_is_there(const char *state_directory, const char *id) {
    _cleanup(fs_closep) int dirfd = store_open_identity(state_directory, id, false, NULL);
    return dirfd >= 0 && faccessat(dirfd, FOLDER, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}
