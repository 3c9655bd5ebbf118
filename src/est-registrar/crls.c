/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Owns the CRLs of client CAs while the registrar serves. They are believed when an anchor of their
 * client CA has signed them; a list with critical extensions that change what it says (a delta,
 * say) is unfit. Whether a file has changed is looked at each time that somebody asks, so it needs
 * no signal and no timer. Fetches nothing: how a file gets there is the operator's.
 */
#include "crls.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include "base/cleanup_ossl.h"
#include "base/clock.h"
#include "base/fs.h"
#include "common/journal.h"
#include "pkix/ossl.h"

#define FILE_MAX (16 * 1024 * 1024)
#define LISTS_MAX 64

typedef STACK_OF(X509_CRL) lists_t;

static void free_lists(lists_t *lists) {
    sk_X509_CRL_pop_free(lists, X509_CRL_free);
}

CLEANUP_DEFINE(lists_t *, lists_freep, free_lists);

/* Of one client CA. */
struct source {
    const struct config_client_ca *ca;
    const STACK_OF(X509) * anchors;
    lists_t *lists;
    struct stat seen; /* the file when it was read, or could not be */
    bool told;        /* that it is out of date */
};

struct crls {
    size_t n;
    struct source sources[];
};

/* --- what is in a file --- */

static const X509 *anchor_of(const struct source *s, const X509_NAME *name) {
    for (int i = 0; i < sk_X509_num(s->anchors); i++) {
        const X509 *anchor = sk_X509_value(s->anchors, i);
        if (X509_NAME_cmp(X509_get_subject_name(anchor), name) == 0)
            return anchor;
    }
    return NULL;
}

/* A CA that has changed its key has several anchors of one name. */
static bool is_signed(const struct source *s, X509_CRL *crl) {
    for (int i = 0; i < sk_X509_num(s->anchors); i++) {
        const X509 *anchor = sk_X509_value(s->anchors, i);
        if (X509_NAME_cmp(X509_get_subject_name(anchor), X509_CRL_get_issuer(crl)) == 0 &&
            X509_CRL_verify(crl, X509_get0_pubkey(anchor)) == 1)
            return true;
    }
    return false;
}

static bool is_understood(const X509_CRL *crl) {
    for (int at = -1; (at = X509_CRL_get_ext_by_critical(crl, 1, at)) >= 0;)
        if (OBJ_obj2nid(X509_EXTENSION_get_object(X509_CRL_get_ext(crl, at))) !=
            NID_issuing_distribution_point)
            return false;
    return true;
}

static lists_t *decode(const struct estc_buf *content) {
    static const char pem[] = "-----BEGIN";
    _cleanup(bio_freep) BIO *bio = BIO_new_mem_buf(content->data, (int)content->len);
    _cleanup(lists_freep) lists_t *lists = sk_X509_CRL_new_null();
    const bool is_pem = memmem(content->data, content->len, pem, sizeof(pem) - 1) != NULL;
    X509_CRL *crl = NULL;
    while (
        bio && lists && sk_X509_CRL_num(lists) < LISTS_MAX &&
        (crl = is_pem ? PEM_read_bio_X509_CRL(bio, NULL, NULL, NULL) : d2i_X509_CRL_bio(bio, NULL)))
        if (sk_X509_CRL_push(lists, crl) <= 0) {
            X509_CRL_free(crl);
            return NULL;
        }
    ossl_forget();
    return lists && sk_X509_CRL_num(lists) > 0 ? TAKE(lists) : NULL;
}

static int unfit(const struct source *s, const char *why, struct estc_error *err) {
    return estc_error_set(err, ESTC_E_CREDENTIAL, "client_cas '%s': crl %s: %s", s->ca->name,
                          s->ca->crl, why);
}

static int read_file(struct source *s, struct estc_error *err) {
    _cleanup(estc_buf_clear) struct estc_buf content = {0};
    int rc = fs_read(AT_FDCWD, s->ca->crl, FILE_MAX, &content, &s->seen, err);
    if (rc)
        return estc_error_prefix(err, "client_cas '%s': crl", s->ca->name);
    _cleanup(lists_freep) lists_t *lists = decode(&content);
    if (!lists)
        return unfit(s, "no CRL in PEM or DER: fetch it again from the CA", err);
    for (int i = 0; i < sk_X509_CRL_num(lists); i++) {
        bool ours = is_signed(s, sk_X509_CRL_value(lists, i));
        ossl_forget();
        if (!ours)
            return unfit(s, "not signed by a certificate of this client CA: name its own CRL", err);
        if (!is_understood(sk_X509_CRL_value(lists, i)))
            return unfit(s, "a delta, or of another unknown kind: name the CA's complete CRL", err);
    }
    free_lists(s->lists);
    s->lists = TAKE(lists);
    s->told = false;
    return 0;
}

static bool has_changed(const struct source *s, const struct stat *now) {
    return s->seen.st_ino != now->st_ino || s->seen.st_size != now->st_size ||
           s->seen.st_mtim.tv_sec != now->st_mtim.tv_sec ||
           s->seen.st_mtim.tv_nsec != now->st_mtim.tv_nsec;
}

static void look_again(struct source *s) {
    struct stat now = {0};
    struct estc_error err = {0};
    if (stat(s->ca->crl, &now) < 0)
        now = (struct stat){0}; /* reading says why */
    if (!has_changed(s, &now))
        return;
    s->seen = now;
    if (read_file(s, &err))
        journal_error("%s; the one before stays in force", err.text);
    else
        journal_info("client_cas '%s': crl %s is read again", s->ca->name, s->ca->crl);
}

/* --- what it says --- */

static bool is_current(const struct source *s, const X509_NAME *issuer, int64_t now) {
    for (int i = 0; i < sk_X509_CRL_num(s->lists); i++) {
        const X509_CRL *crl = sk_X509_CRL_value(s->lists, i);
        const ASN1_TIME *end = X509_CRL_get0_nextUpdate(crl);
        time_t at = (time_t)now;
        if (X509_NAME_cmp(X509_CRL_get_issuer(crl), issuer) == 0 &&
            (!end || X509_cmp_time(end, &at) > 0))
            return true;
    }
    return false;
}

static bool has_revoked(const struct source *s, X509 *cert) {
    for (int i = 0; i < sk_X509_CRL_num(s->lists); i++) {
        X509_REVOKED *entry = NULL;
        if (X509_CRL_get0_by_cert(sk_X509_CRL_value(s->lists, i), &entry, cert) == 1)
            return true;
    }
    return false;
}

static int out_of_date(struct source *s, struct estc_error *err) {
    const bool refuse = s->ca->crl_outdated == CONFIG_CRL_REFUSE;
    if (!s->told)
        journal_warning("client_cas '%s': crl %s is out of date: its devices are %s", s->ca->name,
                        s->ca->crl,
                        refuse ? "refused until there is a new one" : "let in as if it were not");
    s->told = true;
    return refuse ? estc_error_set(err, ESTC_E_TIMEOUT,
                                   "the CRL of client CA '%s' is out of date here", s->ca->name)
                  : 0;
}

int crls_ask(struct crls *crls, X509 *cert, int64_t now, struct estc_error *err) {
    const X509_NAME *issuer = X509_get_issuer_name(cert);
    for (size_t i = 0; i < crls->n; i++) {
        struct source *s = &crls->sources[i];
        if (!s->ca->crl || !anchor_of(s, issuer))
            continue;
        look_again(s);
        if (has_revoked(s, cert))
            return estc_error_set(err, ESTC_E_REJECTED,
                                  "the client certificate is revoked by client CA '%s'",
                                  s->ca->name);
        int rc = is_current(s, issuer, now) ? 0 : out_of_date(s, err);
        if (rc)
            return rc;
    }
    return 0;
}

/* --- life --- */

struct crls *crls_close(struct crls *crls) {
    for (size_t i = 0; crls && i < crls->n; i++)
        free_lists(crls->sources[i].lists);
    free(crls);
    return NULL;
}

CLEANUP_DEFINE(struct crls *, crls_closep, crls_close);

int crls_check(const struct config_client_ca *ca, const struct estc_trust *anchors,
               struct estc_error *err) {
    struct source s = {.ca = ca, .anchors = estc_trust_anchors(anchors)};
    int rc = ca->crl ? read_file(&s, err) : 0;
    free_lists(s.lists);
    return rc;
}

int crls_open(const struct config *config, struct estc_trust *const *anchors, struct crls **out,
              struct estc_error *err) {
    const size_t n = config->client_cas.n;
    _cleanup(crls_closep) struct crls *crls = calloc(1, sizeof(*crls) + n * sizeof(struct source));
    if (!crls)
        return estc_error_set(err, -ENOMEM, "out of memory");
    for (; crls->n < n; crls->n++) {
        struct source *s = &crls->sources[crls->n];
        s->ca = config_client_ca_at(config, crls->n);
        s->anchors = estc_trust_anchors(anchors[crls->n]);
        int rc = s->ca->crl ? read_file(s, err) : 0;
        if (rc) {
            free_lists(s->lists);
            return rc;
        }
    }
    *out = TAKE(crls);
    return 0;
}
