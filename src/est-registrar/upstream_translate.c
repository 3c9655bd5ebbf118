/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Translates single bodies, codes and header fields; owns nothing and asks nobody. The bodies of
 * RFC 7030 are base64 whatever a Content-Transfer-Encoding says (RFC 8951 section 3), so nobody
 * looks at that.
 */
#include "upstream_translate.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include <curl/curl.h>
#include <openssl/evp.h>

#include <estc/cert.h>
#include <estc/certs.h>
#include <estc/csrattrs.h>
#include <estc/keypackage.h>

#include "base/cleanup_ossl.h"
#include "upstream_media.h"

static int out_of_memory(struct estc_error *err) {
    return estc_error_set(err, -ENOMEM, "out of memory");
}

/* --- base64 --- */

int translate_to_base64(const void *der, size_t len, struct estc_buf *out) {
    _cleanup(freep) unsigned char *text = malloc((len + 2) / 3 * 4 + 1);
    if (!text)
        return -ENOMEM;
    int n = EVP_EncodeBlock(text, der, (int)len);
    return estc_buf_append(out, text, (size_t)n);
}

static int sextet(unsigned char c) {
    static const char alphabet[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    const char *at = c ? strchr(alphabet, c) : NULL;
    return at ? (int)(at - alphabet) : -1;
}

static bool is_space(unsigned char c) {
    return c == '\r' || c == '\n' || c == ' ' || c == '\t';
}

int translate_from_base64(const void *text, size_t len, struct estc_buf *out,
                          struct estc_error *err) {
    const unsigned char *p = text;
    _cleanup(estc_buf_clear) struct estc_buf bytes = {0};
    unsigned long group = 0;
    unsigned n = 0, padding = 0;
    for (size_t i = 0; i < len; i++) {
        if (is_space(p[i]))
            continue;
        bool pad = p[i] == '=';
        int value = pad ? 0 : sextet(p[i]);
        if (value < 0 || (padding && !pad) || (pad && n % 4 < 2))
            return estc_error_set(err, ESTC_E_MALFORMED, "no base64: byte %zu of it is 0x%02x", i,
                                  p[i]);
        padding += pad;
        group = group << 6 | (unsigned long)value;
        if (++n % 4)
            continue;
        const unsigned char three[] = {(unsigned char)(group >> 16), (unsigned char)(group >> 8),
                                       (unsigned char)group};
        if (estc_buf_append(&bytes, three, 3 - padding))
            return out_of_memory(err);
        group = 0;
    }
    if (n == 0 || n % 4)
        return estc_error_set(err, ESTC_E_MALFORMED,
                              n ? "no base64: it ends in the middle" : "it is empty");
    return estc_buf_append(out, bytes.data, bytes.len) ? out_of_memory(err) : 0;
}

/* --- codes and times --- */

unsigned translate_status(long status) {
    static const struct {
        long status;
        unsigned code;
    } codes[] = {{204, 404}, {401, 401}, {403, 403}, {404, 404}, {405, 405}, {406, 406}, {413, 413},
                 {415, 415}, {500, 500}, {501, 501}, {502, 502}, {503, 503}, {504, 504}};
    for (size_t i = 0; i < sizeof(codes) / sizeof(codes[0]); i++)
        if (codes[i].status == status)
            return codes[i].code;
    return status >= 400 && status < 500 ? 400 : 502;
}

int64_t translate_retry_after(const char *value, int64_t now) {
    if (!value)
        return 0;
    size_t digits = strspn(value, "0123456789");
    int64_t seconds = 0;
    if (digits > 0 && !value[digits]) {
        seconds = digits > 9 ? TRANSLATE_RETRY_MAX : strtol(value, NULL, 10);
    } else {
        time_t date = curl_getdate(value, NULL);
        seconds = date > now ? (int64_t)date - now : 0;
    }
    return seconds < TRANSLATE_RETRY_MAX ? seconds : TRANSLATE_RETRY_MAX;
}

/* --- bodies --- */

static int expect(const struct translate_body *body, const char *type, const char *smime,
                  struct estc_error *err) {
    if (media_is(body->type, type) && (!smime || media_smime(body->type, smime)))
        return 0;
    return estc_error_set(err, ESTC_E_MALFORMED, "it is '%.80s' and not %s",
                          body->type ? body->type : "of no type", type);
}

int translate_certs(const struct translate_body *body, STACK_OF(X509) * *out,
                    struct estc_error *err) {
    _cleanup(estc_buf_clear) struct estc_buf der = {0};
    _cleanup(sk_x509_freep) STACK_OF(X509) *certs = NULL;
    int rc = expect(body, "application/pkcs7-mime", "certs-only", err);
    if (!rc)
        rc = translate_from_base64(body->data, body->len, &der, err);
    if (!rc)
        rc = estc_certs_decode(der.data, der.len, &certs, err);
    if (!rc && sk_X509_num(certs) < 1)
        rc = estc_error_set(err, ESTC_E_MALFORMED, "there is no certificate in it");
    if (rc)
        return rc;
    *out = TAKE(certs);
    return 0;
}

int translate_issued(const struct translate_body *body, X509 **out, struct estc_error *err) {
    _cleanup(sk_x509_freep) STACK_OF(X509) *certs = NULL;
    int rc = translate_certs(body, &certs, err);
    if (!rc && sk_X509_num(certs) != 1)
        rc = estc_error_set(err, ESTC_E_MALFORMED, "there are %d certificates in it, not one",
                            sk_X509_num(certs));
    if (rc)
        return rc;
    *out = sk_X509_pop(certs);
    return 0;
}

int translate_csrattrs(const struct translate_body *body, struct estc_buf *out,
                       struct estc_error *err) {
    _cleanup(estc_buf_clear) struct estc_buf der = {0};
    _cleanup(estc_csrattrs_clear) struct estc_csrattrs attrs = {0};
    int rc = expect(body, "application/csrattrs", NULL, err);
    if (!rc)
        rc = translate_from_base64(body->data, body->len, &der, err);
    if (!rc)
        rc = estc_csrattrs_decode(der.data, der.len, &attrs, err);
    if (rc || !estc_csrattrs_any(&attrs))
        return rc;
    return estc_buf_append(out, der.data, der.len) ? out_of_memory(err) : 0;
}

/* A bare key: one that can be read, and whose certificate it is. */
static int check_bare(const struct estc_buf *key, const X509 *cert, struct estc_error *err) {
    _cleanup(pkey_freep) EVP_PKEY *read = NULL;
    int rc = estc_pkcs8_decode(key->data, key->len, &read, err);
    if (rc || estc_cert_has_key(cert, read))
        return rc;
    return estc_error_set(err, ESTC_E_MALFORMED, "key and certificate in it are no pair");
}

int translate_generated(const struct translate_body *body, bool sealed, struct estc_buf *key,
                        X509 **cert, struct estc_error *err) {
    struct translate_body part[MEDIA_PARTS];
    char *types[MEDIA_PARTS] = {NULL};
    _cleanup(estc_buf_clear) struct estc_buf found = {0};
    _cleanup(x509_freep) X509 *issued = NULL;
    int rc = expect(body, "multipart/mixed", NULL, err);
    if (!rc)
        rc = media_split(body, part, types, err);
    if (!rc) {
        const struct translate_body *first = &part[0], *second = &part[1];
        bool key_first = media_is(first->type, "application/pkcs8") ||
                         media_smime(first->type, "server-generated-key") == MEDIA_NAMED;
        const struct translate_body *k = key_first ? first : second;
        rc = sealed ? expect(k, "application/pkcs7-mime", "server-generated-key", err)
                    : expect(k, "application/pkcs8", NULL, err);
        if (!rc)
            rc = translate_from_base64(k->data, k->len, &found, err);
        if (!rc)
            rc = translate_issued(key_first ? second : first, &issued, err);
    }
    if (!rc && !sealed)
        rc = check_bare(&found, issued, err);
    for (int i = 0; i < MEDIA_PARTS; i++)
        free(types[i]);
    if (rc)
        return rc;
    *key = found;
    found = (struct estc_buf){0};
    *cert = TAKE(issued);
    return 0;
}
