/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * /sen and /sren: decodes the request, applies what RFC 7030 says of it, and asks the program. The
 * program never sees a request whose own signature does not hold.
 */
#include "est/answer.h"

#include <errno.h>

#include <estc/csr.h>

#include "base/cleanup_ossl.h"

/* Decodes, applies the rule of re-enrolment, and asks the program. */
static int enroll(const struct answer *a, X509 **issued, int64_t *retry_after,
                  struct estc_error *err) {
    _cleanup(x509_req_freep) X509_REQ *csr = NULL;
    struct estc_enroll_request request;
    int rc = estc_csr_parse(a->request->payload, a->request->payload_len, &csr, err);
    if (!rc)
        rc = answer_ask(a, csr, &request, err);
    if (!rc && a->op == ESTC_OP_SREN)
        rc = estc_reenroll_check(csr, a->peer->cert, err);
    if (rc)
        return rc;
    rc = a->server->ops->enroll(a->server->arg, a->peer, &request, issued, retry_after, err);
    if (!rc && !*issued)
        return estc_error_set(err, -EINVAL, "issued nothing");
    return rc;
}

void answer_enroll(const struct answer *a) {
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
