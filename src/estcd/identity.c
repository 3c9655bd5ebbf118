/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * One identity as the manager sees it: facts and record in, state, exit code and plan out. Decides
 * nothing by itself and opens nothing, but for identity_check_files(), which is not for the
 * manager.
 */
#include "identity.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "alert.h"
#include "base/clock.h"
#include "base/text.h"
#include "common/exitcode.h"
#include "common/pem.h"
#include "common/sealfile.h"

#define IDENTITY_LABEL(name, label) [name] = label,
const char *const identity_state_names[] = {IDENTITY_STATES(IDENTITY_LABEL)};
#undef IDENTITY_LABEL

void identity_clear(struct identity *identity) {
    facts_clear(&identity->facts);
    store_attempts_clear(&identity->attempts);
    deploy_clear(&identity->deploy);
    free(identity->birth);
    *identity = (struct identity){0};
}

bool identity_undeployed(const struct identity *identity) {
    return identity->deploy.failures > 0 && identity->have_facts &&
           identity->deploy.generation == identity->facts.generation &&
           identity->config->deploy.digest;
}

bool identity_rolled_back(const struct identity *identity) {
    return identity->attempts.rolled_back != 0 && identity->have_facts &&
           identity->attempts.rolled_back == identity->facts.generation;
}

static bool is_stuck(const struct identity *identity, int64_t now) {
    const struct store_attempts *attempts = &identity->attempts;
    bool expired = identity->have_facts && identity->facts.not_after <= now;
    if (identity->store_unfit || (identity->have_facts && !expired))
        return false;
    return (attempts->failures >= IDENTITY_REFUSALS && attempts->last_result == ESTC_E_REJECTED) ||
           (expired && attempts->failures > 0 && attempts->last_result == ESTC_E_CREDENTIAL);
}

enum identity_state identity_state(const struct identity *identity, int64_t now) {
    const struct store_attempts *attempts = &identity->attempts;
    if (identity->working)
        return IDENTITY_WORKING;
    if (attempts->paused_since != 0)
        return IDENTITY_PAUSED;
    if (is_stuck(identity, now))
        return IDENTITY_STUCK;
    if (identity->store_unfit ||
        (attempts->failures > 0 && attempts->last_result == ESTC_E_CREDENTIAL))
        return IDENTITY_CONFIG;
    if (identity->have_facts && identity->facts.not_after <= now)
        return IDENTITY_EXPIRED;
    if (attempts->failures > 0)
        return IDENTITY_FAILING;
    if (attempts->pending_until != 0)
        return IDENTITY_PENDING;
    return identity->have_facts ? IDENTITY_VALID : IDENTITY_NEW;
}

/* What a failure's cause means for somebody who waits for the identity. */
static int cause_exit_code(int result) {
    static const struct {
        int result, code;
    } causes[] = {
        {ESTC_E_REJECTED, EXIT_REJECTED},   {ESTC_E_UNREACHABLE, EXIT_UNREACHABLE},
        {ESTC_E_TIMEOUT, EXIT_UNREACHABLE}, {ESTC_E_CREDENTIAL, EXIT_BAD_CONFIG},
        {ESTC_E_CONFIG, EXIT_BAD_CONFIG},   {ESTC_E_PENDING, EXIT_WORKING},
    };
    for (size_t i = 0; i < sizeof(causes) / sizeof(causes[0]); i++)
        if (causes[i].result == result)
            return causes[i].code;
    return EXIT_FAILED;
}

int identity_exit_code(const struct identity *identity, int64_t now) {
    switch (identity_state(identity, now)) {
    case IDENTITY_VALID:
        return identity_undeployed(identity) ? EXIT_FAILED : EXIT_DONE;
    case IDENTITY_NEW:
    case IDENTITY_WORKING:
    case IDENTITY_PENDING:
        return EXIT_WORKING;
    case IDENTITY_PAUSED: /* as somebody wants it, until it becomes dangerous */
        return identity->have_facts &&
                       now < schedule_latest(identity->facts.not_before, identity->facts.not_after)
                   ? EXIT_DONE
                   : EXIT_FAILED;
    case IDENTITY_CONFIG:
        return EXIT_BAD_CONFIG;
    case IDENTITY_FAILING:
    case IDENTITY_EXPIRED:
    case IDENTITY_STUCK:
        return identity->attempts.failures > 0 ? cause_exit_code(identity->attempts.last_result)
               : identity->attempts.pending_until != 0 ? EXIT_WORKING
                                                       : EXIT_FAILED;
    case IDENTITY_STATE_MAX_:
        break;
    }
    return EXIT_FAILED;
}

bool identity_needs_attention(const struct identity *identity, int64_t now) {
    int code = identity_exit_code(identity, now);
    struct alert alert;
    alert_decide(identity, now, &alert);
    return (code != EXIT_DONE && code != EXIT_WORKING) || alert.level != ALERT_NONE;
}

bool identity_needs_renewal(const struct identity *identity, int64_t now, int64_t within,
                            char **why) {
    const struct facts *facts = &identity->facts;
    char when[CLOCK_TEXT_MAX];
    if (!identity->have_facts || facts->not_after <= now) {
        *why = identity->have_facts
                   ? text_format("it has expired at %s", clock_text(facts->not_after, when))
                   : text_format("there is no certificate yet");
        return true;
    }
    if (within >= 0) {
        *why = text_format("it ends at %s", clock_text(facts->not_after, when));
        return facts->not_after - now <= within;
    }
    struct identity calm = *identity; /* looked at, and not owned */
    struct schedule_plan plan;
    calm.asked = false;
    calm.attempts.pending_until = 0;
    calm.attempts.paused_since = 0;
    if (calm.attempts.failures > 0) /* then the last attempt is not the one that brought it */
        calm.attempts = (struct store_attempts){.rolled_back = calm.attempts.rolled_back};
    identity_plan(&calm, NULL, now, &plan);
    *why = text_format("renewal is due at %s (%s)", clock_text(plan.due, when), plan.why);
    return plan.due <= now;
}

/* One that is not there is the configured one: see identity_configure(). */
static bool differs(const char *digest, const char *configured) {
    return digest && strcmp(digest, configured) != 0;
}

bool identity_wants_names_only(const struct config_identity *config, const struct facts *facts) {
    return config->key_origin != CONFIG_ORIGIN_SERVER &&
           differs(facts->request_digest, config->request_digest) &&
           !differs(facts->rest_digest, config->rest_digest);
}

void identity_configure(struct identity *identity, const struct config_identity *config) {
    const struct config_identity *old = identity->config;
    struct {
        char **own;
        const char *before, *now;
    } digests[] = {
        {&identity->facts.request_digest, old->request_digest, config->request_digest},
        {&identity->facts.rest_digest, old->rest_digest, config->rest_digest},
    };
    for (size_t i = 0; identity->have_facts && i < sizeof(digests) / sizeof(digests[0]); i++) {
        char **own = digests[i].own;
        if (!*own && differs(digests[i].before, digests[i].now))
            *own = strdup(digests[i].before); /* without memory: seen when it is next loaded */
        if (*own && strcmp(*own, digests[i].now) == 0) {
            free(*own);
            *own = NULL;
        }
    }
    identity->config = config;
}

void identity_plan(const struct identity *identity, const char *machine, int64_t now,
                   struct schedule_plan *out) {
    const struct facts *facts = &identity->facts;
    const struct schedule_input in = {
        .id = identity->config->id,
        .seed = identity->have_facts ? facts->sha256
                : identity->birth    ? identity->birth
                                     : machine,
        .have_certificate = identity->have_facts,
        .not_before = facts->not_before,
        .not_after = facts->not_after,
        .trust_until = identity->have_trust ? identity->trust.until : 0,
        .renew_at = identity->config->renew_at,
        .request_changed = identity->have_facts &&
                           differs(facts->request_digest, identity->config->request_digest),
        .names_only = identity->have_facts && identity_wants_names_only(identity->config, facts),
        .rolled_back = identity_rolled_back(identity),
        .asked = identity->asked,
        .unsure_since = identity->unsure_since,
        .failures = identity->attempts.failures,
        .last_attempt = identity->attempts.last_attempt,
        .last_result = identity->attempts.last_result,
        .pending_until = identity->attempts.pending_until,
        .pending_since = identity->attempts.pending_since,
        .nudged_at = identity->nudged_at,
        .started = identity->started,
        .spread = identity->spread,
        .paused = identity->attempts.paused_since != 0,
        .warned_at = identity->warned_at,
    };
    schedule_plan(&in, now, out);
}

int identity_check_files(const struct config_identity *config, struct estc_error *err) {
    struct estc_credentials credentials = {0};
    struct estc_trust *trust = NULL;
    int rc = pem_read_credentials(config->birth_certificate, config->birth_key, &credentials, err);
    if (!rc && config->trust)
        rc = pem_read_trust(config->trust, &trust, err);
    struct sealfile seal = {0};
    if (!rc && config->key_decrypt)
        rc = sealfile_read_own(config->key_decrypt, &seal, err);
    sealfile_clear(&seal);
    estc_trust_free(trust);
    pem_credentials_clear(&credentials);
    return rc;
}
