/* SPDX-License-Identifier: BSD-2-Clause */
/* What the files of the store share; nobody else includes this. */
#pragma once

#include <stdbool.h>

#include "agent/layout.h"
#include "store.h"

#define STORE_FOLDER_MODE 0750
#define STORE_KEY_MODE 0600
#define STORE_FILE_MODE 0644
#define STORE_JSON_MAX 16384
#define STORE_PEM_MAX (256 * 1024)
#define STORE_KEPT 3 /* generations */

#define STORE_IDENTITIES "identities"
#define STORE_PENDING "pending"
#define STORE_CURRENT "current"
#define STORE_CANDIDATE "candidate"
#define STORE_TRUST "trust"
#define STORE_KEY "key.pem"

struct store {
    int dirfd;   /* STATE/identities/ID */
    int lock_fd; /* the lock lives as long as it is open */
    char *path;  /* of the folder, for texts */
};

/* STATE itself, as it stands. A descriptor, or negative. */
int store_open_state(const char *state_directory, struct estc_error *err);

/*
 * What makes layout from + 1 of layout `from`, in an open state folder; everything is synced when
 * it returns 0, and it has to do for a folder in which it has been cut off anywhere. The row
 * without a function is the last, and its layout is today's.
 */
struct store_step {
    int from;
    int (*run)(int dirfd, struct estc_error *err);
};
int store_migrate(int dirfd, const struct store_step *steps, struct estc_error *err);

/* The identity's folder; with `create` it is made. A descriptor, or negative. */
int store_open_identity(const char *state_directory, const char *id, bool create,
                        struct estc_error *err);

/* The folder that a link points at: -ENOENT without one, ESTC_E_CREDENTIAL when it is gone. */
int store_open_link(int dirfd, const char *link, int *out, struct estc_error *err);
/* The same for the key and certificate in force, in the identity's folder; with the remedy. */
int store_open_generation(int dirfd, const char *path, int *out, struct estc_error *err);

/* The private key in an open folder, which texts call PATH/FOLDER: a regular file, not empty, and
 * nobody else's to read. ESTC_E_CREDENTIAL. */
int store_check_key_file(int dirfd, const char *path, const char *folder, struct estc_error *err);

/* Removes what a killed worker may have left under temporary names. */
int store_sweep(int dirfd, struct estc_error *err);

/*
 * Generations in the folder of `at` (its lock is not looked at): `generations/N` and the links to
 * them. Opening makes the folder of all; a number is free until it is put.
 */
struct store_file {
    const char *name; /* NULL: the end */
    const void *data;
    size_t len;
    mode_t mode;
};
int store_series_open(const struct store *at, struct estc_error *err);
/* The highest number below `bound`, 0 without one; and the one after all. */
int64_t store_series_below(int all, int64_t bound);
int64_t store_series_next(int all);
/* Writes one, synced, and points `link` at it. */
int store_series_put(const struct store *at, int all, int64_t number,
                     const struct store_file *files, const char *link, struct estc_error *err);
/* Makes `current` of `candidate`, by one rename. */
int store_series_promote(const struct store *at, struct estc_error *err);
/* Removes all but the last STORE_KEPT and what a link points at. A failure costs space, nothing
 * else. */
void store_series_prune(const struct store *at, int all);
int store_series_sweep(const struct store *at, struct estc_error *err);

/* Sweeps the trust's generations, if there are any. */
int store_trust_sweep(const struct store *store, struct estc_error *err);

/* The certificates of one file; an empty file is an empty list when that is allowed. */
int store_read_certs(int dirfd, const char *name, bool may_be_empty, STACK_OF(X509) * *out,
                     struct estc_error *err);

/* As fs_read(), but never through a link. */
int store_read_file(int dirfd, const char *name, size_t max, struct estc_buf *out,
                    struct estc_error *err);

/* A bounded JSON object in a file; ESTC_E_MALFORMED when it is none. */
int store_read_json(int dirfd, const char *name, json_t **out, struct estc_error *err);
int store_write_json(int dirfd, const char *name, const json_t *json, bool replace, mode_t mode,
                     struct estc_error *err);

/* facts.json of an open generation, which texts call PATH/FOLDER. ESTC_E_CREDENTIAL when it cannot
 * be used. */
int store_read_facts(int generation_fd, const char *path, const char *folder, struct facts *out,
                     struct estc_error *err);

/* Key, certificates and facts of an open generation, which texts call PATH/FOLDER. */
int store_load_generation(int fd, const char *path, const char *folder, struct store_current *out,
                          struct estc_error *err);

/* Renames what stands in the way to NAME.foreign-N and says so in the log. */
int store_set_aside(int dirfd, const char *path, const char *name, struct estc_error *err);
