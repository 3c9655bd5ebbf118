/* SPDX-License-Identifier: BSD-2-Clause */
/* The checks of keys and certificates: what there is, what it is good for, and for how long. */
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/text.h"
#include "check_internal.h"
#include "common/exitcode.h"
#include "common/pem.h"
#include "identity.h"
#include "timebase.h"

#define SOON (INT64_C(30) * 86400)

/* --- files --- */

static char *state_path(const struct checking *c, const char *name) {
    return text_format("%s/identities/%s/%s", c->task->config->state_directory, c->identity->id,
                       name);
}

/* The certificate in force, if there is one; it is judged like any other pair. */
static int read_current(struct checking *c, struct estc_error *err) {
    _cleanup(freep) char *cert = state_path(c, "current/fullchain.pem");
    _cleanup(freep) char *key = state_path(c, "current/key.pem");
    struct facts facts = {0};
    if (store_load_facts(c->task->config->state_directory, c->identity->id, &facts, NULL))
        return 0;
    facts_clear(&facts);
    return cert && key ? pem_read_credentials(cert, key, &c->current, err) : 0;
}

/* Whom the server has to lead to, as in an attempt (attempt_trust.c). */
static int read_trust(struct checking *c, struct estc_error *err) {
    struct attempt *a = &c->attempt;
    enum config_implicit implicit = (enum config_implicit)c->identity->implicit_trust;
    _cleanup(freep) char *held = state_path(c, "trust/current/anchors.pem");
    int rc = c->identity->trust ? pem_read_trust(c->identity->trust, &a->trust, err) : 0;
    if (rc || !held || pem_read_trust(held, &a->designated, NULL))
        a->designated = NULL;
    if (!rc && !a->designated && implicit == CONFIG_IMPLICIT_NEVER)
        a->designated = TAKE(a->trust);
    if (!rc && a->designated && implicit != CONFIG_IMPLICIT_ALWAYS)
        a->trust = estc_trust_free(a->trust);
    return rc;
}

void check_files(struct checking *c, struct finding *out) {
    struct estc_error err = {0};
    int rc = pem_read_credentials(c->identity->birth_certificate, c->identity->birth_key, &c->birth,
                                  &err);
    int trust = read_trust(c, rc ? NULL : &err);
    int current = read_current(c, rc || trust ? NULL : &err);
    if (rc || trust || current)
        finding_fail(out, EXIT_BAD_CONFIG, strdup(err.text),
                     strdup("mend the file, or what names it; estcd looks again when it changes"));
    else
        finding_set(out, CHECK_OK,
                    text_format("birth certificate and key%s%s are whole",
                                c->identity->trust ? ", trust" : "",
                                c->current.cert ? ", certificate in force" : ""),
                    NULL);
}

/* --- what they are good for --- */

void check_usage(struct checking *c, struct finding *out) {
    const char *birth = c->birth.cert ? facts_usage_fault(c->birth.cert) : NULL;
    const char *current = c->current.cert ? facts_usage_fault(c->current.cert) : NULL;
    if (!c->birth.cert && !c->current.cert)
        finding_set(out, CHECK_SKIPPED, strdup("there is no certificate to look at"), NULL);
    else if (current)
        finding_set(
            out, CHECK_WARNING,
            text_format("the certificate in force cannot authenticate its renewal: %s", current),
            strdup("ask the CA for a profile with clientAuth and digitalSignature"));
    else if (birth)
        finding_fail(out, EXIT_BAD_CONFIG,
                     text_format("the birth certificate cannot authenticate a request: %s", birth),
                     strdup("use another one"));
    else
        finding_set(out, CHECK_OK, strdup("fit for the next request"), NULL);
}

/* --- for how long --- */

/* Adds "what until when" to the text, and keeps the worst. */
static void add_end(X509 *cert, const char *what, char **text, enum check_result *worst) {
    _cleanup(estc_cert_facts_clear) struct estc_cert_facts facts = {0};
    char until[CLOCK_TEXT_MAX];
    if (!cert || estc_cert_facts_get(cert, &facts, NULL))
        return;
    int64_t left = facts.not_after - timebase_now(), life = facts.not_after - facts.not_before;
    enum check_result one = left <= 0                        ? CHECK_FAILED
                            : left < SOON && left < life / 4 ? CHECK_WARNING
                                                             : CHECK_OK;
    bool endless = facts.not_after == CLOCK_LAST;
    char *longer = text_format("%s%s%s %s%s", *text ? *text : "", *text ? "; " : "", what,
                               endless     ? "without end"
                               : left <= 0 ? "expired at "
                                           : "until ",
                               endless ? "" : clock_text(facts.not_after, until));
    free(*text);
    *text = longer;
    *worst = one > *worst ? one : *worst;
}

void check_dates(struct checking *c, struct finding *out) {
    const struct estc_trust *trust =
        c->attempt.designated ? c->attempt.designated : c->attempt.trust;
    enum check_result worst = CHECK_OK;
    char *text = NULL;
    add_end(c->current.cert, "certificate", &text, &worst);
    add_end(c->birth.cert, "birth certificate", &text, &worst);
    for (int i = 0; trust && i < sk_X509_num(estc_trust_anchors(trust)); i++)
        add_end(sk_X509_value(estc_trust_anchors(trust), i), "anchor", &text, &worst);
    if (!text)
        finding_set(out, CHECK_SKIPPED, strdup("there is no certificate to look at"), NULL);
    else if (worst == CHECK_OK)
        finding_set(out, CHECK_OK, text, NULL);
    else if (worst == CHECK_WARNING)
        finding_set(out, CHECK_WARNING, text, strdup("see that what ends is replaced in time"));
    else
        finding_fail(out, EXIT_FAILED, text,
                     strdup("replace what has expired, or check this machine's clock"));
}

/* --- whom they lead to --- */

static char *anchor_text(const struct estc_trust *trust, X509 *cert, const STACK_OF(X509) * chain,
                         struct estc_error *err) {
    STACK_OF(X509) *path = NULL;
    if (estc_trust_verify(trust, cert, chain, ESTC_PURPOSE_ANY, timebase_for_dates(), &path, err))
        return NULL;
    X509 *anchor = sk_X509_value(path, sk_X509_num(path) - 1);
    char *name = estc_name_text(X509_get_subject_name(anchor));
    sk_X509_pop_free(path, X509_free);
    return name;
}

void check_chain(struct checking *c, struct finding *out) {
    const struct attempt *a = &c->attempt;
    struct estc_error err = {0};
    const char *server = !c->transport ? NULL
                         : estc_coaps_voucher(c->transport) == ESTC_VOUCHER_EXPLICIT
                             ? "the server leads to an anchor that was received"
                         : estc_coaps_voucher(c->transport) == ESTC_VOUCHER_IMPLICIT
                             ? "the server leads to a configured anchor"
                             : "nobody has vouched for the server yet (fingerprint)";
    _cleanup(freep) char *own =
        c->current.cert && a->designated
            ? anchor_text(a->designated, c->current.cert, c->current.chain, &err)
            : NULL;
    if (c->current.cert && a->designated && !own)
        finding_fail(
            out, EXIT_FAILED,
            text_format("the certificate in force leads to no anchor of its CA: %s", err.text),
            strdup("'estc enroll --force' gets another one"));
    else if (!own && !server)
        finding_set(out, CHECK_SKIPPED, strdup("there is no chain to look at"), NULL);
    else
        finding_set(out, CHECK_OK,
                    text_format("%s%s%s%s%s", server ? server : "", server && own ? "; " : "",
                                own ? "our certificate to '" : "", own ? own : "", own ? "'" : ""),
                    NULL);
}
