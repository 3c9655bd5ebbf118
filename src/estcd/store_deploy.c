/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The record of a deployment, and the spool in which root finds that there is something to do. A
 * request is an empty file; its name is all that it says.
 */
#include <errno.h>
#include <fcntl.h>

#include "base/cleanup.h"
#include "base/fs.h"
#include "base/text.h"
#include "ctl/json.h"
#include "store_internal.h"

#define RECORD "deploy.json"
#define SPOOL "spool/deploy"

void store_load_deploy(const char *state_directory, const char *id, struct deploy_record *out) {
    _cleanup(fs_closep) int dirfd = store_open_identity(state_directory, id, false, NULL);
    _cleanup(json_freep) json_t *json = NULL;
    *out = (struct deploy_record){0};
    if (dirfd >= 0 && !store_read_json(dirfd, RECORD, &json, NULL))
        deploy_from_json(json, out);
}

int store_save_deploy(const char *state_directory, const char *id,
                      const struct deploy_record *record, struct estc_error *err) {
    _cleanup(json_freep) json_t *json = deploy_to_json(record);
    if (!json)
        return estc_error_set(err, -ENOMEM, "out of memory");
    _cleanup(fs_closep) int dirfd = store_open_identity(state_directory, id, true, err);
    int rc = dirfd < 0 ? dirfd : store_write_json(dirfd, RECORD, json, true, STORE_FILE_MODE, err);
    return rc ? estc_error_prefix(err, "%s: the record of the deployment", id) : 0;
}

int store_request_deploy(const char *state_directory, const char *id, struct estc_error *err) {
    _cleanup(fs_closep) int state = store_open_state(state_directory, err);
    if (state < 0)
        return state;
    _cleanup(freep) char *path = text_format(SPOOL "/%s", id);
    int rc = path ? fs_mkdir_all(state, SPOOL, STORE_FOLDER_MODE, err)
                  : estc_error_set(err, -ENOMEM, "out of memory");
    /* The name itself appears at once: whoever watches the folder acts on every entry in it. */
    int fd = rc ? -1 : openat(state, path, O_WRONLY | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (!rc && fd < 0)
        rc = fs_fail(err, errno, "create", path);
    fs_closep(&fd);
    return rc ? estc_error_prefix(err, "%s", state_directory) : 0;
}
