/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A key that the server makes (/skg). Nothing of it is on disk before it is committed together with
 * its certificate: an attempt that ends in between is repeated, and brings another key. What is
 * pending is only the throw-away key of the request, by which the server knows the request again.
 */
#include "attempt_internal.h"

#include "base/cleanup_estc.h"
#include "base/clock.h"
#include "common/journal.h"
#include "timebase.h"

static int add_all(struct estc_trust *to, const struct estc_trust *from, struct estc_error *err) {
    const STACK_OF(X509) *anchors = estc_trust_anchors(from);
    int rc = 0;
    for (int i = 0; !rc && i < sk_X509_num(anchors); i++)
        rc = estc_trust_add(to, sk_X509_value(anchors, i), err);
    return rc;
}

/* Who may have signed the key: whoever the EST CA vouches for, and where the server itself is known
 * by implicit anchors, whoever these do. */
static int signers(const struct attempt *a, struct estc_trust **out, struct estc_error *err) {
    _cleanup(trust_freep) struct estc_trust *trust = NULL;
    int rc = estc_trust_new(&trust, err);
    if (!rc)
        rc = add_all(trust, a->anchors, err);
    if (!rc && a->trust && estc_coaps_voucher(a->transport) == ESTC_VOUCHER_IMPLICIT)
        rc = add_all(trust, a->trust, err);
    if (!rc)
        *out = TAKE(trust);
    return rc;
}

int attempt_server_key(struct attempt *a, struct estc_error *err) {
    _cleanup(trust_freep) struct estc_trust *trust = NULL;
    int rc = signers(a, &trust, err);
    if (rc)
        return rc;
    /* RFC 7030 section 6: whoever made up this server would know the key from then on. */
    if (estc_coaps_voucher(a->transport) == ESTC_VOUCHER_IMPLICIT)
        journal_warning("%s: a server that only implicit anchors vouch for makes the key",
                        a->identity->id);
    const struct estc_seal seal =
        attempt_has_seal(a) ? sealfile_seal(&a->seal) : (struct estc_seal){0};
    const struct estc_opener opener = {.seal = &seal, .trust = trust, .now = timebase_for_dates()};
    _cleanup(estc_server_key_clear) struct estc_server_key pair = {0};
    rc = estc_client_server_key(a->client, a->op, a->pending.csr.data, a->pending.csr.len,
                                attempt_has_seal(a) ? &opener : NULL, &a->wait, &pair,
                                &a->retry_after, err);
    if (rc)
        return rc;
    a->server_key = TAKE(pair.key);
    a->issued = TAKE(pair.cert);
    return 0;
}
