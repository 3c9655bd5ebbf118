/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What is written to the ledger while others are served: by a thread with a connection of its own,
 * many at once where the database can do that. All calls are the loop's.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include <systemd/sd-event.h>

#include <estc/error.h>

#include "ledger.h"

struct writer;

/* decided() is called from the loop when certificates have been written, or could not be. The
 * ledger is borrowed and ends later. */
int writer_new(sd_event *event, struct ledger *ledger, void (*decided)(void *arg), void *arg,
               struct writer **out, struct estc_error *err);
/* Writes what is left, and ends. Takes NULL, returns NULL. */
struct writer *writer_free(struct writer *writer);

/* A certificate to be written; the entry is emptied. -EBUSY when too many wait. */
int writer_insert(struct writer *writer, struct ledger_entry *entry, struct estc_error *err);

/* Its holder has shown it, which counts at once. */
int writer_collected(struct writer *writer, const char *sha256, int64_t now,
                     struct estc_error *err);

/* What is under way for a request of that kind, or for that name and another holder: -EINPROGRESS;
 * 0: nothing. How an insert failed for that kind is told once. */
int writer_look(struct writer *writer, const struct ledger_request *kind, const char *subject_id,
                const char *holder, struct estc_error *err);

/* True the first time for a certificate that was just written. */
bool writer_is_fresh(struct writer *writer, const char *sha256);
/* Whether writer_collected() for it is still under way. */
bool writer_is_collecting(const struct writer *writer, const char *sha256);
