/* SPDX-License-Identifier: BSD-2-Clause */
/* What a deployment works with: bytes that are ready to be written, and three facts for hooks. */
#pragma once

#include <stdint.h>

#include <estc/buf.h>
#include <estc/error.h>

#include "agent/config.h"
#include "state.h"

#define MATERIAL_PARTS CONFIG_CONTENT_PKCS12 /* everything before it, as PEM, for hooks */

struct material {
    int64_t generation;
    char *serial; /* hexadecimal */
    int64_t not_after;
    struct estc_buf parts[MATERIAL_PARTS];
    struct estc_buf *files; /* one for each `install` of the identity */
    size_t n_files;
};
void material_clear(struct material *material);

/* Reads and renders in this process. passwords: one for each `install`, NULL where there is none.
 */
int material_make(const struct state *state, const struct config_identity *identity,
                  char *const *passwords, struct material *out, struct estc_error *err);

/* As one message between processes, and back; n_files is how many there must be. The message is
 * taken as hostile: ESTC_E_MALFORMED. */
int material_write(const struct material *material, struct estc_buf *out, struct estc_error *err);
int material_read(const void *data, size_t len, size_t n_files, struct material *out,
                  struct estc_error *err);
