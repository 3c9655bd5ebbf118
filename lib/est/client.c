/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The client's side of the conversation, over a transport that it borrows. Straight down: one
 * request, one answer, judged and decoded. Asks for certs-only messages alone. Keeps no state
 * between calls but the path, never retries, and trusts nothing that it decodes.
 */
#include <estc/client.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <estc/cert.h>
#include <estc/certs.h>
#include <estc/csr.h>
#include <estc/url.h>

#include "base/cleanup_ossl.h"
#include "base/text.h"
#include "est/verdict.h"

struct estc_client {
    struct estc_transport *transport; /* borrowed */
    char *base;                       /* root and label: "/.well-known/est/label" */
};

int estc_client_new(const struct estc_client_options *options, struct estc_client **out,
                    struct estc_error *err) {
    const char *root = options->root ? options->root : ESTC_DEFAULT_ROOT;
    const char *label = options->label ? options->label : "";
    int rc = estc_label_check(label, err);
    if (rc)
        return rc;
    struct estc_client *client = calloc(1, sizeof(*client));
    if (client)
        client->base = text_format("%s%s%s", root, *label ? "/" : "", label);
    if (!client || !client->base) {
        free(client);
        return estc_error_set(err, -ENOMEM, "out of memory");
    }
    client->transport = options->transport;
    *out = client;
    return 0;
}

struct estc_client *estc_client_free(struct estc_client *client) {
    if (client)
        free(client->base);
    free(client);
    return NULL;
}

int estc_client_connect(struct estc_client *client, const struct estc_wait *wait,
                        struct estc_error *err) {
    return client->transport->ops->connect(client->transport, wait, err);
}

/* One exchange; *certs is what a success brought, in a certs-only message. */
static int client_ask(struct estc_client *client, const struct estc_op_info *op,
                      const void *payload, size_t payload_len, const struct estc_wait *wait,
                      int64_t *retry_after, STACK_OF(X509) * *certs, struct estc_error *err) {
    _cleanup(freep) char *path = text_format("%s/%s", client->base, op->name);
    if (!path)
        return estc_error_set(err, -ENOMEM, "out of memory");
    const struct estc_request request = {
        .method = op->method,
        .path = path,
        .content_format = op->request_format,
        .accept = op->response_format,
        .payload = payload,
        .payload_len = payload_len,
    };
    _cleanup(estc_response_clear) struct estc_response response = {
        .content_format = ESTC_FORMAT_NONE, .max_age = -1};
    int rc = client->transport->ops->request(client->transport, &request, wait, &response, err);
    if (!rc)
        rc = verdict(op, &response, retry_after, err);
    if (rc)
        return rc;
    rc = estc_certs_decode(response.payload.data, response.payload.len, certs, err);
    if (rc)
        estc_error_prefix(err, "/%s: the server's answer", op->name);
    return rc;
}

int estc_client_cacerts(struct estc_client *client, const struct estc_wait *wait,
                        STACK_OF(X509) * *out, struct estc_error *err) {
    _cleanup(sk_x509_freep) STACK_OF(X509) *certs = NULL;
    int rc = client_ask(client, estc_op_info(ESTC_OP_CRTS), NULL, 0, wait, NULL, &certs, err);
    if (rc)
        return rc;
    if (sk_X509_num(certs) == 0)
        return estc_error_set(err, ESTC_E_PROTOCOL, "/crts: the server sent no certificate");
    *out = TAKE(certs);
    return 0;
}

int estc_client_enroll(struct estc_client *client, enum estc_op op, const void *csr, size_t csr_len,
                       const struct estc_wait *wait, X509 **issued, int64_t *retry_after,
                       struct estc_error *err) {
    const struct estc_op_info *info = estc_op_info(op);
    if (!info || info->method != ESTC_POST)
        return estc_error_set(err, -EINVAL, "not an operation that enrolls");
    _cleanup(x509_req_freep) X509_REQ *request = NULL;
    int rc = estc_csr_parse(csr, csr_len, &request, err);
    if (rc)
        return rc;
    _cleanup(sk_x509_freep) STACK_OF(X509) *certs = NULL;
    rc = client_ask(client, info, csr, csr_len, wait, retry_after, &certs, err);
    if (rc)
        return rc;
    /* RFC 7030 section 4.2.3: the issued certificate and no other. */
    if (sk_X509_num(certs) != 1)
        return estc_error_set(err, ESTC_E_PROTOCOL,
                              "/%s: the server sent %d certificates where one is due", info->name,
                              sk_X509_num(certs));
    if (!estc_cert_has_key(sk_X509_value(certs, 0), X509_REQ_get0_pubkey(request)))
        return estc_error_set(err, ESTC_E_MISMATCH,
                              "/%s: the issued certificate has another public key than the request",
                              info->name);
    *issued = sk_X509_shift(certs);
    return 0;
}
