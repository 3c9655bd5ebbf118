/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What is measured: one table of families for the daemon, one for identities, and the counters.
 * Counters begin at 0 with the daemon; whatever is a time or a state is what is known now.
 */
#include <errno.h>
#include <stdlib.h>

#include "alert.h"
#include "manager_internal.h"
#include "metrics.h"
#include "timebase.h"

#define LABELS(...) ((const struct metrics_label[]){__VA_ARGS__, {NULL, NULL}})

typedef void (*sample_fn)(struct metrics *metrics, const struct member *member);
typedef void (*daemon_fn)(struct metrics *metrics, const struct manager *manager);

/* --- counters --- */

/* Results that are no ESTC_E_* are of the system, and share one place. */
static size_t place_of(int result) {
    return result >= 0 && result < ESTC_E_MAX_ ? (size_t)result : ESTC_E_MAX_;
}

void member_count_attempt(struct member *member, int result) {
    if (!member->attempts_by_result)
        member->attempts_by_result = calloc(ESTC_E_MAX_ + 1, sizeof(uint32_t));
    if (member->attempts_by_result)
        member->attempts_by_result[place_of(result)]++;
}

/* --- the daemon --- */

static void build(struct metrics *metrics, const struct manager *manager) {
    (void)manager;
    metrics_sample(metrics, LABELS({"version", ESTC_VERSION}), 1);
}

static void start_time(struct metrics *metrics, const struct manager *manager) {
    metrics_sample(metrics, NULL, manager->started_at);
}

static void clock_trusted(struct metrics *metrics, const struct manager *manager) {
    (void)manager;
    metrics_sample(metrics, NULL, timebase_trusted());
}

static void identities(struct metrics *metrics, const struct manager *manager) {
    metrics_sample(metrics, NULL, (int64_t)manager->n_members);
}

static void running(struct metrics *metrics, const struct manager *manager) {
    metrics_sample(metrics, NULL, manager->n_working);
}

static void reloads(struct metrics *metrics, const struct manager *manager) {
    metrics_sample(metrics, LABELS({"result", "ok"}), manager->n_reloads);
    metrics_sample(metrics, LABELS({"result", "config"}), manager->n_reloads_failed);
}

static const struct {
    struct metrics_family family;
    daemon_fn sample;
} of_daemon[] = {
    {{"estcd_build", METRICS_INFO, NULL, "Version of the daemon."}, build},
    {{"estcd_start_timestamp_seconds", METRICS_GAUGE, "seconds",
      "When the daemon started, from which on counters count."},
     start_time},
    {{"estcd_clock_trusted", METRICS_GAUGE, NULL,
      "Whether the system clock can be right; 0: dates are judged by the earliest possible time."},
     clock_trusted},
    {{"estcd_identities", METRICS_GAUGE, NULL, "Identities in the configuration."}, identities},
    {{"estcd_attempts_running", METRICS_GAUGE, NULL, "Attempts under way."}, running},
    {{"estcd_reloads", METRICS_COUNTER, NULL,
      "Reloads of the configuration since the daemon started."},
     reloads},
};

/* --- identities --- */

static const char *id_of(const struct member *member) {
    return member->identity.config->id;
}

/* A time that may not be there. */
static void put_time(struct metrics *metrics, const struct member *member, bool known, int64_t at) {
    if (known)
        metrics_sample(metrics, LABELS({"id", id_of(member)}), at);
}

static void not_before(struct metrics *metrics, const struct member *member) {
    put_time(metrics, member, member->identity.have_facts, member->identity.facts.not_before);
}

static void not_after(struct metrics *metrics, const struct member *member) {
    put_time(metrics, member, member->identity.have_facts, member->identity.facts.not_after);
}

static void trust_until(struct metrics *metrics, const struct member *member) {
    put_time(metrics, member, member->identity.have_trust, member->identity.trust.until);
}

static void state(struct metrics *metrics, const struct member *member) {
    enum identity_state now = identity_state(&member->identity, timebase_now());
    for (int i = 0; i < IDENTITY_STATE_MAX_; i++)
        metrics_sample(
            metrics,
            LABELS({"id", id_of(member)}, {metrics->family->name, identity_state_names[i]}),
            i == (int)now);
}

static void alert(struct metrics *metrics, const struct member *member) {
    struct alert now;
    alert_decide(&member->identity, timebase_now(), &now);
    metrics_sample(metrics, LABELS({"id", id_of(member)}), now.level);
}

static void attempts(struct metrics *metrics, const struct member *member) {
    for (int result = 0; result <= ESTC_E_MAX_; result++) {
        uint32_t count = member->attempts_by_result ? member->attempts_by_result[result] : 0;
        if (result == 0 || count != 0)
            metrics_sample(
                metrics,
                LABELS({"id", id_of(member)},
                       {"result", result < ESTC_E_MAX_ ? estc_status_name(result) : "system"}),
                count);
    }
}

static void failures(struct metrics *metrics, const struct member *member) {
    metrics_sample(metrics, LABELS({"id", id_of(member)}), member->identity.attempts.failures);
}

static void last_attempt(struct metrics *metrics, const struct member *member) {
    int64_t at = member->identity.attempts.last_attempt;
    put_time(metrics, member, at != 0, at);
}

static void last_result(struct metrics *metrics, const struct member *member) {
    const struct store_attempts *record = &member->identity.attempts;
    size_t place = place_of(record->last_result);
    if (record->last_attempt != 0)
        metrics_sample(metrics,
                       LABELS({"id", id_of(member)}, {"action", record->last_action},
                              {"result", place < ESTC_E_MAX_ ? estc_status_name(record->last_result)
                                                             : "system"}),
                       1);
}

static void pending_since(struct metrics *metrics, const struct member *member) {
    const struct store_attempts *record = &member->identity.attempts;
    put_time(metrics, member, record->pending_until != 0 && record->pending_since != 0,
             record->pending_since);
}

static void next_due(struct metrics *metrics, const struct member *member) {
    metrics_sample(
        metrics,
        LABELS({"id", id_of(member)}, {"action", schedule_action_names[member->plan.action]}),
        member->plan.due);
}

static void deploy_state(struct metrics *metrics, const struct member *member) {
    for (int i = 0; member->identity.config->deploy.digest && i < DEPLOY_STATE_MAX_; i++)
        metrics_sample(
            metrics, LABELS({"id", id_of(member)}, {metrics->family->name, deploy_state_names[i]}),
            i == member->identity.deploy.state);
}

static void deploy_failures(struct metrics *metrics, const struct member *member) {
    if (member->identity.config->deploy.digest)
        metrics_sample(metrics, LABELS({"id", id_of(member)}), member->identity.deploy.failures);
}

static const struct {
    struct metrics_family family;
    sample_fn sample;
} of_identity[] = {
    {{"estcd_certificate_not_before_timestamp_seconds", METRICS_GAUGE, "seconds",
      "When the certificate begins."},
     not_before},
    {{"estcd_certificate_not_after_timestamp_seconds", METRICS_GAUGE, "seconds",
      "When the certificate expires."},
     not_after},
    {{"estcd_trust_not_after_timestamp_seconds", METRICS_GAUGE, "seconds",
      "When the first of the CA's anchors expires."},
     trust_until},
    {{"estcd_identity_state", METRICS_STATESET, NULL, "State of the identity."}, state},
    {{"estcd_identity_alert", METRICS_GAUGE, NULL,
      "Whether somebody should look: 0 none, 1 warning, 2 critical."},
     alert},
    {{"estcd_identity_attempts", METRICS_COUNTER, NULL,
      "Attempts by what came of them, since the daemon started."},
     attempts},
    {{"estcd_identity_consecutive_failures", METRICS_GAUGE, NULL, "Failures in a row."}, failures},
    {{"estcd_identity_last_attempt_timestamp_seconds", METRICS_GAUGE, "seconds",
      "End of the last attempt."},
     last_attempt},
    {{"estcd_identity_last_attempt", METRICS_INFO, NULL, "What came of the last attempt."},
     last_result},
    {{"estcd_identity_pending_since_timestamp_seconds", METRICS_GAUGE, "seconds",
      "When the CA first said that it has not decided yet."},
     pending_since},
    {{"estcd_identity_next_action_timestamp_seconds", METRICS_GAUGE, "seconds",
      "When the next action is due."},
     next_due},
    {{"estcd_identity_deploy_state", METRICS_STATESET, NULL, "Where the deployment stands."},
     deploy_state},
    {{"estcd_identity_deploy_consecutive_failures", METRICS_GAUGE, NULL,
      "Deployments failed in a row."},
     deploy_failures},
};

int manager_metrics(const struct manager *manager, enum metrics_syntax syntax, char **out,
                    size_t *len) {
    _cleanup(freep) char *text = NULL;
    FILE *stream = open_memstream(&text, len);
    if (!stream)
        return -ENOMEM;
    struct metrics metrics = {.out = stream, .syntax = syntax};
    for (size_t i = 0; i < sizeof(of_daemon) / sizeof(of_daemon[0]); i++) {
        metrics_begin(&metrics, &of_daemon[i].family);
        of_daemon[i].sample(&metrics, manager);
    }
    for (size_t i = 0; i < sizeof(of_identity) / sizeof(of_identity[0]); i++) {
        metrics_begin(&metrics, &of_identity[i].family);
        for (size_t m = 0; m < manager->n_members; m++)
            of_identity[i].sample(&metrics, manager->members[m]);
    }
    metrics_end(&metrics);
    bool failed = ferror(stream);
    if (fclose(stream) != 0 || failed)
        return -ENOMEM;
    *out = TAKE(text);
    return 0;
}
