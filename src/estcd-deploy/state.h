/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The daemon's state folder, for somebody who doesn't believe it: whoever has the daemon's user may
 * have written every byte of it, and may be writing right now.
 */
#pragma once

#include <stdint.h>
#include <sys/types.h>

#include <estc/error.h>

#include "render.h"

struct state {
    int fd; /* O_PATH; -1: not open */
    uid_t uid;
    gid_t gid; /* the daemon's: whom the folder belongs to */
};
int state_open(const char *path, struct state *out, struct estc_error *err);
void state_close(struct state *state);

/*
 * The credential in force of an identity, with the number of its generation. It has been judged
 * anew: regular files of the daemon's, bounded; the key is the certificate's; the chain leads to
 * cacerts.pem; everything is in date at the time `now`, which may lag.
 * Parses: for a process without rights.
 */
int state_read(const struct state *state, const char *id, int64_t now, struct credential *out,
               int64_t *generation, struct estc_error *err);
