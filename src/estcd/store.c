/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The state folder as the manager sees it: the layout, the facts of what is in force, and the
 * record of attempts. Opens no key and no certificate; looks at the key's file from outside only.
 * What it reads was written by a worker and counts as hostile.
 */
#include "store_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "alert.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/fs.h"
#include "base/log.h"
#include "base/text.h"
#include "ctl/json.h"

#define ATTEMPTS "attempts.json"
#define ASIDE_TRIES 1000
#define ERROR_TEXT_MAX 1024
#define FAILURES_MAX 1000000000
#define GENERATION_MAX INT64_C(999999999999999) /* 15 digits, as in a generation's name */

static int out_of_memory(struct estc_error *err) {
    return estc_error_set(err, -ENOMEM, "out of memory");
}

/* --- layout --- */

int store_open_state(const char *state_directory, struct estc_error *err) {
    int fd = open(state_directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return fd < 0 ? fs_fail(err, errno, "open", state_directory) : fd;
}

int store_open_identity(const char *state_directory, const char *id, bool create,
                        struct estc_error *err) {
    int rc = create ? fs_mkdir_all(AT_FDCWD, state_directory, STORE_FOLDER_MODE, err) : 0;
    if (rc)
        return rc;
    /* Step by step, so that no link below STATE is followed; O_PATH, since a worker in its cage may
     * pass through the two upper folders but not look into them. */
    _cleanup(fs_closep) int state = open(state_directory, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (state < 0)
        return fs_fail(err, errno, "open", state_directory);
    if (create)
        rc = fs_mkdir_all(state, STORE_IDENTITIES, STORE_FOLDER_MODE, err);
    _cleanup(fs_closep) int all =
        rc ? -1 : openat(state, STORE_IDENTITIES, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (!rc && all < 0)
        rc = fs_fail(err, errno, "open", STORE_IDENTITIES);
    if (!rc && create)
        rc = fs_mkdir_all(all, id, STORE_FOLDER_MODE, err);
    int fd = rc ? rc : fs_open_dir(all, id, err);
    if (fd < 0)
        estc_error_prefix(err, "in %s", state_directory);
    return fd;
}

char *store_path(const char *state_directory, const char *id, const char *file) {
    return text_format("%s/" STORE_IDENTITIES "/%s/" STORE_CURRENT "%s%s", state_directory, id,
                       *file ? "/" : "", file);
}

int store_set_aside(int dirfd, const char *path, const char *name, struct estc_error *err) {
    for (int n = 1; n < ASIDE_TRIES; n++) {
        _cleanup(freep) char *aside = text_format("%s.foreign-%d", name, n);
        if (!aside)
            return out_of_memory(err);
        if (renameat2(dirfd, name, dirfd, aside, RENAME_NOREPLACE) == 0) {
            log_warning("%s/%s is not what estcd put there; moved to %s and not used", path, name,
                        aside);
            return fs_sync_dir(dirfd, ".", err);
        }
        if (errno != EEXIST)
            return estc_error_set(err, -errno, "cannot move %s/%s out of the way: %m", path, name);
    }
    return estc_error_set(err, -EEXIST, "%s: too many %s.foreign-N: remove some", path, name);
}

/* --- files --- */

int store_read_file(int dirfd, const char *name, size_t max, struct estc_buf *out,
                    struct estc_error *err) {
    /* Only whoever may write here could put a link between this look and the reading, and he can
     * write what he likes anyway. */
    struct stat st;
    if (fstatat(dirfd, name, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISLNK(st.st_mode))
        return estc_error_set(err, -ELOOP, "%s is a symbolic link: put the file itself there",
                              name);
    return fs_read(dirfd, name, max, out, NULL, err);
}

int store_read_json(int dirfd, const char *name, json_t **out, struct estc_error *err) {
    _cleanup(estc_buf_clear) struct estc_buf text = {0};
    int rc = store_read_file(dirfd, name, STORE_JSON_MAX, &text, err);
    if (rc)
        return rc;
    json_t *json = ctl_json_object((const char *)text.data, text.len);
    if (!json)
        return estc_error_set(err, ESTC_E_MALFORMED, "%s: not a JSON object", name);
    *out = json;
    return 0;
}

int store_write_json(int dirfd, const char *name, const json_t *json, bool replace, mode_t mode,
                     struct estc_error *err) {
    char *text = json_dumps(json, JSON_INDENT(1));
    if (!text)
        return out_of_memory(err);
    int rc = replace ? fs_write_atomic(dirfd, name, text, strlen(text), mode, err)
                     : fs_write_new(dirfd, name, text, strlen(text), mode, err);
    free(text);
    return rc;
}

/* --- what is in force --- */

int store_open_link(int dirfd, const char *link, int *out, struct estc_error *err) {
    int64_t number = layout_link_generation(dirfd, link);
    if (number == 0)
        return estc_error_set(err, -ENOENT, "nothing in force yet");
    char name[24];
    snprintf(name, sizeof(name), "%lld", (long long)number);
    _cleanup(fs_closep) int all =
        openat(dirfd, LAYOUT_GENERATIONS, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    int fd = all < 0 ? -1 : openat(all, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0)
        return estc_error_set(err, ESTC_E_CREDENTIAL,
                              LAYOUT_GENERATIONS "/%s cannot be opened (%m)", name);
    *out = fd;
    return 0;
}

int store_open_generation(int dirfd, const char *path, int *out, struct estc_error *err) {
    int rc = store_open_link(dirfd, STORE_CURRENT, out, err);
    if (rc == -ENOENT)
        return estc_error_set(err, rc, "%s: no certificate yet", path);
    if (rc)
        return estc_error_set(
            err, rc, "%s/%s: restore it, or remove %s/" STORE_CURRENT ", and estcd enrolls anew",
            path, err ? err->text : "", path);
    return 0;
}

static int unfit_key(struct estc_error *err, const char *path, const char *folder,
                     const char *fault) {
    return estc_error_set(err, ESTC_E_CREDENTIAL, "private key %s/%s/" STORE_KEY ": %s", path,
                          folder, fault);
}

int store_check_key_file(int dirfd, const char *path, const char *folder, struct estc_error *err) {
    struct stat st;
    if (fstatat(dirfd, STORE_KEY, &st, AT_SYMLINK_NOFOLLOW) < 0)
        return unfit_key(err, path, folder,
                         errno == ENOENT ? "no such file: restore it, or enroll anew"
                                         : "cannot be looked at: check the disk");
    if (!S_ISREG(st.st_mode) || st.st_size == 0)
        return unfit_key(err, path, folder, "not a file with content: restore it, or enroll anew");
    if (st.st_mode & 077)
        return unfit_key(err, path, folder,
                         "others than its owner have access: chmod 600, or enroll anew if it may "
                         "have leaked");
    return 0;
}

int store_read_facts(int generation_fd, const char *path, const char *folder, struct facts *out,
                     struct estc_error *err) {
    _cleanup(json_freep) json_t *json = NULL;
    int rc = store_read_json(generation_fd, "facts.json", &json, err);
    if (!rc)
        rc = facts_from_json(json, out, err);
    if (!rc || rc == -ENOMEM)
        return rc;
    estc_error_prefix(err, "%s/%s/facts.json", path, folder);
    if (err)
        err->code = ESTC_E_CREDENTIAL;
    return ESTC_E_CREDENTIAL;
}

int store_load_facts(const char *state_directory, const char *id, struct facts *out,
                     struct estc_error *err) {
    _cleanup(fs_closep) int dirfd = store_open_identity(state_directory, id, false, err);
    if (dirfd < 0)
        return dirfd;
    _cleanup(freep) char *path = text_format("%s/" STORE_IDENTITIES "/%s", state_directory, id);
    if (!path)
        return out_of_memory(err);
    _cleanup(fs_closep) int generation = -1;
    int rc = store_open_generation(dirfd, path, &generation, err);
    if (!rc)
        rc = store_check_key_file(generation, path, STORE_CURRENT, err);
    struct stat st;
    if (!rc && fstatat(generation, "cert.pem", &st, AT_SYMLINK_NOFOLLOW) < 0)
        rc = estc_error_set(err, ESTC_E_CREDENTIAL,
                            "%s/" STORE_CURRENT "/cert.pem: %m: restore it, or remove "
                            "%s/" STORE_CURRENT ", and estcd enrolls anew",
                            path, path);
    return rc ? rc : store_read_facts(generation, path, STORE_CURRENT, out, err);
}

/* --- the record of attempts --- */

void store_attempts_forget(struct store_attempts *attempts) {
    const struct store_attempts kept = {.paused_since = attempts->paused_since,
                                        .alert_told = attempts->alert_told};
    store_attempts_clear(attempts);
    *attempts = kept;
}

void store_attempts_clear(struct store_attempts *attempts) {
    free(attempts->last_error);
    free(attempts->last_action);
    free(attempts->last_server);
    *attempts = (struct store_attempts){0};
}

void store_load_attempts(const char *state_directory, const char *id, struct store_attempts *out) {
    *out = (struct store_attempts){0};
    _cleanup(fs_closep) int dirfd = store_open_identity(state_directory, id, false, NULL);
    _cleanup(json_freep) json_t *json = NULL;
    if (dirfd < 0 || store_read_json(dirfd, ATTEMPTS, &json, NULL))
        return;
    *out = (struct store_attempts){
        .failures = (unsigned)ctl_json_int(json, "failures", 0, FAILURES_MAX),
        .last_attempt = ctl_json_int(json, "last_attempt", 0, CLOCK_LAST),
        .last_result = (int)ctl_json_int(json, "last_result", INT_MIN, ESTC_E_MAX_ - 1),
        .last_error = ctl_json_text(json, "last_error", ERROR_TEXT_MAX),
        .last_action = ctl_json_text(json, "last_action", ERROR_TEXT_MAX),
        .last_server = ctl_json_text(json, "last_server", ERROR_TEXT_MAX),
        .pending_until = ctl_json_int(json, "pending_until", 0, CLOCK_LAST),
        .pending_since = ctl_json_int(json, "pending_since", 0, CLOCK_LAST),
        .rolled_back = ctl_json_int(json, "rolled_back", 0, GENERATION_MAX),
        .paused_since = ctl_json_int(json, "paused_since", 0, CLOCK_LAST),
        .alert_told = (int)ctl_json_int(json, "alert_told", 0, ALERT_LEVEL_MAX_ - 1),
    };
}

int store_save_attempts(const char *state_directory, const char *id,
                        const struct store_attempts *attempts, struct estc_error *err) {
    _cleanup(json_freep) json_t *json = json_pack(
        "{s:I, s:I, s:i, s:I, s:I, s:I, s:s*, s:s*, s:s*}", "failures",
        (json_int_t)attempts->failures, "last_attempt", (json_int_t)attempts->last_attempt,
        "last_result", attempts->last_result, "pending_until", (json_int_t)attempts->pending_until,
        "pending_since", (json_int_t)attempts->pending_since, "rolled_back",
        (json_int_t)attempts->rolled_back, "last_error", attempts->last_error, "last_action",
        attempts->last_action, "last_server", attempts->last_server);
    /* Said only where it is so. */
    const struct {
        const char *name;
        int64_t value;
    } rare[] = {{"paused_since", attempts->paused_since}, {"alert_told", attempts->alert_told}};
    for (size_t i = 0; json && i < sizeof(rare) / sizeof(rare[0]); i++)
        if (rare[i].value != 0 &&
            json_object_set_new(json, rare[i].name, json_integer((json_int_t)rare[i].value)) < 0)
            return out_of_memory(err);
    if (!json)
        return out_of_memory(err);
    _cleanup(fs_closep) int dirfd = store_open_identity(state_directory, id, true, err);
    if (dirfd < 0)
        return dirfd;
    int rc = store_write_json(dirfd, ATTEMPTS, json, true, STORE_FILE_MODE, err);
    if (rc)
        estc_error_prefix(err, "%s/" STORE_IDENTITIES "/%s", state_directory, id);
    return rc;
}
