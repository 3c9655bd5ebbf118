/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Private keys, of the types that RFC 9148 section 3 and this library's suites can use and no
 * others. Never asks for a passphrase. Owns nothing between calls.
 */
#include "pkix/key.h"

#include <errno.h>
#include <limits.h>
#include <string.h>

#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>

#include "base/cleanup_ossl.h"
#include "pkix/ossl.h"

static const struct {
    const char *name;
    const char *curve; /* OpenSSL's name; NULL: RSA */
    int bits;
} key_types[ESTC_KEY_TYPE_MAX_] = {
    [ESTC_KEY_P256] = {"p256", "prime256v1", 256}, [ESTC_KEY_P384] = {"p384", "secp384r1", 384},
    [ESTC_KEY_RSA2048] = {"rsa2048", NULL, 2048},  [ESTC_KEY_RSA3072] = {"rsa3072", NULL, 3072},
    [ESTC_KEY_RSA4096] = {"rsa4096", NULL, 4096},
};

static bool key_type_valid(enum estc_key_type type) {
    return (unsigned)type < ESTC_KEY_TYPE_MAX_;
}

const char *estc_key_type_name(enum estc_key_type type) {
    return key_type_valid(type) ? key_types[type].name : "other";
}

int estc_key_type_parse(const char *name, enum estc_key_type *out) {
    for (int i = 0; i < ESTC_KEY_TYPE_MAX_; i++)
        if (strcmp(name, key_types[i].name) == 0) {
            *out = (enum estc_key_type)i;
            return 0;
        }
    return -EINVAL;
}

int key_type_curve(enum estc_key_type type) {
    const char *curve = key_type_valid(type) ? key_types[type].curve : NULL;
    return curve ? OBJ_sn2nid(curve) : NID_undef;
}

const char *key_type_group(enum estc_key_type type) {
    return key_type_valid(type) ? key_types[type].curve : NULL;
}

unsigned key_type_bits(enum estc_key_type type) {
    return key_type_valid(type) ? (unsigned)key_types[type].bits : 0;
}

/* NID of the named curve of a key; NID_undef for none, and for parameters spelt out, which may say
 * anything under a familiar name (RFC 5480 section 2.1.1 forbids them). */
static int key_curve(const EVP_PKEY *key) {
    int spelt_out = 0;
    char name[64];
    if (EVP_PKEY_get_int_param(key, OSSL_PKEY_PARAM_EC_DECODED_FROM_EXPLICIT_PARAMS, &spelt_out) &&
        spelt_out)
        return NID_undef;
    if (!EVP_PKEY_get_group_name(key, name, sizeof(name), NULL))
        return NID_undef;
    int nid = OBJ_txt2nid(name);
    return nid != NID_undef ? nid : EC_curve_nist2nid(name);
}

/* An even exponent, or 1, is no RSA key whatever its size. */
static bool rsa_exponent_sane(const EVP_PKEY *key) {
    _cleanup(bn_freep) BIGNUM *e = NULL;
    return EVP_PKEY_get_bn_param(key, OSSL_PKEY_PARAM_RSA_E, &e) && BN_is_odd(e) && !BN_is_one(e);
}

int estc_key_type_of(const EVP_PKEY *key, enum estc_key_type *out) {
    bool ec = EVP_PKEY_is_a(key, "EC");
    if (!ec && !(EVP_PKEY_is_a(key, "RSA") && rsa_exponent_sane(key))) {
        ossl_forget();
        return -EINVAL;
    }
    int curve = ec ? key_curve(key) : NID_undef;
    ossl_forget();
    for (int i = 0; i < ESTC_KEY_TYPE_MAX_; i++) {
        const char *name = key_types[i].curve;
        bool same = ec ? name && curve == OBJ_sn2nid(name)
                       : !name && EVP_PKEY_get_bits(key) == key_types[i].bits;
        if (same) {
            *out = (enum estc_key_type)i;
            return 0;
        }
    }
    return -EINVAL;
}

int estc_key_generate(enum estc_key_type type, EVP_PKEY **out, struct estc_error *err) {
    if (!key_type_valid(type))
        return estc_error_set(err, -EINVAL, "there is no key type %d", (int)type);
    const char *curve = key_types[type].curve;
    EVP_PKEY *key = curve ? EVP_EC_gen(curve) : EVP_RSA_gen((unsigned)key_types[type].bits);
    if (!key)
        return ossl_error(err, -EIO, "cannot make a %s key", key_types[type].name);
    *out = key;
    return 0;
}

int estc_key_to_pem(const EVP_PKEY *key, struct estc_buf *out, struct estc_error *err) {
    /* The secure kind wipes what it held; where there is no secure heap it is an ordinary one. */
    _cleanup(bio_freep) BIO *mem = BIO_new(BIO_s_secmem());
    if (mem && tpm_has_key(key)) {
        int rc = tpm_to_pem(key, mem, err);
        return rc ? rc : ossl_append(mem, out, err);
    }
    if (!mem || !PEM_write_bio_PKCS8PrivateKey(mem, key, NULL, NULL, 0, NULL, NULL))
        return ossl_error(err, -EINVAL, "cannot write the private key as PEM");
    return ossl_append(mem, out, err);
}

/* Called for an encrypted key; remembers that and has no passphrase to give. */
static int no_passphrase(char *buf, int size, int writing, void *asked) {
    (void)buf;
    (void)size;
    (void)writing;
    *(bool *)asked = true;
    return -1;
}

int estc_key_from_pem(const void *pem, size_t len, EVP_PKEY **out, struct estc_error *err) {
    if (len > INT_MAX)
        return estc_error_set(err, ESTC_E_CREDENTIAL, "the private key file is too large");
    _cleanup(bio_freep) BIO *mem = BIO_new_mem_buf(pem, (int)len);
    if (!mem)
        return ossl_error(err, -ENOMEM, "out of memory");
    if (tpm_is_pem(pem, len))
        return tpm_from_pem(mem, out, err);
    bool encrypted = false;
    _cleanup(pkey_freep) EVP_PKEY *key =
        PEM_read_bio_PrivateKey(mem, NULL, no_passphrase, &encrypted);
    if (encrypted) {
        ossl_forget();
        return estc_error_set(err, ESTC_E_CREDENTIAL,
                              "the private key is encrypted: store it without a passphrase");
    }
    if (!key)
        return ossl_error(err, ESTC_E_CREDENTIAL,
                          "no usable private key in it: expected PEM with PRIVATE KEY");
    ossl_forget();
    enum estc_key_type type;
    if (estc_key_type_of(key, &type))
        return estc_error_set(err, ESTC_E_CREDENTIAL,
                              "the private key is of a type that is not supported: use p256, p384, "
                              "rsa2048, rsa3072 or rsa4096");
    *out = TAKE(key);
    return 0;
}
