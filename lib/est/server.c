/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The answering side: finds the operation, checks method and formats, and has it answered. In the
 * order in which a client can do something about it: path 4.04, method 4.05, request format 4.15,
 * wished format 4.06, body 4.00, and only then the program. Owns nothing between calls; whether the
 * same request was answered before is the transport's and the program's matter.
 */
#include "est/answer.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include <estc/discovery.h>
#include <estc/url.h>

#include "base/cleanup_ossl.h"
#include "base/text.h"

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

bool server_offers(const struct estc_server *server, enum estc_op op) {
    switch (op) {
    case ESTC_OP_CRTS:
    case ESTC_OP_SEN:
    case ESTC_OP_SREN:
        return true;
    case ESTC_OP_ATT:
        return server->ops->csrattrs;
    case ESTC_OP_SKG:
    case ESTC_OP_SKC:
        return server->ops->generate;
    case ESTC_OP_MAX_:
        break;
    }
    return false;
}

/* One certificate alone is offered wherever a certs-only message is (RFC 9148 section 4.3). */
static bool is_acceptable(const struct estc_op_info *op, int accept) {
    return accept == ESTC_FORMAT_NONE || accept == op->response_format ||
           (accept == ESTC_FORMAT_CERT && op->response_format == ESTC_FORMAT_CERTS_ONLY);
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
    else if (!is_acceptable(op, request->accept))
        answer_error(
            a->response, 406,
            op->response_format == ESTC_FORMAT_CERTS_ONLY ? "content formats here are 281 and 287"
            : op->response_format == ESTC_FORMAT_CSRATTRS ? "the content format here is 285"
                                                          : "the content format here is 62");
    else
        return true;
    return false;
}

/* The same for who asks. */
static bool check_peer(const struct answer *a) {
    const struct estc_server_ops *ops = a->server->ops;
    struct estc_error err = {0};
    int64_t retry_after = 0;
    int rc = ops->admit ? ops->admit(a->server->arg, a->peer, &retry_after, &err) : 0;
    if (rc)
        answer_failure(a, rc, retry_after, &err);
    return rc == 0;
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

/* Nothing to say is said by 4.04 (RFC 9148 section 4.5, RFC 8951 section 4). */
static void answer_csrattrs(const struct answer *a) {
    const struct estc_server_ops *ops = a->server->ops;
    _cleanup(estc_buf_clear) struct estc_buf der = {0};
    struct estc_error err = {0};
    int rc = ops->csrattrs ? ops->csrattrs(a->server->arg, a->peer, a->label, &der, &err) : 0;
    if (rc)
        answer_failure(a, rc, 0, &err);
    else if (der.len == 0)
        answer_error(a->response, 404, "no attributes are wished for");
    else
        answer_body(a, ESTC_FORMAT_CSRATTRS, &der);
}

void estc_server_answer(const struct estc_server *server, const struct estc_peer *peer,
                        const struct estc_request *request, struct estc_response *response) {
    struct answer a = {.server = server, .peer = peer, .request = request, .response = response};
    estc_response_clear(response);
    if (strcmp(request->path, ESTC_CORE_PATH) == 0) {
        answer_core(server, request, response);
    } else if (!route(&a)) {
        answer_error(response, 404, "no such resource");
    } else if (check_request(&a) && check_peer(&a)) {
        switch (a.op) {
        case ESTC_OP_CRTS:
            answer_cacerts(&a);
            break;
        case ESTC_OP_SEN:
        case ESTC_OP_SREN:
            answer_enroll(&a);
            break;
        case ESTC_OP_SKG:
        case ESTC_OP_SKC:
            answer_generate(&a);
            break;
        case ESTC_OP_ATT:
            answer_csrattrs(&a);
            break;
        case ESTC_OP_MAX_:
            break; /* route() never gives it */
        }
    }
    free(a.label);
}
