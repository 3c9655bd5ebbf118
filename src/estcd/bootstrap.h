/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A credential and trust that a person has brought (estc bootstrap), for an identity whose
 * configured ones help no more. They lie in the identity's folder, in `bootstrap`, and stand before
 * the configuration's until somebody brings others or takes them back.
 */
#pragma once

#include <stdbool.h>

#include <estc/error.h>

#include "agent/config.h"

enum bootstrap_file {
    BOOTSTRAP_BIRTH,     /* certificate, its intermediates, and the key, unless it comes apart */
    BOOTSTRAP_BIRTH_KEY, /* the key */
    BOOTSTRAP_TRUST,     /* anchors for the server */
    BOOTSTRAP_FILE_MAX_,
};
extern const char *const bootstrap_file_names[]; /* "birth", "birth_key", "trust"; NULL-ended */

/* What is brought: descriptors of whoever brings it, borrowed, -1: none. */
struct bootstrap_offer {
    int files[BOOTSTRAP_FILE_MAX_];
    const char *fingerprint; /* of the CA's root, instead of trust; or NULL */
    bool reset;              /* nothing is brought, and what was is taken back */
};

/*
 * A worker's part: reads what is offered, judges it with what was brought before, and puts it in
 * the folder in one step, synced. ESTC_E_CREDENTIAL or _CONFIG, and nothing has changed, when it is
 * unfit.
 */
int bootstrap_take(const char *state_directory, const char *id, const struct bootstrap_offer *offer,
                   struct estc_error *err);

/* The identity as it is with what was brought: a copy, whose texts are those of the original and of
 * `texts`, which outlives it. */
struct bootstrap_texts {
    char *certificate, *key, *trust, *fingerprint;
};
int bootstrap_apply(const char *state_directory, const struct config_identity *identity,
                    struct bootstrap_texts *texts, struct config_identity *out,
                    struct estc_error *err);
void bootstrap_texts_clear(struct bootstrap_texts *texts);

/* The manager's part: whether there is any of it. */
bool bootstrap_is_there(const char *state_directory, const char *id);
