/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * STATE/spool/deploy, which belongs to the daemon and may hold anything. A name in it is a request
 * for the identity of that name; nothing there is opened. A request is taken away before it is
 * carried out: one that comes meanwhile is not lost, and one that is lost is put down again by the
 * daemon, who has heard nothing of it.
 */
#include "spool.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fs.h"
#include "base/text.h"
#include "common/journal.h"

#define NAMES_MAX 65536 /* looked at in one run */

static bool is_listed(const struct config_identity *const *list, size_t n, const char *id) {
    for (size_t i = 0; i < n; i++)
        if (strcmp(list[i]->id, id) == 0)
            return true;
    return false;
}

static void take_entry(int dirfd, const struct config *config, const char *name,
                       const struct config_identity **list, size_t *n, bool *left) {
    struct estc_error err = {0};
    if (fs_remove_tree(dirfd, name, &err)) {
        journal_warning("spool: %s", err.text);
        *left = true;
        return;
    }
    const struct config_identity *identity =
        config_id_valid(name) ? config_find(config, name) : NULL;
    if (!identity || !identity->deploy.digest)
        journal_notice("spool: '%.64s' is no identity with anything to deploy", name);
    else if (!is_listed(list, *n, name))
        list[(*n)++] = identity;
}

int spool_take(const struct state *state, const struct config *config,
               const struct config_identity ***out, bool *left, struct estc_error *err) {
    int fd = fs_open_beneath(state->fd, "spool/deploy", O_RDONLY | O_DIRECTORY, err);
    const struct config_identity **list = calloc(config_count(config) + 1, sizeof(*list));
    DIR *dir = fd >= 0 && list ? fdopendir(fd) : NULL;
    if (!dir) {
        int rc = fd < 0 ? fd : fs_fail(err, errno, "look into", "spool/deploy");
        fs_closep(&fd);
        free(list);
        return rc;
    }
    size_t n = 0, seen = 0;
    for (const struct dirent *entry; seen < NAMES_MAX && (entry = readdir(dir)); seen++)
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
            take_entry(fd, config, entry->d_name, list, &n, left);
    closedir(dir);
    *out = list;
    return 0;
}
