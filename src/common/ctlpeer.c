/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Who is at the other end of a Unix socket, as the kernel recorded it on connect: nothing the peer
 * says is believed. Knows nothing of methods. Groups are looked up in another process: what
 * nsswitch.conf names may be large, and may be anybody's.
 */
#include <errno.h>
#include <grp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "common/apart.h"
#include "common/ctlsocket.h"

#define GROUP_BUFFER_MAX (1024 * 1024)

static int find_group(struct estc_buf *out, void *arg) {
    const char *name = arg;
    int rc = ERANGE;
    /* A group with thousands of members needs a large buffer; no size is known beforehand. */
    for (size_t size = 1024; rc == ERANGE && size <= GROUP_BUFFER_MAX; size *= 4) {
        _cleanup(freep) char *buffer = malloc(size);
        struct group entry, *found = NULL;
        if (!buffer)
            return -ENOMEM;
        rc = getgrnam_r(name, &entry, buffer, size, &found);
        if (rc == 0 && !found)
            return -ENOENT;
        if (rc == 0)
            return estc_buf_append(out, &entry.gr_gid, sizeof(entry.gr_gid));
    }
    return -rc;
}

int ctlpeer_find_group(const char *name, gid_t *out) {
    _cleanup(freep) char *copy = strdup(name);
    _cleanup(estc_buf_clear) struct estc_buf found = {0};
    int rc = copy ? apart_run(find_group, copy, sizeof(*out), &found, NULL) : -ENOMEM;
    if (rc || found.len != sizeof(*out))
        return rc ? rc : -EIO;
    memcpy(out, found.data, sizeof(*out));
    return 0;
}

/* The supplementary groups; SO_PEERCRED shows the primary one only. */
static bool has_supplementary(int fd, gid_t group) {
    socklen_t size = 0;
    if (getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, NULL, &size) == 0 || errno != ERANGE)
        return false; /* none, or not known: no right either */
    _cleanup(freep) gid_t *groups = malloc(size);
    if (!groups || getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, groups, &size) < 0)
        return false;
    for (size_t i = 0; i < size / sizeof(*groups); i++)
        if (groups[i] == group)
            return true;
    return false;
}

static bool is_owner(const struct ucred *peer) {
    return peer->uid == 0 || peer->uid == geteuid();
}

bool ctlpeer_is_owner(int fd) {
    struct ucred peer;
    socklen_t size = sizeof(peer);
    return getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) == 0 && is_owner(&peer);
}

uid_t ctlpeer_uid(int fd) {
    struct ucred peer;
    socklen_t size = sizeof(peer);
    return getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) == 0 ? peer.uid : (uid_t)-1;
}

bool ctlpeer_may_change(int fd, bool has_group, gid_t group) {
    struct ucred peer;
    socklen_t size = sizeof(peer);
    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) < 0)
        return false;
    return is_owner(&peer) || (has_group && (peer.gid == group || has_supplementary(fd, group)));
}
