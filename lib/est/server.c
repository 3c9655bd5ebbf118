/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The answering side: finds the operation, checks method and formats, decodes, asks the program and
 * encodes. In the order in which a client can do something about it: path 4.04, method 4.05,
 * request format 4.15, wished format 4.06, body 4.00, and only then the program. Owns nothing
 * between calls; whether the same request was answered before is the transport's and the program's
 * matter.
 */
#include <estc/server.h>

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include <estc/certs.h>
#include <estc/csr.h>
#include <estc/url.h>

#include "base/cleanup_ossl.h"
#include "base/log.h"
#include "base/text.h"

#define RETRY_DEFAULT 60
#define RETRY_MAX INT64_C(4294967295) /* Max-Age is a uint of at most 4 bytes */

/* Everything about one request, for the functions below. */
struct answer {
    const struct estc_server *server;
    const struct estc_peer *peer;
    const struct estc_request *request;
    struct estc_response *response;
    enum estc_op op;
    char *label; /* owned */
};

/* A response without content but a diagnostic (RFC 7252 section 5.5.2). Text that finds no memory
 * stays away; the code does not. */
static void answer_error(struct estc_response *response, unsigned code, const char *text) {
    estc_response_clear(response);
    response->code = code;
    (void)estc_buf_append(&response->payload, text, strlen(text));
}

/* What the program said, as server.h lists it. */
static void answer_failure(const struct answer *a, int rc, int64_t retry_after,
                           const struct estc_error *err) {
    static const struct {
        int rc;
        unsigned code;
    } codes[] = {
        {ESTC_E_NOT_FOUND, 404}, {ESTC_E_REJECTED, 403}, {ESTC_E_MALFORMED, 400},
        {ESTC_E_PENDING, 503},   {ESTC_E_TIMEOUT, 503},
    };
    unsigned code = 500;
    for (size_t i = 0; i < sizeof(codes) / sizeof(codes[0]); i++)
        if (codes[i].rc == rc)
            code = codes[i].code;
    if (code == 500) {
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

/* "LABEL/OP" or "OP" behind root. */
static bool route_below(struct answer *a, const char *root) {
    size_t len = strlen(root);
    const char *path = a->request->path;
    if (strncmp(path, root, len) != 0 || path[len] != '/')
        return false;
    const char *rest = path + len + 1;
    const char *slash = strchr(rest, '/');
    if (estc_op_parse(slash ? slash + 1 : rest, &a->op))
        return false;
    free(a->label);
    a->label = text_format("%.*s", slash ? (int)(slash - rest) : 0, rest);
    /* An empty segment is not the same as none. */
    return a->label && (!slash || *a->label) && estc_label_check(a->label, NULL) == 0;
}

static bool route(struct answer *a) {
    return route_below(a, ESTC_DEFAULT_ROOT) ||
           (a->server->root && route_below(a, a->server->root));
}

/* Whether the request can be served at all; the answer is written if not. */
static bool check_request(const struct answer *a) {
    const struct estc_op_info *op = estc_op_info(a->op);
    const struct estc_request *request = a->request;
    if (!a->peer->cert)
        answer_error(a->response, 401, "a client certificate is required");
    else if (request->method != op->method)
        answer_error(a->response, 405, op->method == ESTC_GET ? "use GET" : "use POST");
    else if (op->method == ESTC_POST && request->content_format != ESTC_FORMAT_NONE &&
             request->content_format != op->request_format)
        answer_error(a->response, 415, "send application/pkcs10 (286)");
    else if (request->accept != ESTC_FORMAT_NONE && request->accept != op->response_format &&
             request->accept != ESTC_FORMAT_CERT)
        answer_error(a->response, 406, "content formats here are 281 and 287");
    else
        return true;
    return false;
}

/* One certificate alone, as application/pkix-cert. */
static int encode_cert(X509 *cert, struct estc_buf *out, struct estc_error *err) {
    unsigned char *der = NULL;
    int len = i2d_X509(cert, &der);
    int rc = len < 0 ? -ENOMEM : estc_buf_append(out, der, (size_t)len);
    OPENSSL_free(der);
    return rc ? estc_error_set(err, rc, "out of memory") : 0;
}

/* The success, in the format that was wished for. */
static void answer_certs(const struct answer *a, const STACK_OF(X509) * certs) {
    bool single = a->request->accept == ESTC_FORMAT_CERT;
    if (single && sk_X509_num(certs) != 1) {
        /* Part of what is needed would look like all of it. */
        answer_error(a->response, 406, "more than one certificate: ask for content format 281");
        return;
    }
    struct estc_error err = {0};
    _cleanup(estc_buf_clear) struct estc_buf body = {0};
    int rc = single ? encode_cert(sk_X509_value(certs, 0), &body, &err)
                    : estc_certs_encode(certs, &body, &err);
    if (rc) {
        answer_failure(a, rc, 0, &err);
        return;
    }
    a->response->code = estc_op_info(a->op)->success_code;
    a->response->content_format = single ? ESTC_FORMAT_CERT : ESTC_FORMAT_CERTS_ONLY;
    a->response->payload = body;
    body = (struct estc_buf){0};
}

static void answer_cacerts(const struct answer *a) {
    _cleanup(sk_x509_freep) STACK_OF(X509) *certs = NULL;
    struct estc_error err = {0};
    int rc = a->server->ops->cacerts(a->server->arg, a->peer, a->label, &certs, &err);
    if (!rc && sk_X509_num(certs) < 1)
        rc = estc_error_set(&err, -EINVAL, "there are no CA certificates to send");
    if (rc)
        answer_failure(a, rc, 0, &err);
    else
        answer_certs(a, certs);
}

/* Decodes, applies the rule of re-enrolment, and asks the program. */
static int enroll(const struct answer *a, X509 **issued, int64_t *retry_after,
                  struct estc_error *err) {
    _cleanup(x509_req_freep) X509_REQ *csr = NULL;
    int rc = estc_csr_parse(a->request->payload, a->request->payload_len, &csr, err);
    if (!rc && a->op == ESTC_OP_SREN)
        rc = estc_reenroll_check(csr, a->peer->cert, err);
    if (rc)
        return rc;
    const struct estc_enroll_request request = {
        .op = a->op,
        .label = a->label,
        .csr = csr,
        .der = a->request->payload,
        .der_len = a->request->payload_len,
    };
    rc = a->server->ops->enroll(a->server->arg, a->peer, &request, issued, retry_after, err);
    if (!rc && !*issued)
        return estc_error_set(err, -EINVAL, "issued nothing");
    return rc;
}

static void answer_enroll(const struct answer *a) {
    _cleanup(sk_x509_freep) STACK_OF(X509) *only = sk_X509_new_null();
    _cleanup(x509_freep) X509 *issued = NULL;
    struct estc_error err = {0};
    int64_t retry_after = 0;
    int rc = only ? enroll(a, &issued, &retry_after, &err)
                  : estc_error_set(&err, -ENOMEM, "out of memory");
    if (!rc && !sk_X509_push(only, issued))
        rc = estc_error_set(&err, -ENOMEM, "out of memory");
    if (rc) {
        answer_failure(a, rc, retry_after, &err);
        return;
    }
    issued = NULL;
    answer_certs(a, only);
}

void estc_server_answer(const struct estc_server *server, const struct estc_peer *peer,
                        const struct estc_request *request, struct estc_response *response) {
    struct answer a = {.server = server, .peer = peer, .request = request, .response = response};
    estc_response_clear(response);
    if (!route(&a)) {
        answer_error(response, 404, "no such resource");
    } else if (check_request(&a)) {
        switch (a.op) {
        case ESTC_OP_CRTS:
            answer_cacerts(&a);
            break;
        case ESTC_OP_SEN:
        case ESTC_OP_SREN:
            answer_enroll(&a);
            break;
        case ESTC_OP_MAX_:
            break; /* route() never gives it */
        }
    }
    free(a.label);
}
