/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The ledger: every certificate that was ever issued, written durably before it is sent. One
 * interface; SQLite is behind it.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include <estc/buf.h>
#include <estc/error.h>

/* One certificate. All hashes are SHA-256 in upper-case hexadecimal; times are seconds since 1970,
 * 0 where something has not happened. Texts are owned. */
struct ledger_entry {
    char *serial;
    struct estc_buf der;
    char *sha256;        /* of the certificate */
    char *subject_id;    /* whose it is: see ledger_subject_id() */
    char *names_id;      /* all its names, letter for letter: see ledger_names_id() */
    char *subject;       /* for people */
    char *key_sha256;    /* of its SubjectPublicKeyInfo */
    char *holder;        /* the birth certificate at the beginning of its line */
    char *authenticator; /* the certificate that asked for it */
    char *op, *label, *rule;
    int64_t not_before, not_after, issued_at, collected_at, revoked_at;
};
void ledger_entry_clear(struct ledger_entry *entry);

/* What makes two requests the same one. */
struct ledger_request {
    const char *authenticator, *op, *label, *names_id, *key_sha256;
};

struct ledger;

struct ledger_ops {
    /* All return 0, -ENOENT where nothing is found, or a negative errno with a text. */

    /* The certificate that this very request got since `since`, if its holder has not used it yet
     * and it is in force at `now`. */
    int (*find_same)(struct ledger *, const struct ledger_request *, int64_t since, int64_t now,
                     struct ledger_entry *, struct estc_error *);
    /* A certificate in force at `now` for these names whose holder is another one. */
    int (*find_other_holder)(struct ledger *, const char *subject_id, const char *holder,
                             int64_t now, struct ledger_entry *, struct estc_error *);
    int (*find)(struct ledger *, const char *sha256, struct ledger_entry *, struct estc_error *);
    /* On disk when it returns 0; not there at all otherwise. */
    int (*insert)(struct ledger *, const struct ledger_entry *, struct estc_error *);
    /* Its holder has shown it to us. */
    int (*collected)(struct ledger *, const char *sha256, int64_t now, struct estc_error *);
    void (*close)(struct ledger *);
};

struct ledger {
    const struct ledger_ops *ops;
};

/*
 * Opens or creates (mode 0600) and keeps everybody else from doing the same. Refuses a newer schema
 * and a damaged file, with a remedy.
 */
int ledger_sqlite_open(const char *path, struct ledger **out, struct estc_error *err);

/* Whether that would succeed, without making anything and beside a registrar that runs. */
int ledger_sqlite_check(const char *path, struct estc_error *err);

static inline void ledger_closep(struct ledger **ledger) {
    if (*ledger)
        (*ledger)->ops->close(*ledger);
}

/*
 * Whom a certificate or request is about, as one text: the subject with case and spaces folded as
 * RFC 5280 section 7.1 compares names, or, when it is empty, the subjectAltName (may be NULL), in
 * any order and case. malloc'd; NULL when out of memory.
 */
char *ledger_subject_id(const X509_NAME *subject, const GENERAL_NAMES *names);

/* Both of them as they are encoded, so that requests for other names are other requests. */
char *ledger_names_id(const X509_NAME *subject, const GENERAL_NAMES *names);
