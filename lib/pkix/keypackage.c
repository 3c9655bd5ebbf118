/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A private key under seal: EnvelopedData( SignedData( AsymmetricKeyPackage ) ), RFC 7030 section
 * 4.4.2, by OpenSSL's CMS. Layers are taken off one by one, each kind once, so that no nesting of a
 * sender's choice arises. Whatever holds the key in the clear is wiped. Owns nothing between calls.
 */
#include <estc/keypackage.h>

#include <errno.h>
#include <limits.h>
#include <string.h>

#include <openssl/cms.h>
#include <openssl/ec.h>
#include <openssl/rsa.h>

#include "base/cleanup_ossl.h"
#include "pkix/ossl.h"
#include "pkix/pkcs8.h"
#include "pkix/seal.h"

#define OID_KEY_PACKAGE "2.16.840.1.101.2.1.2.78.5" /* id-ct-KP-aKeyPackage */
#define SIGNERS_MAX 4
#define CERTIFICATES_MAX 16

/* A message of ours or of a peer's; its content is wiped, in whatever layer it is clear. */
static void cms_free(CMS_ContentInfo *cms) {
    ASN1_OCTET_STRING **content = CMS_get0_content(cms);
    if (content)
        ossl_wipe(*content);
    CMS_ContentInfo_free(cms);
}
CLEANUP_DEFINE(CMS_ContentInfo *, cms_freep, cms_free);

static int out_of_memory(struct estc_error *err) {
    return ossl_error(err, -ENOMEM, "out of memory");
}

static int malformed(struct estc_error *err, const char *why) {
    return ossl_error(err, ESTC_E_MALFORMED, "sealed key: %s", why);
}

/* --- a layer's content alone, and the ContentInfo around it --- */

/* Inside of another layer there is the bare content of a type, not a ContentInfo (RFC 5652 section
 * 6.3); some senders put one there all the same. Appends the ContentInfo in either case. */
static int wrap(int type, const struct estc_buf *content, struct estc_buf *out,
                struct estc_error *err) {
    const unsigned char *p = content->data;
    long len = 0;
    int tag = 0, class = 0;
    if (content->len > 0 && content->len < INT_MAX / 2 &&
        !(ASN1_get_object(&p, &len, &tag, &class, (long)content->len) & 0x80) &&
        p < content->data + content->len && *p == V_ASN1_OBJECT) {
        int rc = estc_buf_append(out, content->data, content->len);
        return rc ? out_of_memory(err) : 0;
    }
    if (content->len == 0 || content->len >= INT_MAX / 2)
        return malformed(err, "a layer has no content");
    unsigned char head[64], *end = head;
    int inner = (int)content->len;
    int explicit = ASN1_object_size(1, inner, 0);
    int oid = i2d_ASN1_OBJECT(OBJ_nid2obj(type), NULL);
    ASN1_put_object(&end, 1, oid + explicit, V_ASN1_SEQUENCE, V_ASN1_UNIVERSAL);
    i2d_ASN1_OBJECT(OBJ_nid2obj(type), &end);
    ASN1_put_object(&end, 1, inner, 0, V_ASN1_CONTEXT_SPECIFIC);
    int rc = estc_buf_append(out, head, (size_t)(end - head));
    if (!rc)
        rc = estc_buf_append(out, content->data, content->len);
    return rc ? out_of_memory(err) : 0;
}

/* The reverse, of what OpenSSL has just written. */
static int unwrap(const unsigned char *der, int der_len, struct estc_buf *out,
                  struct estc_error *err) {
    const unsigned char *p = der, *end = der + der_len;
    long len = 0;
    int tag = 0, class = 0;
    ASN1_get_object(&p, &len, &tag, &class, end - p); /* ContentInfo */
    ASN1_get_object(&p, &len, &tag, &class, end - p); /* its type */
    p += len;
    ASN1_get_object(&p, &len, &tag, &class, end - p); /* [0] */
    int rc = estc_buf_append(out, p, (size_t)(end - p));
    return rc ? out_of_memory(err) : 0;
}

static BIO *reader(const struct estc_buf *in) {
    return BIO_new_mem_buf(in->data, (int)in->len);
}

/* --- sealing --- */

static int sign(const struct estc_buf *package, const struct estc_signer *signer,
                struct estc_buf *out, struct estc_error *err) {
    _cleanup(bio_freep) BIO *in = reader(package);
    _cleanup(object_freep) ASN1_OBJECT *type = OBJ_txt2obj(OID_KEY_PACKAGE, 1);
    STACK_OF(X509) *chain = (STACK_OF(X509) *)(uintptr_t)signer->chain;
    _cleanup(cms_freep) CMS_ContentInfo *cms =
        CMS_sign(NULL, NULL, chain, NULL, CMS_BINARY | CMS_PARTIAL);
    if (!in || !type || !cms || !CMS_set1_eContentType(cms, type) ||
        !CMS_add1_signer(cms, signer->cert, signer->key, EVP_sha256(), CMS_NOSMIMECAP) ||
        !CMS_final(cms, in, NULL, CMS_BINARY))
        return ossl_error(err, -EINVAL, "cannot sign a package with a private key");
    unsigned char *der = NULL;
    int len = i2d_CMS_ContentInfo(cms, &der);
    int rc = len > 0 ? unwrap(der, len, out, err) : out_of_memory(err);
    OPENSSL_clear_free(der, len > 0 ? (size_t)len : 0);
    return rc;
}

/* Bits of AES for the content and the wrap: as strong as what they hang from, if listed. */
struct choice {
    int content, wrap;
};

static bool listed(const struct estc_seal_wish *wish, unsigned capability) {
    return (wish->capabilities & capability) != 0;
}

/* Content in AES-CBC: every receiver that lists nothing of the kind has it. */
static int choose_content(const struct estc_seal_wish *wish, int wanted) {
    unsigned other = wanted == 256 ? SEAL_AES128_CBC : SEAL_AES256_CBC;
    unsigned same = wanted == 256 ? SEAL_AES256_CBC : SEAL_AES128_CBC;
    return !listed(wish, same) && listed(wish, other) ? 384 - wanted : wanted;
}

/* False when the wish lists nothing that would do (RFC 7030 section 4.4.1). */
static bool choose(const struct estc_seal_wish *wish, const struct estc_seal *seal,
                   struct choice *out) {
    if (seal->secret) {
        out->wrap = (int)seal->secret_len * 8;
        out->content = choose_content(wish, out->wrap);
        return listed(wish, out->wrap == 256 ? SEAL_AES256_WRAP : SEAL_AES128_WRAP);
    }
    EVP_PKEY *public = X509_get0_pubkey(seal->cert);
    int strength = EVP_PKEY_get_security_bits(public) > 128 ? 256 : 128;
    out->wrap = out->content = choose_content(wish, strength);
    if (EVP_PKEY_is_a(public, "RSA"))
        return listed(wish, SEAL_RSA_OAEP | SEAL_RSA);
    /* OpenSSL wraps with as many bits as the content is encrypted with. */
    if (!listed(wish, out->wrap == 256 ? SEAL_AES256_WRAP : SEAL_AES128_WRAP))
        out->wrap = out->content = 384 - out->wrap;
    return listed(wish, SEAL_ECDH_SHA256) &&
           listed(wish, out->wrap == 256 ? SEAL_AES256_WRAP : SEAL_AES128_WRAP) &&
           choose_content(wish, out->content) == out->content;
}

/* RFC 7030 section 4.4.2: the name of the secret is that of the request. */
static bool add_secret(CMS_ContentInfo *cms, const struct estc_seal *seal) {
    unsigned char *secret = OPENSSL_memdup(seal->secret, seal->secret_len);
    unsigned char *id = OPENSSL_memdup(seal->id, seal->id_len);
    int nid = seal->secret_len == 32 ? NID_id_aes256_wrap : NID_id_aes128_wrap;
    if (secret && id &&
        CMS_add0_recipient_key(cms, nid, secret, seal->secret_len, id, seal->id_len, NULL, NULL,
                               NULL))
        return true;
    OPENSSL_clear_free(secret, seal->secret_len);
    OPENSSL_free(id);
    return false;
}

/* Key transport for RSA, by OAEP where that is listed; key agreement for EC. */
static bool add_cert(CMS_ContentInfo *cms, const struct estc_seal_wish *wish, X509 *cert) {
    unsigned flags = CMS_KEY_PARAM;
    if (X509_get0_subject_key_id(cert))
        flags |= CMS_USE_KEYID;
    CMS_RecipientInfo *recipient = CMS_add1_recipient_cert(cms, cert, flags);
    EVP_PKEY_CTX *ctx = recipient ? CMS_RecipientInfo_get0_pkey_ctx(recipient) : NULL;
    if (!ctx)
        return false;
    if (!EVP_PKEY_is_a(X509_get0_pubkey(cert), "RSA"))
        return EVP_PKEY_CTX_set_ecdh_kdf_md(ctx, EVP_sha256()) > 0;
    return !listed(wish, SEAL_RSA_OAEP) ||
           (EVP_PKEY_CTX_set_rsa_padding(ctx, RSA_PKCS1_OAEP_PADDING) > 0 &&
            EVP_PKEY_CTX_set_rsa_oaep_md(ctx, EVP_sha256()) > 0 &&
            EVP_PKEY_CTX_set_rsa_mgf1_md(ctx, EVP_sha256()) > 0);
}

static int envelop(const struct estc_buf *content, const struct estc_seal_wish *wish,
                   const struct estc_seal *seal, const struct choice *choice, struct estc_buf *out,
                   struct estc_error *err) {
    const EVP_CIPHER *cipher = choice->content == 256 ? EVP_aes_256_cbc() : EVP_aes_128_cbc();
    _cleanup(bio_freep) BIO *in = reader(content);
    _cleanup(cms_freep) CMS_ContentInfo *cms =
        CMS_encrypt(NULL, NULL, cipher, CMS_BINARY | CMS_PARTIAL);
    if (!in || !cms || !CMS_set1_eContentType(cms, OBJ_nid2obj(NID_pkcs7_signed)) ||
        !(seal->secret ? add_secret(cms, seal) : add_cert(cms, wish, seal->cert)) ||
        !CMS_final(cms, in, NULL, CMS_BINARY))
        return ossl_error(err, -EINVAL, "cannot encrypt a private key");
    unsigned char *der = NULL;
    int len = i2d_CMS_ContentInfo(cms, &der);
    int rc = len > 0 ? estc_buf_append(out, der, (size_t)len) : -ENOMEM;
    OPENSSL_free(der);
    return rc ? out_of_memory(err) : 0;
}

int estc_keypackage_seal(const EVP_PKEY *key, const struct estc_seal_wish *wish,
                         const struct estc_seal *seal, const struct estc_signer *signer,
                         struct estc_buf *out, struct estc_error *err) {
    struct choice choice;
    int rc = estc_seal_check(seal, err);
    if (rc)
        return rc;
    if (!choose(wish, seal, &choice))
        return estc_error_set(err, ESTC_E_REJECTED,
                              "none of the SMIMECapabilities fits the key to encrypt with");
    _cleanup(estc_buf_clear) struct estc_buf package = {0};
    _cleanup(estc_buf_clear) struct estc_buf signed_data = {0};
    rc = pkcs8_package_encode(key, &package, err);
    if (!rc)
        rc = sign(&package, signer, &signed_data, err);
    return rc ? rc : envelop(&signed_data, wish, seal, &choice, out, err);
}

/* --- opening --- */

/* What has been taken off so far, and what is left. */
struct layers {
    const struct estc_opener *by;
    struct estc_buf content; /* of the type below */
    int type;                /* a NID; NID_undef: the key package */
    bool opened, verified;
};

static bool is_layer(int type) {
    return type == NID_pkcs7_signed || type == NID_pkcs7_enveloped ||
           type == NID_id_smime_ct_authEnvelopedData;
}

static int take_type(struct layers *l, CMS_ContentInfo *cms, struct estc_error *err) {
    char oid[sizeof(OID_KEY_PACKAGE) + 1];
    const ASN1_OBJECT *type = CMS_get0_eContentType(cms);
    bool last =
        type && OBJ_obj2txt(oid, sizeof(oid), type, 1) > 0 && strcmp(oid, OID_KEY_PACKAGE) == 0;
    int nid = type ? OBJ_obj2nid(type) : NID_undef;
    if (!last && !is_layer(nid))
        return malformed(err, "its content is neither a layer nor a key package");
    l->type = last ? NID_undef : nid;
    return 0;
}

/* The content of a layer replaces the layer. */
static int take_content(struct layers *l, BIO *clear, CMS_ContentInfo *cms,
                        struct estc_error *err) {
    _cleanup(estc_buf_clear) struct estc_buf content = {0};
    int rc = ossl_append(clear, &content, err);
    if (!rc)
        rc = take_type(l, cms, err);
    if (rc)
        return rc;
    estc_buf_clear(&l->content);
    l->content = content;
    content = (struct estc_buf){0};
    return 0;
}

static int decrypt(struct layers *l, CMS_ContentInfo *cms, struct estc_error *err) {
    const struct estc_seal *seal = l->by->seal;
    _cleanup(bio_freep) BIO *clear = BIO_new(BIO_s_secmem());
    if (!clear)
        return out_of_memory(err);
    if (l->opened)
        return malformed(err, "encrypted twice");
    bool ok = seal->secret ? CMS_decrypt_set1_key(cms, (unsigned char *)(uintptr_t)seal->secret,
                                                  seal->secret_len, seal->id, seal->id_len) &&
                                 CMS_decrypt(cms, NULL, NULL, NULL, clear, CMS_BINARY)
                           : CMS_decrypt(cms, seal->key, seal->cert, NULL, clear, CMS_BINARY) == 1;
    if (!ok)
        return ossl_error(err, ESTC_E_CREDENTIAL,
                          "sealed key: the %s at hand does not open it: was it sealed for another?",
                          seal->secret ? "secret" : "private key");
    l->opened = true;
    return take_content(l, clear, cms, err);
}

/* Signatures by the certificates in the message have been found to hold; now whose they are. */
static int check_signers(const struct layers *l, CMS_ContentInfo *cms, struct estc_error *err) {
    if (!l->by->trust)
        return estc_error_set(err, ESTC_E_UNTRUSTED, "sealed key: there is nobody to trust");
    _cleanup(sk_x509_freep) STACK_OF(X509) *helpers = CMS_get1_certs(cms);
    STACK_OF(X509) *signers = CMS_get0_signers(cms); /* the list is ours, its members are not */
    int rc = signers ? 0 : out_of_memory(err);
    for (int i = 0; !rc && i < sk_X509_num(signers); i++)
        rc = estc_trust_verify(l->by->trust, sk_X509_value(signers, i), helpers, ESTC_PURPOSE_ANY,
                               l->by->now, NULL, err);
    sk_X509_free(signers);
    if (rc > 0)
        estc_error_prefix(err, "sealed key: who signed it");
    return rc;
}

static int verify(struct layers *l, CMS_ContentInfo *cms, struct estc_error *err) {
    _cleanup(bio_freep) BIO *clear = BIO_new(BIO_s_secmem());
    if (!clear)
        return out_of_memory(err);
    if (l->verified)
        return malformed(err, "signed twice");
    int signers = sk_CMS_SignerInfo_num(CMS_get0_SignerInfos(cms));
    if (signers < 0 || signers > SIGNERS_MAX)
        return malformed(err, "too many signers");
    /* Without a signer nothing is claimed: the content is taken as if it stood alone. */
    ASN1_OCTET_STRING **content = CMS_get0_content(cms);
    if (!content || !*content)
        return malformed(err, "SignedData without content");
    if (signers > 0 &&
        CMS_verify(cms, NULL, NULL, NULL, clear, CMS_BINARY | CMS_NO_SIGNER_CERT_VERIFY) != 1)
        return ossl_error(err, ESTC_E_UNTRUSTED, "sealed key: its signature does not hold");
    int rc = signers > 0 ? check_signers(l, cms, err) : 0;
    if (rc)
        return rc;
    int len = ASN1_STRING_length(*content);
    if (signers == 0 && BIO_write(clear, ASN1_STRING_get0_data(*content), len) != len)
        return malformed(err, "SignedData without content");
    l->verified = true;
    return take_content(l, clear, cms, err);
}

/* One layer off. */
static int peel(struct layers *l, struct estc_error *err) {
    _cleanup(estc_buf_clear) struct estc_buf der = {0};
    int rc = wrap(l->type, &l->content, &der, err);
    if (rc)
        return rc;
    const unsigned char *p = der.data;
    _cleanup(cms_freep) CMS_ContentInfo *cms = d2i_CMS_ContentInfo(NULL, &p, (long)der.len);
    if (!cms)
        return malformed(err, "not CMS");
    if (p != der.data + der.len)
        return malformed(err, "bytes left over behind it");
    int type = OBJ_obj2nid(CMS_get0_type(cms));
    if (type == NID_pkcs7_signed)
        return verify(l, cms, err);
    return is_layer(type) ? decrypt(l, cms, err)
                          : malformed(err, "neither EnvelopedData nor SignedData");
}

static void layers_clear(struct layers *l) {
    estc_buf_clear(&l->content);
}

int estc_keypackage_open(const void *der, size_t len, const struct estc_opener *opener,
                         EVP_PKEY **out, struct estc_error *err) {
    _cleanup(layers_clear) struct layers l = {.by = opener, .type = NID_pkcs7_enveloped};
    int rc = estc_seal_check(opener->seal, err);
    if (!rc && estc_buf_append(&l.content, der, len))
        rc = out_of_memory(err);
    while (!rc && l.type != NID_undef)
        rc = peel(&l, err);
    if (!rc && !l.opened)
        rc = malformed(err, "it is not encrypted");
    if (rc)
        return rc;
    ossl_forget();
    return pkcs8_package_decode(l.content.data, l.content.len, out, err);
}
