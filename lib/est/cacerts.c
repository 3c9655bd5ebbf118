/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What of a /crts answer may be believed (RFC 7030 section 4.1.3). That it may be believed at all
 * is the connection's doing: it came from a server that an anchor vouches for, or its root was
 * confirmed in another way. Here the certificates are only sorted:
 *
 *   the self-signed CA certificate that lives longest   the anchor ("NewWithNew")
 *   what leads to it (intermediates, "OldWithNew")      helpers
 *   all else, other roots above all                     nothing
 *
 * So the old root of a CA that has a new key is an anchor no more, but certificates of the old key
 * go on being good by OldWithNew. NewWithOld is kept too; whoever still has the old root alone gets
 * from it to the new key.
 */
#include <estc/client.h>

#include <errno.h>
#include <stdbool.h>

#include <openssl/x509v3.h>

#include <estc/cert.h>

#include "base/cleanup_estc.h"
#include "base/cleanup_ossl.h"

/* basicConstraints CA:TRUE, and a key usage, if there is one, that allows to sign certificates. */
static bool is_ca(X509 *cert) {
    return X509_check_ca(cert) == 1;
}

/* Whether it stands on its own: in date, strong enough. */
static int stands_alone(X509 *root, int64_t now, struct estc_error *err) {
    _cleanup(trust_freep) struct estc_trust *alone = NULL;
    int rc = estc_trust_new(&alone, err);
    if (!rc)
        rc = estc_trust_add(alone, root, err);
    return rc ? rc : estc_trust_verify(alone, root, NULL, ESTC_PURPOSE_ANY, now, NULL, err);
}

static bool ends_later(const X509 *a, const X509 *b) {
    return ASN1_TIME_compare(X509_get0_notAfter(a), X509_get0_notAfter(b)) > 0;
}

/* The newest root, NULL without any; *seen counts all. err holds why the last unfit one is. */
static int find_newest(const STACK_OF(X509) * received, int64_t now, X509 **newest, int *seen,
                       struct estc_error *err) {
    *newest = NULL;
    *seen = 0;
    for (int i = 0; i < sk_X509_num(received); i++) {
        X509 *cert = sk_X509_value(received, i);
        if (!is_ca(cert) || !estc_cert_is_self_signed(cert))
            continue;
        (*seen)++;
        int rc = stands_alone(cert, now, err);
        if (rc < 0)
            return rc;
        if (!rc && (!*newest || ends_later(cert, *newest)))
            *newest = cert;
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
    X509 *newest = NULL;
    int seen = 0;
    int rc = rest ? estc_trust_new(&roots, &why) : estc_error_set(&why, -ENOMEM, "out of memory");
    if (!rc)
        rc = find_newest(received, now, &newest, &seen, &why);
    if (!rc && newest)
        rc = estc_trust_add(roots, newest, &why);
    if (!rc && (newest || (seen == 0 && configured)))
        rc = collect_rest(received, newest ? roots : configured, now, roots, rest, &why);
    if (rc)
        return estc_error_set(err, rc, "%s", why.text);
    if (estc_trust_count(roots) == 0)
        return estc_error_set(err, ESTC_E_UNTRUSTED,
                              "/crts: no CA certificate of the answer can be trusted: %s",
                              why.text);
    for (int i = 0; i < sk_X509_num(rest); i++)
        if (estc_trust_add_helper(roots, sk_X509_value(rest, i), err))
            return -ENOMEM;
    *anchors = TAKE(roots);
    *intermediates = TAKE(rest);
    return 0;
}

int estc_cacerts_confirm(const STACK_OF(X509) * received,
                         const struct estc_fingerprint *fingerprint, int64_t now,
                         struct estc_trust **anchor, struct estc_error *err) {
    for (int i = 0; i < sk_X509_num(received); i++) {
        X509 *cert = sk_X509_value(received, i);
        if (!estc_fingerprint_matches(fingerprint, cert))
            continue;
        if (!is_ca(cert) || !estc_cert_is_self_signed(cert))
            return estc_error_set(err, ESTC_E_UNTRUSTED,
                                  "/crts: the certificate with the configured fingerprint is no "
                                  "root: configure the fingerprint of the CA's self-signed one");
        _cleanup(trust_freep) struct estc_trust *trust = NULL;
        int rc = stands_alone(cert, now, err);
        if (!rc)
            rc = estc_trust_new(&trust, err);
        if (!rc)
            rc = estc_trust_add(trust, cert, err);
        if (!rc)
            *anchor = TAKE(trust);
        return rc;
    }
    return estc_error_set(err, ESTC_E_UNTRUSTED,
                          "/crts: none of the server's %d CA certificates has the configured "
                          "fingerprint: it is not the server that was meant, or its CA has another "
                          "certificate now",
                          sk_X509_num(received));
}
