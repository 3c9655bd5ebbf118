/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Generations in a folder, whatever they consist of. One is written under a temporary name and
 * synced, renamed to its number, and only then pointed at by a link: whoever reads through it sees
 * the old files or the new ones, never a mixture, after a power cut as well. That holds for
 * `current` and for `candidate`, which becomes `current` by one rename. What a killed predecessor
 * left half-written is swept away.
 */
#include "store_internal.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fs.h"
#include "base/log.h"
#include "base/text.h"

#define UNFINISHED ".unfinished"

static int out_of_memory(struct estc_error *err) {
    return estc_error_set(err, -ENOMEM, "out of memory");
}

/* --- the generations' numbers --- */

int store_series_open(const struct store *store, struct estc_error *err) {
    int fd = fs_open_dir(store->dirfd, LAYOUT_GENERATIONS, NULL);
    if (fd == -ENOTDIR || fd == -ELOOP) {
        int rc = store_set_aside(store->dirfd, store->path, LAYOUT_GENERATIONS, err);
        if (rc)
            return rc;
    }
    if (fd >= 0)
        return fd;
    int rc = fs_mkdir_all(store->dirfd, LAYOUT_GENERATIONS, STORE_FOLDER_MODE, err);
    return rc ? rc : fs_open_dir(store->dirfd, LAYOUT_GENERATIONS, err);
}

int64_t store_series_below(int all, int64_t bound) {
    int fd = openat(all, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *dir = fd < 0 ? NULL : fdopendir(fd);
    int64_t highest = 0;
    for (const struct dirent *e; dir && (e = readdir(dir));) {
        int64_t number = layout_generation(e->d_name);
        if (number < bound && number > highest)
            highest = number;
    }
    if (dir)
        closedir(dir);
    return highest;
}

int64_t store_series_next(int all) {
    return store_series_below(all, INT64_MAX) + 1;
}

/* The STORE_KEPT highest numbers, the highest first. */
static void find_last(DIR *dir, int64_t last[STORE_KEPT]) {
    for (const struct dirent *e; (e = readdir(dir));) {
        int64_t number = layout_generation(e->d_name);
        for (int i = 0; i < STORE_KEPT; i++)
            if (number > last[i]) {
                int64_t next = last[i];
                last[i] = number;
                number = next;
            }
    }
}

void store_series_prune(const struct store *at, int all) {
    int fd = openat(all, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *dir = fd < 0 ? NULL : fdopendir(fd);
    if (!dir)
        return;
    int64_t last[STORE_KEPT] = {0};
    find_last(dir, last);
    int64_t current = layout_link_generation(at->dirfd, STORE_CURRENT);
    int64_t candidate = layout_link_generation(at->dirfd, STORE_CANDIDATE);
    rewinddir(dir);
    for (const struct dirent *e; (e = readdir(dir));) {
        int64_t number = layout_generation(e->d_name);
        struct estc_error why = {0};
        if (number > 0 && number < last[STORE_KEPT - 1] && number != current &&
            number != candidate && fs_remove_tree(all, e->d_name, &why))
            log_warning("old generation stays: %s", why.text);
    }
    closedir(dir);
}

int store_sweep(int dirfd, struct estc_error *err) {
    int fd = openat(dirfd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *dir = fd < 0 ? NULL : fdopendir(fd);
    if (!dir)
        return estc_error_set(err, -errno, "cannot list a folder of the state: %m");
    int rc = 0;
    for (const struct dirent *e; !rc && (e = readdir(dir));)
        if (strncmp(e->d_name, FS_TEMP_PREFIX, strlen(FS_TEMP_PREFIX)) == 0)
            rc = fs_remove_tree(dirfd, e->d_name, err);
    closedir(dir);
    return rc;
}

int store_series_sweep(const struct store *at, struct estc_error *err) {
    int rc = store_sweep(at->dirfd, err);
    if (rc)
        return rc;
    _cleanup(fs_closep) int all = store_series_open(at, err);
    if (all < 0)
        return all;
    rc = store_sweep(all, err);
    return rc ? rc : fs_remove_tree(all, UNFINISHED, err);
}

/* --- a new one --- */

static int write_files(int all, const struct store_file *files, struct estc_error *err) {
    int rc = fs_mkdir_all(all, UNFINISHED, STORE_FOLDER_MODE, err);
    if (rc)
        return rc;
    _cleanup(fs_closep) int fd = fs_open_dir(all, UNFINISHED, err);
    if (fd < 0)
        return fd;
    for (const struct store_file *file = files; !rc && file->name; file++)
        rc = fs_write_new(fd, file->name, file->data, file->len, file->mode, err);
    return rc;
}

/* What stands where a link of ours should and is none gives way to it. */
static int clear_the_way(const struct store *at, const char *link, struct estc_error *err) {
    struct stat st;
    bool foreign = layout_link_generation(at->dirfd, link) == 0 &&
                   fstatat(at->dirfd, link, &st, AT_SYMLINK_NOFOLLOW) == 0;
    return foreign ? store_set_aside(at->dirfd, at->path, link, err) : 0;
}

/* From the finished folder under its temporary name to what the link points at. */
static int finish(const struct store *at, int all, const char *number, const char *link,
                  struct estc_error *err) {
    _cleanup(freep) char *target = text_format(LAYOUT_GENERATIONS "/%s", number);
    if (!target)
        return out_of_memory(err);
    if (renameat2(all, UNFINISHED, all, number, RENAME_NOREPLACE) < 0)
        return fs_fail(err, errno, "finish", target);
    int rc = fs_sync_dir(all, ".", err);
    if (!rc)
        rc = clear_the_way(at, link, err);
    return rc ? rc : fs_symlink_atomic(at->dirfd, target, link, err);
}

/* On a full disk every byte counts. What is pointed at stays, even if only the last sync failed. */
static void undo(const struct store *at, int all, const char *number, const char *link) {
    fs_remove_tree(all, UNFINISHED, NULL);
    if (layout_link_generation(at->dirfd, link) != layout_generation(number))
        fs_remove_tree(all, number, NULL);
}

int store_series_promote(const struct store *at, struct estc_error *err) {
    int rc = clear_the_way(at, STORE_CURRENT, err);
    if (rc)
        return rc;
    if (renameat(at->dirfd, STORE_CANDIDATE, at->dirfd, STORE_CURRENT) < 0)
        return fs_fail(err, errno, "put in force", STORE_CANDIDATE);
    return fs_sync_dir(at->dirfd, ".", err);
}

int store_series_put(const struct store *at, int all, int64_t number,
                     const struct store_file *files, const char *link, struct estc_error *err) {
    _cleanup(freep) char *name = text_format("%lld", (long long)number);
    if (!name)
        return out_of_memory(err);
    int rc = write_files(all, files, err);
    if (!rc)
        rc = finish(at, all, name, link, err);
    if (rc)
        undo(at, all, name, link);
    return rc;
}
