/* SPDX-License-Identifier: BSD-2-Clause */
/* For tests of the registrar: a PKI as `est-registrar init` makes it, and its registrar, opened. */
#pragma once

#include "place.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>

#include <sqlite3.h>

#include <estc/csr.h>
#include <estc/server.h>

#include "base/cleanup_ossl.h"
#include "common/pem.h"
#include "est-registrar/config.h"
#include "est-registrar/init.h"
#include "est-registrar/registrar.h"

struct site {
    struct place *place;
    char dir[PATH_MAX];
    struct config *config;
    struct registrar *registrar;
    struct estc_credentials device, other; /* gateway-1, gateway-2 */
};

static inline void site_open(struct site *s) {
    struct estc_error err = {0};
    struct conf_errors errors = {0};
    char path[PATH_MAX + 32];
    snprintf(path, sizeof(path), "%s/est-registrar.conf", s->dir);
    if (config_load(path, &s->config, &errors))
        fail_msg("%s", errors.lines ? errors.lines[0] : "out of memory");
    if (registrar_open(s->config, &s->registrar, &err))
        fail_msg("%s", err.text);
}

static inline void site_close(struct site *s) {
    s->registrar = registrar_close(s->registrar);
    s->config = config_free(s->config);
}

static inline void site_credentials(const struct site *s, const char *device,
                                    struct estc_credentials *out) {
    struct estc_error err = {0};
    char cert[PATH_MAX + 64], key[PATH_MAX + 64];
    snprintf(cert, sizeof(cert), "%s/devices/%s/cert.pem", s->dir, device);
    snprintf(key, sizeof(key), "%s/devices/%s/key.pem", s->dir, device);
    if (pem_read_credentials(cert, key, out, &err))
        fail_msg("%s", err.text);
}

static inline int site_setup(void **state) {
    struct site *s = calloc(1, sizeof(*s));
    struct estc_error err = {0};
    void *place = NULL;
    if (place_setup(&place))
        return -1;
    s->place = place;
    snprintf(s->dir, sizeof(s->dir), "%s/site", s->place->path);
    const char *const devices[] = {"gateway-1", "gateway-2", NULL};
    const struct init_options options = {.dir = s->dir, .devices = devices, .lifetime = "90d"};
    if (init_site(&options, &err))
        fail_msg("%s", err.text);
    site_credentials(s, "gateway-1", &s->device);
    site_credentials(s, "gateway-2", &s->other);
    site_open(s);
    *state = s;
    return 0;
}

static inline int site_teardown(void **state) {
    struct site *s = *state;
    site_close(s);
    pem_credentials_clear(&s->device);
    pem_credentials_clear(&s->other);
    void *place = s->place;
    place_teardown(&place);
    free(s);
    return 0;
}

/* Replaces a text of the site's configuration, and opens it again. */
static inline void site_change(struct site *s, const char *from, const char *to) {
    char path[PATH_MAX + 32];
    snprintf(path, sizeof(path), "%s/est-registrar.conf", s->dir);
    struct estc_buf text = {0}, changed = {0};
    assert_int_equal(fs_read(AT_FDCWD, path, 1 << 16, &text, NULL, NULL), 0);
    const char *at = strstr((const char *)text.data, from);
    assert_non_null(at);
    estc_buf_append(&changed, text.data, (size_t)(at - (const char *)text.data));
    estc_buf_append(&changed, to, strlen(to));
    estc_buf_append(&changed, at + strlen(from), strlen(at + strlen(from)));
    assert_int_equal(fs_write_atomic(AT_FDCWD, path, changed.data, changed.len, 0644, NULL), 0);
    estc_buf_clear(&text);
    estc_buf_clear(&changed);
    site_close(s);
    site_open(s);
}

/* Runs SQL on the ledger from outside. */
static inline void site_sql(const struct site *s, const char *sql) {
    char path[PATH_MAX + 32];
    sqlite3 *db = NULL;
    snprintf(path, sizeof(path), "%s/ledger.sqlite", s->dir);
    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
    sqlite3_close(db);
}

/* A request of that key for these names. */
static inline X509_REQ *site_request(EVP_PKEY *key, const char *subject, const char *const *sans) {
    struct estc_buf der = {0};
    struct estc_error err = {0};
    X509_REQ *csr = NULL;
    const struct estc_csr_spec spec = {.subject = subject, .sans = sans};
    if (estc_csr_build(key, &spec, &der, &err) || estc_csr_parse(der.data, der.len, &csr, &err))
        fail_msg("%s", err.text);
    estc_buf_clear(&der);
    return csr;
}

/* Asks as the holder of cert would; the caller frees *issued. */
static inline int site_ask(struct site *s, X509 *cert, enum estc_op op, const char *label,
                           X509_REQ *csr, X509 **issued, struct estc_error *err) {
    const struct estc_peer peer = {.cert = cert, .address = "[::1]:1"};
    const struct estc_enroll_request request = {.op = op, .label = label, .csr = csr};
    int64_t retry_after = 0;
    return registrar_server_ops(s->registrar)
        ->enroll(s->registrar, &peer, &request, issued, &retry_after, err);
}

#define SITED(test) cmocka_unit_test_setup_teardown(test, site_setup, site_teardown)
