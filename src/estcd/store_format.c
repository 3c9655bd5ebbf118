/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The layout of the state folder: which it has, and how an older one becomes today's. One step for
 * each layout; a step that is cut off is taken again, since the number is written after it. For
 * whoever holds the lock of the folder.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/fs.h"
#include "base/log.h"
#include "base/text.h"
#include "store_internal.h"

#define FORMAT "format"
#define NUMBER_MAX 16 /* bytes of the file */

/* Without a number a folder is new, or from before there were numbers, or has lost it: what lay in
 * it then lies where it does in layout 1. */
static int make_identities(int dirfd, struct estc_error *err) {
    return fs_mkdir_all(dirfd, STORE_IDENTITIES, STORE_FOLDER_MODE, err);
}

static const struct store_step steps[] = {
    {.from = 0, .run = make_identities},
    {.from = STORE_FORMAT, .run = NULL},
};

static int read_format(int dirfd, long *out, struct estc_error *err) {
    _cleanup(estc_buf_clear) struct estc_buf text = {0};
    int rc = store_read_file(dirfd, FORMAT, NUMBER_MAX, &text, err);
    *out = 0;
    if (rc == -ENOENT)
        return 0;
    if (rc && rc != ESTC_E_TOO_LARGE)
        return rc;
    const char *data = text.data ? (const char *)text.data : "";
    char *end = NULL;
    *out = strtol(data, &end, 10);
    if (end == data || *end != '\n' || end[1] || *out < 1)
        return estc_error_set(err, -EINVAL,
                              "the file \"" FORMAT "\" does not say which layout the folder has: "
                              "restore it (it reads \"%d\"), or name another state_directory",
                              STORE_FORMAT);
    return 0;
}

static int write_format(int dirfd, int format, struct estc_error *err) {
    _cleanup(freep) char *text = text_format("%d\n", format);
    return text ? fs_write_atomic(dirfd, FORMAT, text, strlen(text), STORE_FILE_MODE, err)
                : estc_error_set(err, -ENOMEM, "out of memory");
}

int store_migrate(int dirfd, const struct store_step *step, struct estc_error *err) {
    struct stat st;
    long format;
    bool is_new = fstatat(dirfd, STORE_IDENTITIES, &st, AT_SYMLINK_NOFOLLOW) < 0;
    int rc = read_format(dirfd, &format, err);
    for (; !rc && step->run; step++) {
        if (step->from < format)
            continue;
        rc = step->run(dirfd, err);
        if (!rc)
            rc = write_format(dirfd, step->from + 1, err);
        if (rc)
            return estc_error_prefix(err, "from layout %d to %d", step->from, step->from + 1);
        if (!is_new)
            log_notice("the state folder had layout %d and has %d now", step->from, step->from + 1);
    }
    if (!rc && format > step->from)
        rc = estc_error_set(err, -EINVAL,
                            "it has layout %ld, this estcd knows up to %d: install the newer estcd "
                            "again, or name another state_directory",
                            format, step->from);
    return rc;
}

int store_make(const char *state_directory, struct estc_error *err) {
    return fs_mkdir_all(AT_FDCWD, state_directory, STORE_FOLDER_MODE, err);
}

int store_prepare(const char *state_directory, struct estc_error *err) {
    int rc = store_make(state_directory, err);
    if (rc)
        return rc;
    _cleanup(fs_closep) int dirfd = store_open_state(state_directory, err);
    if (dirfd < 0)
        return dirfd;
    rc = store_sweep(dirfd, err);
    if (!rc)
        rc = store_migrate(dirfd, steps, err);
    if (!rc)
        rc = make_identities(dirfd, err);
    return rc ? estc_error_prefix(err, "state folder %s", state_directory) : 0;
}
