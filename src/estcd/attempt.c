/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The attempt: open, read credentials, connect, ask for the CA's certificates, key, request,
 * enroll, check, commit. Each step begins with what the earlier ones have put on disk, so an
 * attempt that ended anywhere is continued by the next one: a pending key and request are sent
 * again byte for byte, and a CA that has issued already answers with the same certificate.
 *
 * What is pending survives every failure but two. A refusal (4.xx) means that there is no
 * certificate for it, and a certificate that has expired by the time it arrives is of no use: in
 * both cases the next attempt begins with a new key.
 */
#include "attempt.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <estc/estc.h>

#include "base/cleanup_ossl.h"
#include "base/clock.h"
#include "base/text.h"
#include "common/pem.h"
#include "store.h"

#define ATTEMPT_LABEL(name, label, text) [name] = label,
const char *const attempt_step_names[] = {ATTEMPT_STEPS(ATTEMPT_LABEL)};
#undef ATTEMPT_LABEL
#define ATTEMPT_TEXT(name, label, text) [name] = text,
const char *const attempt_step_texts[] = {ATTEMPT_STEPS(ATTEMPT_TEXT)};
#undef ATTEMPT_TEXT

/* Everything that one attempt owns; freed together. */
struct attempt {
    const struct attempt_task *task;
    const struct config_identity *identity;
    attempt_report_fn report;
    void *arg;
    struct estc_wait wait;
    enum estc_op op;

    struct store *store;
    struct estc_credentials credentials; /* who we are in the handshake */
    struct estc_trust *trust;            /* for the server */
    X509 *renewed;                       /* the certificate to renew, for /sren */
    struct estc_transport *transport;
    struct estc_client *client;
    struct estc_trust *anchors;     /* of the EST CA */
    STACK_OF(X509) * intermediates; /* the same */
    struct store_pending pending;
    X509 *issued;
    STACK_OF(X509) * chain; /* what stands between issued and its anchor */
    int64_t retry_after;
};

static void attempt_clear(struct attempt *a) {
    X509_free(a->issued);
    sk_X509_pop_free(a->chain, X509_free);
    store_pending_clear(&a->pending);
    sk_X509_pop_free(a->intermediates, X509_free);
    estc_trust_free(a->anchors);
    estc_client_free(a->client);
    estc_transport_free(a->transport);
    X509_free(a->renewed);
    estc_trust_free(a->trust);
    pem_credentials_clear(&a->credentials);
    store_close(a->store);
}

static int out_of_memory(struct estc_error *err) {
    return estc_error_set(err, -ENOMEM, "out of memory");
}

/* --- the steps --- */

/* Opens the folder, and picks the operation: what the plan says, or what is pending. */
static int step_open(struct attempt *a, char **detail, struct estc_error *err) {
    (void)detail;
    int rc = store_open(a->task->config->state_directory, a->identity->id, &a->store, err);
    if (rc)
        return rc;
    a->op = a->task->action == SCHEDULE_RENEW ? ESTC_OP_SREN : ESTC_OP_SEN;
    rc = store_load_pending(a->store, &a->pending, err);
    if (rc == -ENOENT)
        return 0;
    if (rc)
        return rc;
    bool same = strcmp(a->pending.request_digest, a->identity->request_digest) == 0;
    if (same && a->task->action == SCHEDULE_POLL)
        a->op = a->pending.op;
    if (same && a->pending.op == a->op)
        return 0;
    /* It belongs to another question than the one that is asked now. Other names than the current
     * certificate's are for /sen to ask for, whatever was pending. */
    store_pending_clear(&a->pending);
    return store_drop_pending(a->store, err);
}

/* The certificate to renew authenticates its own renewal (RFC 7030 section 3.3.2). */
static int use_current(struct attempt *a, struct estc_error *err) {
    struct store_current current = {0};
    int rc = store_load_current(a->store, &current, err);
    if (rc)
        return rc;
    a->renewed = X509_dup(current.cert);
    a->credentials = (struct estc_credentials){
        .key = TAKE(current.key), .cert = TAKE(current.cert), .chain = TAKE(current.chain)};
    store_current_clear(&current);
    return a->renewed ? 0 : out_of_memory(err);
}

static int step_credentials(struct attempt *a, char **detail, struct estc_error *err) {
    int rc = a->op == ESTC_OP_SREN
                 ? use_current(a, err)
                 : pem_read_credentials(a->identity->birth_certificate, a->identity->birth_key,
                                        &a->credentials, err);
    if (!rc)
        rc = pem_read_trust(a->identity->trust, &a->trust, err);
    if (rc)
        return rc;
    *detail = estc_name_text(X509_get_subject_name(a->credentials.cert));
    return *detail ? 0 : out_of_memory(err);
}

static int step_connect(struct attempt *a, char **detail, struct estc_error *err) {
    const struct config_identity *i = a->identity;
    const struct estc_coaps_options options = {
        .host = i->url_parts.host,
        .port = i->url_parts.port,
        .credentials = a->credentials,
        .trust = a->trust,
        .allow_rsa_server = i->allow_rsa_server == CONF_TRUE,
        .block_size = (unsigned)i->block_size,
        .max_body = (size_t)i->max_body,
    };
    int rc = estc_coaps_new(&options, &a->transport, err);
    if (rc)
        return rc;
    const struct estc_client_options client = {
        .transport = a->transport, .root = i->url_parts.root, .label = i->label};
    rc = estc_client_new(&client, &a->client, err);
    if (!rc)
        rc = estc_client_connect(a->client, &a->wait, err);
    if (rc)
        return rc;
    *detail = strdup(i->url);
    return *detail ? 0 : out_of_memory(err);
}

static int step_cacerts(struct attempt *a, char **detail, struct estc_error *err) {
    _cleanup(sk_x509_freep) STACK_OF(X509) *received = NULL;
    int rc = estc_client_cacerts(a->client, &a->wait, &received, err);
    if (!rc)
        rc = estc_cacerts_accept(received, a->trust, clock_real(), &a->anchors, &a->intermediates,
                                 err);
    if (rc)
        return rc;
    *detail = text_format("%d", sk_X509_num(received));
    return *detail ? 0 : out_of_memory(err);
}

static int step_key(struct attempt *a, char **detail, struct estc_error *err) {
    if (a->pending.key) {
        *detail = strdup("from an earlier attempt");
        return *detail ? 0 : out_of_memory(err);
    }
    enum estc_key_type type = (enum estc_key_type)a->identity->key_type;
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

static int step_csr(struct attempt *a, char **detail, struct estc_error *err) {
    if (a->pending.csr.len > 0) {
        *detail = strdup("from an earlier attempt");
        return *detail ? 0 : out_of_memory(err);
    }
    const struct estc_csr_spec spec = {
        .subject = a->identity->subject,
        .sans = (const char *const *)a->identity->subject_alt_names,
        .renew = a->renewed,
    };
    int rc = estc_csr_build(a->pending.key, &spec, &a->pending.csr, err);
    return rc ? rc : store_save_pending(a->store, &a->pending, err);
}

static int step_enroll(struct attempt *a, char **detail, struct estc_error *err) {
    int rc = estc_client_enroll(a->client, a->op, a->pending.csr.data, a->pending.csr.len, &a->wait,
                                &a->issued, &a->retry_after, err);
    if (rc)
        return rc;
    _cleanup(estc_cert_facts_clear) struct estc_cert_facts facts = {0};
    rc = estc_cert_facts_get(a->issued, &facts, err);
    if (rc)
        return rc;
    *detail = text_format("serial %s", facts.serial);
    return *detail ? 0 : out_of_memory(err);
}

/* Chain, dates and key, before anything that works is replaced. */
static int step_check(struct attempt *a, char **detail, struct estc_error *err) {
    (void)detail;
    _cleanup(sk_x509_freep) STACK_OF(X509) *chain = NULL;
    int rc = estc_trust_verify(a->anchors, a->issued, a->intermediates, ESTC_PURPOSE_ANY,
                               clock_real(), &chain, err);
    if (rc)
        return estc_error_prefix(err, "the issued certificate");
    if (!estc_cert_has_key(a->issued, a->pending.key))
        return estc_error_set(err, ESTC_E_MISMATCH,
                              "the issued certificate is not for the key that was made for it");
    if (X509_check_ca(a->issued) == 1)
        return estc_error_set(err, ESTC_E_MISMATCH,
                              "the issued certificate is one for a CA (basicConstraints CA:TRUE): "
                              "let the server issue end-entity certificates here");
    X509_free(sk_X509_shift(chain)); /* the certificate itself */
    X509_free(sk_X509_pop(chain));   /* the anchor */
    a->chain = TAKE(chain);
    return 0;
}

static int step_commit(struct attempt *a, char **detail, struct estc_error *err) {
    const struct store_issued issued = {
        .key = a->pending.key,
        .cert = a->issued,
        .chain = a->chain,
        .cacerts = estc_trust_anchors(a->anchors),
        .request_digest = a->pending.request_digest,
        .now = clock_real(),
    };
    _cleanup(facts_clear) struct facts facts = {0};
    int rc = store_commit(a->store, &issued, &facts, err);
    if (rc)
        return rc;
    char until[CLOCK_TEXT_MAX];
    *detail = text_format("valid until %s", clock_text(facts.not_after, until));
    return *detail ? 0 : out_of_memory(err);
}

static int (*const steps[])(struct attempt *, char **detail, struct estc_error *) = {
    [ATTEMPT_OPEN] = step_open,       [ATTEMPT_CREDENTIALS] = step_credentials,
    [ATTEMPT_CONNECT] = step_connect, [ATTEMPT_CACERTS] = step_cacerts,
    [ATTEMPT_KEY] = step_key,         [ATTEMPT_CSR] = step_csr,
    [ATTEMPT_ENROLL] = step_enroll,   [ATTEMPT_CHECK] = step_check,
    [ATTEMPT_COMMIT] = step_commit,
};

/* --- the whole --- */

static int run_steps(struct attempt *a, struct estc_error *err) {
    for (int step = 0; step < ATTEMPT_STEP_MAX_; step++) {
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
        a->pending.retry_at = clock_real() + a->retry_after;
        int saved = store_save_pending(a->store, &a->pending, err);
        return saved ? saved : rc;
    }
    bool expired = a->issued && X509_cmp_current_time(X509_get0_notAfter(a->issued)) < 0;
    if (a->store && (rc == ESTC_E_REJECTED || expired))
        store_drop_pending(a->store, NULL);
    return rc;
}

void attempt_run(const struct attempt_task *task, attempt_report_fn report, void *arg,
                 struct attempt_result *result) {
    _cleanup(attempt_clear) struct attempt a = {
        .task = task,
        .identity = task->identity,
        .report = report,
        .arg = arg,
        .wait = estc_wait_in(task->identity->attempt_timeout * 1000),
    };
    struct estc_error err = {0};
    int rc = run_steps(&a, &err);
    if (rc)
        rc = settle(&a, rc, &err);
    *result = (struct attempt_result){
        .code = rc,
        .text = rc ? strdup(err.text) : NULL,
        .retry_after = rc == ESTC_E_PENDING ? a.retry_after : 0,
    };
}
