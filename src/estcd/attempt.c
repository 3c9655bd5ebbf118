/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The attempt: open, read credentials, connect, ask for the CA's certificates and the server's
 * wishes, key, request, enroll, check, prove, commit. Each step begins with what the earlier ones
 * have put on disk, so an attempt that ended anywhere is continued by the next one: a pending key
 * and request are sent again byte for byte, and a CA that has issued already answers with the same
 * certificate. A certificate that was checked is on disk as the candidate; the next attempt proves
 * it again and asks for nothing.
 *
 * What is pending survives every failure but three, for as long as pending_timeout. A refusal
 * (4.xx) means that there is no certificate for it, and a certificate that has expired by the time
 * it arrives, or has the old names instead of new ones, is of no use: in these cases the next
 * attempt begins with a new key.
 */
#include "attempt_internal.h"

#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "common/journal.h"
#include "common/pem.h"
#include "timebase.h"

#define ATTEMPT_LABEL(name, label, text) [name] = label,
const char *const attempt_step_names[] = {ATTEMPT_STEPS(ATTEMPT_LABEL)};
#undef ATTEMPT_LABEL
#define ATTEMPT_TEXT(name, label, text) [name] = text,
const char *const attempt_step_texts[] = {ATTEMPT_STEPS(ATTEMPT_TEXT)};
#undef ATTEMPT_TEXT

static void attempt_clear(struct attempt *a) {
    sealfile_clear(&a->seal);
    EVP_PKEY_free(a->server_key);
    EVP_PKEY_free(a->issued_key);
    X509_free(a->issued);
    wishes_plan_clear(&a->wishes);
    sk_X509_pop_free(a->chain, X509_free);
    store_pending_clear(&a->pending);
    estc_client_free(a->client);
    estc_transport_free(a->transport); /* before the anchors that it looks at */
    sk_X509_pop_free(a->intermediates, X509_free);
    estc_trust_free(a->anchors);
    estc_trust_free(a->earlier);
    estc_trust_free(a->designated);
    store_trust_clear(&a->held);
    estc_trust_free(a->trust);
    free(a->configured);
    X509_free(a->renewed);
    pem_credentials_clear(&a->credentials);
    store_close(a->store);
}

static int (*const steps[])(struct attempt *, char **detail, struct estc_error *) = {
    [ATTEMPT_OPEN] = attempt_open,
    [ATTEMPT_CREDENTIALS] = attempt_credentials,
    [ATTEMPT_CONNECT] = attempt_reach,
    [ATTEMPT_CACERTS] = attempt_cacerts,
    [ATTEMPT_ATTRIBUTES] = attempt_attributes,
    [ATTEMPT_KEY] = attempt_key,
    [ATTEMPT_CSR] = attempt_csr,
    [ATTEMPT_ENROLL] = attempt_enroll,
    [ATTEMPT_CHECK] = attempt_check,
    [ATTEMPT_PROVE] = attempt_prove,
    [ATTEMPT_COMMIT] = attempt_commit,
};

/* --- the whole --- */

/* Whether a step has been done by the attempt that left a candidate. */
static bool is_behind(const struct attempt *a, int step) {
    return a->found && step > ATTEMPT_CREDENTIALS && step < ATTEMPT_PROVE;
}

static int run_steps(struct attempt *a, struct estc_error *err) {
    for (int step = 0; step < ATTEMPT_STEP_MAX_; step++) {
        if (is_behind(a, step))
            continue;
        _cleanup(freep) char *detail = NULL;
        int rc = steps[step](a, &detail, err);
        if (rc)
            return rc;
        a->report(a->arg, (enum attempt_step)step, detail);
    }
    return 0;
}

/* What becomes of the pending request after a failure; see the top of this file. */
static int settle(struct attempt *a, int rc, struct estc_error *err) {
    if (rc == ESTC_E_PENDING) {
        int64_t now = timebase_now();
        a->pending.retry_at = now + a->retry_after;
        if (a->pending.since == 0 || a->pending.since > now) /* or the clock was set back */
            a->pending.since = now;
        int saved = store_save_pending(a->store, &a->pending, err);
        return saved ? saved : rc;
    }
    time_t now = (time_t)timebase_now();
    bool expired = a->issued && X509_cmp_time(X509_get0_notAfter(a->issued), &now) < 0;
    if (a->store && (rc == ESTC_E_REJECTED || expired || a->unwilling))
        store_drop_pending(a->store, NULL);
    return rc;
}

/* True when the server would not renew under other names. */
static bool run_once(const struct attempt_task *task, const struct estc_wait *wait,
                     attempt_report_fn report, void *arg, struct attempt_result *result) {
    _cleanup(attempt_clear) struct attempt a = {
        .task = task,
        .identity = task->identity,
        .report = report,
        .arg = arg,
        .wait = *wait,
    };
    struct estc_error err = {0};
    int rc = task->action == SCHEDULE_ROLLBACK ? attempt_roll_back(&a, &err) : run_steps(&a, &err);
    if (rc)
        rc = settle(&a, rc, &err);
    *result = (struct attempt_result){
        .code = rc,
        .text = rc ? strdup(err.text) : NULL,
        .retry_after = rc == ESTC_E_PENDING ? a.retry_after : 0,
        .since = rc == ESTC_E_PENDING ? a.pending.since : 0,
    };
    return a.unwilling;
}

/* Other names can be had from the birth certificate, too, as the first ones were. The second try
 * asks for no renewal, so there is no third. */
void attempt_run(const struct attempt_task *task, attempt_report_fn report, void *arg,
                 struct attempt_result *result) {
    const struct estc_wait wait = estc_wait_in(attempt_timeout(task) * 1000);
    if (!run_once(task, &wait, report, arg, result))
        return;
    journal_notice("%s: no renewal under the new names, so they are enrolled with the birth "
                   "certificate: %s",
                   task->identity->id, result->text ? result->text : "");
    free(result->text);
    const struct attempt_task anew = {
        .config = task->config,
        .identity = task->identity,
        .action = SCHEDULE_ENROLL,
        .rekey = task->rekey,
        .anew = task->anew,
    };
    run_once(&anew, &wait, report, arg, result);
}
