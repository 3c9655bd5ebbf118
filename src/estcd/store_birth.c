/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * STATE/identities/ID/birth.json: the fingerprint of the birth certificate, which tells machines
 * apart that are copies of one image. Workers write it, who read the certificate anyway; the
 * manager reads it as long as there is nothing better.
 */
#include "store_internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/fs.h"
#include "ctl/json.h"

#define BIRTH "birth.json"
#define FINGERPRINT_LEN 64

static char *read_birth(int dirfd) {
    _cleanup(json_freep) json_t *json = NULL;
    if (store_read_json(dirfd, BIRTH, &json, NULL))
        return NULL;
    const char *sha256 = json_string_value(json_object_get(json, "sha256"));
    bool fit = sha256 && strlen(sha256) == FINGERPRINT_LEN &&
               strspn(sha256, "0123456789ABCDEF") == FINGERPRINT_LEN;
    return fit ? strdup(sha256) : NULL;
}

char *store_load_birth(const char *state_directory, const char *id) {
    _cleanup(fs_closep) int dirfd = store_open_identity(state_directory, id, false, NULL);
    return dirfd < 0 ? NULL : read_birth(dirfd);
}

int store_save_birth(struct store *store, const char *sha256, struct estc_error *err) {
    _cleanup(freep) char *known = read_birth(store->dirfd);
    if (known && strcmp(known, sha256) == 0)
        return 0;
    _cleanup(json_freep) json_t *json = json_pack("{s:s}", "sha256", sha256);
    return json ? store_write_json(store->dirfd, BIRTH, json, true, STORE_FILE_MODE, err)
                : estc_error_set(err, -ENOMEM, "out of memory");
}
