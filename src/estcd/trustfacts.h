/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the manager knows of the explicit trust anchors without parsing a certificate: a worker has
 * written it down in trust.json when it put them in force. The manager takes it as hostile.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include <jansson.h>

#include <estc/error.h>
#include <estc/trust.h>

/* Origins: how the first server came to be believed that sent them. */
#define TRUST_FROM_FILE "file"               /* an anchor of the configured file vouched for it */
#define TRUST_FROM_FINGERPRINT "fingerprint" /* its root has the configured fingerprint */
#define TRUST_FROM_EXPLICIT "explicit"       /* explicit anchors that were there before did */

#define TRUST_ANCHORS_SHOWN 4

struct trust_facts {
    int64_t generation;
    int64_t received_at; /* our clock when they were put in force */
    int64_t until;       /* the earliest end of an anchor; seconds since 1970 */
    char *origin;        /* one of the above */
    char *url;           /* of the server that sent them */
    char *configured;    /* digest of the configured trust at that time, hexadecimal */
    size_t n_anchors;    /* of those that are described; more are left out */
    struct trust_anchor {
        char *subject, *sha256;
        int64_t not_after;
    } anchors[TRUST_ANCHORS_SHOWN];
};

/* Describes a set; the texts are copied. */
int trust_facts_make(const struct estc_trust *trust, const char *origin, const char *url,
                     const char *configured, struct trust_facts *out, struct estc_error *err);
json_t *trust_facts_to_json(const struct trust_facts *facts); /* NULL: out of memory */
/* ESTC_E_MALFORMED for anything unexpected. */
int trust_facts_from_json(const json_t *json, struct trust_facts *out, struct estc_error *err);
void trust_facts_clear(struct trust_facts *facts);
