/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The key and the request. Both are on disk before anything of them leaves the machine, and both
 * are used again by the next attempt if this one ends.
 */
#include "attempt_internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup_ossl.h"
#include "base/clock.h"
#include "base/text.h"

static int out_of_memory(struct estc_error *err) {
    return estc_error_set(err, -ENOMEM, "out of memory");
}

int attempt_key(struct attempt *a, char **detail, struct estc_error *err) {
    if (a->pending.key) {
        *detail = strdup("from an earlier attempt");
        return *detail ? 0 : out_of_memory(err);
    }
    enum estc_key_type type = a->wishes.key_type;
    int rc = estc_key_generate(type, &a->pending.key, err);
    if (rc)
        return rc;
    a->pending.op = a->op;
    a->pending.request_digest = strdup(a->identity->request_digest);
    *detail = strdup(estc_key_type_name(type));
    if (!a->pending.request_digest || !*detail)
        return out_of_memory(err);
    return store_save_pending(a->store, &a->pending, err);
}

/* Of this connection, when the request has to be bound to it. */
static int challenge(struct attempt *a, char **text, struct estc_error *err) {
    return a->wishes.challenge ? estc_client_challenge(a->client, &a->wait, text, err) : 0;
}

int attempt_csr(struct attempt *a, char **detail, struct estc_error *err) {
    if (a->pending.csr.len > 0 && !attempt_is_bound(a)) {
        *detail = strdup("from an earlier attempt");
        return *detail ? 0 : out_of_memory(err);
    }
    _cleanup(freep) char *binding = NULL;
    int rc = challenge(a, &binding, err);
    if (rc)
        return rc;
    const struct estc_csr_spec spec = {
        .subject = a->identity->subject,
        .name = a->wishes.subject,
        .sans =
            a->wishes.replaces_sans ? NULL : (const char *const *)a->identity->subject_alt_names,
        .renew = a->renewed,
        .challenge = binding,
        .digest = a->wishes.digest,
        .extensions = a->wishes.extensions,
    };
    estc_buf_clear(&a->pending.csr);
    rc = estc_csr_build(a->pending.key, &spec, &a->pending.csr, err);
    return rc ? rc : store_save_pending(a->store, &a->pending, err);
}
