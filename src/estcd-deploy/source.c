/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * estcd.conf says what runs as root, so whoever can write it is root. The daemon does not mind who
 * owns it; here everything but root's is refused.
 */
#include "source.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fs.h"
#include "base/text.h"
#include "common/conf.h"

static int check(const char *path, struct estc_error *err) {
    struct stat st;
    if (stat(path, &st) < 0)
        return fs_fail(err, errno, "look at", path);
    if (st.st_uid != 0 && st.st_uid != geteuid())
        return estc_error_set(err, ESTC_E_CONFIG,
                              "%s does not belong to root, and says what root is to do: chown root",
                              path);
    if (st.st_mode & 022)
        return estc_error_set(
            err, ESTC_E_CONFIG,
            "%s can be written by others, and says what root is to do: chmod go-w", path);
    return 0;
}

static int check_dir(const char *dir, struct estc_error *err) {
    DIR *entries = opendir(dir);
    if (!entries)
        return errno == ENOENT ? 0 : fs_fail(err, errno, "open", dir);
    int rc = check(dir, err);
    for (const struct dirent *entry; !rc && (entry = readdir(entries));) {
        _cleanup(freep) char *path = text_format("%s/%s", dir, entry->d_name);
        if (conf_reads(entry->d_name))
            rc = path ? check(path, err) : estc_error_set(err, -ENOMEM, "out of memory");
    }
    closedir(entries);
    return rc;
}

int source_check(const char *path, struct estc_error *err) {
    const char *slash = strrchr(path, '/');
    _cleanup(freep) char *folder =
        slash ? strndup(path, slash == path ? 1 : (size_t)(slash - path)) : strdup(".");
    _cleanup(freep) char *more = folder ? text_format("%s/conf.d", folder) : NULL;
    if (!more)
        return estc_error_set(err, -ENOMEM, "out of memory");
    int rc = check(folder, err);
    if (!rc)
        rc = check(path, err);
    return rc ? rc : check_dir(more, err);
}
