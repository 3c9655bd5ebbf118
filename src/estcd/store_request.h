/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Identities made at run time, in the state folder:
 *
 *   STATE/requests/ID.conf       what was asked for, as text; the manager's, out of a worker's
 * reach STATE/requests/ID.forget     ID is being forgotten: its folder is to be moved to ...
 *   STATE/forgotten/ID-N         ... here
 *   STATE/requests/ID.purge      the same, but its folder is to be removed
 *   STATE/requests/ID.replaced   the text of one that estcd.conf has now
 *
 * One rename decides each time; whatever is left to be done after it is done at the next start.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include <estc/buf.h>
#include <estc/error.h>

#define STORE_REQUESTS_MAX 10000

/* The ids, in their order, NULL-ended and malloc'd; *out is NULL where there are none. What has
 * another name, and what is beyond STORE_REQUESTS_MAX, is named in the log and passed over. */
int store_list_requests(const char *state_directory, char ***out, struct estc_error *err);

/* The path of one, malloc'd; and its text, which is bounded. */
char *store_request_path(const char *state_directory, const char *id);
int store_read_request(const char *state_directory, const char *id, struct estc_buf *out,
                       struct estc_error *err);

int store_save_request(const char *state_directory, const char *id, const char *text,
                       struct estc_error *err);

/* It counts no more, since estcd.conf has an identity of that id. */
int store_replace_request(const char *state_directory, const char *id, struct estc_error *err);

/* From here on there is no identity of that id. */
int store_begin_forget(const char *state_directory, const char *id, bool purge,
                       struct estc_error *err);

/* What is left to do then; nothing left is fine. *kept: where the folder is now, below STATE,
 * malloc'd, or NULL when there is none. */
int store_end_forget(const char *state_directory, const char *id, char **kept,
                     struct estc_error *err);

/* The same for all, and what a killed daemon has left in the folder of requests. */
int store_tidy_requests(const char *state_directory, struct estc_error *err);
