/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Which of an identity's servers is asked next, for how long, and what came of those that were
 * asked in vain. Reads no clock and speaks with nobody.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <estc/transport.h>

#include "attempt.h"

#define SERVERS_TEXT_MAX 960 /* bytes, of one error about all of them */

struct attempt_servers {
    char *const *urls; /* borrowed */
    size_t n;
    struct estc_wait wait; /* of the whole attempt */
    size_t asked;          /* the one that is asked now */
    unsigned failed;       /* a bit for each that was asked in vain */
    struct {
        int code;
        char *text;
    } failures[CONFIG_URLS_MAX];
};

/* Whether another server may do better than one that failed with `code` in this step: it could not
 * be reached or trusted, or is none of ours. What the CA has said is an answer. */
bool servers_may_differ(enum attempt_step step, int code);

/* Picks the one to ask now: `preferred` (a URL, or NULL) if it is one of them and not asked in vain
 * yet, else the first that is not. Returns its wait: an equal part of the time that is left, at
 * boot time `now` in ms, for each that can be asked still. */
struct estc_wait servers_pick(struct attempt_servers *servers, const char *preferred, int64_t now);

/* Writes down that the one asked has failed. True: another one is to be asked. */
bool servers_failed(struct attempt_servers *servers, int code, const char *text);

/* When all have failed: the first code that is more than silence, and a text that names each of
 * them; malloc'd, NULL without memory. */
int servers_sum(const struct attempt_servers *servers, char **text);

void servers_clear(struct attempt_servers *servers);
