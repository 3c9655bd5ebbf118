/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Files that survive a power cut: whole or not at all, with their mode from the first byte. What is
 * replaced is replaced by one rename, after the new bytes are on the disk; then the folder is
 * synced, so that the rename is there as well. A failure leaves no temporary file behind; a kill
 * may, named FS_TEMP_PREFIX, for the folder's owner to sweep.
 */
#include "base/fs.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/cleanup.h"

#define FS_TEMP_TRIES 100
#define FS_READ_STEP 4096

void fs_closep(int *fd) {
    if (*fd >= 0)
        close(*fd);
    *fd = -1;
}

int fs_fail(struct estc_error *err, int error, const char *what, const char *path) {
    static const struct {
        int error;
        const char *text;
    } remedies[] = {
        {ENOSPC, "disk full: free some space on its file system"},
        {EDQUOT, "disk quota used up: free some space or raise the quota"},
        {EROFS, "read-only file system: mount it writable, or name another folder"},
        {EACCES, "permission denied: check owner and mode of it and of the folders above"},
        {EPERM, "not permitted: check owner and attributes of it and of the folder above"},
        {ENOENT, "no such file or folder"},
        {ENOTDIR, "a part of the path is not a folder, or is a symbolic link where none may be"},
        {ELOOP, "a symbolic link stands where none may be"},
        {EISDIR, "a folder is in the way: move it elsewhere"},
        {EEXIST, "something of that name is in the way: move it elsewhere"},
        {ENAMETOOLONG, "the name is too long"},
        {EMFILE, "too many open files: raise the limit (LimitNOFILE=)"},
        {EIO, "input/output error: check the disk"},
    };
    for (size_t i = 0; i < sizeof(remedies) / sizeof(remedies[0]); i++)
        if (remedies[i].error == error)
            return estc_error_set(err, -error, "cannot %s %s: %s", what, path, remedies[i].text);
    errno = error;
    return estc_error_set(err, -error, "cannot %s %s: %m", what, path);
}

/* The folder that holds path, for renames and syncs in it; *name is path's last component. */
static int open_parent(int dirfd, const char *path, const char *what, const char **name,
                       struct estc_error *err) {
    const char *slash = strrchr(path, '/');
    *name = slash ? slash + 1 : path;
    if (!**name || strcmp(*name, ".") == 0 || strcmp(*name, "..") == 0)
        return fs_fail(err, EINVAL, what, path);
    _cleanup(freep) char *folder =
        !slash ? strdup(".") : strndup(path, slash == path ? 1 : (size_t)(slash - path));
    if (!folder)
        return fs_fail(err, ENOMEM, what, path);
    int fd = openat(dirfd, folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return fd >= 0 ? fd : fs_fail(err, errno, what, path);
}

/* 0 or an errno. Owner and mode are exact before the first byte, whatever the umask. */
static int write_synced(int fd, const unsigned char *data, size_t len, const struct fs_owner *as) {
    /* The owner first: a change of owner may take bits of the mode away. */
    bool ours = as->uid == (uid_t)-1 && as->gid == (gid_t)-1;
    if ((!ours && fchown(fd, as->uid, as->gid) < 0) || fchmod(fd, as->mode) < 0)
        return errno;
    while (len > 0) {
        ssize_t n = write(fd, data, len);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return errno;
        data += n;
        len -= (size_t)n;
    }
    return fsync(fd) < 0 ? errno : 0;
}

/* Creates name, which must not exist, with its content on the disk; removes it when that fails. */
static int create_file(int folder, const char *name, const void *data, size_t len,
                       const struct fs_owner *as) {
    /* Without any bit that the mode lacks, so it is never more open than it will be. */
    int fd =
        openat(folder, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, as->mode & 0777);
    if (fd < 0)
        return errno;
    int error = write_synced(fd, data, len, as);
    if (close(fd) < 0 && !error)
        error = errno;
    if (error)
        unlinkat(folder, name, 0);
    return error;
}

/* Moves a finished temporary file or link to its place, for good. */
static int rename_synced(int folder, const char *temp, const char *name) {
    if (renameat(folder, temp, folder, name) < 0) {
        int error = errno;
        unlinkat(folder, temp, 0);
        return error;
    }
    return fsync(folder) < 0 ? errno : 0;
}

/* What is made under a temporary name: a symbolic link if there is a target, else a file. */
struct making {
    const char *target;
    const void *data;
    size_t len;
    struct fs_owner as;
};

static int make(int folder, const char *name, const struct making *what) {
    if (what->target)
        return symlinkat(what->target, folder, name) < 0 ? errno : 0;
    return create_file(folder, name, what->data, what->len, &what->as);
}

/* Makes it under a name of process, time and count, so that two writers hardly meet (that nothing
 * of that name exists does the rest), and moves it to its place. 0 or an errno. */
static int replace(int folder, const char *name, const struct making *what) {
    char temp[NAME_MAX];
    int error = EEXIST;
    for (int n = 0; n < FS_TEMP_TRIES && error == EEXIST; n++) {
        struct timespec ts = {0};
        clock_gettime(CLOCK_BOOTTIME, &ts);
        snprintf(temp, sizeof(temp), FS_TEMP_PREFIX "%ld-%lld%09ld-%d", (long)getpid(),
                 (long long)ts.tv_sec, ts.tv_nsec, n);
        error = make(folder, temp, what);
    }
    return error ? error : rename_synced(folder, temp, name);
}

int fs_write_owned(int dirfd, const char *path, const void *data, size_t len,
                   const struct fs_owner *as, struct estc_error *err) {
    const char *name;
    _cleanup(fs_closep) int folder = open_parent(dirfd, path, "write", &name, err);
    if (folder < 0)
        return folder;
    const struct making file = {.data = data, .len = len, .as = *as};
    int error = replace(folder, name, &file);
    return error ? fs_fail(err, error, "write", path) : 0;
}

int fs_write_atomic(int dirfd, const char *path, const void *data, size_t len, mode_t mode,
                    struct estc_error *err) {
    return fs_write_owned(dirfd, path, data, len, &FS_OURS(mode), err);
}

int fs_write_new(int dirfd, const char *path, const void *data, size_t len, mode_t mode,
                 struct estc_error *err) {
    const char *name;
    _cleanup(fs_closep) int folder = open_parent(dirfd, path, "create", &name, err);
    if (folder < 0)
        return folder;
    int error = create_file(folder, name, data, len, &FS_OURS(mode));
    if (!error && fsync(folder) < 0)
        error = errno;
    return error ? fs_fail(err, error, "create", path) : 0;
}

int fs_symlink_atomic(int dirfd, const char *target, const char *path, struct estc_error *err) {
    const char *name;
    _cleanup(fs_closep) int folder = open_parent(dirfd, path, "link", &name, err);
    if (folder < 0)
        return folder;
    const struct making alias = {.target = target};
    int error = replace(folder, name, &alias);
    return error ? fs_fail(err, error, "link", path) : 0;
}

static int read_all(int fd, const char *path, size_t max, struct estc_buf *out,
                    struct estc_error *err) {
    unsigned char step[FS_READ_STEP];
    int rc = 0;
    for (ssize_t n = 1; n > 0 && !rc;) {
        n = read(fd, step, sizeof(step));
        if (n < 0 && errno == EINTR)
            n = 1;
        else if (n < 0)
            rc = fs_fail(err, errno, "read", path);
        else if ((size_t)n > max - out->len)
            rc = estc_error_set(err, ESTC_E_TOO_LARGE, "cannot read %s: larger than %zu bytes",
                                path, max);
        else if (estc_buf_append(out, step, (size_t)n))
            rc = fs_fail(err, ENOMEM, "read", path);
    }
    explicit_bzero(step, sizeof(step)); /* it may have been a key */
    return rc;
}

int fs_read_fd(int fd, const char *path, size_t max, struct estc_buf *out, struct stat *st,
               struct estc_error *err) {
    struct stat info = {0};
    if (fstat(fd, &info) < 0)
        return fs_fail(err, errno, "read", path);
    if (!S_ISREG(info.st_mode))
        return estc_error_set(err, -EINVAL, "cannot read %s: it is not a regular file", path);
    _cleanup(estc_buf_clear) struct estc_buf content = {0};
    int rc = read_all(fd, path, max, &content, err);
    if (rc)
        return rc;
    estc_buf_clear(out);
    *out = content;
    content = (struct estc_buf){0};
    if (st)
        *st = info;
    return 0;
}

int fs_read(int dirfd, const char *path, size_t max, struct estc_buf *out, struct stat *st,
            struct estc_error *err) {
    /* O_NONBLOCK: a FIFO opens at once and is then seen for what it is. */
    _cleanup(fs_closep) int fd = openat(dirfd, path, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
    if (fd < 0 && errno == ENXIO) /* a socket */
        return estc_error_set(err, -EINVAL, "cannot read %s: it is not a regular file", path);
    return fd < 0 ? fs_fail(err, errno, "read", path) : fs_read_fd(fd, path, max, out, st, err);
}
