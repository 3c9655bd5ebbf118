/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The last part: a certificate that is issued and on disk, the candidate, is tried where it will be
 * needed, in a handshake with the server that issued it, and then put in force by one rename. What
 * works stays in force until the candidate has worked, too, or until it works no longer itself.
 */
#include "attempt_prove.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "attempt_internal.h"
#include "base/cleanup_estc.h"
#include "base/cleanup_ossl.h"
#include "base/clock.h"
#include "base/text.h"
#include "common/journal.h"
#include "timebase.h"

static int out_of_memory(struct estc_error *err) {
    return estc_error_set(err, -ENOMEM, "out of memory");
}

/* --- what an earlier attempt has left --- */

int attempt_find_candidate(struct attempt *a, struct estc_error *err) {
    _cleanup(store_current_clear) struct store_current candidate = {0};
    if (a->task->anew)
        return 0;
    int rc = store_load_candidate(a->store, &candidate, err);
    if (rc)
        return rc == -ENOENT ? 0 : rc;
    /* One that does not fit stays until another takes its place: it harms nobody. */
    if (candidate.facts.not_after <= timebase_now() ||
        strcmp(candidate.facts.request_digest, a->identity->request_digest) != 0)
        return 0;
    a->issued_key = TAKE(candidate.key);
    a->issued = TAKE(candidate.cert);
    a->chain = TAKE(candidate.chain);
    a->found = true;
    store_finish_pending(a->store);
    return 0;
}

/* --- the proof --- */

bool prove_accepts(enum config_prove prove, bool works, int proof) {
    switch (prove) {
    case CONFIG_PROVE_AUTO:
        return proof == 0 || !works;
    case CONFIG_PROVE_ALWAYS:
        return proof == 0;
    case CONFIG_PROVE_NEVER:
        break;
    }
    return true;
}

/* A handshake as the new certificate's holder, and nothing more: the server has verified the
 * certificate when it ends, and its answer to /crts, which is for everybody (RFC 7030 section 4.1),
 * would say no more, at the price of a kilobyte. */
static int handshake(struct attempt *a, struct estc_error *err) {
    _cleanup(transport_freep) struct estc_transport *transport = NULL;
    const struct estc_credentials own = {
        .key = a->issued_key, .cert = a->issued, .chain = a->chain};
    struct estc_coaps_options options = attempt_way(a, &own);
    if (a->anchors)
        options.explicit_trust = a->anchors;
    if (options.explicit_trust && a->identity->implicit_trust != CONFIG_IMPLICIT_ALWAYS)
        options.trust = NULL;
    int rc = estc_coaps_new(&options, &transport, err);
    return rc ? rc : transport->ops->connect(transport, &a->wait, err);
}

/* Whether something in force would be missed. */
static bool works(const struct attempt *a) {
    _cleanup(facts_clear) struct facts facts = {0};
    return store_load_facts(a->task->config->state_directory, a->identity->id, &facts, NULL) == 0 &&
           facts.not_after > timebase_now();
}

int attempt_prove(struct attempt *a, char **detail, struct estc_error *err) {
    enum config_prove prove = (enum config_prove)a->identity->prove;
    struct estc_error why = {0};
    /* The old connection has nothing more to say, and one is enough for the server. */
    a->client = estc_client_free(a->client);
    a->transport = estc_transport_free(a->transport);
    int proof = prove == CONFIG_PROVE_NEVER ? 0 : handshake(a, &why);
    if (!prove_accepts(prove, works(a), proof))
        return estc_error_set(err, proof,
                              "the new certificate is kept, but not put in force before it has "
                              "been tried in a handshake: %s",
                              why.text);
    if (proof)
        journal_warning("%s: the new certificate is put in force, since there is none that works, "
                        "but it was tried in vain in a handshake: %s",
                        a->identity->id, why.text);
    *detail = strdup(prove == CONFIG_PROVE_NEVER ? "not tried (prove = \"never\")"
                     : proof                     ? "tried in vain"
                                                 : "the server knows it");
    return *detail ? 0 : out_of_memory(err);
}

/* --- in force --- */

int attempt_commit(struct attempt *a, char **detail, struct estc_error *err) {
    _cleanup(estc_cert_facts_clear) struct estc_cert_facts facts = {0};
    int rc = estc_cert_facts_get(a->issued, &facts, err);
    if (!rc)
        rc = store_promote(a->store, err);
    if (rc)
        return rc;
    char until[CLOCK_TEXT_MAX];
    *detail = text_format("valid until %s", clock_text(facts.not_after, until));
    return *detail ? 0 : out_of_memory(err);
}

int attempt_roll_back(struct attempt *a, struct estc_error *err) {
    _cleanup(facts_clear) struct facts facts = {0};
    int rc = store_open(a->task->config->state_directory, a->identity->id, &a->store, err);
    if (rc)
        return rc;
    a->report(a->arg, ATTEMPT_OPEN, NULL);
    rc = store_roll_back(a->store, timebase_now(), &facts, err);
    if (rc)
        return rc;
    char until[CLOCK_TEXT_MAX];
    _cleanup(freep) char *detail =
        text_format("serial %s, valid until %s", facts.serial, clock_text(facts.not_after, until));
    a->report(a->arg, ATTEMPT_COMMIT, detail);
    return 0;
}
