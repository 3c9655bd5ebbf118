/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The key and the request. Both are on disk before anything of them leaves the machine, and both
 * are used again by the next attempt if this one ends: the key always, and the request byte for
 * byte unless it is bound to a connection. Such a one is built anew for each connection, after its
 * handshake (RFC 9148 section 4.7).
 */
#include "attempt_internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup_ossl.h"
#include "base/clock.h"
#include "base/text.h"
#include "common/journal.h"
#include "pkix/csr.h"

static int out_of_memory(struct estc_error *err) {
    return estc_error_set(err, -ENOMEM, "out of memory");
}

/* Renews the certificate and not the key (RFC 7030 section 4.2.2). */
static int keep_key(struct attempt *a, struct estc_error *err) {
    if (!EVP_PKEY_up_ref(a->credentials.key))
        return out_of_memory(err);
    a->pending.key = a->credentials.key;
    return 0;
}

int attempt_key(struct attempt *a, char **detail, struct estc_error *err) {
    if (a->pending.key) {
        *detail = strdup("from an earlier attempt");
        return *detail ? 0 : out_of_memory(err);
    }
    bool keep = a->op == ESTC_OP_SREN && a->identity->rekey == CONF_FALSE && !a->task->rekey;
    bool tpm = a->identity->key_origin == CONFIG_ORIGIN_TPM;
    int rc = keep  ? keep_key(a, err)
             : tpm ? estc_key_generate_in_tpm(a->wishes.key_type, &a->pending.key, err)
                   : estc_key_generate(a->wishes.key_type, &a->pending.key, err);
    if (rc)
        return rc;
    a->pending.op = a->op;
    a->pending.request_digest = strdup(a->identity->request_digest);
    *detail = keep ? strdup("as before")
                   : text_format("%s%s", estc_key_type_name(a->wishes.key_type),
                                 tpm ? ", in the TPM" : "");
    if (!a->pending.request_digest || !*detail)
        return out_of_memory(err);
    return store_save_pending(a->store, &a->pending, err);
}

/* Whether the pending request is bound to a connection, which is gone by now: it has to be built
 * again, with the same key (RFC 7030 section 3.5). */
static bool is_bound(const struct attempt *a) {
    _cleanup(x509_req_freep) X509_REQ *request = NULL;
    return a->pending.csr.len > 0 &&
           !estc_csr_parse(a->pending.csr.data, a->pending.csr.len, &request, NULL) &&
           csr_has_challenge(request);
}

/* Whether the request has to be bound to the connection that it goes out on. Recommended where only
 * implicit anchors tell who the server is (RFC 7030 section 6). One that was, stays so when the
 * server cannot be asked again. */
static bool wants_binding(const struct attempt *a) {
    switch ((enum config_pop)a->identity->pop) {
    case CONFIG_POP_AUTO:
        return a->wishes.challenge || !attempt_explicit(a) || is_bound(a);
    case CONFIG_POP_ALWAYS:
        return true;
    case CONFIG_POP_NEVER:
        break;
    }
    return false;
}

/* The channel binding, or NULL: without one. */
static int challenge(struct attempt *a, char **text, struct estc_error *err) {
    int rc = wants_binding(a) ? estc_client_challenge(a->client, &a->wait, text, err) : 0;
    if (rc != ESTC_E_PROTOCOL)
        return rc;
    if (a->identity->pop == CONFIG_POP_ALWAYS)
        return estc_error_prefix(err, "pop = \"always\"");
    journal_notice("%s: the request is not bound to its connection: %s", a->identity->id,
                   err->text);
    return 0;
}

bool attempt_resends(const struct attempt *a) {
    /* That for a key is built anew, since what the key is sealed with may have changed. */
    return a->pending.csr.len > 0 && a->op != ESTC_OP_SKG && !is_bound(a) &&
           a->identity->pop != CONFIG_POP_ALWAYS;
}

int attempt_csr(struct attempt *a, char **detail, struct estc_error *err) {
    if (attempt_resends(a)) {
        *detail = strdup("from an earlier attempt");
        return *detail ? 0 : out_of_memory(err);
    }
    _cleanup(freep) char *binding = NULL;
    int rc = challenge(a, &binding, err);
    if (rc)
        return rc;
    if (binding && !(*detail = strdup("bound to this connection")))
        return out_of_memory(err);
    const struct estc_seal seal =
        attempt_has_seal(a) ? sealfile_seal(&a->seal) : (struct estc_seal){0};
    const struct estc_csr_spec spec = {
        .subject = a->identity->subject,
        .name = a->wishes.subject,
        .sans =
            a->wishes.replaces_sans ? NULL : (const char *const *)a->identity->subject_alt_names,
        .renew = a->renewed,
        .rename = a->renaming,
        .challenge = binding,
        .digest = a->wishes.digest,
        .extensions = a->wishes.extensions,
        .seal = attempt_has_seal(a) ? &seal : NULL,
    };
    estc_buf_clear(&a->pending.csr);
    rc = estc_csr_build(a->pending.key, &spec, &a->pending.csr, err);
    return rc ? rc : store_save_pending(a->store, &a->pending, err);
}
