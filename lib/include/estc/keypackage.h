/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Private keys on their way from the server that made them (RFC 9148 section 4.8, RFC 7030 section
 * 4.4): bare, as PKCS#8 (content format 284), or sealed for one recipient (280). Whatever held a
 * private key here is wiped.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <openssl/evp.h>
#include <openssl/x509.h>

#include <estc/buf.h>
#include <estc/error.h>
#include <estc/trust.h>

/*
 * PKCS#8, RFC 5958: appends DER of version 0. The reader takes DER or BER and both versions, with
 * nothing behind; the key has to be of a known type and its halves have to fit. ESTC_E_MALFORMED.
 */
int estc_pkcs8_encode(const EVP_PKEY *key, struct estc_buf *out, struct estc_error *err);
int estc_pkcs8_decode(const void *der, size_t len, EVP_PKEY **out, struct estc_error *err);

/* With what a key is sealed, by the server, and opened, by the client: one of the two kinds. */
struct estc_seal {
    /* An AES key of 16 or 32 bytes that both ends have, and the name they have for it, of 1 to
     * ESTC_SEAL_ID_MAX bytes. */
    const unsigned char *secret;
    size_t secret_len;
    const unsigned char *id;
    size_t id_len;
    /* A certificate with an RSA or EC key; its private key is needed for opening alone. */
    X509 *cert;
    EVP_PKEY *key;
};
#define ESTC_SEAL_ID_MAX 64

/* 0, or ESTC_E_CREDENTIAL with what is wrong with it: a length, a kind of key, a certificate whose
 * key usage forbids the use (RFC 7030 section 4.4.1.2). */
int estc_seal_check(const struct estc_seal *seal, struct estc_error *err);

/* What a request says about sealing (RFC 7030 section 4.4.1). */
enum estc_seal_kind {
    ESTC_SEAL_NONE,   /* nothing: the key comes bare */
    ESTC_SEAL_SECRET, /* DecryptKeyIdentifier */
    ESTC_SEAL_CERT,   /* AsymmetricDecryptKeyIdentifier */
};

struct estc_seal_wish {
    enum estc_seal_kind kind;
    struct estc_buf id;    /* a name of a secret, or what estc_seal_wish_names() understands */
    unsigned capabilities; /* algorithms of SMIMECapabilities that are known here; internal bits */
};

/* ESTC_E_MALFORMED for broken attributes, for both kinds at once, and for an identifier that comes
 * without the SMIMECapabilities that have to accompany it. Clear it. */
int estc_seal_wish_get(const X509_REQ *csr, struct estc_seal_wish *out, struct estc_error *err);
void estc_seal_wish_clear(struct estc_seal_wish *wish);

/* Whether a wish of the kind ESTC_SEAL_CERT means this certificate: by the subject key identifier,
 * or by the DER of issuer and serial number. */
bool estc_seal_wish_names(const struct estc_seal_wish *wish, X509 *cert);

/* Who made the key and says so. */
struct estc_signer {
    X509 *cert;
    EVP_PKEY *key;
    const STACK_OF(X509) * chain; /* sent along; may be NULL */
};

/*
 * EnvelopedData of SignedData of AsymmetricKeyPackage (RFC 7030 section 4.4.2), appended as DER.
 * Only algorithms that the wish lists are used for wrapping and transport: ESTC_E_REJECTED when
 * none fits seal. Content is AES-CBC, as strong as what it is wrapped with where that is listed.
 */
int estc_keypackage_seal(const EVP_PKEY *key, const struct estc_seal_wish *wish,
                         const struct estc_seal *seal, const struct estc_signer *signer,
                         struct estc_buf *out, struct estc_error *err);

/* How a client opens what it gets. */
struct estc_opener {
    const struct estc_seal *seal;   /* with the private key, where it is a certificate's */
    const struct estc_trust *trust; /* that whoever signed has to lead to; NULL: nobody may sign */
    int64_t now;                    /* seconds since 1970, for that */
};

/*
 * The reverse. Takes SignedData outside of EnvelopedData as well, AuthEnvelopedData, and a package
 * without signer; where there is one, its signature has to hold and its certificate to lead to
 * the opener's trust: ESTC_E_UNTRUSTED. A package that is not encrypted is refused.
 * ESTC_E_MALFORMED, ESTC_E_CREDENTIAL when the seal is not the opener's.
 */
int estc_keypackage_open(const void *der, size_t len, const struct estc_opener *opener,
                         EVP_PKEY **out, struct estc_error *err);
