/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Files that survive a power cut: everything is written beside its place, synced, renamed, and the
 * folder synced. All paths are relative to a folder's descriptor (AT_FDCWD works). Errors are
 * negative errnos whose text names the path and a remedy (disk full, read-only, permissions).
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <sys/stat.h>
#include <sys/types.h>

#include <estc/buf.h>
#include <estc/error.h>

/* Temporary names begin with this. Only a kill or a power cut leaves one behind. */
#define FS_TEMP_PREFIX ".estc-tmp-"

/* Fills err with "cannot WHAT PATH: CAUSE: REMEDY" for an errno and returns it negated. */
int fs_fail(struct estc_error *err, int error, const char *what, const char *path);

/* Closes and sets to -1; for scope cleanup. */
void fs_closep(int *fd);

/* mode holds from the first byte, whatever the umask. Replaces what is there, a symlink itself. */
int fs_write_atomic(int dirfd, const char *path, const void *data, size_t len, mode_t mode,
                    struct estc_error *err);

/* Whose a file is to be. */
struct fs_owner {
    uid_t uid; /* (uid_t)-1: ours */
    gid_t gid; /* the same */
    mode_t mode;
};
#define FS_OURS(bits) ((const struct fs_owner){.uid = (uid_t)-1, .gid = (gid_t)-1, .mode = (bits)})

/* The same for a file that is to be somebody else's: no byte is written before it is. */
int fs_write_owned(int dirfd, const char *path, const void *data, size_t len,
                   const struct fs_owner *as, struct estc_error *err);

/* A new file that must not exist (O_EXCL), written and synced in place. */
int fs_write_new(int dirfd, const char *path, const void *data, size_t len, mode_t mode,
                 struct estc_error *err);

/* A regular file of at most max bytes (ESTC_E_TOO_LARGE beyond); out is replaced; st may be NULL.
 * Never blocks on a FIFO or device: anything but a regular file is -EINVAL. */
int fs_read(int dirfd, const char *path, size_t max, struct estc_buf *out, struct stat *st,
            struct estc_error *err);

/* The same for an open descriptor; path only names it. */
int fs_read_fd(int fd, const char *path, size_t max, struct estc_buf *out, struct stat *st,
               struct estc_error *err);

/* Opens (flags as for open(); O_CLOEXEC is added) what lies below a folder that somebody else may
 * write in: no part of path is a symbolic link or leads out of the folder. A descriptor, or
 * negative. */
int fs_open_beneath(int dirfd, const char *path, int flags, struct estc_error *err);

/* Makes path a symbolic link to target by one rename, and syncs the folder. */
int fs_symlink_atomic(int dirfd, const char *target, const char *path, struct estc_error *err);

/* mkdir -p with mode for what it makes; an existing folder is left as it is. */
int fs_mkdir_all(int dirfd, const char *path, mode_t mode, struct estc_error *err);

/* Opens a folder (O_DIRECTORY|O_CLOEXEC|O_NOFOLLOW on the last component); >= 0 is the fd. */
int fs_open_dir(int dirfd, const char *path, struct estc_error *err);

int fs_sync_dir(int dirfd, const char *path, struct estc_error *err);

/* Removes a file, link or whole folder below dirfd, never following a link; absent is fine. */
int fs_remove_tree(int dirfd, const char *path, struct estc_error *err);
