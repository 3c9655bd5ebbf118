/* SPDX-License-Identifier: BSD-2-Clause */
/* What the files of the store share; nobody else includes this. */
#pragma once

#include <stdbool.h>

#include "store.h"

#define STORE_FOLDER_MODE 0750
#define STORE_KEY_MODE 0600
#define STORE_FILE_MODE 0644
#define STORE_JSON_MAX 16384
#define STORE_PEM_MAX (256 * 1024)
#define STORE_KEPT 3 /* generations */

#define STORE_GENERATIONS "generations"
#define STORE_PENDING "pending"
#define STORE_CURRENT "current"

struct store {
    int dirfd;   /* STATE/identities/ID */
    int lock_fd; /* the lock lives as long as it is open */
    char *path;  /* of the folder, for texts */
};

/* The identity's folder; with `create` it is made. A descriptor, or negative. */
int store_open_identity(const char *state_directory, const char *id, bool create,
                        struct estc_error *err);

/* The folder that `current` points at; a descriptor, or -ENOENT without a generation, or
 * ESTC_E_CREDENTIAL (positive!) for a `current` that is none of ours. */
int store_open_current(int dirfd, const char *path, int *out, struct estc_error *err);

/* A private key's file: regular, not empty, and nobody else's to read. ESTC_E_CREDENTIAL. */
int store_check_key_file(int dirfd, const char *name, const char *path, struct estc_error *err);

/* A bounded JSON object in a file; ESTC_E_MALFORMED when it is none. */
int store_read_json(int dirfd, const char *name, json_t **out, struct estc_error *err);
int store_write_json(int dirfd, const char *name, const json_t *json, bool replace, mode_t mode,
                     struct estc_error *err);

/* facts.json of an open generation. ESTC_E_CREDENTIAL when it cannot be used. */
int store_read_facts(int generation_fd, const char *path, struct facts *out,
                     struct estc_error *err);

/* Renames what stands in the way to NAME.foreign-N and says so in the log. */
int store_set_aside(int dirfd, const char *path, const char *name, struct estc_error *err);
