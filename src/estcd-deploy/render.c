/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * One table says how each content is made. What is written was parsed before and is encoded here
 * once more, so no byte reaches an installed file that only looked like a certificate.
 */
#include "render.h"

#include <errno.h>
#include <string.h>

#include <openssl/err.h>
#include <openssl/pkcs12.h>

#include <estc/cert.h>
#include <estc/key.h>
#include <estc/keypackage.h>

#include "base/cleanup_ossl.h"

CLEANUP_DEFINE(PKCS12 *, pkcs12_freep, PKCS12_free);

struct rendering {
    const struct credential *credential;
    enum config_format format;
    const char *name, *password;
    struct estc_buf *out;
};

static int out_of_memory(struct estc_error *err) {
    return estc_error_set(err, -ENOMEM, "out of memory");
}

void credential_clear(struct credential *credential) {
    EVP_PKEY_free(credential->key);
    X509_free(credential->cert);
    sk_X509_pop_free(credential->chain, X509_free);
    sk_X509_pop_free(credential->cacerts, X509_free);
    *credential = (struct credential){0};
}

/* DER of one of OpenSSL's values: its length in len, its bytes (taken) in der. */
static int append_der(struct estc_buf *out, unsigned char *der, int len, struct estc_error *err) {
    if (len <= 0) {
        ERR_clear_error();
        return out_of_memory(err);
    }
    int rc = estc_buf_append(out, der, (size_t)len);
    OPENSSL_clear_free(der, (size_t)len);
    return rc ? out_of_memory(err) : 0;
}

static int render_cert(const struct rendering *r, struct estc_error *err) {
    if (r->format == CONFIG_FORMAT_PEM)
        return estc_cert_to_pem(r->credential->cert, r->out, err);
    unsigned char *der = NULL;
    int len = i2d_X509(r->credential->cert, &der);
    return append_der(r->out, der, len, err);
}

static int render_key(const struct rendering *r, struct estc_error *err) {
    return r->format == CONFIG_FORMAT_PEM ? estc_key_to_pem(r->credential->key, r->out, err)
                                          : estc_pkcs8_encode(r->credential->key, r->out, err);
}

static int render_chain(const struct rendering *r, struct estc_error *err) {
    return estc_certs_to_pem(r->credential->chain, r->out, err);
}

static int render_fullchain(const struct rendering *r, struct estc_error *err) {
    int rc = render_cert(r, err);
    return rc ? rc : render_chain(r, err);
}

static int render_cacerts(const struct rendering *r, struct estc_error *err) {
    return estc_certs_to_pem(r->credential->cacerts, r->out, err);
}

static int render_combined(const struct rendering *r, struct estc_error *err) {
    int rc = render_key(r, err);
    return rc ? rc : render_fullchain(r, err);
}

/* OpenSSL's defaults: AES-256 under PBKDF2, an HMAC with SHA-256. */
static int render_pkcs12(const struct rendering *r, struct estc_error *err) {
    const struct credential *c = r->credential;
    _cleanup(pkcs12_freep) PKCS12 *p12 = PKCS12_create(r->password ? r->password : "", r->name,
                                                       c->key, c->cert, c->chain, 0, 0, 0, 0, 0);
    unsigned char *der = NULL;
    int len = p12 ? i2d_PKCS12(p12, &der) : -1;
    if (p12)
        return append_der(r->out, der, len, err);
    ERR_clear_error();
    return estc_error_set(err, ESTC_E_CREDENTIAL, "cannot make a PKCS#12 file of key and chain");
}

int render(const struct credential *credential, enum config_content content,
           enum config_format format, const char *name, const char *password, struct estc_buf *out,
           struct estc_error *err) {
    static int (*const renderers[])(const struct rendering *, struct estc_error *) = {
        [CONFIG_CONTENT_CERT] = render_cert,       [CONFIG_CONTENT_KEY] = render_key,
        [CONFIG_CONTENT_CHAIN] = render_chain,     [CONFIG_CONTENT_FULLCHAIN] = render_fullchain,
        [CONFIG_CONTENT_CACERTS] = render_cacerts, [CONFIG_CONTENT_COMBINED] = render_combined,
        [CONFIG_CONTENT_PKCS12] = render_pkcs12,
    };
    const struct rendering r = {credential, format, name, password, out};
    return renderers[content](&r, err);
}
