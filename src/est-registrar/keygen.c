/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Makes keys for others. A key made here is written nowhere, neither into the ledger nor into a log
 * nor onto the disk: it exists until its answer is sent. So it cannot be sent twice, and whoever
 * asks again gets another one. One that takes long is made beside the loop (keymaker.c).
 */
#include "keygen.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <estc/key.h>

#include "base/cleanup_ossl.h"
#include "common/pem.h"
#include "common/sealfile.h"
#include "keymaker.h"

/* What every handshake of the listener's is good for at least (RFC 7030 section 4.4: no weaker than
 * the key that travels in it). */
#define DTLS_SECURITY_BITS 128

struct keygen {
    struct estc_credentials own;
    struct sealfile secrets;
    STACK_OF(X509) * recipients; /* may be NULL */
    struct keymaker *maker;
};

struct keygen *keygen_close(struct keygen *keygen) {
    if (!keygen)
        return NULL;
    pem_credentials_clear(&keygen->own);
    sealfile_clear(&keygen->secrets);
    sk_X509_pop_free(keygen->recipients, X509_free);
    keymaker_free(keygen->maker);
    free(keygen);
    return NULL;
}

CLEANUP_DEFINE(struct keygen *, keygen_closep, keygen_close);

/* A certificate that nothing may be encrypted to is better found at start. */
static int check_recipients(const struct keygen *keygen, const char *path, struct estc_error *err) {
    int rc = 0;
    for (int i = 0; !rc && i < sk_X509_num(keygen->recipients); i++) {
        const struct estc_seal seal = {.cert = sk_X509_value(keygen->recipients, i)};
        rc = estc_seal_check(&seal, err);
    }
    return rc ? estc_error_prefix(err, "%s", path) : 0;
}

int keygen_open(const struct config *config, struct keygen **out, struct estc_error *err) {
    _cleanup(keygen_closep) struct keygen *keygen = calloc(1, sizeof(*keygen));
    if (!keygen)
        return estc_error_set(err, -ENOMEM, "out of memory");
    int rc =
        pem_read_credentials(config->server_certificate, config->server_key, &keygen->own, err);
    if (!rc && config->seal_secrets)
        rc = sealfile_read_secrets(config->seal_secrets, &keygen->secrets, err);
    if (!rc && config->seal_certificates)
        rc = pem_read_certs(config->seal_certificates, &keygen->recipients, err);
    if (!rc)
        rc = check_recipients(keygen, config->seal_certificates, err);
    if (!rc)
        rc = keymaker_new(&keygen->maker, err);
    if (rc)
        return rc;
    *out = TAKE(keygen);
    return 0;
}

/* --- with what --- */

static bool find_secret(const struct keygen *keygen, const struct estc_seal_wish *wish,
                        struct estc_seal *out) {
    for (size_t i = 0; i < keygen->secrets.n_secrets; i++) {
        const struct sealfile_secret *secret = &keygen->secrets.secrets[i];
        if (secret->id_len == wish->id.len &&
            memcmp(secret->id, wish->id.data, wish->id.len) == 0) {
            *out = sealfile_secret_seal(secret);
            return true;
        }
    }
    return false;
}

/* That of the device itself, if it names it, or one of those that the operator has named. */
static bool find_cert(const struct keygen *keygen, const struct estc_seal_wish *wish, X509 *peer,
                      struct estc_seal *out) {
    X509 *found = estc_seal_wish_names(wish, peer) ? peer : NULL;
    for (int i = 0; !found && i < sk_X509_num(keygen->recipients); i++)
        if (estc_seal_wish_names(wish, sk_X509_value(keygen->recipients, i)))
            found = sk_X509_value(keygen->recipients, i);
    *out = (struct estc_seal){.cert = found};
    return found;
}

int keygen_find_seal(const struct keygen *keygen, const struct estc_seal_wish *wish, X509 *peer,
                     struct estc_seal *out, struct estc_error *err) {
    struct estc_seal seal = {0};
    bool found = true;
    switch (wish->kind) {
    case ESTC_SEAL_NONE:
        break;
    case ESTC_SEAL_SECRET:
        found = find_secret(keygen, wish, &seal);
        break;
    case ESTC_SEAL_CERT:
        found = find_cert(keygen, wish, peer, &seal);
        break;
    }
    if (!found)
        return estc_error_set(err, ESTC_E_REJECTED,
                              "the key to encrypt with that the request names is not known here");
    if (wish->kind != ESTC_SEAL_NONE && estc_seal_check(&seal, err))
        return estc_error_set(err, ESTC_E_REJECTED,
                              "nothing may be encrypted with the key that the request names");
    *out = seal;
    return 0;
}

/* --- the key --- */

static enum estc_key_type type_of(const X509_REQ *csr) {
    enum estc_key_type type = ESTC_KEY_P256;
    const EVP_PKEY *key = X509_REQ_get0_pubkey((X509_REQ *)(uintptr_t)csr);
    if (key)
        (void)estc_key_type_of(key, &type);
    return type;
}

static int with_key(const X509_REQ *csr, EVP_PKEY *key, X509_REQ **out, struct estc_error *err) {
    _cleanup(x509_req_freep) X509_REQ *copy = X509_REQ_dup(csr);
    if (!copy || !X509_REQ_set_pubkey(copy, key))
        return estc_error_set(err, -ENOMEM, "out of memory");
    *out = TAKE(copy);
    return 0;
}

int keygen_judgeable(const X509_REQ *csr, X509_REQ **out, struct estc_error *err) {
    enum estc_key_type type;
    EVP_PKEY *own = X509_REQ_get0_pubkey((X509_REQ *)(uintptr_t)csr);
    if (own && !estc_key_type_of(own, &type))
        return with_key(csr, own, out, err);
    _cleanup(pkey_freep) EVP_PKEY *stand_in = NULL;
    int rc = estc_key_generate(type_of(csr), &stand_in, err);
    return rc ? rc : with_key(csr, stand_in, out, err);
}

static int generate(const struct keygen *keygen, enum estc_key_type type, EVP_PKEY **out,
                    struct estc_error *err) {
    return keymaker_is_for(type) ? keymaker_take(keygen->maker, type, out, err)
                                 : estc_key_generate(type, out, err);
}

int keygen_fd(const struct keygen *keygen) {
    return keymaker_fd(keygen->maker);
}

void keygen_seen(struct keygen *keygen) {
    keymaker_seen(keygen->maker);
}

static int check_strength(const EVP_PKEY *key, const struct estc_seal_wish *wish,
                          struct estc_error *err) {
    if (wish->kind != ESTC_SEAL_NONE || EVP_PKEY_get_security_bits(key) <= DTLS_SECURITY_BITS)
        return 0;
    return estc_error_set(err, ESTC_E_REJECTED,
                          "a key of that kind is stronger than the connection: ask for it "
                          "encrypted, or for p256, rsa2048 or rsa3072");
}

int keygen_make(const struct keygen *keygen, const struct estc_seal_wish *wish,
                const struct estc_seal *seal, const X509_REQ *csr, X509_REQ **out,
                struct estc_buf *key, struct estc_error *err) {
    const struct estc_signer signer = {
        .cert = keygen->own.cert, .key = keygen->own.key, .chain = keygen->own.chain};
    _cleanup(pkey_freep) EVP_PKEY *made = NULL;
    _cleanup(x509_req_freep) X509_REQ *request = NULL;
    _cleanup(estc_buf_clear) struct estc_buf packed = {0};
    int rc = generate(keygen, type_of(csr), &made, err);
    if (!rc)
        rc = check_strength(made, wish, err);
    if (!rc)
        rc = with_key(csr, made, &request, err);
    if (!rc)
        rc = wish->kind == ESTC_SEAL_NONE
                 ? estc_pkcs8_encode(made, &packed, err)
                 : estc_keypackage_seal(made, wish, seal, &signer, &packed, err);
    if (rc)
        return rc;
    *out = TAKE(request);
    *key = packed;
    packed = (struct estc_buf){0};
    return 0;
}
