/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * From what upstream answered to what the device is told. A certificate is held against the request
 * and the configured issuers and is in the ledger before it goes on; of everything else the device
 * gets a code (RFC 9148 section 4.5) and a text that says nothing about what is behind the
 * registrar.
 */
#include <errno.h>
#include <string.h>

#include <openssl/x509v3.h>

#include "base/cleanup_ossl.h"
#include "base/clock.h"
#include "base/text.h"
#include "common/journal.h"
#include "forward_internal.h"
#include "upstream_media.h"

#define RETRY_DEFAULT 60 /* seconds, where upstream names none */
#define SAID_MAX 120     /* bytes of an explanation from upstream */

/* --- the certificate --- */

static GENERAL_NAMES *names_of(const X509 *cert) {
    return X509_get_ext_d2i(cert, NID_subject_alt_name, NULL, NULL);
}

/* Whose it is, and all other names: what was granted, and nothing else. */
static int check_names(const struct job *job, const X509 *cert, struct estc_error *err) {
    _cleanup(x509_name_freep) X509_NAME *nobody = X509_NAME_new();
    _cleanup(general_names_freep) GENERAL_NAMES *has = names_of(cert), *asked = NULL;
    STACK_OF(X509_EXTENSION) *extensions = X509_REQ_get_extensions(job->csr);
    asked = X509V3_get_d2i(extensions, NID_subject_alt_name, NULL, NULL);
    sk_X509_EXTENSION_pop_free(extensions, X509_EXTENSION_free);
    _cleanup(freep) char *id = ledger_subject_id(X509_get_subject_name(cert), has);
    _cleanup(freep) char *sans = nobody ? ledger_subject_id(nobody, has) : NULL;
    _cleanup(freep) char *asked_sans = nobody ? ledger_subject_id(nobody, asked) : NULL;
    _cleanup(freep) char *subject = estc_name_text(X509_get_subject_name(cert));
    if (!id || !sans || !asked_sans || !subject)
        return estc_error_set(err, -ENOMEM, "out of memory");
    if (strcmp(id, job->entry.subject_id) == 0 && strcmp(sans, asked_sans) == 0)
        return 0;
    return estc_error_set(err, ESTC_E_MISMATCH,
                          "it has issued for '%s' and other names than those that were asked for",
                          subject);
}

static int check_cert(const struct job *job, const struct registrar *registrar, X509 *cert,
                      struct estc_error *err) {
    if (!job->generated && !estc_cert_has_key(cert, X509_REQ_get0_pubkey(job->csr)))
        return estc_error_set(err, ESTC_E_MISMATCH, "it has issued for another key");
    if (X509_check_ca(cert))
        return estc_error_set(err, ESTC_E_MISMATCH, "it has issued a CA's certificate");
    int rc =
        estc_trust_verify(registrar->own, cert, NULL, ESTC_PURPOSE_ANY, clock_real(), NULL, err);
    if (rc)
        return estc_error_prefix(err, "its certificate does not lead to upstream.issuers (add its "
                                      "CA there if that has changed)");
    return check_names(job, cert, err);
}

static int read_success(struct job *job, const struct registrar *registrar,
                        const struct http_reply *reply, struct estc_error *err) {
    const struct translate_body body = {
        .type = reply->content_type, .data = reply->body.data, .len = reply->body.len};
    _cleanup(x509_freep) X509 *cert = NULL;
    int rc = job->generated ? translate_generated(&body, job->sealed, &job->key, &cert, err)
                            : translate_issued(&body, &cert, err);
    if (!rc)
        rc = check_cert(job, registrar, cert, err);
    if (rc)
        return rc;
    job->cert = TAKE(cert);
    return 0;
}

static void tell(const struct job *job, const struct registrar *registrar) {
    const struct ledger_entry *e = &job->entry;
    char until[CLOCK_TEXT_MAX];
    const struct audit_record record = {.op = e->op,
                                        .label = e->label,
                                        .address = job->address,
                                        .device = job->device,
                                        .device_sha256 = e->authenticator,
                                        .subject = e->subject,
                                        .rule = e->rule,
                                        .serial = e->serial,
                                        .not_after = clock_text(e->not_after, until),
                                        .request = job->id};
    audit_write(registrar->audit, AUDIT_ISSUED, &record,
                "%s from %s (%s) for '%s': issued %s upstream by rule '%s' until %s", e->op,
                job->address, job->device, e->subject, e->serial, e->rule, until);
}

/* On disk, with the request settled by it; whether its client is still there or not. */
static void record(struct job *job, const struct registrar *registrar) {
    struct ledger *ledger = registrar->ledger;
    int rc = enroll_fill_cert(&job->entry, job->cert, &job->err);
    job->entry.issued_at = clock_real();
    if (!rc)
        rc = ledger->ops->insert(ledger, &job->entry, job->superseded, &job->err);
    if (!rc) {
        tell(job, registrar);
    } else {
        X509_free(TAKE(job->cert));
        estc_buf_clear(&job->key);
        job->rc = enroll_unavailable(&job->err, &job->retry_after);
    }
}

/* --- everything else --- */

static int say(struct job *job, int code, const char *text) {
    return job->rc = estc_error_set(&job->err, code, "%s", text);
}

/* An explanation in plain text is for the device: it has asked. */
static void pass_refusal(struct job *job, const struct http_reply *reply) {
    _cleanup(freep) char *said =
        media_is(reply->content_type, "text/plain")
            ? text_clean(reply->body.data ? reply->body.data : (const unsigned char *)"",
                         reply->body.len, SAID_MAX)
            : NULL;
    const unsigned code = translate_status(reply->status);
    job->rc = estc_error_set(&job->err, (int)code, "the CA refuses (HTTP %ld)%s%s", reply->status,
                             said && *said ? ": " : "", said ? said : "");
}

static void wait_as_told(struct job *job, const struct http_reply *reply) {
    int64_t told = translate_retry_after(reply->retry_after, clock_real());
    job->retry_after = told > 0 ? told : RETRY_DEFAULT;
    if (reply->status == 202)
        say(job, ESTC_E_PENDING, "the CA has not decided yet");
    else
        say(job, ESTC_E_TIMEOUT, "the CA is busy");
}

static void read_answer(struct job *job, const struct registrar *registrar,
                        const struct http_reply *reply) {
    struct estc_error err = {0};
    if (reply->status == 202 || reply->status == 503) {
        wait_as_told(job, reply);
    } else if (reply->status == 401) {
        say(job, 401, "the CA does not accept this registrar");
    } else if (reply->status >= 400) {
        pass_refusal(job, reply);
    } else if (reply->status != 200) {
        say(job, 502, "the CA's answer cannot be used");
    } else if (read_success(job, registrar, reply, &err)) {
        journal_error("upstream: the answer to request %lld of '%s' cannot be used: %s: look there "
                      "whether it has issued for '%s'",
                      (long long)job->id, job->device, err.text, job->entry.subject);
        say(job, 502, "the CA's answer cannot be used");
    }
}

void forward_outcome(struct job *job, const struct registrar *registrar,
                     const struct http_reply *reply) {
    switch (reply->end) {
    case HTTP_UNREACHABLE:
        say(job, 504, "the CA is not reached");
        break;
    case HTTP_UNTRUSTED:
    case HTTP_TOO_LARGE:
        say(job, 502, "the CA's answer cannot be used");
        break;
    case HTTP_CUT:
        say(job, 504, "the CA has not answered");
        return; /* stays forwarded */
    case HTTP_ANSWERED:
        read_answer(job, registrar, reply);
        break;
    }
    if (job->cert)
        record(job, registrar);
    else
        forward_record_open(registrar->ledger, job->id);
}
