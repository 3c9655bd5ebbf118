/* SPDX-License-Identifier: BSD-2-Clause */
/* Alerts: comparisons and sentences. Reads no clock and keeps nothing; any numbers will do. */
#include "alert.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>

#include "base/clock.h"

#define PER_MILLE 1000

#define ALERT_LABEL(name, label) [name] = label,
const char *const alert_level_names[] = {ALERT_LEVELS(ALERT_LABEL)};
#undef ALERT_LABEL

static void raise(struct alert *out, enum alert_level level, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
static void raise(struct alert *out, enum alert_level level, const char *fmt, ...) {
    va_list args;
    out->level = level;
    va_start(args, fmt);
    vsnprintf(out->why, sizeof(out->why), fmt, args);
    va_end(args);
}

/* The moment at which a missing renewal is news: `alert_at` of the life that we have had it for,
 * and never before a renewal that begins as late as it may can have come. */
static int64_t late_since(const struct identity *identity) {
    const struct facts *facts = &identity->facts;
    bool issued = facts->issued_at > facts->not_before && facts->issued_at < facts->not_after;
    int64_t start = issued ? facts->issued_at : facts->not_before, life;
    if (__builtin_sub_overflow(facts->not_after, start, &life) || life <= 0)
        return facts->not_after;
    int64_t share = identity->config->alert_at;
    int64_t late = start + life / PER_MILLE * share + life % PER_MILLE * share / PER_MILLE;
    int64_t by = identity_rolled_back(identity)
                     ? schedule_latest(start, facts->not_after)
                     : schedule_renewed_by(start, facts->not_after, identity->config->renew_at);
    int64_t news = by + (facts->not_after - by) / 4;
    return late > news ? late : news;
}

/* What does not mend itself, when it has happened often enough: in words, or NULL. */
static const char *refusal(const struct store_attempts *attempts) {
    if (attempts->failures < IDENTITY_REFUSALS)
        return NULL;
    return attempts->last_result == ESTC_E_REJECTED ? "the CA rejects the request again and again"
           : attempts->last_result == ESTC_E_UNTRUSTED
               ? "the server or its certificate is not trusted, again and again"
               : NULL;
}

/* What is said of a certificate that has run out, when the birth credential does not help. */
static const char *birth_fault(const struct store_attempts *attempts) {
    return attempts->failures == 0 ? ""
           : attempts->last_result == ESTC_E_CREDENTIAL
               ? ", and a file that another one needs is missing or unfit: mend it"
           : attempts->last_result == ESTC_E_REJECTED && refusal(attempts)
               ? ", and the CA rejects the birth certificate: bring one that it accepts (estc "
                 "bootstrap)"
               : "";
}

/* All but the passing of time. */
static void decide_by_record(const struct identity *identity, struct alert *out) {
    const struct store_attempts *attempts = &identity->attempts;
    enum alert_level level = identity->have_facts ? ALERT_WARNING : ALERT_CRITICAL;
    const char *refused = refusal(attempts);
    if (identity->store_unfit)
        raise(out, ALERT_CRITICAL, "the certificate on disk cannot be used");
    else if (attempts->failures > 0 && attempts->last_result == ESTC_E_CREDENTIAL)
        raise(out, level, "a file is missing or unfit, and nothing is tried until it changes");
    else if (refused)
        raise(out, level, "%s", refused);
}

void alert_decide(const struct identity *identity, int64_t now, struct alert *out) {
    *out = (struct alert){.level = ALERT_NONE, .next = INT64_MAX};
    char when[CLOCK_TEXT_MAX];
    const struct store_attempts *attempts = &identity->attempts;
    decide_by_record(identity, out);
    if (!identity->have_facts || out->level == ALERT_CRITICAL)
        return;
    int64_t end = identity->facts.not_after, late = late_since(identity);
    if (end <= now) {
        const char *birth = birth_fault(attempts);
        raise(out, ALERT_CRITICAL, "the certificate has expired at %s%s", clock_text(end, when),
              birth);
        return;
    }
    out->next = late > now ? late : end;
    if (late <= now && out->level == ALERT_NONE)
        raise(out, ALERT_WARNING, "most of its life has passed without a renewal: it ends at %s",
              clock_text(end, when));
}
