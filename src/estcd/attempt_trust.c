/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Whom an attempt believes. Two sets of anchors, never mixed: implicit ones, which the
 * configuration names, and explicit ones, which a /crts answer of an authenticated server brought
 * and which are kept in the identity's folder. As long as there are explicit ones they alone vouch
 * for the server (RFC 7030 section 4.1.3), unless the configuration says otherwise, or has been
 * given another trust since: then a human has decided, and all begins anew.
 *
 * A new set is put in force when the server has passed by it, never before; whatever fails on the
 * way leaves the old one as it was.
 */
#include "attempt_internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup_estc.h"
#include "base/cleanup_ossl.h"
#include "base/clock.h"
#include "base/text.h"
#include "common/journal.h"
#include "common/pem.h"
#include "timebase.h"

static int out_of_memory(struct estc_error *err) {
    return estc_error_set(err, -ENOMEM, "out of memory");
}

/* --- what is believed at first --- */

/* A hash of what the configuration trusts: of the certificates, not of how the file is written. */
static char *digest_of(const struct estc_trust *configured, const char *fingerprint) {
    _cleanup(md_ctx_freep) EVP_MD_CTX *md = EVP_MD_CTX_new();
    const STACK_OF(X509) *anchors = configured ? estc_trust_anchors(configured) : NULL;
    unsigned char hash[EVP_MAX_MD_SIZE];
    unsigned len = 0;
    bool ok = md && EVP_DigestInit_ex(md, EVP_sha256(), NULL) == 1;
    if (ok && fingerprint)
        ok = EVP_DigestUpdate(md, fingerprint, strlen(fingerprint)) == 1;
    for (int i = 0; ok && i < sk_X509_num(anchors); i++)
        ok = X509_digest(sk_X509_value(anchors, i), EVP_sha256(), hash, &len) == 1 &&
             EVP_DigestUpdate(md, hash, len) == 1;
    return ok && EVP_DigestFinal_ex(md, hash, &len) == 1 ? text_hex(hash, len) : NULL;
}

/* What is kept counts unless the configuration has been given another trust since. */
static int load_held(struct attempt *a, struct estc_error *err) {
    int rc = store_load_trust(a->store, &a->held, err);
    if (rc == -ENOENT)
        return 0;
    if (rc || strcmp(a->held.facts.configured, a->configured) == 0)
        return rc;
    journal_notice("%s: the configuration trusts something else than when the CA certificates "
                   "were received: they no longer count, and are asked for anew",
                   a->identity->id);
    store_trust_clear(&a->held);
    return 0;
}

int attempt_load_trust(struct attempt *a, struct estc_error *err) {
    const struct config_identity *i = a->identity;
    _cleanup(trust_freep) struct estc_trust *configured = NULL;
    int rc = i->trust ? pem_read_trust(i->trust, &configured, err) : 0;
    if (rc)
        return rc;
    a->configured = digest_of(configured, i->fingerprint);
    if (!a->configured)
        return out_of_memory(err);
    rc = load_held(a, err);
    if (rc)
        return rc;
    bool first = !a->held.trust;
    if (first && i->implicit_trust == CONFIG_IMPLICIT_NEVER)
        a->designated = TAKE(configured);
    else if (first || i->implicit_trust == CONFIG_IMPLICIT_ALWAYS)
        a->trust = TAKE(configured);
    return 0;
}

const struct estc_trust *attempt_explicit(const struct attempt *a) {
    return a->held.trust ? a->held.trust : a->designated;
}

/* --- the first time, by a fingerprint --- */

/* A connection for this one question; it ends here, whatever came of it. */
static int ask_anybody(struct attempt *a, const struct estc_coaps_options *options,
                       const struct estc_client_options *client_options, STACK_OF(X509) * *received,
                       struct estc_error *err) {
    _cleanup(transport_freep) struct estc_transport *transport = NULL;
    _cleanup(client_freep) struct estc_client *client = NULL;
    struct estc_coaps_options provisional = *options;
    struct estc_client_options on_it = *client_options;
    provisional.trust = provisional.explicit_trust = NULL;
    provisional.provisional = true;
    int rc = estc_coaps_new(&provisional, &transport, err);
    on_it.transport = transport;
    on_it.discover = false; /* nothing but /crts may be asked here */
    if (!rc)
        rc = estc_client_new(&on_it, &client, err);
    return rc ? rc : estc_client_cacerts(client, &a->wait, received, err);
}

int attempt_bootstrap(struct attempt *a, const struct estc_coaps_options *options,
                      const struct estc_client_options *client, struct estc_error *err) {
    struct estc_fingerprint fingerprint;
    if (!a->identity->fingerprint || attempt_explicit(a))
        return 0;
    _cleanup(sk_x509_freep) STACK_OF(X509) *received = NULL;
    int rc = estc_fingerprint_parse(a->identity->fingerprint, &fingerprint, err);
    if (!rc)
        rc = ask_anybody(a, options, client, &received, err);
    if (!rc)
        rc =
            estc_cacerts_confirm(received, &fingerprint, timebase_for_dates(), &a->designated, err);
    if (!rc)
        journal_notice("%s: the CA was found by its fingerprint", a->identity->id);
    return rc;
}

/* --- what /crts brought --- */

static const char *origin_of(const struct attempt *a) {
    if (estc_coaps_voucher(a->transport) != ESTC_VOUCHER_EXPLICIT)
        return TRUST_FROM_FILE;
    return a->held.trust              ? TRUST_FROM_EXPLICIT
           : a->identity->fingerprint ? TRUST_FROM_FINGERPRINT
                                      : TRUST_FROM_FILE;
}

static bool contains(const STACK_OF(X509) * list, X509 *cert) {
    for (int i = 0; i < sk_X509_num(list); i++)
        if (X509_cmp(sk_X509_value(list, i), cert) == 0)
            return true;
    return false;
}

static bool same_list(const STACK_OF(X509) * a, const STACK_OF(X509) * b) {
    bool same = sk_X509_num(a) == sk_X509_num(b);
    for (int i = 0; same && i < sk_X509_num(a); i++)
        same = contains(b, sk_X509_value(a, i));
    return same;
}

static bool same_set(const struct estc_trust *a, const struct estc_trust *b) {
    return same_list(estc_trust_anchors(a), estc_trust_anchors(b)) &&
           same_list(estc_trust_helpers(a), estc_trust_helpers(b));
}

static int keep(struct attempt *a, const struct estc_trust *set, const char *origin,
                struct estc_error *err) {
    if (a->held.trust && same_set(a->held.trust, set))
        return 0;
    _cleanup(trust_facts_clear) struct trust_facts facts = {0};
    int rc = trust_facts_make(set, origin, attempt_url(a), a->configured, &facts, err);
    if (!rc)
        rc = store_commit_trust(a->store, set, &facts, timebase_now(), err);
    return rc;
}

int attempt_take_trust(struct attempt *a, const STACK_OF(X509) * received, struct estc_error *err) {
    const struct estc_trust *before = attempt_explicit(a);
    _cleanup(trust_freep) struct estc_trust *set = NULL;
    _cleanup(sk_x509_freep) STACK_OF(X509) *rest = NULL;
    int rc = estc_cacerts_accept(received, before ? before : a->trust, timebase_for_dates(), &set,
                                 &rest, err);
    if (rc)
        return rc;
    const char *origin = origin_of(a);
    /* The connection may still look at the earlier set. */
    estc_trust_free(a->earlier);
    a->earlier = TAKE(a->anchors);
    a->anchors = TAKE(set);
    sk_X509_pop_free(a->intermediates, X509_free);
    a->intermediates = TAKE(rest);
    if (!estc_coaps_set_explicit(a->transport, a->anchors))
        rc = estc_client_connect(a->client, &a->wait, err);
    if (rc == ESTC_E_UNTRUSTED)
        return estc_error_prefix(err, "by the CA certificates that the server itself sent (not "
                                      "taken, what was trusted before stays in force)");
    return rc ? rc : keep(a, a->anchors, origin, err);
}
