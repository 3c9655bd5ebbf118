/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The rules of RFC 7030 section 3.6 for servers: explicit anchors (what /crts brought) vouch for
 * whoever has the right name or is the CA's registration authority, implicit ones (what came with
 * the device) for whoever has the right name, and for nobody else. Which set vouched is told by the
 * anchor at the chain's end; one that is in both sets is explicit. For clients the chain is all,
 * but for the one exception of RFC 9148 section 3, factory certificates that have expired.
 *
 * Keeps no certificate. Decides during the handshake, so that nothing is sent before.
 */
#include "coap/judge.h"

#include <errno.h>
#include <pthread.h>
#include <time.h>

#include <openssl/err.h>

#include <estc/cert.h>

#include "base/cleanup_ossl.h"
#include "coap/resolve.h"

static bool has_anchor(const struct estc_trust *trust, X509 *cert) {
    const STACK_OF(X509) *anchors = trust ? estc_trust_anchors(trust) : NULL;
    for (int i = 0; cert && i < sk_X509_num(anchors); i++)
        if (X509_cmp(sk_X509_value(anchors, i), cert) == 0)
            return true;
    return false;
}

X509_STORE *judge_store_new(const struct judge *judge, struct estc_error *err) {
    const struct estc_trust *first = judge->explicit_trust;
    const struct estc_trust *second = judge->implicit_trust;
    if (!first)
        first = second, second = NULL;
    _cleanup(x509_store_freep) X509_STORE *store = estc_trust_store_new(first, judge->now, err);
    const STACK_OF(X509) *more = second ? estc_trust_anchors(second) : NULL;
    bool ok = store != NULL;
    for (int i = 0; ok && i < sk_X509_num(more); i++)
        ok = X509_STORE_add_cert(store, sk_X509_value(more, i)) == 1;
    if (!store)
        return NULL;
    if (!ok) {
        ERR_clear_error();
        estc_error_set(err, -ENOMEM, "out of memory");
        return NULL;
    }
    return TAKE(store);
}

static X509 *chain_end(X509_STORE_CTX *ctx) {
    STACK_OF(X509) *chain = X509_STORE_CTX_get0_chain(ctx);
    return sk_X509_num(chain) > 0 ? sk_X509_value(chain, sk_X509_num(chain) - 1) : NULL;
}

static int refuse(X509_STORE_CTX *ctx, X509 *leaf, int error) {
    X509_STORE_CTX_set_error(ctx, error);
    X509_STORE_CTX_set_error_depth(ctx, 0);
    X509_STORE_CTX_set_current_cert(ctx, leaf);
    return 0;
}

/* ESTC_VOUCHER_NONE when the chain is good but says nothing of this host. */
static enum estc_voucher judge_server(const struct judge *judge, X509 *leaf, X509 *anchor) {
    bool named = estc_cert_names_host(leaf, judge->host, judge->port);
    if (has_anchor(judge->explicit_trust, anchor))
        return named || estc_cert_is_ra(leaf) ? ESTC_VOUCHER_EXPLICIT : ESTC_VOUCHER_NONE;
    return named && has_anchor(judge->implicit_trust, anchor) ? ESTC_VOUCHER_IMPLICIT
                                                              : ESTC_VOUCHER_NONE;
}

/* With what we know, and what the peer has sent. In this order: of an old root and the certificate
 * that leads from it to the new one OpenSSL takes the first, and does not come back. */
static int verify_chain(const struct judge *judge, X509_STORE_CTX *ctx) {
    STACK_OF(X509) *sent = X509_STORE_CTX_get0_untrusted(ctx);
    _cleanup(sk_x509_shallow_freep) STACK_OF(X509) *all = sk_X509_new_null();
    const STACK_OF(X509) *
        parts[] = {judge->explicit_trust ? estc_trust_helpers(judge->explicit_trust) : NULL,
                   judge->implicit_trust ? estc_trust_helpers(judge->implicit_trust) : NULL, sent};
    for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++)
        if (!all || (parts[i] && !X509_add_certs(all, (STACK_OF(X509) *)(uintptr_t)parts[i], 0)))
            return refuse(ctx, X509_STORE_CTX_get0_cert(ctx), X509_V_ERR_OUT_OF_MEM);
    X509_STORE_CTX_set0_untrusted(ctx, all);
    int ok = X509_verify_cert(ctx);
    X509_STORE_CTX_set0_untrusted(ctx, sent);
    return ok;
}

/* The way from a validation under way to its judge; a slot is process-wide by OpenSSL's design. */
static pthread_once_t judge_slot_once = PTHREAD_ONCE_INIT;
static int judge_slot = -1;

static void judge_slot_make(void) {
    judge_slot = X509_STORE_CTX_get_ex_new_index(0, NULL, NULL, NULL, NULL);
}

/* By now the whole chain is there, and all but the leaf's dates has been found good. */
static int forgive_age(int ok, X509_STORE_CTX *ctx) {
    const struct judge *judge = X509_STORE_CTX_get_ex_data(ctx, judge_slot);
    if (ok || X509_STORE_CTX_get_error(ctx) != X509_V_ERR_CERT_HAS_EXPIRED ||
        X509_STORE_CTX_get_error_depth(ctx) != 0 ||
        !has_anchor(judge->may_have_expired, chain_end(ctx)))
        return ok;
    X509_STORE_CTX_set_error(ctx, X509_V_OK);
    return 1;
}

/* A factory certificate says who made the device, and that stays true. */
static int judge_client(struct judge *judge, X509_STORE_CTX *ctx) {
    pthread_once(&judge_slot_once, judge_slot_make);
    if (judge->may_have_expired && X509_STORE_CTX_set_ex_data(ctx, judge_slot, judge) == 1)
        X509_STORE_CTX_set_verify_cb(ctx, forgive_age);
    int ok = verify_chain(judge, ctx);
    X509 *leaf = X509_STORE_CTX_get0_cert(ctx);
    return ok > 0 && judge->is_revoked && judge->is_revoked(judge->arg, leaf) > 0
               ? refuse(ctx, leaf, X509_V_ERR_CERT_REVOKED)
               : ok;
}

int judge_verify(struct judge *judge, X509_STORE_CTX *ctx) {
    judge->by = ESTC_VOUCHER_NONE;
    if (judge->provisional)
        return 1;
    if (!judge->host)
        return judge_client(judge, ctx);
    if (judge->now < 0)
        X509_STORE_CTX_set_verify_cb(ctx, estc_trust_forgive_start);
    int ok = verify_chain(judge, ctx);
    if (ok <= 0)
        return ok;
    X509 *leaf = X509_STORE_CTX_get0_cert(ctx);
    judge->by = judge_server(judge, leaf, chain_end(ctx));
    if (judge->by != ESTC_VOUCHER_NONE)
        return 1;
    return refuse(ctx, leaf,
                  resolve_is_address(judge->host) ? X509_V_ERR_IP_ADDRESS_MISMATCH
                                                  : X509_V_ERR_HOSTNAME_MISMATCH);
}

int judge_again(struct judge *judge, X509 *leaf, const STACK_OF(X509) * sent,
                struct estc_error *err) {
    const struct estc_trust *sets[] = {judge->explicit_trust, judge->implicit_trust};
    int64_t now = judge->now ? judge->now : (int64_t)time(NULL);
    int rc = ESTC_E_UNTRUSTED;
    for (size_t i = 0; i < sizeof(sets) / sizeof(sets[0]) && rc == ESTC_E_UNTRUSTED; i++) {
        _cleanup(sk_x509_freep) STACK_OF(X509) *chain = NULL;
        if (!sets[i])
            continue;
        rc = estc_trust_verify(sets[i], leaf, sent, ESTC_PURPOSE_SERVER, now, &chain, err);
        if (rc)
            continue;
        judge->by = judge_server(judge, leaf, sk_X509_value(chain, sk_X509_num(chain) - 1));
        if (judge->by == ESTC_VOUCHER_NONE)
            rc = estc_trust_error(X509_V_ERR_HOSTNAME_MISMATCH, leaf, now, err);
    }
    return rc;
}
