/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The CRL: version 2, with number, key identifier and reasons. Its number is the time, or one more
 * than that of the file that it replaces, so that it grows over restarts without being written down
 * anywhere else. What has expired stays in it for as long as one CRL lives.
 */
#include "crl.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include "base/cleanup_ossl.h"
#include "base/clock.h"
#include "base/fs.h"
#include "common/journal.h"
#include "pkix/ossl.h"

#define FILE_MAX (64 * 1024 * 1024)
#define RETRY 60 /* seconds, after it could not be written */

struct crl {
    const struct config *config;
    const struct ca *ca;
    struct ledger *ledger;
    sd_event_source *timer;
};

CLEANUP_DEFINE(X509_CRL *, x509_crl_freep, X509_CRL_free);
CLEANUP_DEFINE(X509_REVOKED *, x509_revoked_freep, X509_REVOKED_free);
CLEANUP_DEFINE(ASN1_INTEGER *, asn1_integer_freep, ASN1_INTEGER_free);
CLEANUP_DEFINE(ASN1_ENUMERATED *, asn1_enumerated_freep, ASN1_ENUMERATED_free);
CLEANUP_DEFINE(ASN1_TIME *, asn1_time_freep, ASN1_TIME_free);

/* --- reasons --- */

static const struct {
    const char *name;
    int64_t reason;
} reasons[] = {
    {"unspecified", 0}, {"keyCompromise", 1},        {"affiliationChanged", 3},
    {"superseded", 4},  {"cessationOfOperation", 5}, {"privilegeWithdrawn", 9},
};
const char crl_reasons_text[] = "unspecified, keyCompromise, affiliationChanged, superseded, "
                                "cessationOfOperation, privilegeWithdrawn";

int crl_reason_parse(const char *name, int64_t *out) {
    for (size_t i = 0; i < sizeof(reasons) / sizeof(reasons[0]); i++)
        if (strcmp(reasons[i].name, name) == 0) {
            *out = reasons[i].reason;
            return 0;
        }
    return -EINVAL;
}

const char *crl_reason_name(int64_t reason) {
    for (size_t i = 0; i < sizeof(reasons) / sizeof(reasons[0]); i++)
        if (reasons[i].reason == reason)
            return reasons[i].name;
    return "unspecified";
}

/* --- the list --- */

static int failed(struct estc_error *err) {
    return ossl_error(err, -EIO, "cannot make a CRL");
}

/* Unspecified is said by saying nothing (RFC 5280, 5.3.1). */
static bool set_reason(X509_REVOKED *revoked, int64_t reason) {
    _cleanup(asn1_enumerated_freep) ASN1_ENUMERATED *value = ASN1_ENUMERATED_new();
    return reason == 0 || (value && ASN1_ENUMERATED_set_int64(value, reason) &&
                           X509_REVOKED_add1_ext_i2d(revoked, NID_crl_reason, value, 0, 0) == 1);
}

static int add_revoked(void *arg, const char *serial, int64_t at, int64_t reason) {
    X509_CRL *crl = arg;
    BIGNUM *number = NULL;
    _cleanup(x509_revoked_freep) X509_REVOKED *revoked = X509_REVOKED_new();
    _cleanup(asn1_time_freep) ASN1_TIME *when = ASN1_TIME_adj(NULL, (time_t)at, 0, 0);
    if (BN_hex2bn(&number, serial) == 0)
        return -EUCLEAN;
    _cleanup(asn1_integer_freep) ASN1_INTEGER *value = BN_to_ASN1_INTEGER(number, NULL);
    BN_free(number);
    if (!revoked || !when || !value || !X509_REVOKED_set_serialNumber(revoked, value) ||
        !X509_REVOKED_set_revocationDate(revoked, when) || !set_reason(revoked, reason) ||
        !X509_CRL_add0_revoked(crl, revoked))
        return -ENOMEM;
    revoked = NULL;
    return 0;
}

static bool set_dates(X509_CRL *crl, int64_t now, int64_t lifetime) {
    _cleanup(asn1_time_freep) ASN1_TIME *begin = ASN1_TIME_adj(NULL, (time_t)now, 0, 0);
    _cleanup(asn1_time_freep) ASN1_TIME *end = ASN1_TIME_adj(NULL, (time_t)(now + lifetime), 0, 0);
    return begin && end && X509_CRL_set1_lastUpdate(crl, begin) &&
           X509_CRL_set1_nextUpdate(crl, end);
}

static bool set_number(X509_CRL *crl, int64_t number) {
    _cleanup(asn1_integer_freep) ASN1_INTEGER *value = ASN1_INTEGER_new();
    return value && ASN1_INTEGER_set_int64(value, number) &&
           X509_CRL_add1_ext_i2d(crl, NID_crl_number, value, 0, 0) == 1;
}

static int make(const struct crl *c, int64_t now, int64_t number, X509_CRL **out,
                struct estc_error *err) {
    const int64_t lifetime = c->config->crl_lifetime;
    _cleanup(x509_crl_freep) X509_CRL *crl = X509_CRL_new();
    if (!crl || !X509_CRL_set_version(crl, X509_CRL_VERSION_2) || !set_dates(crl, now, lifetime) ||
        !set_number(crl, number))
        return failed(err);
    struct estc_error why = {.text = ""};
    int rc = c->ledger->ops->each_revoked(c->ledger, now - lifetime, add_revoked, crl, &why);
    if (rc)
        return *why.text ? estc_error_set(err, rc, "%s", why.text) : failed(err);
    X509_CRL_sort(crl);
    rc = ca_sign_crl(c->ca, crl, err);
    if (!rc)
        *out = TAKE(crl);
    return rc;
}

/* --- the file --- */

static bool is_pem(const char *path) {
    size_t len = strlen(path);
    return len > 4 && strcmp(path + len - 4, ".pem") == 0;
}

/* Of what is there; 0 when that is no CRL with one. */
static int64_t number_there(const char *path) {
    _cleanup(estc_buf_clear) struct estc_buf content = {0};
    if (fs_read(AT_FDCWD, path, FILE_MAX, &content, NULL, NULL))
        return 0;
    _cleanup(bio_freep) BIO *bio = BIO_new_mem_buf(content.data, (int)content.len);
    _cleanup(x509_crl_freep) X509_CRL *crl = !bio ? NULL
                                             : is_pem(path)
                                                 ? PEM_read_bio_X509_CRL(bio, NULL, NULL, NULL)
                                                 : d2i_X509_CRL_bio(bio, NULL);
    _cleanup(asn1_integer_freep) ASN1_INTEGER *number =
        crl ? X509_CRL_get_ext_d2i(crl, NID_crl_number, NULL, NULL) : NULL;
    int64_t value = 0;
    if (!number || !ASN1_INTEGER_get_int64(&value, number) || value < 0 || value == INT64_MAX)
        value = 0;
    ossl_forget();
    return value;
}

int crl_write(struct crl *c, struct estc_error *err) {
    const char *path = c->config->crl_file;
    const int64_t now = clock_real(), least = number_there(path) + 1;
    _cleanup(x509_crl_freep) X509_CRL *crl = NULL;
    _cleanup(bio_freep) BIO *bio = BIO_new(BIO_s_mem());
    int rc = make(c, now, now > least ? now : least, &crl, err);
    if (rc)
        return rc;
    if (!bio || !(is_pem(path) ? PEM_write_bio_X509_CRL(bio, crl) : i2d_X509_CRL_bio(bio, crl)))
        return failed(err);
    char *data = NULL;
    long len = BIO_get_mem_data(bio, &data);
    return fs_write_atomic(AT_FDCWD, path, data, (size_t)len, 0644, err);
}

/* --- the schedule --- */

static int set_timer(const struct crl *c, int64_t seconds) {
    int rc = sd_event_source_set_time_relative(c->timer, (uint64_t)seconds * 1000000);
    return rc < 0 ? rc : sd_event_source_set_enabled(c->timer, SD_EVENT_ONESHOT);
}

static int on_timer(sd_event_source *source, uint64_t usec, void *arg) {
    struct crl *c = arg;
    struct estc_error err = {0};
    (void)source;
    (void)usec;
    int rc = crl_write(c, &err);
    if (rc)
        journal_error("ca.crl: %s", err.text);
    else
        journal_debug("CRL written to %s", c->config->crl_file);
    return set_timer(c, rc ? RETRY : c->config->crl_every);
}

void crl_soon(struct crl *c) {
    int rc = c && c->timer ? set_timer(c, 0) : 0;
    if (rc < 0)
        journal_error("cannot set a timer: %s", strerror(-rc));
}

int crl_start(struct crl *c, sd_event *event, struct estc_error *err) {
    int rc = crl_write(c, err);
    if (rc)
        return estc_error_prefix(err, "ca.crl");
    rc = sd_event_add_time_relative(event, &c->timer, CLOCK_BOOTTIME,
                                    (uint64_t)c->config->crl_every * 1000000, 1000000, on_timer, c);
    return rc < 0 ? estc_error_set(err, rc, "cannot set a timer: %s", strerror(-rc)) : 0;
}

int crl_new(const struct config *config, const struct ca *ca, struct ledger *ledger,
            struct crl **out, struct estc_error *err) {
    struct crl *c = calloc(1, sizeof(*c));
    if (!c)
        return estc_error_set(err, -ENOMEM, "out of memory");
    *c = (struct crl){.config = config, .ca = ca, .ledger = ledger};
    *out = c;
    return 0;
}

struct crl *crl_free(struct crl *c) {
    if (c)
        sd_event_source_disable_unref(c->timer);
    free(c);
    return NULL;
}
