/* SPDX-License-Identifier: BSD-2-Clause */
/* For tests of sealed keys: those who take part, and what is done to a sealed key in every test. */
#pragma once

#include "support.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <openssl/cms.h>
#include <openssl/err.h>

#include <estc/cert.h>
#include <estc/key.h>
#include <estc/keypackage.h>

#include "base/cleanup_ossl.h"
#include "pkix/pkcs8.h"
#include "pkix/seal.h"

CLEANUP_DEFINE(CMS_ContentInfo *, cms_freep, CMS_ContentInfo_free);

#define OID_KEY_PACKAGE "2.16.840.1.101.2.1.2.78.5"

static const unsigned char secret[32] = "0123456789abcdef0123456789abcde";

/* Those who take part: a CA, the server that it has certified, and the key on its way. */
static struct {
    EVP_PKEY *ca_key, *server_key, *key;
    X509 *ca, *server;
    struct estc_trust *trust;
    int64_t now;
    struct estc_signer signer;
} all;

/* A certificate of the CA with a key of this type and usage, and its private key. */
static inline X509 *recipient(enum estc_key_type type, const char *usage, EVP_PKEY **key) {
    assert_int_equal(estc_key_generate(type, key, NULL), 0);
    X509 *cert = support_cert(*key, &(struct support_cert_spec){.subject = "CN=recipient",
                                                                .issuer = all.ca,
                                                                .issuer_key = all.ca_key});
    int at = X509_get_ext_by_NID(cert, NID_key_usage, -1);
    X509_EXTENSION_free(X509_delete_ext(cert, at));
    if (usage) {
        X509_EXTENSION *ext = X509V3_EXT_conf_nid(NULL, NULL, NID_key_usage, usage);
        assert_true(X509_add_ext(cert, ext, -1));
        X509_EXTENSION_free(ext);
    }
    assert_true(X509_sign(cert, all.ca_key, EVP_sha256()) > 0);
    unsigned char *der = NULL; /* read it anew: OpenSSL remembers the usage it had */
    int len = i2d_X509(cert, &der);
    const unsigned char *p = der;
    X509_free(cert);
    cert = d2i_X509(NULL, &p, len);
    OPENSSL_free(der);
    return cert;
}

static inline int set_up(void **state) {
    (void)state;
    all.now = time(NULL);
    all.ca_key = support_key();
    all.server_key = support_key();
    all.key = support_key();
    all.ca = support_cert(all.ca_key, &(struct support_cert_spec){.subject = "CN=CA", .ca = 1});
    all.server = support_cert(
        all.server_key, &(struct support_cert_spec){
                            .subject = "CN=server", .issuer = all.ca, .issuer_key = all.ca_key});
    assert_int_equal(estc_trust_new(&all.trust, NULL), 0);
    assert_int_equal(estc_trust_add(all.trust, all.ca, NULL), 0);
    all.signer = (struct estc_signer){.cert = all.server, .key = all.server_key};
    return 0;
}

static inline int tear_down(void **state) {
    (void)state;
    estc_trust_free(all.trust);
    X509_free(all.ca);
    X509_free(all.server);
    EVP_PKEY_free(all.ca_key);
    EVP_PKEY_free(all.server_key);
    EVP_PKEY_free(all.key);
    return 0;
}

static inline struct estc_seal by_secret(size_t len) {
    return (struct estc_seal){
        .secret = secret, .secret_len = len, .id = (const unsigned char *)"kek-7", .id_len = 5};
}

/* A request that asks for this seal, as a client makes and a server reads it. */
static inline struct estc_seal_wish wish_of(const struct estc_seal *seal) {
    struct estc_seal_wish wish = {0};
    struct estc_error err = {0};
    _cleanup(x509_req_freep) X509_REQ *csr = X509_REQ_new();
    if (seal_wish_add(csr, seal, &err) || estc_seal_wish_get(csr, &wish, &err))
        fail_msg("%s", err.text);
    return wish;
}

static inline struct estc_buf seal_as(const struct estc_seal *seal,
                                      const struct estc_seal_wish *wish) {
    struct estc_buf out = {0};
    struct estc_error err = {0};
    if (estc_keypackage_seal(all.key, wish, seal, &all.signer, &out, &err))
        fail_msg("%s", err.text);
    return out;
}

static inline struct estc_buf sealed_for(const struct estc_seal *seal) {
    _cleanup(estc_seal_wish_clear) struct estc_seal_wish wish = wish_of(seal);
    return seal_as(seal, &wish);
}

static inline int open_with(const struct estc_buf *sealed, const struct estc_seal *seal,
                            EVP_PKEY **key, struct estc_error *err) {
    const struct estc_opener opener = {.seal = seal, .trust = all.trust, .now = all.now};
    return estc_keypackage_open(sealed->data, sealed->len, &opener, key, err);
}

static inline void assert_opens(const struct estc_buf *sealed, const struct estc_seal *seal) {
    _cleanup(pkey_freep) EVP_PKEY *key = NULL;
    struct estc_error err = {0};
    if (open_with(sealed, seal, &key, &err))
        fail_msg("%s", err.text);
    assert_int_equal(EVP_PKEY_eq(key, all.key), 1);
    assert_int_equal(ERR_peek_error(), 0);
}

static inline void assert_stays_shut(const struct estc_buf *sealed, const struct estc_seal *seal,
                                     int code, const char *reason) {
    EVP_PKEY *key = NULL;
    struct estc_error err = {0};
    int rc = open_with(sealed, seal, &key, &err);
    assert_null(key);
    if (rc != code || !strstr(err.text, reason))
        fail_msg("%d, '%s' is not %d, %s", code, reason, rc, err.text);
    assert_int_equal(ERR_peek_error(), 0);
}

/* What OpenSSL prints of a message. */
static inline char *printed(const struct estc_buf *der) {
    const unsigned char *p = der->data;
    _cleanup(cms_freep) CMS_ContentInfo *cms = d2i_CMS_ContentInfo(NULL, &p, (long)der->len);
    assert_non_null(cms);
    _cleanup(bio_freep) BIO *mem = BIO_new(BIO_s_mem());
    assert_true(CMS_ContentInfo_print_ctx(mem, cms, 0, NULL));
    char *data = NULL;
    long len = BIO_get_mem_data(mem, &data);
    return strndup(data, (size_t)len);
}

static inline void assert_printed(const struct estc_buf *der, const char *const *parts) {
    _cleanup(freep) char *text = printed(der);
    for (; *parts; parts++)
        if (!strstr(text, *parts))
            fail_msg("'%s' is not in:\n%s", *parts, text);
}
