/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A set of trust anchors, and path validation against it (RFC 5280 section 6). Any certificate may
 * be an anchor, an intermediate or a leaf too. Weak keys and hashes never pass (security level 2,
 * 112 bits). X509_V_FLAG_X509_STRICT stays off: it refuses CA certificates without key identifiers,
 * which many small CAs make. Revocation is not looked at.
 */
#include <estc/trust.h>

#include <errno.h>
#include <stdlib.h>
#include <time.h>

#include <openssl/x509_vfy.h>
#include <openssl/x509v3.h>

#include <estc/cert.h>

#include "base/cleanup_ossl.h"
#include "pkix/ossl.h"

#define TRUST_SECURITY_LEVEL 2
/* Intermediates; RFC 7925 section 4.4.4 wants 3 certificates at least. */
#define TRUST_DEPTH_MAX 10

struct estc_trust {
    STACK_OF(X509) * anchors;
    STACK_OF(X509) * helpers;
};

int estc_trust_new(struct estc_trust **out, struct estc_error *err) {
    struct estc_trust *trust = calloc(1, sizeof(*trust));
    if (trust) {
        trust->anchors = sk_X509_new_null();
        trust->helpers = sk_X509_new_null();
    }
    if (!trust || !trust->anchors || !trust->helpers) {
        estc_trust_free(trust);
        return ossl_error(err, -ENOMEM, "out of memory");
    }
    *out = trust;
    return 0;
}

struct estc_trust *estc_trust_free(struct estc_trust *trust) {
    if (trust) {
        sk_X509_pop_free(trust->anchors, X509_free);
        sk_X509_pop_free(trust->helpers, X509_free);
    }
    free(trust);
    return NULL;
}

static int add_once(STACK_OF(X509) * list, X509 *cert, struct estc_error *err) {
    if (X509_add_cert(list, cert, X509_ADD_FLAG_UP_REF | X509_ADD_FLAG_NO_DUP))
        return 0;
    return ossl_error(err, -ENOMEM, "out of memory");
}

int estc_trust_add(struct estc_trust *trust, X509 *anchor, struct estc_error *err) {
    return add_once(trust->anchors, anchor, err);
}

int estc_trust_add_helper(struct estc_trust *trust, X509 *cert, struct estc_error *err) {
    return add_once(trust->helpers, cert, err);
}

int estc_trust_add_pem(struct estc_trust *trust, const void *pem, size_t len,
                       struct estc_error *err) {
    _cleanup(sk_x509_freep) STACK_OF(X509) *list = NULL;
    int rc = estc_certs_from_pem(pem, len, &list, err);
    for (int i = 0; !rc && i < sk_X509_num(list); i++)
        rc = estc_trust_add(trust, sk_X509_value(list, i), err);
    return rc;
}

size_t estc_trust_count(const struct estc_trust *trust) {
    return (size_t)sk_X509_num(trust->anchors);
}

const STACK_OF(X509) * estc_trust_anchors(const struct estc_trust *trust) {
    return trust->anchors;
}

const STACK_OF(X509) * estc_trust_helpers(const struct estc_trust *trust) {
    return trust->helpers;
}

int64_t estc_at_least(int64_t floor) {
    return -floor;
}

X509_STORE *estc_trust_store_new(const struct estc_trust *trust, int64_t now,
                                 struct estc_error *err) {
    _cleanup(x509_store_freep) X509_STORE *store = X509_STORE_new();
    bool ok = store != NULL;
    for (int i = 0; ok && i < sk_X509_num(trust->anchors); i++)
        ok = X509_STORE_add_cert(store, sk_X509_value(trust->anchors, i));
    if (!ok) {
        ossl_error(err, -ENOMEM, "out of memory");
        return NULL;
    }
    X509_VERIFY_PARAM *param = X509_STORE_get0_param(store);
    X509_VERIFY_PARAM_set_flags(param, X509_V_FLAG_PARTIAL_CHAIN);
    X509_VERIFY_PARAM_set_auth_level(param, TRUST_SECURITY_LEVEL);
    X509_VERIFY_PARAM_set_depth(param, TRUST_DEPTH_MAX);
    if (now != 0)
        X509_VERIFY_PARAM_set_time(param, (time_t)(now < 0 ? -now : now));
    if (now < 0)
        X509_STORE_set_verify_cb(store, estc_trust_forgive_start);
    return TAKE(store);
}

int estc_trust_forgive_start(int ok, X509_STORE_CTX *ctx) {
    if (ok || X509_STORE_CTX_get_error(ctx) != X509_V_ERR_CERT_NOT_YET_VALID)
        return ok;
    X509_STORE_CTX_set_error(ctx, X509_V_OK);
    return 1;
}

/* Of a leaf alone. */
static int forgive_age(int ok, X509_STORE_CTX *ctx) {
    if (ok || X509_STORE_CTX_get_error(ctx) != X509_V_ERR_CERT_HAS_EXPIRED ||
        X509_STORE_CTX_get_error_depth(ctx) != 0)
        return ok;
    X509_STORE_CTX_set_error(ctx, X509_V_OK);
    return 1;
}

static bool set_purpose(X509_STORE_CTX *ctx, enum estc_purpose purpose) {
    switch (purpose) {
    case ESTC_PURPOSE_ANY:
        return true;
    case ESTC_PURPOSE_SERVER:
        return X509_STORE_CTX_set_purpose(ctx, X509_PURPOSE_SSL_SERVER);
    case ESTC_PURPOSE_CLIENT:
        return X509_STORE_CTX_set_purpose(ctx, X509_PURPOSE_SSL_CLIENT);
    case ESTC_PURPOSE_EXPIRED_CLIENT:
        X509_STORE_CTX_set_verify_cb(ctx, forgive_age);
        return X509_STORE_CTX_set_purpose(ctx, X509_PURPOSE_SSL_CLIENT);
    }
    return false;
}

/* Those that are roots, or those that are none. */
static bool add_untrusted(STACK_OF(X509) * to, const STACK_OF(X509) * from, bool roots) {
    bool ok = true;
    for (int i = 0; ok && i < sk_X509_num(from); i++) {
        X509 *cert = sk_X509_value(from, i);
        if ((X509_self_signed(cert, 0) == 1) == roots)
            ok = sk_X509_push(to, cert) > 0;
    }
    return ok;
}

int estc_trust_verify(const struct estc_trust *trust, X509 *leaf, const STACK_OF(X509) * untrusted,
                      enum estc_purpose purpose, int64_t now, STACK_OF(X509) * *chain,
                      struct estc_error *err) {
    _cleanup(x509_store_freep) X509_STORE *store = estc_trust_store_new(trust, now, err);
    if (!store)
        return -ENOMEM;
    _cleanup(x509_store_ctx_freep) X509_STORE_CTX *ctx = X509_STORE_CTX_new();
    _cleanup(sk_x509_shallow_freep) STACK_OF(X509) *helpers = sk_X509_dup(trust->helpers);
    /* Ours first, roots last: of an old root and the certificate that leads from it to the new one
     * OpenSSL takes the first, and does not come back. */
    bool joined = helpers && add_untrusted(helpers, untrusted, false) &&
                  add_untrusted(helpers, untrusted, true);
    if (!ctx || !joined || !X509_STORE_CTX_init(ctx, store, leaf, helpers) ||
        !set_purpose(ctx, purpose))
        return ossl_error(err, -ENOMEM, "cannot set up the validation of a certificate");
    int good = X509_verify_cert(ctx);
    int v_err = X509_STORE_CTX_get_error(ctx);
    if (good != 1) {
        X509 *at_fault = X509_STORE_CTX_get_current_cert(ctx);
        return estc_trust_error(v_err == X509_V_OK ? X509_V_ERR_UNSPECIFIED : v_err,
                                at_fault ? at_fault : leaf, now, err);
    }
    ossl_forget();
    if (!chain)
        return 0;
    STACK_OF(X509) *verified = X509_STORE_CTX_get1_chain(ctx);
    if (!verified)
        return ossl_error(err, -ENOMEM, "out of memory");
    *chain = verified;
    return 0;
}
