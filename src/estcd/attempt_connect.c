/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The first half of an attempt: the identity's folder, who we are, the server, and whom its CA is
 * made of. Writes the anchors of the CA, and cleans up what belongs to another question.
 */
#include "attempt_internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup_ossl.h"
#include "base/clock.h"
#include "base/text.h"
#include "common/journal.h"
#include "common/pem.h"
#include "identity.h"
#include "timebase.h"

static int out_of_memory(struct estc_error *err) {
    return estc_error_set(err, -ENOMEM, "out of memory");
}

/* The CA has taken too long: a new request with a new key takes the place of the old one. */
static int give_up_pending(struct attempt *a, char **detail, struct estc_error *err) {
    char since[CLOCK_TEXT_MAX];
    *detail = text_format(a->pending.retry_at != 0
                              ? "gave up the request that the CA has not decided on since %s"
                              : "gave up the request that brings expired certificates since %s",
                          clock_text(a->pending.since, since));
    if (!*detail)
        return out_of_memory(err);
    journal_warning("%s: %s (pending_timeout); it is made anew, with a new key", a->identity->id,
                    *detail);
    store_pending_clear(&a->pending);
    return store_drop_pending(a->store, err);
}

static enum estc_op op_of(const struct attempt *a) {
    if (a->identity->key_origin == CONFIG_ORIGIN_SERVER)
        return ESTC_OP_SKG;
    return a->renewing ? ESTC_OP_SREN : ESTC_OP_SEN;
}

bool attempt_has_working(const struct attempt *a) {
    return a->have_facts && a->facts.not_after > timebase_now();
}

/* Whether a pending /skg is for a successor: the operation alone does not tell. */
static bool can_renew(const struct attempt *a) {
    return attempt_has_working(a) &&
           strcmp(a->facts.request_digest, a->identity->request_digest) == 0;
}

/* Whether a renewal would have to ask for other names than those of the current certificate. */
static bool wants_other_names(const struct attempt *a) {
    return a->have_facts && identity_wants_names_only(a->identity, &a->facts);
}

bool attempt_keeps_key(const struct attempt *a, const EVP_PKEY *key) {
    _cleanup(store_current_clear) struct store_current current = {0};
    return store_load_current(a->store, &current, NULL) == 0 && EVP_PKEY_eq(current.key, key) == 1;
}

/* Opens the folder, and picks the operation: what the plan says, or what is pending. */
static int open_folder(struct attempt *a, char **detail, struct estc_error *err) {
    const char *state = a->task->config->state_directory;
    int rc = store_open(state, a->identity->id, &a->store, err);
    if (rc)
        return rc;
    a->have_facts = store_load_facts(state, a->identity->id, &a->facts, NULL) == 0;
    a->renewing = a->task->action == SCHEDULE_RENEW;
    a->op = op_of(a);
    rc = attempt_find_candidate(a, err);
    if (rc || a->found)
        return rc;
    rc = store_load_pending(a->store, &a->pending, err);
    if (rc == -ENOENT)
        return 0;
    if (rc)
        return rc;
    bool same = strcmp(a->pending.request_digest, a->identity->request_digest) == 0 &&
                !(a->task->rekey && attempt_keeps_key(a, a->pending.key));
    if (same && a->task->action == SCHEDULE_POLL) {
        a->op = a->pending.op;
        a->renewing = a->op == ESTC_OP_SREN || (a->op == ESTC_OP_SKG && can_renew(a));
    }
    /* New names that the server would not renew under: on with the enrolment that came after. */
    if (same && a->pending.op == ESTC_OP_SEN && a->renewing && wants_other_names(a)) {
        a->op = ESTC_OP_SEN;
        a->renewing = false;
    }
    if (same && a->pending.op == a->op) {
        bool too_long = a->pending.since > 0 &&
                        timebase_now() - a->pending.since >= a->identity->pending_timeout;
        return too_long ? give_up_pending(a, detail, err) : 0;
    }
    /* It belongs to another question than the one that is asked now. */
    store_pending_clear(&a->pending);
    return store_drop_pending(a->store, err);
}

/* What waits is asked for again where it waits. */
int attempt_open(struct attempt *a, char **detail, struct estc_error *err) {
    int rc = open_folder(a, detail, err);
    if (rc)
        return rc;
    a->wait = servers_pick(a->servers, a->pending.url, clock_boot_ms());
    return estc_url_parse(attempt_url(a), &a->server, err);
}

/* The certificate to renew authenticates its own renewal (RFC 7030 section 3.3.2). */
static int use_current(struct attempt *a, struct estc_error *err) {
    struct store_current current = {0};
    int rc = store_load_current(a->store, &current, err);
    if (rc)
        return rc;
    a->renewed = X509_dup(current.cert);
    a->renaming = a->op == ESTC_OP_SREN && identity_wants_names_only(a->identity, &current.facts);
    a->credentials = (struct estc_credentials){
        .key = TAKE(current.key), .cert = TAKE(current.cert), .chain = TAKE(current.chain)};
    store_current_clear(&current);
    return a->renewed ? 0 : out_of_memory(err);
}

static int read_credentials(struct attempt *a, struct estc_error *err) {
    if (a->renewing)
        return use_current(a, err);
    return pem_read_credentials(a->identity->birth_certificate, a->identity->birth_key,
                                &a->credentials, err);
}

/* What tells this machine from copies of it, for the schedule; without it the machine id does. */
static void note_birth(struct attempt *a) {
    struct estc_error err = {0};
    _cleanup(estc_cert_facts_clear) struct estc_cert_facts facts = {0};
    int rc = estc_cert_facts_get(a->credentials.cert, &facts, &err);
    if (!rc)
        rc = store_save_birth(a->store, facts.sha256, &err);
    if (rc)
        journal_debug("%s: %s", a->identity->id, err.text);
}

int attempt_credentials(struct attempt *a, char **detail, struct estc_error *err) {
    int rc = a->found ? 0 : read_credentials(a, err);
    if (!rc)
        rc = attempt_load_trust(a, err);
    if (!rc && !a->found && a->op == ESTC_OP_SKG && a->identity->key_decrypt)
        rc = sealfile_read_own(a->identity->key_decrypt, &a->seal, err);
    if (rc)
        return rc;
    if (!a->renewing && !a->found)
        note_birth(a);
    const X509 *own = a->found ? a->issued : a->credentials.cert;
    *detail = estc_name_text(X509_get_subject_name(own));
    return *detail ? 0 : out_of_memory(err);
}

struct estc_coaps_options attempt_way(const struct attempt *a,
                                      const struct estc_credentials *credentials) {
    const struct config_identity *i = a->identity;
    return (struct estc_coaps_options){
        .host = a->server.host,
        .port = a->server.port,
        .credentials = *credentials,
        .trust = a->trust,
        .explicit_trust = attempt_explicit(a),
        .allow_rsa_server = i->allow_rsa_server == CONF_TRUE,
        .block_size = (unsigned)i->block_size,
        .max_body = (size_t)i->max_body,
        .mtu = (unsigned)i->mtu,
        .dtls_timeout = (unsigned)i->dtls_timeout,
        .ack_timeout = (unsigned)i->ack_timeout,
        .source = i->source,
        .interface = i->interface,
        .now = timebase_for_dates(),
    };
}

struct estc_client_options attempt_root(const struct attempt *a) {
    return (struct estc_client_options){
        .root = a->server.root,
        .label = a->identity->label,
        .discover = !a->server.has_root,
        .host = a->server.host,
        .port = a->server.port,
    };
}

int attempt_reach(struct attempt *a, char **detail, struct estc_error *err) {
    struct estc_client_options client = attempt_root(a);
    struct estc_coaps_options options = attempt_way(a, &a->credentials);
    int rc = attempt_bootstrap(a, &options, &client, err);
    if (rc)
        return rc;
    options.explicit_trust = attempt_explicit(a);
    rc = estc_coaps_new(&options, &a->transport, err);
    if (rc)
        return rc;
    client.transport = a->transport;
    rc = estc_client_new(&client, &a->client, err);
    if (!rc)
        rc = estc_client_connect(a->client, &a->wait, err);
    if (rc)
        return rc;
    a->spoken = true;
    *detail = strdup(attempt_url(a));
    return *detail ? 0 : out_of_memory(err);
}

int attempt_cacerts(struct attempt *a, char **detail, struct estc_error *err) {
    _cleanup(sk_x509_freep) STACK_OF(X509) *received = NULL;
    int rc = estc_client_cacerts(a->client, &a->wait, &received, err);
    if (!rc)
        rc = attempt_take_trust(a, received, err);
    if (rc)
        return rc;
    *detail = text_format("%d", sk_X509_num(received));
    return *detail ? 0 : out_of_memory(err);
}
