/* SPDX-License-Identifier: BSD-2-Clause */
/* For tests of what is made of the server's wishes: wishes by hand, the plan, and the request that
 * it makes. */
#pragma once

#include "support.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/err.h>
#include <openssl/x509v3.h>

#include <estc/cert.h>
#include <estc/csr.h>

#include "base/cleanup_ossl.h"
#include "base/text.h"
#include "est/wishes.h"
#include "pkix/csr.h"
#include "pkix/name.h"

#define ALL ((1u << WISHES_KIND_MAX_) - 1)
#define ONLY(kind) WISHES_BIT(WISHES_##kind)

static inline struct estc_csrattrs vector_wishes(const char *name) {
    _cleanup(estc_buf_clear) struct estc_buf der = support_vector(name);
    struct estc_csrattrs attrs = {0};
    struct estc_error err = {0};
    if (estc_csrattrs_decode(der.data, der.len, &attrs, &err))
        fail_msg("%s", err.text);
    return attrs;
}

static inline void add_name(struct estc_csrattrs *attrs, int nid, const char *value) {
    ASN1_STRING *string = NULL;
    if (value) {
        string = ASN1_STRING_type_new(V_ASN1_PRINTABLESTRING);
        ASN1_STRING_set(string, value, -1);
    }
    assert_int_equal(estc_csrattrs_add_name(attrs, OBJ_nid2obj(nid), string, false), 0);
    ASN1_STRING_free(string);
}

/* With a value in the notation of OpenSSL's configuration; NULL: open. */
static inline void add_extension(struct estc_csrattrs *attrs, int nid, const char *value) {
    X509_EXTENSION *made = value ? X509V3_EXT_nconf_nid(NULL, NULL, nid, value) : NULL;
    assert_true(made || !value);
    assert_int_equal(estc_csrattrs_add_extension(attrs, OBJ_nid2obj(nid),
                                                 made && X509_EXTENSION_get_critical(made),
                                                 made ? X509_EXTENSION_get_data(made) : NULL),
                     0);
    X509_EXTENSION_free(made);
}

static inline void add_raw_extension(struct estc_csrattrs *attrs, int nid, const char *der,
                                     int len) {
    ASN1_OCTET_STRING *value = ASN1_OCTET_STRING_new();
    ASN1_OCTET_STRING_set(value, (const unsigned char *)der, len);
    assert_int_equal(estc_csrattrs_add_extension(attrs, OBJ_nid2obj(nid), false, value), 0);
    ASN1_OCTET_STRING_free(value);
}

static inline struct wishes_plan follow(const struct wishes_input *in) {
    struct wishes_plan plan = {0};
    struct estc_error err = {0};
    if (wishes_follow(in, &plan, &err))
        fail_msg("%s", err.text);
    assert_int_equal(text_list_len(plan.lines), plan.granted + plan.denied);
    assert_int_equal(ERR_peek_error(), 0);
    return plan;
}

static inline void assert_lines(const struct wishes_plan *plan, const char *const *expected) {
    size_t n = 0;
    for (; expected[n]; n++)
        assert_string_equal(plan->lines && n < text_list_len(plan->lines) ? plan->lines[n] : "",
                            expected[n]);
    assert_int_equal(text_list_len(plan->lines), n);
}
#define LINES(...) ((const char *const[]){__VA_ARGS__, NULL})

/* The request that comes of it. */
static inline X509_REQ *request_of(const struct wishes_input *in, const struct wishes_plan *plan) {
    _cleanup(pkey_freep) EVP_PKEY *key = NULL;
    assert_int_equal(estc_key_generate(plan->key_type, &key, NULL), 0);
    const struct estc_csr_spec spec = {
        .subject = in->subject,
        .name = plan->subject,
        .sans = plan->replaces_sans ? NULL : in->sans,
        .renew = in->renew,
        .digest = plan->digest,
        .extensions = plan->extensions,
    };
    _cleanup(estc_buf_clear) struct estc_buf der = {0};
    struct estc_error err = {0};
    X509_REQ *req = NULL;
    if (estc_csr_build(key, &spec, &der, &err) || estc_csr_parse(der.data, der.len, &req, &err))
        fail_msg("%s", err.text);
    return req;
}

static inline void assert_subject(const X509_REQ *req, const char *expected) {
    _cleanup(freep) char *text = estc_name_text(X509_REQ_get_subject_name(req));
    assert_string_equal(text, expected);
}

/* "DNS:a IP:192.0.2.1" of a request's subjectAltName; "" without one. */
static inline void assert_sans(const X509_REQ *req, const char *expected) {
    _cleanup(extensions_freep) STACK_OF(X509_EXTENSION) *asked = NULL;
    assert_int_equal(csr_extensions(req, &asked, NULL), 0);
    _cleanup(general_names_freep) GENERAL_NAMES *names =
        X509V3_get_d2i(asked, NID_subject_alt_name, NULL, NULL);
    char all[1024] = "";
    for (int i = 0; i < sk_GENERAL_NAME_num(names); i++) {
        _cleanup(freep) char *text = san_text(sk_GENERAL_NAME_value(names, i));
        size_t used = strlen(all);
        snprintf(all + used, sizeof(all) - used, "%s%s", used ? " " : "", text);
    }
    assert_string_equal(all, expected);
}
