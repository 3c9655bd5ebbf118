/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Keys that never leave a TPM 2.0. OpenSSL's provider `tpm2` makes them and signs with them, in a
 * library context of its own: everything else in the process goes on as if there was none. What the
 * process gets is an elliptic curve key whose public half is known and whose signatures are asked
 * of the TPM. It is of OpenSSL's older kind (EC_KEY), because a provider's key is taken for one
 * that any other provider may have, and would be signed with where its private half is not.
 *
 * In a file it is what the provider writes, "TSS2 PRIVATE KEY", of use to that TPM alone.
 */
#define OPENSSL_SUPPRESS_DEPRECATED

#include <errno.h>
#include <string.h>

#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/provider.h>
#include <openssl/x509.h>

#include <estc/key.h>

#include "base/cleanup_ossl.h"
#include "pkix/key.h"
#include "pkix/ossl.h"

#define TPM_PROVIDER "tpm2"
#define TPM_ONLY "provider=" TPM_PROVIDER
#define TPM_PEM "-----BEGIN TSS2 PRIVATE KEY-----"

/* One for the process, made once and never unloaded: keys may be anywhere. */
static OSSL_LIB_CTX *tpm_library;
static bool tpm_ready; /* the provider is there */
static EC_KEY_METHOD *tpm_method;
static int tpm_slot = -1; /* of an EC_KEY: the provider's key, which it owns */

/* --- signing --- */

static ECDSA_SIG *tpm_sign(const unsigned char *digest, int len, const BIGNUM *kinv,
                           const BIGNUM *r, EC_KEY *ec) {
    (void)kinv, (void)r;
    EVP_PKEY *key = EC_KEY_get_ex_data(ec, tpm_slot);
    EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_pkey(tpm_library, key, TPM_ONLY);
    unsigned char out[512];
    size_t size = sizeof(out);
    ECDSA_SIG *signature = NULL;
    const unsigned char *at = out;
    const EVP_MD *md = len == 48 ? EVP_sha384() : len == 64 ? EVP_sha512() : EVP_sha256();
    if (ctx && EVP_PKEY_sign_init(ctx) > 0 && EVP_PKEY_CTX_set_signature_md(ctx, md) > 0 &&
        EVP_PKEY_sign(ctx, out, &size, digest, (size_t)len) > 0)
        signature = d2i_ECDSA_SIG(NULL, &at, (long)size);
    EVP_PKEY_CTX_free(ctx);
    return signature;
}

static int tpm_sign_der(int type, const unsigned char *digest, int len, unsigned char *out,
                        unsigned *out_len, const BIGNUM *kinv, const BIGNUM *r, EC_KEY *ec) {
    (void)type;
    ECDSA_SIG *signature = tpm_sign(digest, len, kinv, r, ec);
    int n = signature ? i2d_ECDSA_SIG(signature, &out) : 0;
    ECDSA_SIG_free(signature);
    *out_len = n > 0 ? (unsigned)n : 0;
    return n > 0;
}

static void tpm_on_free(void *parent, void *key, CRYPTO_EX_DATA *ad, int idx, long argl,
                        void *argp) {
    (void)parent, (void)ad, (void)idx, (void)argl, (void)argp;
    EVP_PKEY_free(key);
}

/* --- the library --- */

static bool tpm_make_method(void) {
    if (tpm_method)
        return true;
    tpm_slot = EC_KEY_get_ex_new_index(0, NULL, NULL, NULL, tpm_on_free);
    tpm_method = tpm_slot < 0 ? NULL : EC_KEY_METHOD_new(EC_KEY_OpenSSL());
    if (tpm_method)
        EC_KEY_METHOD_set_sign(tpm_method, tpm_sign_der, NULL, tpm_sign);
    return tpm_method != NULL;
}

int estc_key_use_tpm(struct estc_error *err) {
    if (tpm_ready)
        return 0;
    if (!tpm_library)
        tpm_library = OSSL_LIB_CTX_new();
    tpm_ready = tpm_library && tpm_make_method() && OSSL_PROVIDER_load(tpm_library, "default") &&
                OSSL_PROVIDER_load(tpm_library, TPM_PROVIDER);
    if (tpm_ready)
        return 0;
    return ossl_error(
        err, ESTC_E_CREDENTIAL,
        "the TPM cannot be used: install tpm2-openssl, and see that the daemon may open "
        "/dev/tpmrm0, or what TPM2OPENSSL_TCTI names");
}

/* --- keys --- */

/* Takes the provider's key. */
static int tpm_wrap(EVP_PKEY *key, EVP_PKEY **out, struct estc_error *err) {
    unsigned char *der = NULL;
    int len = i2d_PUBKEY(key, &der);
    const unsigned char *at = der;
    EC_KEY *ec = len > 0 ? d2i_EC_PUBKEY(NULL, &at, len) : NULL;
    EVP_PKEY *wrapped = EVP_PKEY_new();
    OPENSSL_free(der);
    if (ec && wrapped && EC_KEY_set_method(ec, tpm_method) &&
        EC_KEY_set_ex_data(ec, tpm_slot, key)) {
        key = NULL; /* the EC_KEY's */
        if (EVP_PKEY_assign_EC_KEY(wrapped, ec)) {
            *out = wrapped;
            return 0;
        }
    }
    EVP_PKEY_free(key);
    EC_KEY_free(ec);
    EVP_PKEY_free(wrapped);
    return ossl_error(err, ESTC_E_CREDENTIAL,
                      "a key in the TPM cannot be used: only p256 and p384 can");
}

/* The provider's key behind one of ours; NULL for all others. */
static EVP_PKEY *tpm_behind(const EVP_PKEY *key) {
    const EC_KEY *ec =
        tpm_method && EVP_PKEY_get_base_id(key) == EVP_PKEY_EC && !EVP_PKEY_get0_provider(key)
            ? EVP_PKEY_get0_EC_KEY(key)
            : NULL;
    return ec ? EC_KEY_get_ex_data(ec, tpm_slot) : NULL;
}

bool tpm_has_key(const EVP_PKEY *key) {
    return tpm_behind(key) != NULL;
}

int estc_key_generate_in_tpm(enum estc_key_type type, EVP_PKEY **out, struct estc_error *err) {
    const char *curve = key_type_group(type);
    int rc = estc_key_use_tpm(err);
    if (rc)
        return rc;
    if (!curve)
        return estc_error_set(err, ESTC_E_CONFIG,
                              "a key in the TPM cannot be %s: choose p256 or p384",
                              estc_key_type_name(type));
    EVP_PKEY *key = EVP_PKEY_Q_keygen(tpm_library, TPM_ONLY, "EC", curve);
    return key ? tpm_wrap(key, out, err)
               : ossl_error(err, -EIO, "the TPM cannot make a %s key", estc_key_type_name(type));
}

bool tpm_is_pem(const void *pem, size_t len) {
    const char *at = pem, *mark = TPM_PEM;
    size_t need = strlen(mark);
    for (size_t i = 0; i + need <= len; i++)
        if (memcmp(at + i, mark, need) == 0)
            return true;
    return false;
}

int tpm_to_pem(const EVP_PKEY *key, BIO *mem, struct estc_error *err) {
    if (PEM_write_bio_PrivateKey_ex(mem, tpm_behind(key), NULL, NULL, 0, NULL, NULL, tpm_library,
                                    TPM_ONLY))
        return 0;
    return ossl_error(err, -EINVAL, "cannot write the TPM's key as PEM");
}

int tpm_from_pem(BIO *mem, EVP_PKEY **out, struct estc_error *err) {
    int rc = estc_key_use_tpm(err);
    if (rc)
        return rc;
    EVP_PKEY *key = PEM_read_bio_PrivateKey_ex(mem, NULL, NULL, NULL, tpm_library, "?" TPM_ONLY);
    return key ? tpm_wrap(key, out, err)
               : ossl_error(err, ESTC_E_CREDENTIAL,
                            "the key is not one of this TPM, or the TPM does not answer");
}
