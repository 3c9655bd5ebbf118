/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * /skg and /skc: reads the request less its key, has the program make one, and packs both parts.
 * The private key passes through here once; it is neither logged nor kept, and what held it is
 * wiped.
 */
#include "est/answer.h"

#include <errno.h>

#include <estc/certs.h>

#include "base/cleanup_ossl.h"
#include "est/multipart.h"
#include "pkix/csr.h"

void estc_generated_clear(struct estc_generated *generated) {
    estc_buf_clear(&generated->key);
    X509_free(generated->cert);
    *generated = (struct estc_generated){0};
}

static int generate(const struct answer *a, const struct estc_seal_wish *wish, X509_REQ *csr,
                    struct estc_generated *out, int64_t *retry_after, struct estc_error *err) {
    struct estc_enroll_request request;
    int rc = answer_ask(a, csr, &request, err);
    if (rc)
        return rc;
    request.seal = wish;
    rc = a->server->ops->generate(a->server->arg, a->peer, &request, out, retry_after, err);
    if (!rc && (!out->cert || out->key.len == 0))
        return estc_error_set(err, -EINVAL, "made no key or no certificate");
    return rc;
}

/* RFC 9148 section 4.8: the key first, as in its examples. */
static int pack(const struct answer *a, const struct estc_seal_wish *wish,
                struct estc_generated *made, struct estc_buf *out, struct estc_error *err) {
    bool single = a->op == ESTC_OP_SKC;
    _cleanup(multipart_clear) struct multipart m = {0};
    m.part[0].format = wish->kind == ESTC_SEAL_NONE ? ESTC_FORMAT_PKCS8 : ESTC_FORMAT_SERVER_KEY;
    m.part[0].body = made->key;
    made->key = (struct estc_buf){0};
    m.part[1].format = single ? ESTC_FORMAT_CERT : ESTC_FORMAT_CERTS_ONLY;
    STACK_OF(X509) *only = sk_X509_new_null();
    int rc = only && sk_X509_push(only, made->cert) ? 0 : -ENOMEM;
    if (rc)
        estc_error_set(err, rc, "out of memory");
    else
        rc = single ? answer_cert(made->cert, &m.part[1].body, err)
                    : estc_certs_encode(only, &m.part[1].body, err);
    sk_X509_free(only); /* its member is the caller's */
    return rc ? rc : multipart_encode(&m, out, err);
}

void answer_generate(const struct answer *a) {
    if (!a->server->ops->generate) {
        answer_error(a->response, 404, "this server makes no keys");
        return;
    }
    struct estc_error err = {0};
    int64_t retry_after = 0;
    _cleanup(x509_req_freep) X509_REQ *csr = NULL;
    _cleanup(estc_seal_wish_clear) struct estc_seal_wish wish = {0};
    _cleanup(estc_generated_clear) struct estc_generated made = {0};
    _cleanup(estc_buf_clear) struct estc_buf body = {0};
    int rc = csr_read(a->request->payload, a->request->payload_len, &csr, &err);
    if (!rc)
        rc = estc_seal_wish_get(csr, &wish, &err);
    if (!rc)
        rc = generate(a, &wish, csr, &made, &retry_after, &err);
    if (!rc)
        rc = pack(a, &wish, &made, &body, &err);
    if (rc)
        answer_failure(a, rc, retry_after, &err);
    else
        answer_body(a, ESTC_FORMAT_MULTIPART, &body);
}
