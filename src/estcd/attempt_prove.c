/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The last part: a certificate that is issued and on disk, the candidate, is tried where it will be
 * needed, in a handshake with the server that issued it, and then put in force by one rename. What
 * works stays in force until the candidate has worked, too, or until it works no longer itself. One
 * that begins in the future waits, so that a clock which is hours behind does not make the CA issue
 * another with each try.
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
#include "schedule.h"
#include "timebase.h"

#define DAY INT64_C(86400)

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
    int64_t now = timebase_now();
    if (candidate.facts.not_after <= now || candidate.facts.not_before > now + DAY ||
        strcmp(candidate.facts.request_digest, a->identity->request_digest) != 0 ||
        (a->task->rekey && attempt_keeps_key(a, candidate.key)))
        return 0;
    a->issued_key = TAKE(candidate.key);
    a->issued = TAKE(candidate.cert);
    a->chain = TAKE(candidate.chain);
    a->issued_at = candidate.facts.issued_at;
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
    const struct estc_client_options client = attempt_root(a);
    /* By a fingerprint, and with no more than that when the candidate is an earlier attempt's. */
    int rc = a->anchors ? 0 : attempt_bootstrap(a, &options, &client, err);
    if (rc)
        return rc;
    options.explicit_trust = a->anchors ? a->anchors : attempt_explicit(a);
    if (options.explicit_trust && a->identity->implicit_trust != CONFIG_IMPLICIT_ALWAYS)
        options.trust = NULL;
    rc = estc_coaps_new(&options, &transport, err);
    if (!rc)
        rc = transport->ops->connect(transport, &a->wait, err);
    a->spoken |= !rc;
    return rc;
}

/* --- the dates --- */

bool prove_has_begun(const struct prove_dates *d) {
    int64_t theirs;
    if (d->begins <= d->now)
        return true;
    return d->have_current && !__builtin_add_overflow(d->begins, d->now - d->came, &theirs) &&
           theirs >= schedule_latest(d->not_before, d->not_after);
}

/* Whether something in force would be missed, and whether the new one may take its place yet. */
static int compare(const struct attempt *a, bool *works, struct estc_error *err) {
    _cleanup(estc_cert_facts_clear) struct estc_cert_facts issued = {0};
    int rc = estc_cert_facts_get(a->issued, &issued, err);
    if (rc)
        return rc;
    struct prove_dates dates = {
        .begins = issued.not_before, .came = a->issued_at, .now = timebase_now()};
    dates.have_current = a->have_facts;
    dates.not_before = a->facts.not_before;
    dates.not_after = a->facts.not_after;
    *works = attempt_has_working(a);
    /* Below the floor the system clock is known to be wrong, and not the CA's. */
    if (!timebase_trusted() || prove_has_begun(&dates))
        return 0;
    char begins[CLOCK_TEXT_MAX], now[CLOCK_TEXT_MAX];
    return estc_error_set(err, ESTC_E_UNTRUSTED,
                          "the issued certificate is not valid before %s (now: %s): this machine's "
                          "clock may be wrong, or the CA's; it is kept until it has begun",
                          clock_text(issued.not_before, begins), clock_text(dates.now, now));
}

int attempt_prove(struct attempt *a, char **detail, struct estc_error *err) {
    enum config_prove prove = (enum config_prove)a->identity->prove;
    struct estc_error why = {0};
    /* The old connection has nothing more to say, and one is enough for the server. */
    a->client = estc_client_free(a->client);
    a->transport = estc_transport_free(a->transport);
    bool works;
    int rc = compare(a, &works, err);
    if (rc)
        return rc;
    int proof = prove == CONFIG_PROVE_NEVER ? 0 : handshake(a, &why);
    if (!prove_accepts(prove, works, proof))
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
