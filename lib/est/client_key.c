/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * /skg and /skc: what comes back is a key and a certificate, in two parts of one answer, each in
 * one of two forms. Nothing is handed on before the two are found to belong together. What held the
 * key on the way is wiped.
 */
#include "est/client_internal.h"

#include <errno.h>
#include <limits.h>

#include <estc/cert.h>
#include <estc/csr.h>

#include "base/cleanup_ossl.h"
#include "est/multipart.h"

void estc_server_key_clear(struct estc_server_key *pair) {
    EVP_PKEY_free(pair->key);
    X509_free(pair->cert);
    *pair = (struct estc_server_key){0};
}

/* --- the parts --- */

static bool is_key(int format) {
    return format == ESTC_FORMAT_PKCS8 || format == ESTC_FORMAT_SERVER_KEY;
}

/* RFC 9148 section 4.3 gives /skg a certs-only part; one sentence of it lets a single certificate
 * stand there as well. */
static bool is_cert(enum estc_op op, int format) {
    return format == ESTC_FORMAT_CERT || (op == ESTC_OP_SKG && format == ESTC_FORMAT_CERTS_ONLY);
}

/* Either order is legal (RFC 9148 section 4.8). */
static int find_parts(enum estc_op op, const struct multipart *m, const struct multipart_part **key,
                      const struct multipart_part **cert, struct estc_error *err) {
    int first = is_key(m->part[0].format) ? 0 : 1;
    *key = &m->part[first];
    *cert = &m->part[1 - first];
    if (is_key((*key)->format) && is_cert(op, (*cert)->format))
        return 0;
    return estc_error_set(err, ESTC_E_PROTOCOL,
                          "the parts of the answer have the content formats %d and %d: a key (284 "
                          "or 280) and a certificate (%s) are due",
                          m->part[0].format, m->part[1].format, op == ESTC_OP_SKG ? "281" : "287");
}

/* In the form that was asked for: a key that should have been sealed and was not has been read by
 * whoever stands between. */
static int take_key(const struct multipart_part *part, const struct estc_opener *opener,
                    EVP_PKEY **out, struct estc_error *err) {
    bool sealed = part->format == ESTC_FORMAT_SERVER_KEY;
    if (sealed != (opener != NULL))
        return estc_error_set(err, ESTC_E_PROTOCOL,
                              opener
                                  ? "the key came unencrypted (284), though encryption was asked "
                                    "for"
                                  : "the key came encrypted (280), which was not asked for");
    return sealed ? estc_keypackage_open(part->body.data, part->body.len, opener, out, err)
                  : estc_pkcs8_decode(part->body.data, part->body.len, out, err);
}

static int take_cert(const struct multipart_part *part, X509 **out, struct estc_error *err) {
    return part->format == ESTC_FORMAT_CERTS_ONLY
               ? client_single(&part->body, out, err)
               : estc_cert_decode(part->body.data, part->body.len, out, err);
}

/* --- the answer --- */

static int take_pair(enum estc_op op, const struct estc_response *response,
                     const struct estc_opener *opener, struct estc_server_key *out,
                     struct estc_error *err) {
    _cleanup(multipart_clear) struct multipart m = {0};
    const struct multipart_part *key = NULL, *cert = NULL;
    int rc = multipart_decode(response->payload.data, response->payload.len, &m, err);
    if (!rc)
        rc = find_parts(op, &m, &key, &cert, err);
    if (!rc)
        rc = take_key(key, opener, &out->key, err);
    return rc ? rc : take_cert(cert, &out->cert, err);
}

/* RFC 7030 section 4.4.1: the server is to ignore the key of the request, which whoever has seen
 * this machine before enrolment may know. */
static int check_pair(const struct estc_server_key *pair, const X509_REQ *request,
                      struct estc_error *err) {
    if (!estc_cert_has_key(pair->cert, pair->key))
        return estc_error_set(err, ESTC_E_MISMATCH,
                              "the certificate is not one for the key that came with it");
    if (EVP_PKEY_eq(pair->key, X509_REQ_get0_pubkey((X509_REQ *)(uintptr_t)request)) == 1)
        return estc_error_set(err, ESTC_E_MISMATCH,
                              "the server made no key of its own, but sent that of the request");
    return 0;
}

int estc_client_server_key(struct estc_client *client, enum estc_op op, const void *csr,
                           size_t csr_len, const struct estc_opener *opener,
                           const struct estc_wait *wait, struct estc_server_key *pair,
                           int64_t *retry_after, struct estc_error *err) {
    const struct estc_op_info *info = estc_op_info(op);
    if (op != ESTC_OP_SKG && op != ESTC_OP_SKC)
        return estc_error_set(err, -EINVAL, "not an operation that brings a key");
    _cleanup(x509_req_freep) X509_REQ *request = NULL;
    _cleanup(estc_response_clear) struct estc_response response = RESPONSE_NONE;
    int rc = client_post(client, info, csr, csr_len, wait, &request, &response, retry_after, err);
    if (rc)
        return rc;
    _cleanup(estc_server_key_clear) struct estc_server_key got = {0};
    rc = take_pair(op, &response, opener, &got, err);
    if (!rc)
        rc = check_pair(&got, request, err);
    if (rc > 0)
        estc_error_prefix(err, "/%s: the server's answer", info->name);
    if (rc)
        return rc;
    *pair = got;
    got = (struct estc_server_key){0};
    return 0;
}
