/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * How an answer is written: failures as response codes with a text for the client, successes in the
 * content format that it wished for. Decides nothing, keeps nothing.
 */
#include "est/answer.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>

#include <estc/certs.h>

#include "base/cleanup_ossl.h"
#include "base/log.h"

#define RETRY_DEFAULT 60
#define RETRY_MAX INT64_C(4294967295) /* Max-Age is a uint of at most 4 bytes */

void answer_error(struct estc_response *response, unsigned code, const char *text) {
    estc_response_clear(response);
    response->code = code;
    (void)estc_buf_append(&response->payload, text, strlen(text));
}

/* Certificates are what people decide about. */
static bool may_wait(const struct answer *a) {
    return a->request->ticket && estc_op_info(a->op)->method == ESTC_POST;
}

int answer_ask(const struct answer *a, X509_REQ *csr, struct estc_enroll_request *out,
               struct estc_error *err) {
    enum estc_pop pop = ESTC_POP_NONE;
    int rc = answer_pop(a, csr, &pop, err);
    if (rc)
        return rc;
    *out = (struct estc_enroll_request){
        .op = a->op,
        .label = a->label,
        .csr = csr,
        .der = a->request->payload,
        .der_len = a->request->payload_len,
        .pop = pop,
        .may_wait = may_wait(a),
    };
    return 0;
}

void answer_failure(const struct answer *a, int rc, int64_t retry_after,
                    const struct estc_error *err) {
    static const struct {
        int rc;
        unsigned code;
    } codes[] = {
        {ESTC_E_NOT_FOUND, 404}, {ESTC_E_REJECTED, 403}, {ESTC_E_MALFORMED, 400},
        {ESTC_E_PENDING, 503},   {ESTC_E_TIMEOUT, 503},
    };
    unsigned code = rc >= 400 && rc <= 599 ? (unsigned)rc : 500;
    if (rc == -EINPROGRESS && may_wait(a)) {
        a->response->later = true;
        a->response->max_age = retry_after;
        return;
    }
    for (size_t i = 0; i < sizeof(codes) / sizeof(codes[0]); i++)
        if (codes[i].rc == rc)
            code = codes[i].code;
    if (code == 500 && rc != 500) {
        /* Where a key lies or why a disk fails is nobody's business out there. */
        log_error("%s for %s failed: %s", estc_op_info(a->op)->name, a->peer->address, err->text);
        answer_error(a->response, code, "internal error");
        return;
    }
    answer_error(a->response, code, err->text);
    if (code != 503)
        return;
    int64_t wait = retry_after > 0 ? retry_after : RETRY_DEFAULT;
    a->response->max_age = wait < RETRY_MAX ? wait : RETRY_MAX;
}

int answer_cert(X509 *cert, struct estc_buf *out, struct estc_error *err) {
    unsigned char *der = NULL;
    int len = i2d_X509(cert, &der);
    int rc = len < 0 ? -ENOMEM : estc_buf_append(out, der, (size_t)len);
    OPENSSL_free(der);
    return rc ? estc_error_set(err, rc, "out of memory") : 0;
}

void answer_body(const struct answer *a, int content_format, struct estc_buf *body) {
    a->response->code = estc_op_info(a->op)->success_code;
    a->response->content_format = content_format;
    a->response->payload = *body;
    *body = (struct estc_buf){0};
}

void answer_certs(const struct answer *a, const STACK_OF(X509) * certs) {
    bool single = a->request->accept == ESTC_FORMAT_CERT;
    if (single && sk_X509_num(certs) != 1) {
        /* Part of what is needed would look like all of it. */
        answer_error(a->response, 406, "more than one certificate: ask for content format 281");
        return;
    }
    struct estc_error err = {0};
    _cleanup(estc_buf_clear) struct estc_buf body = {0};
    int rc = single ? answer_cert(sk_X509_value(certs, 0), &body, &err)
                    : estc_certs_encode(certs, &body, &err);
    if (rc)
        answer_failure(a, rc, 0, &err);
    else
        answer_body(a, single ? ESTC_FORMAT_CERT : ESTC_FORMAT_CERTS_ONLY, &body);
}
