/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The attempt: open, read credentials, connect, ask for the CA's certificates and the server's
 * wishes, key, request, enroll, check, prove, commit. Each step begins with what the earlier ones
 * have put on disk, so an attempt that ended anywhere is continued by the next one: a pending key
 * and request are sent again byte for byte, and a CA that has issued already answers with the same
 * certificate. A certificate that was checked is on disk as the candidate; the next attempt proves
 * it again and asks for nothing.
 *
 * What is pending survives every failure but two, for as long as pending_timeout. A refusal (4.xx)
 * means that there is no certificate for it, and one that has the old names instead of new ones is
 * of no use: then the next attempt begins with a new key. A certificate that has expired by the
 * time it arrives is no such case: where our clock is years ahead, every one would be, and a new
 * key each time would have the CA issue another each time.
 *
 * Where several servers are named, all of this is done with one after the other until one of them
 * has answered: what a server could not be asked, the next one is.
 */
#include "attempt_internal.h"

#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/text.h"
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
    facts_clear(&a->facts);
    estc_url_clear(&a->server);
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
    bool again = a->servers->failed != 0; /* with the same files */
    for (int step = 0; step < ATTEMPT_STEP_MAX_; step++) {
        if (is_behind(a, step))
            continue;
        a->step = (enum attempt_step)step;
        _cleanup(freep) char *detail = NULL;
        int rc = steps[step](a, &detail, err);
        if (rc)
            return rc;
        if (!again || step > ATTEMPT_CREDENTIALS)
            a->report(a->arg, (enum attempt_step)step, detail);
    }
    return 0;
}

/* From when on pending_timeout counts. */
static void note_since(struct attempt *a, int64_t now) {
    if (a->pending.since == 0 || a->pending.since > now) /* or the clock was set back */
        a->pending.since = now;
}

/* What becomes of the pending request after a failure; see the top of this file. */
static int settle(struct attempt *a, int rc, struct estc_error *err) {
    int64_t now = timebase_now();
    if (rc == ESTC_E_PENDING) {
        a->pending.retry_at = now + a->retry_after;
        note_since(a, now);
        free(a->pending.url);
        a->pending.url = strdup(attempt_url(a));
        int saved = store_save_pending(a->store, &a->pending, err);
        return saved ? saved : rc;
    }
    time_t then = (time_t)now;
    bool expired = a->issued && X509_cmp_time(X509_get0_notAfter(a->issued), &then) < 0;
    bool refused = rc == ESTC_E_REJECTED && a->step == ATTEMPT_ENROLL;
    if (refused || a->unwilling) {
        store_drop_pending(a->store, NULL);
    } else if (expired && a->pending.key) {
        note_since(a, now);
        store_save_pending(a->store, &a->pending, NULL);
    }
    return rc;
}

void attempt_result_clear(struct attempt_result *result) {
    free(result->text);
    free(result->server);
    *result = (struct attempt_result){0};
}

/* What one server has brought. */
struct outcome {
    struct attempt_result result;
    bool unwilling; /* it would not renew under other names */
    bool elsewhere; /* another one may do better */
};

static void run_once(const struct attempt_task *task, struct attempt_servers *servers,
                     attempt_report_fn report, void *arg, struct outcome *out) {
    _cleanup(attempt_clear) struct attempt a = {
        .task = task,
        .identity = task->identity,
        .report = report,
        .arg = arg,
        .servers = servers,
    };
    struct estc_error err = {0};
    int rc = task->action == SCHEDULE_ROLLBACK ? attempt_roll_back(&a, &err) : run_steps(&a, &err);
    out->elsewhere = servers_may_differ(a.step, rc);
    if (rc)
        rc = settle(&a, rc, &err);
    out->unwilling = a.unwilling;
    out->result = (struct attempt_result){
        .code = rc,
        .text = rc ? strdup(err.text) : NULL,
        .server = a.spoken ? strdup(attempt_url(&a)) : NULL,
        .retry_after = rc == ESTC_E_PENDING ? a.retry_after : 0,
        .since = rc == ESTC_E_PENDING ? a.pending.since : 0,
    };
}

/* One server after the other, until one has answered; true when it was unwilling. Each begins with
 * what is on disk: the key and the request are the same. */
static bool run_servers(const struct attempt_task *task, struct attempt_servers *servers,
                        attempt_report_fn report, void *arg, struct attempt_result *result) {
    for (;;) {
        struct outcome outcome = {0};
        run_once(task, servers, report, arg, &outcome);
        attempt_result_clear(result);
        *result = outcome.result;
        if (servers->n < 2 || !outcome.elsewhere)
            return outcome.unwilling;
        const char *text = result->text ? result->text : "";
        if (!servers_failed(servers, result->code, text))
            break;
        journal_notice("%s: %s: %s; the next server is asked", task->identity->id,
                       servers->urls[servers->asked], text);
    }
    attempt_result_clear(result);
    result->code = servers_sum(servers, &result->text);
    return false;
}

/* Other names can be had from the birth certificate, too, as the first ones were. The second try
 * asks for no renewal, so there is no third. */
void attempt_run(const struct attempt_task *task, attempt_report_fn report, void *arg,
                 struct attempt_result *result) {
    _cleanup(servers_clear) struct attempt_servers servers = {
        .urls = task->identity->urls,
        .n = text_list_len(task->identity->urls),
        .wait = estc_wait_in(attempt_timeout(task) * 1000),
    };
    *result = (struct attempt_result){0};
    if (!run_servers(task, &servers, report, arg, result))
        return;
    journal_notice("%s: no renewal under the new names, so they are enrolled with the birth "
                   "certificate: %s",
                   task->identity->id, result->text ? result->text : "");
    const struct attempt_task anew = {
        .config = task->config,
        .identity = task->identity,
        .action = SCHEDULE_ENROLL,
        .rekey = task->rekey,
        .anew = task->anew,
    };
    run_servers(&anew, &servers, report, arg, result);
}
