/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Proof that a request was made for the connection that it came on (RFC 7030 section 3.5): the
 * challengePassword of a request is the connection's channel binding in base64, or the request is
 * refused. Never a shared secret, never logged, never passed over because policy would not have
 * asked for it.
 */
#include "est/answer.h"

#include <string.h>

#include <estc/cert.h>

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/x509v3.h>

#include "base/cleanup_ossl.h"
#include "pkix/csr.h"
#include "pkix/ossl.h"

#define POP_TEXT_MAX 255 /* RFC 2985 section 5.4.1 */

/* The one value as a text; NULL when it is none (the attribute twice, several values, no
 * DirectoryString). */
static unsigned char *challenge_text(const X509_REQ *csr, int *len) {
    int at = X509_REQ_get_attr_by_NID(csr, NID_pkcs9_challengePassword, -1);
    if (X509_REQ_get_attr_by_NID(csr, NID_pkcs9_challengePassword, at) >= 0)
        return NULL;
    X509_ATTRIBUTE *attribute = X509_REQ_get_attr(csr, at);
    const ASN1_TYPE *value =
        X509_ATTRIBUTE_count(attribute) == 1 ? X509_ATTRIBUTE_get0_type(attribute, 0) : NULL;
    if (!value || value->type >= 32 || !(ASN1_tag2bit(value->type) & (B_ASN1_DIRECTORYSTRING)))
        return NULL;
    unsigned char *text = NULL;
    *len = ASN1_STRING_to_UTF8(&text, value->value.asn1_string);
    return *len < 0 ? NULL : text;
}

/* RFC 4648 section 4: padded, one line; EVP_DecodeBlock() alone would skip spaces. */
static bool is_base64(const unsigned char *text, size_t len) {
    static const char letters[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    size_t padding = 0;
    while (padding < 2 && padding < len && text[len - 1 - padding] == '=')
        padding++;
    for (size_t i = 0; i < len - padding; i++)
        if (!text[i] || !strchr(letters, text[i]))
            return false;
    return len > 0 && len % 4 == 0;
}

static bool is_binding(const unsigned char *text, size_t len, const struct estc_binding *binding) {
    unsigned char decoded[POP_TEXT_MAX / 4 * 3];
    if (len > POP_TEXT_MAX || !is_base64(text, len))
        return false;
    int n = EVP_DecodeBlock(decoded, text, (int)len);
    size_t padding = (text[len - 1] == '=') + (text[len - 2] == '=');
    bool same = n >= 0 && (size_t)n - padding == binding->len &&
                CRYPTO_memcmp(decoded, binding->data, binding->len) == 0;
    OPENSSL_cleanse(decoded, sizeof(decoded));
    return same;
}

/* id-kp-cmcRA (RFC 6402 section 2.10) means something in a certificate of the EST CA alone. */
static bool is_ra(const struct answer *a) {
    const struct estc_server_ops *ops = a->server->ops;
    return estc_cert_is_ra(a->peer->cert) && ops->issued && ops->issued(a->server->arg, a->peer);
}

int answer_pop(const struct answer *a, const X509_REQ *csr, enum estc_pop *out,
               struct estc_error *err) {
    if (!csr_has_challenge(csr)) {
        *out = ESTC_POP_NONE;
        return 0;
    }
    const struct estc_binding *binding = a->peer->binding;
    int len = 0;
    unsigned char *text = challenge_text(csr, &len);
    ossl_forget();
    if (!text)
        return estc_error_set(err, ESTC_E_MALFORMED,
                              "challengePassword: not one value of type DirectoryString");
    bool bound = binding && binding->len > 0 && is_binding(text, (size_t)len, binding);
    OPENSSL_clear_free(text, (size_t)len);
    if (bound || is_ra(a)) {
        *out = bound ? ESTC_POP_BOUND : ESTC_POP_VOUCHED;
        return 0;
    }
    return estc_error_set(err, ESTC_E_REJECTED, "%s",
                          binding && binding->len > 0
                              ? "POP linking failed: challengePassword is not the channel binding "
                                "(tls-unique, base64) of this connection; build the request anew"
                              : "POP linking failed: this connection has no channel binding "
                                "(extended master secret is missing)");
}
