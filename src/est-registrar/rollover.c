/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The CAs of a site grow older. All that is made here is new files with a number in their names,
 * beside what is in force; the last one written is the certificate that counts as made. Nothing is
 * in force before somebody names it in the configuration.
 */
#include "rollover.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include <openssl/x509v3.h>

#include <estc/cert.h>
#include <estc/key.h>

#include "base/cleanup_ossl.h"
#include "base/clock.h"
#include "base/fs.h"
#include "base/text.h"
#include "common/pem.h"
#include "sitefiles.h"

#define NUMBER_MAX 999
#define HOUR INT64_C(3600)

/* What is there and what it is about. */
struct work {
    int dirfd;
    const char *dir;
    int number; /* of what is made */
    struct pair root;
    X509 *issuing;
    STACK_OF(X509) * server;
    struct pair made; /* the new root; empty: it stays */
    X509 *new_issuing;
};

static void work_clear(struct work *w) {
    fs_closep(&w->dirfd);
    pair_clear(&w->root);
    X509_free(w->issuing);
    sk_X509_pop_free(w->server, X509_free);
    pair_clear(&w->made);
    X509_free(w->new_issuing);
}

void rollover_clear(struct rollover *made) {
    free(made->root_key);
    free(made->trust);
    free(made->chain);
    free(made->issuing);
    free(made->server);
    free(made->until);
    *made = (struct rollover){0};
}

static int out_of_memory(struct estc_error *err) {
    return estc_error_set(err, -ENOMEM, "out of memory");
}

/* --- names --- */

/* "ca/root.pem", then "ca/root-2.pem". */
static char *numbered(const char *stem, int number, const char *end) {
    return number == 1 ? text_format("%s%s", stem, end) : text_format("%s-%d%s", stem, number, end);
}

static int newest(int dirfd, const char *stem, const char *end) {
    int found = 1;
    for (int n = 2; n <= NUMBER_MAX; n++) {
        _cleanup(freep) char *path = numbered(stem, n, end);
        if (path && faccessat(dirfd, path, F_OK, 0) == 0)
            found = n;
    }
    return found;
}

/* A name for what is made, and the file for it. */
static int write_certs(const struct work *w, const char *stem, const STACK_OF(X509) * certs,
                       char **name, struct estc_error *err) {
    _cleanup(freep) char *path = numbered(stem, w->number, ".pem");
    int rc = path ? sitefiles_write_certs(w->dirfd, path, certs, err) : out_of_memory(err);
    if (!rc && name)
        *name = TAKE(path);
    return rc;
}

static int write_cert(const struct work *w, const char *stem, X509 *cert, char **name,
                      struct estc_error *err) {
    _cleanup(sk_x509_shallow_freep) STACK_OF(X509) *one = sk_X509_new_null();
    return one && sk_X509_push(one, cert) ? write_certs(w, stem, one, name, err)
                                          : out_of_memory(err);
}

/* --- what is there --- */

static char *in_folder(const struct work *w, const char *stem, const char *end) {
    _cleanup(freep) char *name = numbered(stem, newest(w->dirfd, stem, end), end);
    return name ? text_format("%s/%s", w->dir, name) : NULL;
}

static int read_first(const struct work *w, const char *stem, X509 **out, struct estc_error *err) {
    _cleanup(freep) char *path = in_folder(w, stem, ".pem");
    _cleanup(sk_x509_freep) STACK_OF(X509) *certs = NULL;
    int rc = path ? pem_read_certs(path, &certs, err) : out_of_memory(err);
    if (!rc)
        *out = sk_X509_shift(certs);
    return rc;
}

static int read_root(struct work *w, const char *key_path, struct estc_error *err) {
    _cleanup(freep) char *cert = in_folder(w, "ca/root", ".pem");
    _cleanup(freep) char *key =
        key_path ? text_format("%s", key_path) : in_folder(w, "offline/root", ".key");
    _cleanup(pem_credentials_clear) struct estc_credentials root = {0};
    int rc = cert && key ? pem_read_credentials(cert, key, &root, err) : out_of_memory(err);
    if (rc && !key_path)
        return estc_error_prefix(err, "without --root-key");
    if (rc)
        return rc;
    w->root = (struct pair){.cert = TAKE(root.cert), .key = TAKE(root.key)};
    return 0;
}

static int read_site(struct work *w, const struct rollover_options *options,
                     struct estc_error *err) {
    static const char *const stems[] = {"ca/root", "ca/issuing", "ca/chain", "server/cert"};
    w->dir = options->dir;
    w->dirfd = fs_open_dir(AT_FDCWD, options->dir, err);
    if (w->dirfd < 0)
        return w->dirfd;
    for (size_t i = 0; i < sizeof(stems) / sizeof(stems[0]); i++) {
        int n = newest(w->dirfd, stems[i], ".pem");
        w->number = n >= w->number ? n + 1 : w->number;
    }
    _cleanup(freep) char *server = in_folder(w, "server/cert", ".pem");
    int rc = read_root(w, options->root_key, err);
    if (!rc)
        rc = read_first(w, "ca/issuing", &w->issuing, err);
    if (!rc)
        rc = server ? pem_read_certs(server, &w->server, err) : out_of_memory(err);
    return rc;
}

/* --- certificates --- */

static int64_t end_of(X509 *cert) {
    _cleanup(estc_cert_facts_clear) struct estc_cert_facts facts = {0};
    return estc_cert_facts_get(cert, &facts, NULL) ? 0 : facts.not_after;
}

/* As long as the earlier one, or until the issuer's end. */
static int64_t new_end(X509 *earlier, const struct pair *issuer) {
    _cleanup(estc_cert_facts_clear) struct estc_cert_facts facts = {0};
    if (estc_cert_facts_get(earlier, &facts, NULL))
        return 0;
    int64_t end = clock_real() + facts.not_after - facts.not_before;
    int64_t limit = issuer ? end_of(issuer->cert) : CLOCK_LAST;
    return end < limit ? end : limit;
}

/* A CA's certificate with the name of an earlier one; issuer NULL: self-signed. */
static int certify(X509 *earlier, EVP_PKEY *key, const struct pair *issuer, EVP_PKEY *signer,
                   int64_t not_after, X509 **out, struct estc_error *err) {
    const struct mint_spec spec = {
        .subject = X509_get_subject_name(earlier),
        .key = key,
        .issuer = issuer ? issuer->cert : NULL,
        .signer = signer,
        .not_before = clock_real() - HOUR,
        .not_after = not_after,
        .ca = true,
        .path_length = (int)X509_get_pathlen(earlier),
    };
    if (not_after <= clock_real())
        return estc_error_set(err, ESTC_E_CREDENTIAL,
                              "the root has expired: it can certify nothing, so devices need a new "
                              "trust file; make a new site with init");
    return mint_certificate(&spec, out, err);
}

/* The server's certificate with the new issuing CA's above it, and above that what leads there from
 * an old root, for those who were away: the new one of these, or what stands there already. */
static int write_server(const struct work *w, X509 *cross, char **name, struct estc_error *err) {
    _cleanup(sk_x509_shallow_freep) STACK_OF(X509) *all = sk_X509_new_null();
    bool ok = all && sk_X509_push(all, sk_X509_value(w->server, 0)) &&
              sk_X509_push(all, w->new_issuing) && (!cross || sk_X509_push(all, cross));
    for (int i = 2; ok && !cross && i < sk_X509_num(w->server); i++)
        ok = sk_X509_push(all, sk_X509_value(w->server, i));
    return ok ? write_certs(w, "server/cert", all, name, err) : out_of_memory(err);
}

static int set_until(X509 *cert, struct rollover *made, struct estc_error *err) {
    char until[CLOCK_TEXT_MAX];
    made->until = text_format("%s", clock_text(end_of(cert), until));
    return made->until ? 0 : out_of_memory(err);
}

int rollover_renew(const struct rollover_options *options, struct rollover *made,
                   struct estc_error *err) {
    _cleanup(work_clear) struct work w = {.dirfd = -1};
    int rc = read_site(&w, options, err);
    if (!rc)
        rc = certify(w.issuing, X509_get0_pubkey(w.issuing), &w.root, w.root.key,
                     new_end(w.issuing, &w.root), &w.new_issuing, err);
    if (!rc)
        rc = write_server(&w, NULL, &made->server, err);
    if (!rc)
        rc = write_cert(&w, "ca/issuing", w.new_issuing, &made->issuing, err);
    return rc ? rc : set_until(w.issuing, made, err);
}

static int make_root(struct work *w, struct estc_error *err) {
    enum estc_key_type type = ESTC_KEY_P256;
    if (estc_key_type_of(w->root.key, &type))
        return estc_error_set(err, ESTC_E_CREDENTIAL, "the root's key is of an unsupported type");
    int rc = estc_key_generate(type, &w->made.key, err);
    if (!rc)
        rc = certify(w->root.cert, w->made.key, NULL, w->made.key, new_end(w->root.cert, NULL),
                     &w->made.cert, err);
    if (!rc)
        rc = certify(w->issuing, X509_get0_pubkey(w->issuing), &w->made, w->made.key,
                     new_end(w->issuing, &w->made), &w->new_issuing, err);
    return rc;
}

/* The key first: without it all else would be for nothing. */
static int write_root(const struct work *w, X509 *old_with_new, X509 *new_with_old,
                      struct rollover *made, struct estc_error *err) {
    X509 *const four[] = {w->root.cert, old_with_new, new_with_old, w->made.cert};
    _cleanup(sk_x509_shallow_freep) STACK_OF(X509) *all = sk_X509_new_null();
    for (size_t i = 0; i < sizeof(four) / sizeof(four[0]); i++)
        if (!all || !sk_X509_push(all, four[i]))
            return out_of_memory(err);
    made->root_key = numbered("offline/root", w->number, ".key");
    int rc = made->root_key ? sitefiles_write_key(w->dirfd, made->root_key, w->made.key, err)
                            : out_of_memory(err);
    if (!rc)
        rc = write_cert(w, "trust", w->made.cert, &made->trust, err);
    if (!rc)
        rc = write_certs(w, "ca/chain", all, &made->chain, err);
    if (!rc)
        rc = write_server(w, new_with_old, &made->server, err);
    if (!rc)
        rc = write_cert(w, "ca/issuing", w->new_issuing, &made->issuing, err);
    return rc ? rc : write_cert(w, "ca/root", w->made.cert, NULL, err);
}

int rollover_root(const struct rollover_options *options, struct rollover *made,
                  struct estc_error *err) {
    _cleanup(work_clear) struct work w = {.dirfd = -1};
    _cleanup(x509_freep) X509 *old_with_new = NULL, *new_with_old = NULL;
    int rc = read_site(&w, options, err);
    if (rc)
        return rc;
    const int64_t end = end_of(w.root.cert);
    rc = make_root(&w, err);
    if (!rc)
        rc = certify(w.root.cert, w.root.key, &w.made, w.made.key, end, &old_with_new, err);
    if (!rc)
        rc = certify(w.root.cert, w.made.key, &w.root, w.root.key, end, &new_with_old, err);
    if (!rc)
        rc = write_root(&w, old_with_new, new_with_old, made, err);
    return rc ? rc : set_until(w.root.cert, made, err);
}
