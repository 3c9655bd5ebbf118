/* SPDX-License-Identifier: BSD-2-Clause */
/* For tests of the store: a state folder, a CA, and certificates to put into it. */
#pragma once

#include "place.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <estc/cert.h>
#include <estc/csr.h>
#include <estc/key.h>
#include <estc/log.h>

#include "base/cleanup_ossl.h"
#include "base/text.h"
#include "estcd/store_internal.h"

#define ID "gw"

struct site {
    struct place *place;
    char *state; /* PLACE/state */
    int fd;      /* PLACE/state/identities/gw, once made */
    EVP_PKEY *ca_key, *key;
    X509 *ca;
    STACK_OF(X509) * cas;
    char log[4096]; /* what libestc has logged */
};

static inline void site_log(enum estc_log_level level, const char *text, void *arg) {
    struct site *site = arg;
    (void)level;
    size_t used = strlen(site->log);
    snprintf(site->log + used, sizeof(site->log) - used, "%s\n", text);
}

static inline int site_setup(void **state) {
    struct site *site = calloc(1, sizeof(*site));
    void *place = NULL;
    if (place_setup(&place))
        return -1;
    site->place = place;
    site->state = text_format("%s/state", site->place->path);
    site->fd = -1;
    site->ca_key = support_key();
    site->key = support_key();
    site->ca =
        support_cert(site->ca_key, &(struct support_cert_spec){.subject = "CN=Test CA", .ca = 1});
    site->cas = sk_X509_new_null();
    sk_X509_push(site->cas, site->ca);
    estc_log_set_handler(site_log, site);
    *state = site;
    return 0;
}

static inline int site_teardown(void **state) {
    struct site *site = *state;
    void *place = site->place;
    estc_log_set_handler(NULL, NULL);
    sk_X509_free(site->cas);
    X509_free(site->ca);
    EVP_PKEY_free(site->ca_key);
    EVP_PKEY_free(site->key);
    fs_closep(&site->fd);
    free(site->state);
    free(site);
    return place_teardown(&place);
}

#define SITED(test) cmocka_unit_test_setup_teardown(test, site_setup, site_teardown)

/* The folder of the identity, for looking and meddling. */
static inline int site_identity(struct site *site) {
    struct estc_error err = {0};
    if (site->fd < 0)
        site->fd = store_open_identity(site->state, ID, true, &err);
    if (site->fd < 0)
        fail_msg("%s", err.text);
    return site->fd;
}

static inline struct store *site_open(struct site *site) {
    struct estc_error err = {0};
    struct store *store = NULL;
    if (store_open(site->state, ID, &store, &err))
        fail_msg("%s", err.text);
    return store;
}

/* A certificate of the CA for key. */
static inline X509 *site_cert(struct site *site, EVP_PKEY *key, const char *subject) {
    return support_cert(key, &(struct support_cert_spec){.subject = subject,
                                                         .issuer = site->ca,
                                                         .issuer_key = site->ca_key});
}

/* Makes a new certificate for the site's key the candidate. */
static inline int site_stage(struct site *site, struct store *store, const char *subject,
                             struct estc_error *err) {
    _cleanup(x509_freep) X509 *cert = site_cert(site, site->key, subject);
    const struct store_issued issued = {
        .key = site->key,
        .cert = cert,
        .cacerts = site->cas,
        .request_digest = "DIGEST",
        .rest_digest = "REST",
        .now = 1800000000,
    };
    return store_stage(store, &issued, err);
}

/* And puts it in force, as a worker does. */
static inline int site_commit(struct site *site, struct store *store, const char *subject,
                              struct facts *facts, struct estc_error *err) {
    int rc = site_stage(site, store, subject, err);
    if (!rc)
        rc = store_promote(store, err);
    return rc ? rc : store_load_facts(site->state, ID, facts, err);
}

/* The same, which must succeed, with the store opened for it; the generation's number. */
static inline int64_t site_enroll(struct site *site, const char *subject) {
    struct store *store = site_open(site);
    struct estc_error err = {0};
    struct facts facts = {0};
    if (site_commit(site, store, subject, &facts, &err))
        fail_msg("%s", err.text);
    int64_t generation = facts.generation;
    facts_clear(&facts);
    store_close(store);
    return generation;
}

/* Puts one anchor in force, with the store opened for it. */
static inline int site_commit_anchor(struct site *site, X509 *anchor, struct estc_error *err) {
    struct store *store = NULL;
    struct store_trust made = {0};
    int rc = store_open(site->state, ID, &store, err);
    if (!rc)
        rc = estc_trust_new(&made.trust, err);
    if (!rc)
        rc = estc_trust_add(made.trust, anchor, err);
    if (!rc)
        rc = trust_facts_make(made.trust, TRUST_FROM_FILE, "coaps://est", "DIGEST", &made.facts,
                              err);
    if (!rc)
        rc = store_commit_trust(store, made.trust, &made.facts, 1700000000, err);
    store_trust_clear(&made);
    store_close(store);
    return rc;
}

/* Writes a file of any content, replacing what is there. */
static inline void site_write(struct site *site, const char *path, const char *text, mode_t mode) {
    struct estc_error err = {0};
    if (fs_write_atomic(site_identity(site), path, text, strlen(text), mode, &err))
        fail_msg("%s", err.text);
}

static inline bool site_has(struct site *site, const char *path) {
    struct stat st;
    return fstatat(site_identity(site), path, &st, AT_SYMLINK_NOFOLLOW) == 0;
}

static inline mode_t site_mode(struct site *site, const char *path) {
    struct stat st;
    if (fstatat(site_identity(site), path, &st, AT_SYMLINK_NOFOLLOW))
        fail_msg("%s: %s", path, strerror(errno));
    return st.st_mode & 07777;
}
