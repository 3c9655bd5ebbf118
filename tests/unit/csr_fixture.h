/* SPDX-License-Identifier: BSD-2-Clause */
/* Certification requests that are made, read, and refused. */
#pragma once

#include <string.h>

#include <openssl/err.h>

#include <estc/csr.h>

#include "base/cleanup_ossl.h"
#include "support.h"

static inline struct estc_buf build(EVP_PKEY *key, const struct estc_csr_spec *spec) {
    struct estc_buf der = {0};
    struct estc_error err = {0};
    if (estc_csr_build(key, spec, &der, &err))
        fail_msg("%s", err.text);
    return der;
}

static inline X509_REQ *parse(const struct estc_buf *der) {
    X509_REQ *req = NULL;
    struct estc_error err = {0};
    if (estc_csr_parse(der->data, der->len, &req, &err))
        fail_msg("%s", err.text);
    return req;
}

static inline void assert_malformed(const void *der, size_t len, const char *reason) {
    X509_REQ *req = NULL;
    struct estc_error err = {0};
    assert_int_equal(estc_csr_parse(der, len, &req, &err), ESTC_E_MALFORMED);
    assert_null(req);
    if (!strstr(err.text, reason))
        fail_msg("'%s' is not in: %s", reason, err.text);
    assert_int_equal(ERR_peek_error(), 0);
}

/* A request as DER, which frees it. */
static inline struct estc_buf der_of(X509_REQ *req) {
    struct estc_buf out = {0};
    unsigned char *der = NULL;
    int len = i2d_X509_REQ(req, &der);
    assert_true(len > 0);
    assert_int_equal(estc_buf_append(&out, der, (size_t)len), 0);
    OPENSSL_free(der);
    X509_REQ_free(req);
    return out;
}
