/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The ledger: every certificate that was ever issued, written durably before it is sent, and every
 * request that somebody has to decide on. One interface; SQLite or PostgreSQL is behind it.
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
    char *key_sha256;    /* of the SubjectPublicKeyInfo that it was asked for with: its own, except
                            for /skg and /skc, where the CA has made another */
    char *holder;        /* the birth certificate at the beginning of its line */
    char *authenticator; /* the certificate that asked for it */
    char *op, *label, *rule;
    int64_t not_before, not_after, issued_at, collected_at, revoked_at;
    int64_t revoked_reason; /* CRLReason, RFC 5280 section 5.3.1 */
};
void ledger_entry_clear(struct ledger_entry *entry);
/* The certificate itself; -EUCLEAN when it is none. */
int ledger_entry_decode(const struct ledger_entry *entry, X509 **out, struct estc_error *err);

/* What makes two requests the same one. */
struct ledger_request {
    const char *authenticator, *op, *label, *names_id, *key_sha256;
};

enum ledger_state {
    LEDGER_PENDING,
    LEDGER_APPROVED,
    LEDGER_REJECTED,
    LEDGER_FORWARDED, /* upstream may have it, and no answer has come */
    LEDGER_REPEATED,  /* the same, for the second time */
    LEDGER_STATE_MAX_,
};
extern const char *const ledger_state_names[]; /* "pending", "approved", "rejected", ... */

/* A request that needs a decision, and what became of it. Hashes and times as above. */
struct ledger_pending {
    int64_t id;                                               /* never given twice */
    char *authenticator, *op, *label, *names_id, *key_sha256; /* which request it is */
    char *subject, *names;                                    /* for people */
    char *device, *address;                                   /* who asks, and from where last */
    char *rule;
    struct estc_buf csr; /* DER */
    enum ledger_state state;
    char *reason;                          /* of a rejection, or "" */
    char *certificate;                     /* SHA-256 of what was issued for it, or "" */
    int64_t asked_at, last_at, decided_at; /* asked for the first time, and the last */
};
void ledger_pending_clear(struct ledger_pending *pending);

typedef int (*ledger_each_fn)(void *arg, const struct ledger_pending *pending);
typedef int (*ledger_revoked_fn)(void *arg, const char *serial, int64_t at, int64_t reason);

#define LEDGER_SUPERSEDED 4 /* as a CRLReason */

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
    /* On disk when it returns 0; not there at all otherwise. A request of the same kind is approved
     * and has got its certificate with it. superseded: SHA-256 of the certificate in whose place it
     * is issued, since the key of that never arrived, and which counts as revoked with it; NULL:
     * there is none. -EEXIST: another registrar on the same ledger was faster. */
    int (*insert)(struct ledger *, const struct ledger_entry *, const char *superseded,
                  struct estc_error *);
    /* Its holder has shown it to us. */
    int (*collected)(struct ledger *, const char *sha256, int64_t now, struct estc_error *);
    /* Revokes the one with that serial number. -EALREADY, *out filled in, when it is. */
    int (*revoke)(struct ledger *, const char *serial, int64_t reason, int64_t now,
                  struct ledger_entry *out, struct estc_error *);
    /* The revoked ones that end after `since`, until fn returns another value than 0, which is then
     * returned. */
    int (*each_revoked)(struct ledger *, int64_t since, ledger_revoked_fn fn, void *arg,
                        struct estc_error *);

    /* The youngest request of the same kind. */
    int (*find_request)(struct ledger *, const struct ledger_request *, struct ledger_pending *,
                        struct estc_error *);
    int (*get_request)(struct ledger *, int64_t id, struct ledger_pending *, struct estc_error *);
    /* Enters a new one, and forgets a pending one of the same device for the same names with
     * another key, and what nobody has asked for within LEDGER_KEEP. -EDQUOT when the device has
     * `max` pending ones already. */
    int (*add_request)(struct ledger *, const struct ledger_pending *, int max, int64_t *id,
                       struct estc_error *);
    /* It was asked for again. */
    int (*seen_request)(struct ledger *, int64_t id, const char *address, int64_t now,
                        struct estc_error *);
    /* Decides, or decides anew as long as nothing was issued for it: -EALREADY then, or when it has
     * been decided so. */
    int (*decide_request)(struct ledger *, int64_t id, enum ledger_state, const char *reason,
                          int64_t now, struct estc_error *);
    /* The pending ones, or all, that came after that id, oldest first, until fn returns another
     * value than 0, which is then returned. */
    int (*each_request)(struct ledger *, bool all, int64_t after, ledger_each_fn fn, void *arg,
                        struct estc_error *);
    void (*close)(struct ledger *);
};

#define LEDGER_KEEP (90 * 86400) /* seconds */

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

/* A copy in a new file, beside a registrar that runs. */
int ledger_sqlite_backup(const char *path, const char *to, struct estc_error *err);

/*
 * The same in a PostgreSQL database, given by a connection string of libpq, which several
 * registrars may share. A connection that is lost later is made again.
 */
int ledger_postgres_open(const char *conninfo, struct ledger **out, struct estc_error *err);
int ledger_postgres_check(const char *conninfo, struct estc_error *err);

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
