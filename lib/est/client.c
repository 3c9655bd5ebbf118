/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The client's side of the conversation, over a transport that it borrows. Straight down: one
 * request, one answer, judged and decoded. Asks for certs-only messages alone. Keeps no state
 * between calls but the path and the last channel binding, never retries but for a path that the
 * server itself has named, and trusts nothing that it decodes.
 */
#include <estc/client.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <estc/cert.h>
#include <estc/certs.h>
#include <estc/csr.h>
#include <estc/url.h>

#include "base/cleanup_estc.h"
#include "base/cleanup_ossl.h"
#include "base/log.h"
#include "base/text.h"
#include "est/client_internal.h"
#include "est/discovery.h"
#include "est/verdict.h"
#include "pkix/csr.h"

struct estc_client {
    struct estc_transport *transport; /* borrowed */
    char *base;                       /* root and label: "/.well-known/est/label" */
    struct estc_binding binding;      /* len 0 before estc_client_challenge() */
    bool discover;                    /* the first answer may send us to /.well-known/core */
    char *label;                      /* "" for none */
    char *host;                       /* of the server, for discovery; may be NULL */
    uint16_t port;
};

struct estc_client *estc_client_free(struct estc_client *client) {
    if (!client)
        return NULL;
    free(client->base);
    free(client->label);
    free(client->host);
    free(client);
    return NULL;
}

int estc_client_new(const struct estc_client_options *options, struct estc_client **out,
                    struct estc_error *err) {
    const char *root = options->root ? options->root : ESTC_DEFAULT_ROOT;
    const char *label = options->label ? options->label : "";
    int rc = estc_label_check(label, err);
    if (rc)
        return rc;
    _cleanup(client_freep) struct estc_client *client = calloc(1, sizeof(*client));
    if (!client)
        return estc_error_set(err, -ENOMEM, "out of memory");
    client->base = text_format("%s%s%s", root, *label ? "/" : "", label);
    client->label = text_format("%s", label);
    client->host = options->host ? text_format("%s", options->host) : NULL;
    if (!client->base || !client->label || (options->host && !client->host))
        return estc_error_set(err, -ENOMEM, "out of memory");
    client->transport = options->transport;
    client->discover = options->discover;
    client->port = options->port;
    *out = TAKE(client);
    return 0;
}

int estc_client_connect(struct estc_client *client, const struct estc_wait *wait,
                        struct estc_error *err) {
    return client->transport->ops->connect(client->transport, wait, err);
}

/* What goes up with a POST. */
struct client_body {
    const void *data;
    size_t len;
    const struct estc_binding *bound; /* that is in it, or NULL */
};

/* One request, one answer; body is NULL for a GET. */
static int client_send(struct estc_client *client, const struct estc_op_info *op,
                       const struct client_body *body, const struct estc_wait *wait,
                       struct estc_response *response, struct estc_error *err) {
    _cleanup(freep) char *path = text_format("%s/%s", client->base, op->name);
    if (!path)
        return estc_error_set(err, -ENOMEM, "out of memory");
    const struct estc_request request = {
        .method = op->method,
        .path = path,
        .content_format = op->request_format,
        .accept = op->response_format,
        .payload = body ? body->data : NULL,
        .payload_len = body ? body->len : 0,
        .bound = body ? body->bound : NULL,
    };
    return client->transport->ops->request(client->transport, &request, wait, response, err);
}

/* Whether discovery came to nothing by what the server has or says, rather than by the network. */
static bool is_no_discovery(int rc) {
    return rc == ESTC_E_NOT_FOUND || rc == ESTC_E_MALFORMED || rc == ESTC_E_PROTOCOL ||
           rc == ESTC_E_TOO_LARGE;
}

/* Another path for the operations, from the server itself: 0 with *found if there is one. */
static int client_discover(struct estc_client *client, const struct estc_wait *wait, bool *found,
                           struct estc_error *err) {
    const struct discovery_server server = {.host = client->host, .port = client->port};
    _cleanup(freep) char *base = NULL;
    int rc = discovery_ask(client->transport, &server, client->label, wait, &base, err);
    if (is_no_discovery(rc)) {
        log_notice("discovery: the server has nothing at %s; %s", client->base, err->text);
        return 0;
    }
    if (rc || strcmp(base, client->base) == 0)
        return rc;
    log_notice("discovery: the server has nothing at %s, but EST at %s", client->base, base);
    free(client->base);
    client->base = TAKE(base);
    *found = true;
    return 0;
}

/* One exchange, not judged yet. The first one finds out whether the root is right, if that was
 * guessed: so the usual case costs no question, and the 4.04 has changed nothing. */
static int client_request(struct estc_client *client, const struct estc_op_info *op,
                          const struct client_body *body, const struct estc_wait *wait,
                          struct estc_response *response, struct estc_error *err) {
    bool guess = client->discover, found = false;
    struct estc_error why = {0};
    int rc = client_send(client, op, body, wait, response, err);
    if (rc)
        return rc;
    client->discover = false;
    if (!guess || response->code != 404)
        return 0;
    rc = client_discover(client, wait, &found, &why);
    if (rc)
        return estc_error_set(err, rc, "%s", why.text);
    if (!found)
        return 0;
    estc_response_clear(response);
    return client_send(client, op, body, wait, response, err);
}

int estc_client_cacerts(struct estc_client *client, const struct estc_wait *wait,
                        STACK_OF(X509) * *out, struct estc_error *err) {
    const struct estc_op_info *op = estc_op_info(ESTC_OP_CRTS);
    _cleanup(sk_x509_freep) STACK_OF(X509) *certs = NULL;
    _cleanup(estc_response_clear) struct estc_response response = RESPONSE_NONE;
    int rc = client_request(client, op, NULL, wait, &response, err);
    if (!rc)
        rc = verdict(op, &response, NULL, err);
    if (rc)
        return rc;
    rc = estc_certs_decode(response.payload.data, response.payload.len, &certs, err);
    if (rc > 0)
        estc_error_prefix(err, "/crts: the server's answer");
    if (rc)
        return rc;
    if (sk_X509_num(certs) == 0)
        return estc_error_set(err, ESTC_E_PROTOCOL, "/crts: the server sent no certificate");
    *out = TAKE(certs);
    return 0;
}

int estc_client_csrattrs(struct estc_client *client, const struct estc_wait *wait,
                         struct estc_buf *der, struct estc_error *err) {
    const struct estc_op_info *op = estc_op_info(ESTC_OP_ATT);
    _cleanup(estc_response_clear) struct estc_response response = RESPONSE_NONE;
    int rc = client_request(client, op, NULL, wait, &response, err);
    if (rc || response.code == 404)
        return rc;
    rc = verdict(op, &response, NULL, err);
    if (!rc && estc_buf_append(der, response.payload.data, response.payload.len))
        rc = estc_error_set(err, -ENOMEM, "out of memory");
    return rc;
}

/* RFC 7030 section 3.5, RFC 4648 section 4: padded, in one line. */
int estc_client_challenge(struct estc_client *client, const struct estc_wait *wait,
                          char **challenge, struct estc_error *err) {
    struct estc_transport *transport = client->transport;
    int rc = transport->ops->connect(transport, wait, err);
    if (!rc)
        rc = transport->ops->binding(transport, &client->binding, err);
    if (rc)
        return rc;
    _cleanup(freep) char *text = malloc((client->binding.len + 2) / 3 * 4 + 1);
    if (!text)
        return estc_error_set(err, -ENOMEM, "out of memory");
    EVP_EncodeBlock((unsigned char *)text, client->binding.data, (int)client->binding.len);
    *challenge = TAKE(text);
    return 0;
}

int client_post(struct estc_client *client, const struct estc_op_info *op, const void *csr,
                size_t csr_len, const struct estc_wait *wait, X509_REQ **request,
                struct estc_response *response, int64_t *retry_after, struct estc_error *err) {
    int rc = estc_csr_parse(csr, csr_len, request, err);
    if (rc)
        return rc;
    const struct client_body body = {
        .data = csr,
        .len = csr_len,
        .bound = csr_has_challenge(*request) ? &client->binding : NULL,
    };
    rc = client_request(client, op, &body, wait, response, err);
    return rc ? rc : verdict(op, response, retry_after, err);
}

int client_single(const struct estc_buf *message, X509 **out, struct estc_error *err) {
    _cleanup(sk_x509_freep) STACK_OF(X509) *certs = NULL;
    int rc = estc_certs_decode(message->data, message->len, &certs, err);
    if (rc)
        return rc;
    if (sk_X509_num(certs) != 1)
        return estc_error_set(err, ESTC_E_PROTOCOL,
                              "the server sent %d certificates where one is due",
                              sk_X509_num(certs));
    *out = sk_X509_shift(certs);
    return 0;
}

int estc_client_enroll(struct estc_client *client, enum estc_op op, const void *csr, size_t csr_len,
                       const struct estc_wait *wait, X509 **issued, int64_t *retry_after,
                       struct estc_error *err) {
    const struct estc_op_info *info = estc_op_info(op);
    if (!info || info->method != ESTC_POST || info->response_format != ESTC_FORMAT_CERTS_ONLY)
        return estc_error_set(err, -EINVAL, "not an operation that enrolls");
    _cleanup(x509_req_freep) X509_REQ *request = NULL;
    _cleanup(estc_response_clear) struct estc_response response = RESPONSE_NONE;
    int rc = client_post(client, info, csr, csr_len, wait, &request, &response, retry_after, err);
    if (rc)
        return rc;
    _cleanup(x509_freep) X509 *cert = NULL;
    rc = client_single(&response.payload, &cert, err);
    if (!rc && !estc_cert_has_key(cert, X509_REQ_get0_pubkey(request)))
        rc = estc_error_set(err, ESTC_E_MISMATCH,
                            "the issued certificate has another public key than the request");
    if (rc > 0)
        estc_error_prefix(err, "/%s: the server's answer", info->name);
    if (!rc)
        *issued = TAKE(cert);
    return rc;
}
