/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Texts of identities made at run time: read, written, and put away. What stands in the folder is
 * taken as hostile by its name and bounded; what a text says is for others to judge.
 */
#include "store_request.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "agent/config.h"
#include "base/cleanup.h"
#include "base/fs.h"
#include "base/log.h"
#include "base/text.h"
#include "store_internal.h"

#define REQUESTS "requests"
#define FORGOTTEN "forgotten"
#define TEXT_MAX (256 * 1024)
#define LOGGED_MAX 20 /* names that are none of ours, in one look */
#define ASIDE_MAX 1000

#define TEXT ".conf"
#define FORGET ".forget"
#define PURGE ".purge"
#define REPLACED ".replaced"

static int out_of_memory(struct estc_error *err) {
    return estc_error_set(err, -ENOMEM, "out of memory");
}

/* A descriptor of the folder; -ENOENT where there is none and none is to be made. */
static int open_requests(const char *state_directory, bool create, struct estc_error *err) {
    _cleanup(fs_closep) int state = store_open_state(state_directory, err);
    int rc = state < 0 ? state : create ? fs_mkdir_all(state, REQUESTS, STORE_FOLDER_MODE, err) : 0;
    return rc ? rc : fs_open_dir(state, REQUESTS, err);
}

/* --- names --- */

/* The id in "ID" and an ending, malloc'd; NULL for what is no such name. */
static char *id_of(const char *name, const char *ending) {
    size_t len = strlen(name), end = strlen(ending);
    if (len <= end || strcmp(name + len - end, ending) != 0)
        return NULL;
    _cleanup(freep) char *id = strndup(name, len - end);
    return id && config_id_valid(id) ? TAKE(id) : NULL;
}

static bool is_ours(const char *name) {
    static const char *const endings[] = {TEXT, FORGET, PURGE, REPLACED};
    bool ours = name[0] == '.'; /* a temporary one, or none to speak of */
    for (size_t i = 0; i < sizeof(endings) / sizeof(endings[0]) && !ours; i++) {
        _cleanup(freep) char *id = id_of(name, endings[i]);
        ours = id != NULL;
    }
    return ours;
}

static int compare_texts(const void *a, const void *b) {
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* The ids of all names with an ending. Takes fd. */
static int list_ids(int fd, const char *ending, char ***out, size_t *foreign) {
    DIR *dir = fdopendir(fd);
    if (!dir) {
        fs_closep(&fd);
        return -ENOMEM;
    }
    int rc = 0;
    size_t n = 0;
    for (const struct dirent *e; !rc && (e = readdir(dir));) {
        _cleanup(freep) char *id = id_of(e->d_name, ending);
        if (!id && !is_ours(e->d_name) && (*foreign)++ < LOGGED_MAX)
            log_warning(REQUESTS "/%s is none of estcd's, and not used", e->d_name);
        if (id && n == STORE_REQUESTS_MAX && (*foreign)++ < LOGGED_MAX)
            log_warning(REQUESTS "/%s is one of more than %d, and not used", e->d_name,
                        STORE_REQUESTS_MAX);
        if (id && n < STORE_REQUESTS_MAX)
            rc = text_list_add(out, id);
        n += id && n < STORE_REQUESTS_MAX;
    }
    closedir(dir);
    if (n > 1)
        qsort(*out, n, sizeof(**out), compare_texts);
    return rc;
}

int store_list_requests(const char *state_directory, char ***out, struct estc_error *err) {
    int fd = open_requests(state_directory, false, err);
    char **ids = NULL;
    size_t foreign = 0;
    if (fd == -ENOENT)
        return 0;
    if (fd < 0)
        return fd;
    if (list_ids(fd, TEXT, &ids, &foreign)) {
        text_list_free(ids);
        return out_of_memory(err);
    }
    *out = ids;
    return 0;
}

/* --- texts --- */

char *store_request_path(const char *state_directory, const char *id) {
    return text_format("%s/" REQUESTS "/%s" TEXT, state_directory, id);
}

int store_read_request(const char *state_directory, const char *id, struct estc_buf *out,
                       struct estc_error *err) {
    _cleanup(fs_closep) int fd = open_requests(state_directory, false, err);
    _cleanup(freep) char *name = text_format("%s" TEXT, id);
    if (fd < 0 || !name)
        return fd < 0 ? fd : out_of_memory(err);
    return store_read_file(fd, name, TEXT_MAX, out, err);
}

int store_save_request(const char *state_directory, const char *id, const char *text,
                       struct estc_error *err) {
    _cleanup(fs_closep) int fd = open_requests(state_directory, true, err);
    _cleanup(freep) char *name = text_format("%s" TEXT, id);
    if (fd < 0 || !name)
        return fd < 0 ? fd : out_of_memory(err);
    return fs_write_atomic(fd, name, text, strlen(text), STORE_FILE_MODE, err);
}

static int rename_request(const char *state_directory, const char *id, const char *ending,
                          struct estc_error *err) {
    _cleanup(fs_closep) int fd = open_requests(state_directory, false, err);
    _cleanup(freep) char *from = text_format("%s" TEXT, id);
    _cleanup(freep) char *to = text_format("%s%s", id, ending);
    if (fd < 0 || !from || !to)
        return fd < 0 ? fd : out_of_memory(err);
    if (renameat(fd, from, fd, to) < 0)
        return fs_fail(err, errno, "rename", from);
    return fs_sync_dir(fd, ".", err);
}

int store_replace_request(const char *state_directory, const char *id, struct estc_error *err) {
    return rename_request(state_directory, id, REPLACED, err);
}

/* --- forgetting --- */

int store_begin_forget(const char *state_directory, const char *id, bool purge,
                       struct estc_error *err) {
    return rename_request(state_directory, id, purge ? PURGE : FORGET, err);
}

/* Moves the folder of an identity to forgotten/ID-N. */
static int move_folder(int state, const char *id, char **kept, struct estc_error *err) {
    _cleanup(freep) char *from = text_format(STORE_IDENTITIES "/%s", id);
    int rc = from ? fs_mkdir_all(state, FORGOTTEN, STORE_FOLDER_MODE, err) : out_of_memory(err);
    for (int n = 1; !rc && n < ASIDE_MAX; n++) {
        _cleanup(freep) char *to = text_format(FORGOTTEN "/%s-%d", id, n);
        if (!to)
            return out_of_memory(err);
        if (renameat2(state, from, state, to, RENAME_NOREPLACE) == 0) {
            rc = fs_sync_dir(state, FORGOTTEN, err);
            *kept = rc ? NULL : TAKE(to);
            return rc ? rc : fs_sync_dir(state, STORE_IDENTITIES, err);
        }
        if (errno == ENOENT)
            return 0; /* it never had one, or it is moved already */
        if (errno != EEXIST)
            return fs_fail(err, errno, "move", from);
    }
    return rc ? rc
              : estc_error_set(err, -EEXIST, FORGOTTEN " has %d of %s: remove some", ASIDE_MAX - 1,
                               id);
}

static int remove_folder(int state, const char *id, char **kept, struct estc_error *err) {
    _cleanup(freep) char *path = text_format(STORE_IDENTITIES "/%s", id);
    int rc = path ? fs_remove_tree(state, path, err) : out_of_memory(err);
    *kept = NULL;
    return rc ? rc : fs_sync_dir(state, STORE_IDENTITIES, err);
}

static int end_one(int state, const char *id, const char *ending,
                   int (*put_away)(int state, const char *id, char **kept, struct estc_error *err),
                   char **kept, struct estc_error *err) {
    struct stat st;
    _cleanup(freep) char *path = text_format(REQUESTS "/%s%s", id, ending);
    _cleanup(freep) char *moved = NULL;
    if (!path)
        return out_of_memory(err);
    if (fstatat(state, path, &st, AT_SYMLINK_NOFOLLOW) < 0)
        return 0;
    int rc = put_away(state, id, &moved, err);
    if (!rc)
        rc = fs_remove_tree(state, path, err);
    if (!rc)
        rc = fs_sync_dir(state, REQUESTS, err);
    if (!rc && moved)
        *kept = TAKE(moved);
    return rc;
}

static const struct {
    const char *ending;
    int (*put_away)(int state, const char *id, char **kept, struct estc_error *err);
} ways[] = {{FORGET, move_folder}, {PURGE, remove_folder}};

int store_end_forget(const char *state_directory, const char *id, char **kept,
                     struct estc_error *err) {
    _cleanup(fs_closep) int state = store_open_state(state_directory, err);
    int rc = state < 0 ? state : 0;
    *kept = NULL;
    for (size_t i = 0; !rc && i < sizeof(ways) / sizeof(ways[0]); i++)
        rc = end_one(state, id, ways[i].ending, ways[i].put_away, kept, err);
    return rc;
}

int store_tidy_requests(const char *state_directory, struct estc_error *err) {
    int rc = 0;
    for (size_t i = 0; !rc && i < sizeof(ways) / sizeof(ways[0]); i++) {
        int fd = open_requests(state_directory, false, err);
        char **ids = NULL;
        size_t foreign = LOGGED_MAX; /* another look names them */
        if (fd < 0)
            return fd == -ENOENT ? 0 : fd;
        rc = store_sweep(fd, err);
        if (list_ids(fd, ways[i].ending, &ids, &foreign))
            rc = out_of_memory(err);
        for (char *const *id = ids; !rc && id && *id; id++) {
            _cleanup(freep) char *kept = NULL;
            rc = store_end_forget(state_directory, *id, &kept, err);
        }
        text_list_free(ids);
    }
    return rc;
}
