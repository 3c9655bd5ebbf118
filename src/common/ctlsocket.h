/* SPDX-License-Identifier: BSD-2-Clause */
/* The file of a control socket, and the rights of who connects to it; for ctlserver.c. */
#pragma once

#include <stdbool.h>
#include <sys/types.h>

#include <estc/error.h>

struct ctlsocket {
    int fd;     /* listening, non-blocking, CLOEXEC; -1: none */
    char *path; /* NULL: systemd's socket, whose file is not ours */
    dev_t dev;  /* which file we made: another one at the same place stays */
    ino_t ino;
};

/*
 * A listening socket at path, 0660 and read_group's; 0600 when that group is missing or cannot be
 * given. A socket that nobody answers on is replaced, one that is in use is -EADDRINUSE, any other
 * file -EEXIST.
 */
int ctlsocket_open(const char *path, const char *read_group, struct ctlsocket *out,
                   struct estc_error *err);
/* The one that systemd passed; the descriptor is taken on success. */
int ctlsocket_adopt(int fd, struct ctlsocket *out, struct estc_error *err);
/* Closes, and removes the file if it is still ours. */
void ctlsocket_close(struct ctlsocket *socket);

/* 0, or -ENOENT for a group that does not exist. */
int ctlpeer_find_group(const char *name, gid_t *out);
/* True for uid 0, for our own uid, and for members of the group (has_group), by the credentials
 * that the kernel recorded when the peer connected. */
bool ctlpeer_may_change(int fd, bool has_group, gid_t group);
/* True for uid 0 and for our own uid alone. */
bool ctlpeer_is_owner(int fd);
/* Its user; (uid_t)-1 when the kernel does not say. */
uid_t ctlpeer_uid(int fd);
