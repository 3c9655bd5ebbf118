/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What of a /crts answer may be believed (RFC 7030 section 4.1.3). The answer came over an
 * authenticated connection, which is the caller's to know; here the certificates are only sorted.
 */
#include <estc/client.h>

#include <errno.h>
#include <stdbool.h>

#include <openssl/x509v3.h>

#include <estc/cert.h>

#include "base/cleanup_ossl.h"

static void trust_freep(struct estc_trust **trust) {
    estc_trust_free(*trust);
}

static bool is_ca(X509 *cert) {
    return (X509_get_extension_flags(cert) & EXFLAG_CA) != 0;
}

/* Self-signed CA certificates become anchors if they stand on their own: in date, strong enough.
 * *seen counts all of them; err holds why the last unfit one is. */
static int collect_roots(const STACK_OF(X509) * received, int64_t now, struct estc_trust *anchors,
                         int *seen, struct estc_error *err) {
    *seen = 0;
    for (int i = 0; i < sk_X509_num(received); i++) {
        X509 *cert = sk_X509_value(received, i);
        if (!is_ca(cert) || !estc_cert_is_self_signed(cert))
            continue;
        (*seen)++;
        _cleanup(trust_freep) struct estc_trust *alone = NULL;
        int rc = estc_trust_new(&alone, err);
        if (!rc)
            rc = estc_trust_add(alone, cert, err);
        if (!rc)
            rc = estc_trust_verify(alone, cert, NULL, ESTC_PURPOSE_ANY, now, NULL, err);
        if (!rc)
            rc = estc_trust_add(anchors, cert, err);
        if (rc < 0)
            return rc;
    }
    return 0;
}

/* Adds cert to the intermediates if it leads to one of `roots`; then anchors gets the root it
 * leads to, which matters only when the roots are not from the answer. */
static int take_if_leading(X509 *cert, const STACK_OF(X509) * received,
                           const struct estc_trust *roots, int64_t now, struct estc_trust *anchors,
                           STACK_OF(X509) * intermediates, struct estc_error *err) {
    _cleanup(sk_x509_freep) STACK_OF(X509) *chain = NULL;
    int rc = estc_trust_verify(roots, cert, received, ESTC_PURPOSE_ANY, now, &chain, err);
    if (rc)
        return rc;
    rc = estc_trust_add(anchors, sk_X509_value(chain, sk_X509_num(chain) - 1), err);
    if (rc || sk_X509_num(chain) == 1) /* an anchor itself */
        return rc;
    if (!X509_add_cert(intermediates, cert, X509_ADD_FLAG_UP_REF | X509_ADD_FLAG_NO_DUP))
        return estc_error_set(err, -ENOMEM, "out of memory");
    return 0;
}

static int collect_rest(const STACK_OF(X509) * received, const struct estc_trust *roots,
                        int64_t now, struct estc_trust *anchors, STACK_OF(X509) * intermediates,
                        struct estc_error *err) {
    for (int i = 0; i < sk_X509_num(received); i++) {
        X509 *cert = sk_X509_value(received, i);
        if (!is_ca(cert))
            continue;
        int rc = take_if_leading(cert, received, roots, now, anchors, intermediates, err);
        if (rc < 0)
            return rc; /* ESTC_E_UNTRUSTED: passed over */
    }
    return 0;
}

int estc_cacerts_accept(const STACK_OF(X509) * received, const struct estc_trust *configured,
                        int64_t now, struct estc_trust **anchors, STACK_OF(X509) * *intermediates,
                        struct estc_error *err) {
    _cleanup(trust_freep) struct estc_trust *roots = NULL;
    _cleanup(sk_x509_freep) STACK_OF(X509) *rest = sk_X509_new_null();
    struct estc_error why = {.text = "none of its certificates is a CA's"};
    int self_signed = 0;
    int rc = rest ? estc_trust_new(&roots, err) : estc_error_set(err, -ENOMEM, "out of memory");
    if (rc)
        return rc;
    rc = collect_roots(received, now, roots, &self_signed, &why);
    if (!rc && (self_signed == 0 || estc_trust_count(roots) > 0))
        rc = collect_rest(received, self_signed ? roots : configured, now, roots, rest, &why);
    if (rc)
        return estc_error_set(err, rc, "%s", why.text);
    if (estc_trust_count(roots) == 0)
        return estc_error_set(err, ESTC_E_UNTRUSTED,
                              "/crts: no CA certificate of the answer can be trusted: %s",
                              why.text);
    *anchors = TAKE(roots);
    *intermediates = TAKE(rest);
    return 0;
}
