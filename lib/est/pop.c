/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Proof that a request was made for the connection that it came on (RFC 7030 section 3.5): the
 * challengePassword of a request is the connection's channel binding in base64, or the request is
 * refused. Never a shared secret, never logged, never passed over because policy would not have
 * asked for it.
 */
#include "est/answer.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/x509v3.h>

#include <estc/cert.h>

#include "base/cleanup_ossl.h"
#include "pkix/csr.h"
#include "pkix/ossl.h"

/* As UTF-8; NULL for what is no DirectoryString. */
static unsigned char *challenge_text(const ASN1_TYPE *value, int *len) {
    unsigned char *text = NULL;
    if (value->type >= 32 || !(ASN1_tag2bit(value->type) & (B_ASN1_DIRECTORYSTRING)))
        return NULL;
    *len = ASN1_STRING_to_UTF8(&text, value->value.asn1_string);
    return *len < 0 ? NULL : text;
}

/* RFC 4648 section 4: padded, in one line. A binding has one such text, and no other will do. */
static bool is_binding(const unsigned char *text, size_t len, const struct estc_binding *binding) {
    unsigned char own[(ESTC_BINDING_MAX + 2) / 3 * 4 + 1];
    int own_len = EVP_EncodeBlock(own, binding->data, (int)binding->len);
    return own_len > 0 && len == (size_t)own_len && CRYPTO_memcmp(text, own, len) == 0;
}

/* id-kp-cmcRA (RFC 6402 section 2.10) means something in a certificate of the EST CA alone. */
static bool is_ra(const struct answer *a) {
    const struct estc_server_ops *ops = a->server->ops;
    return estc_cert_is_ra(a->peer->cert) && ops->issued && ops->issued(a->server->arg, a->peer);
}

int answer_pop(const struct answer *a, const X509_REQ *csr, enum estc_pop *out,
               struct estc_error *err) {
    const ASN1_TYPE *value = NULL;
    bool broken = csr_attribute(csr, OBJ_nid2obj(NID_pkcs9_challengePassword), &value) != 0;
    if (!broken && !value) {
        *out = ESTC_POP_NONE;
        return 0;
    }
    const struct estc_binding *binding = a->peer->binding;
    int len = 0;
    unsigned char *text = broken ? NULL : challenge_text(value, &len);
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
