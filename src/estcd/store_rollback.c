/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The way back to an earlier generation, for somebody whose services do not get on with the new
 * certificate. Only what could have been in force is taken: whole, in date, and another certificate
 * than the one that is left. Nothing is removed.
 */
#include "store_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fs.h"
#include "base/log.h"

#define NAME_SIZE (sizeof(LAYOUT_GENERATIONS "/") + 20)

static char *fingerprint_in_force(const struct store *store) {
    _cleanup(fs_closep) int fd = -1;
    _cleanup(facts_clear) struct facts facts = {0};
    if (store_open_link(store->dirfd, STORE_CURRENT, &fd, NULL) ||
        store_read_facts(fd, store->path, STORE_CURRENT, &facts, NULL))
        return NULL;
    return TAKE(facts.sha256);
}

/* 0 and its facts, or what speaks against it. */
static int judge(const struct store *store, const char *name, const char *left, int64_t now,
                 struct facts *out, struct estc_error *err) {
    _cleanup(store_current_clear) struct store_current g = {0};
    _cleanup(fs_closep) int fd =
        openat(store->dirfd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0)
        return fs_fail(err, errno, "open", name);
    int rc = store_load_generation(fd, store->path, name, &g, err);
    if (rc)
        return rc;
    if (g.facts.not_after <= now)
        return estc_error_set(err, ESTC_E_CREDENTIAL, "%s/%s has expired", store->path, name);
    if (left && strcmp(left, g.facts.sha256) == 0)
        return estc_error_set(err, ESTC_E_CREDENTIAL, "%s/%s is of the certificate in force",
                              store->path, name);
    *out = g.facts;
    g.facts = (struct facts){0};
    return 0;
}

int store_roll_back(struct store *store, int64_t now, struct facts *facts, struct estc_error *err) {
    _cleanup(fs_closep) int all = fs_open_dir(store->dirfd, LAYOUT_GENERATIONS, err);
    if (all < 0)
        return all == -ENOENT
                   ? estc_error_set(err, ESTC_E_NOT_FOUND, "%s: no certificate yet", store->path)
                   : all;
    _cleanup(freep) char *left = fingerprint_in_force(store);
    int64_t number = layout_link_generation(store->dirfd, STORE_CURRENT);
    while ((number = store_series_below(all, number)) > 0) {
        char name[NAME_SIZE];
        struct estc_error why = {0};
        _cleanup(facts_clear) struct facts found = {0};
        snprintf(name, sizeof(name), LAYOUT_GENERATIONS "/%lld", (long long)number);
        if (judge(store, name, left, now, &found, &why)) {
            log_notice("not rolled back to: %s", why.text);
            continue;
        }
        int rc = fs_symlink_atomic(store->dirfd, name, STORE_CURRENT, err);
        if (rc)
            return estc_error_prefix(err, "%s", store->path);
        *facts = found;
        found = (struct facts){0};
        return 0;
    }
    return estc_error_set(err, ESTC_E_NOT_FOUND,
                          "%s: no earlier certificate that is whole and in date: renew instead",
                          store->path);
}
