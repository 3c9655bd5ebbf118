/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the manager knows of a certificate without parsing one: a worker has written it down in
 * facts.json when it committed the generation. The manager takes it as hostile: bounded, typed.
 */
#pragma once

#include <stdint.h>

#include <jansson.h>
#include <openssl/x509.h>

#include <estc/error.h>

struct facts {
    int64_t not_before, not_after; /* seconds since 1970 */
    int64_t issued_at;             /* our clock when it was committed */
    int64_t generation;            /* number of the generation's folder */
    char *subject, *issuer;        /* clean text, at most 1024 bytes each */
    char *serial;                  /* hexadecimal */
    char *sha256;                  /* fingerprint of the certificate, hexadecimal */
    char *key_type;
    char *request_digest; /* config_identity.request_digest it was asked for with */
    char *rest_digest;    /* and rest_digest; "" in what earlier versions wrote */
    char *unfit;          /* why it cannot authenticate its renewal; "" where it can */
    char **sans;          /* NULL-ended */
};

/* The digests are those above. */
int facts_from_cert(X509 *cert, const char *request_digest, const char *rest_digest,
                    int64_t generation, int64_t now, struct facts *out, struct estc_error *err);
json_t *facts_to_json(const struct facts *facts); /* NULL: out of memory */
/* ESTC_E_MALFORMED for anything unexpected. */
int facts_from_json(const json_t *json, struct facts *out, struct estc_error *err);
/* Why a client cannot show this certificate, by its extensions; NULL: it can. */
const char *facts_usage_fault(X509 *cert);
void facts_clear(struct facts *facts);
/* Frees what only people read (subject, issuer, sans, key_type), which is on disk anyway. */
void facts_trim(struct facts *facts);
