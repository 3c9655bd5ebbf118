/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Where a file goes and whose it is. The folder may be a service's own: as soon as the way leads
 * through one that somebody else may write in, no symbolic link is followed any more, or that
 * somebody could have root write a file of his into any folder.
 */
#include "place.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <limits.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fs.h"
#include "base/text.h"

#define LINKS_MAX 16

/* --- the folder --- */

/* On the way to a folder. */
struct walk {
    int fd;      /* where we are */
    char *rest;  /* what is left of the path */
    bool ours;   /* nobody but root (or ourselves) could have changed anything on the way */
    int n_links; /* followed */
};

static int walk_to_root(struct walk *walk) {
    fs_closep(&walk->fd);
    walk->fd = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
    walk->ours = true;
    return walk->fd < 0 ? errno : 0;
}

/* `name` is a link: what it says comes before the rest. */
static int follow(struct walk *walk, const char *name) {
    char target[PATH_MAX];
    ssize_t len = readlinkat(walk->fd, name, target, sizeof(target));
    if (len < 0)
        return errno;
    if (!walk->ours || ++walk->n_links > LINKS_MAX || len == (ssize_t)sizeof(target))
        return ELOOP;
    char *rest = text_format("%.*s/%s", (int)len, target, walk->rest);
    if (!rest)
        return ENOMEM;
    free(walk->rest);
    walk->rest = rest;
    return target[0] == '/' ? walk_to_root(walk) : 0;
}

static int enter(struct walk *walk, const char *name) {
    struct stat st;
    int fd = openat(walk->fd, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0)
        return errno;
    if (fstat(fd, &st) < 0 || S_ISLNK(st.st_mode) || !S_ISDIR(st.st_mode)) {
        close(fd);
        return S_ISLNK(st.st_mode) ? follow(walk, name) : ENOTDIR;
    }
    close(walk->fd);
    walk->fd = fd;
    walk->ours = walk->ours && (st.st_uid == 0 || st.st_uid == geteuid()) && !(st.st_mode & 022);
    return 0;
}

static void walk_clear(struct walk *walk) {
    fs_closep(&walk->fd);
    free(walk->rest);
}

/* The folder of an absolute path; `*name` is the path's last component. */
static int open_folder(const char *path, const char **name, struct estc_error *err) {
    const char *slash = strrchr(path, '/');
    _cleanup(walk_clear) struct walk walk = {.fd = -1};
    walk.rest = strndup(path, (size_t)(slash - path));
    int error = walk.rest ? walk_to_root(&walk) : ENOMEM;
    while (!error && walk.rest[strspn(walk.rest, "/")]) {
        size_t skip = strspn(walk.rest, "/"), len = strcspn(walk.rest + skip, "/");
        _cleanup(freep) char *step = strndup(walk.rest + skip, len);
        memmove(walk.rest, walk.rest + skip + len, strlen(walk.rest + skip + len) + 1);
        error = step ? enter(&walk, step) : ENOMEM;
    }
    *name = slash + 1;
    int fd = error ? -1 : openat(walk.fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return fd >= 0 ? fd : fs_fail(err, error ? error : errno, "open the folder of", path);
}

/* --- the owner --- */

/* A number as it is, a name as the system knows it. */
static bool is_number(const char *text, unsigned long *out) {
    char *end;
    *out = strtoul(text, &end, 10);
    return text[strspn(text, "0123456789")] == '\0' && *out < UINT_MAX;
}

static int find_owner(const struct config_install *install, struct fs_owner *out,
                      struct estc_error *err) {
    unsigned long number;
    *out = (struct fs_owner){geteuid(), getegid(), install->mode_bits};
    if (install->owner) {
        const struct passwd *user = getpwnam(install->owner);
        if (!user && !is_number(install->owner, &number))
            return estc_error_set(err, ESTC_E_CONFIG, "%s: there is no user '%s'", install->file,
                                  install->owner);
        out->uid = user ? user->pw_uid : (uid_t)number;
    }
    if (install->group) {
        const struct group *group = getgrnam(install->group);
        if (!group && !is_number(install->group, &number))
            return estc_error_set(err, ESTC_E_CONFIG, "%s: there is no group '%s'", install->file,
                                  install->group);
        out->gid = group ? group->gr_gid : (gid_t)number;
    }
    return 0;
}

/* --- both --- */

int place_check(const struct config_install *install, struct estc_error *err) {
    const char *name;
    struct fs_owner owner;
    _cleanup(fs_closep) int folder = open_folder(install->file, &name, err);
    return folder < 0 ? folder : find_owner(install, &owner, err);
}

int place_file(const struct config_install *install, const struct estc_buf *data,
               struct estc_error *err) {
    const char *name;
    struct fs_owner owner;
    int rc = find_owner(install, &owner, err);
    if (rc)
        return rc;
    _cleanup(fs_closep) int folder = open_folder(install->file, &name, err);
    if (folder < 0)
        return folder;
    rc = fs_write_owned(folder, name, data->data, data->len, &owner, err);
    return rc ? estc_error_prefix(err, "install %s", install->file) : 0;
}
