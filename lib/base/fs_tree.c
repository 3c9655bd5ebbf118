/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Folders: made, opened, synced and removed. Removal works on descriptors only and follows no link,
 * so that whoever can write in a folder cannot lead it out of there.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fs.h"

#define FS_DEPTH_MAX 32
#define FS_OPEN_FOLDER (O_RDONLY | O_DIRECTORY | O_CLOEXEC)

int fs_open_dir(int dirfd, const char *path, struct estc_error *err) {
    int fd = openat(dirfd, path, FS_OPEN_FOLDER | O_NOFOLLOW);
    return fd >= 0 ? fd : fs_fail(err, errno, "open", path);
}

int fs_open_beneath(int dirfd, const char *path, int flags, struct estc_error *err) {
    const struct open_how how = {
        .flags = (uint64_t)(flags | O_CLOEXEC),
        .resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS,
    };
    long fd = syscall(SYS_openat2, dirfd, path, &how, sizeof(how)); /* glibc has no name for it */
    return fd >= 0 ? (int)fd : fs_fail(err, errno, "open", path);
}

int fs_sync_dir(int dirfd, const char *path, struct estc_error *err) {
    _cleanup(fs_closep) int fd = openat(dirfd, path, FS_OPEN_FOLDER);
    if (fd < 0 || fsync(fd) < 0)
        return fs_fail(err, errno, "sync", path);
    return 0;
}

/* One step of mkdir -p; 0 or an errno. */
static int make_folder(int dirfd, const char *path, mode_t mode) {
    if (mkdirat(dirfd, path, mode) < 0) {
        int error = errno;
        struct stat st;
        /* mkdir tells of a missing right or a read-only disk before it looks: look ourselves. */
        if (fstatat(dirfd, path, &st, 0) < 0)
            return error;
        return S_ISDIR(st.st_mode) ? 0 : EEXIST;
    }
    _cleanup(fs_closep) int fd = openat(dirfd, path, FS_OPEN_FOLDER | O_NOFOLLOW);
    if (fd < 0 || fchmod(fd, mode) < 0)
        return errno;
    _cleanup(fs_closep) int parent = openat(fd, "..", FS_OPEN_FOLDER);
    /* A parent that may be written but not read cannot be synced by us: not a reason to fail. */
    if (parent >= 0 && fsync(parent) < 0)
        return errno;
    return 0;
}

int fs_mkdir_all(int dirfd, const char *path, mode_t mode, struct estc_error *err) {
    _cleanup(freep) char *copy = strdup(path);
    if (!copy)
        return fs_fail(err, ENOMEM, "make folder", path);
    for (char *end = copy; *end;) {
        end += strspn(end, "/");
        end += strcspn(end, "/");
        char kept = *end;
        *end = '\0';
        int error = make_folder(dirfd, copy, mode);
        if (error)
            return fs_fail(err, error, "make folder", copy);
        *end = kept;
        end += strspn(end, "/");
    }
    return 0;
}

static int remove_entry(int dirfd, const char *name, int depth);

/* Takes the descriptor of a folder and empties it; 0 or an errno. */
static int empty_folder_take(int fd, int depth) {
    DIR *dir = fdopendir(fd);
    if (!dir) {
        int error = errno;
        close(fd);
        return error;
    }
    int error = 0;
    while (!error) {
        errno = 0;
        const struct dirent *entry = readdir(dir);
        if (!entry) {
            error = errno;
            break;
        }
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
            error = remove_entry(fd, entry->d_name, depth);
    }
    closedir(dir);
    return error;
}

static int remove_entry(int dirfd, const char *name, int depth) {
    if (unlinkat(dirfd, name, 0) == 0 || errno == ENOENT)
        return 0;
    if (errno != EISDIR && errno != EPERM) /* Linux and POSIX on the unlinking of a folder */
        return errno;
    int error = errno;
    if (depth == 0)
        return ENAMETOOLONG;
    int fd = openat(dirfd, name, FS_OPEN_FOLDER | O_NOFOLLOW);
    if (fd < 0)
        return errno == ENOTDIR ? error : errno;
    error = empty_folder_take(fd, depth - 1);
    if (!error && unlinkat(dirfd, name, AT_REMOVEDIR) < 0 && errno != ENOENT)
        error = errno;
    return error;
}

int fs_remove_tree(int dirfd, const char *path, struct estc_error *err) {
    int error = remove_entry(dirfd, path, FS_DEPTH_MAX);
    return error ? fs_fail(err, error, "remove", path) : 0;
}
