/* SPDX-License-Identifier: BSD-2-Clause */
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
static X509 *recipient(enum estc_key_type type, const char *usage, EVP_PKEY **key) {
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

static int set_up(void **state) {
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

static int tear_down(void **state) {
    (void)state;
    estc_trust_free(all.trust);
    X509_free(all.ca);
    X509_free(all.server);
    EVP_PKEY_free(all.ca_key);
    EVP_PKEY_free(all.server_key);
    EVP_PKEY_free(all.key);
    return 0;
}

static struct estc_seal by_secret(size_t len) {
    return (struct estc_seal){
        .secret = secret, .secret_len = len, .id = (const unsigned char *)"kek-7", .id_len = 5};
}

/* A request that asks for this seal, as a client makes and a server reads it. */
static struct estc_seal_wish wish_of(const struct estc_seal *seal) {
    struct estc_seal_wish wish = {0};
    struct estc_error err = {0};
    _cleanup(x509_req_freep) X509_REQ *csr = X509_REQ_new();
    if (seal_wish_add(csr, seal, &err) || estc_seal_wish_get(csr, &wish, &err))
        fail_msg("%s", err.text);
    return wish;
}

static struct estc_buf seal_as(const struct estc_seal *seal, const struct estc_seal_wish *wish) {
    struct estc_buf out = {0};
    struct estc_error err = {0};
    if (estc_keypackage_seal(all.key, wish, seal, &all.signer, &out, &err))
        fail_msg("%s", err.text);
    return out;
}

static struct estc_buf sealed_for(const struct estc_seal *seal) {
    _cleanup(estc_seal_wish_clear) struct estc_seal_wish wish = wish_of(seal);
    return seal_as(seal, &wish);
}

static int open_with(const struct estc_buf *sealed, const struct estc_seal *seal, EVP_PKEY **key,
                     struct estc_error *err) {
    const struct estc_opener opener = {.seal = seal, .trust = all.trust, .now = all.now};
    return estc_keypackage_open(sealed->data, sealed->len, &opener, key, err);
}

static void assert_opens(const struct estc_buf *sealed, const struct estc_seal *seal) {
    _cleanup(pkey_freep) EVP_PKEY *key = NULL;
    struct estc_error err = {0};
    if (open_with(sealed, seal, &key, &err))
        fail_msg("%s", err.text);
    assert_int_equal(EVP_PKEY_eq(key, all.key), 1);
    assert_int_equal(ERR_peek_error(), 0);
}

static void assert_stays_shut(const struct estc_buf *sealed, const struct estc_seal *seal, int code,
                              const char *reason) {
    EVP_PKEY *key = NULL;
    struct estc_error err = {0};
    int rc = open_with(sealed, seal, &key, &err);
    assert_null(key);
    if (rc != code || !strstr(err.text, reason))
        fail_msg("%d, '%s' is not %d, %s", code, reason, rc, err.text);
    assert_int_equal(ERR_peek_error(), 0);
}

/* What OpenSSL prints of a message. */
static char *printed(const struct estc_buf *der) {
    const unsigned char *p = der->data;
    _cleanup(cms_freep) CMS_ContentInfo *cms = d2i_CMS_ContentInfo(NULL, &p, (long)der->len);
    assert_non_null(cms);
    _cleanup(bio_freep) BIO *mem = BIO_new(BIO_s_mem());
    assert_true(CMS_ContentInfo_print_ctx(mem, cms, 0, NULL));
    char *data = NULL;
    long len = BIO_get_mem_data(mem, &data);
    return strndup(data, (size_t)len);
}

static void assert_printed(const struct estc_buf *der, const char *const *parts) {
    _cleanup(freep) char *text = printed(der);
    for (; *parts; parts++)
        if (!strstr(text, *parts))
            fail_msg("'%s' is not in:\n%s", *parts, text);
}

/* --- the two kinds --- */

static void k13_sealed_with_a_secret(void **state) {
    (void)state;
    for (size_t len = 16; len <= 32; len += 16) {
        struct estc_seal seal = by_secret(len);
        _cleanup(estc_buf_clear) struct estc_buf sealed = sealed_for(&seal);
        assert_opens(&sealed, &seal);
        assert_printed(&sealed,
                       (const char *const[]){"pkcs7-envelopedData", "d.kekri", "version: 4",
                                             "6b 65 6b 2d 37", "pkcs7-signedData",
                                             len == 16 ? "id-aes128-wrap" : "id-aes256-wrap",
                                             len == 16 ? "aes-128-cbc" : "aes-256-cbc", NULL});
    }
}

static void k14_sealed_for_a_certificate(void **state) {
    (void)state;
    static const struct {
        enum estc_key_type type;
        const char *usage, *parts[4];
    } kinds[] = {
        {ESTC_KEY_P256, "keyAgreement", {"d.kari", "sha256kdf", "aes-128-cbc"}},
        {ESTC_KEY_P384, "keyAgreement", {"d.kari", "sha256kdf", "aes-256-cbc"}},
        {ESTC_KEY_RSA2048, "keyEncipherment", {"d.ktri", "rsaesOaep", "aes-128-cbc"}},
        {ESTC_KEY_P256, NULL, {"d.kari"}}, /* unrestricted */
    };
    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        _cleanup(pkey_freep) EVP_PKEY *key = NULL;
        _cleanup(x509_freep) X509 *cert = recipient(kinds[i].type, kinds[i].usage, &key);
        struct estc_seal own = {.cert = cert, .key = key}, theirs = {.cert = cert};
        _cleanup(estc_seal_wish_clear) struct estc_seal_wish wish = wish_of(&own);
        assert_int_equal(wish.kind, ESTC_SEAL_CERT);
        assert_true(estc_seal_wish_names(&wish, cert));
        assert_false(estc_seal_wish_names(&wish, all.server));
        _cleanup(estc_buf_clear) struct estc_buf sealed = seal_as(&theirs, &wish);
        assert_opens(&sealed, &own);
        assert_printed(&sealed, kinds[i].parts);
    }
}

/* A certificate that is for signing only must not be encrypted to. */
static void k14_key_usage_binds(void **state) {
    (void)state;
    static const enum estc_key_type types[] = {ESTC_KEY_P256, ESTC_KEY_RSA2048};
    for (size_t i = 0; i < 2; i++) {
        _cleanup(pkey_freep) EVP_PKEY *key = NULL;
        _cleanup(x509_freep) X509 *cert = recipient(types[i], "digitalSignature", &key);
        struct estc_seal seal = {.cert = cert, .key = key};
        struct estc_error err = {0};
        assert_int_equal(estc_seal_check(&seal, &err), ESTC_E_CREDENTIAL);
        assert_non_null(strstr(err.text, "key usage lacks"));
        struct estc_seal_wish wish = {.kind = ESTC_SEAL_CERT, .capabilities = ~0u};
        struct estc_buf out = {0};
        assert_int_equal(estc_keypackage_seal(all.key, &wish, &seal, &all.signer, &out, &err),
                         ESTC_E_CREDENTIAL);
        assert_null(out.data);
    }
}

static void k14_found_by_issuer_and_serial(void **state) {
    (void)state;
    PKCS7_ISSUER_AND_SERIAL pair = {.issuer = X509_get_issuer_name(all.server),
                                    .serial = X509_get_serialNumber(all.server)};
    unsigned char *der = NULL;
    int len = i2d_PKCS7_ISSUER_AND_SERIAL(&pair, &der);
    struct estc_seal_wish wish = {.kind = ESTC_SEAL_CERT};
    assert_int_equal(estc_buf_append(&wish.id, der, (size_t)len), 0);
    OPENSSL_free(der);
    assert_true(estc_seal_wish_names(&wish, all.server));
    assert_false(estc_seal_wish_names(&wish, all.ca));
    wish.kind = ESTC_SEAL_SECRET;
    assert_false(estc_seal_wish_names(&wish, all.server));
    estc_seal_wish_clear(&wish);
}

/* --- only what the client has listed --- */

static void k12_capabilities_bind(void **state) {
    (void)state;
    _cleanup(pkey_freep) EVP_PKEY *rsa_key = NULL, *ec_key = NULL;
    _cleanup(x509_freep) X509 *rsa = recipient(ESTC_KEY_RSA2048, NULL, &rsa_key);
    _cleanup(x509_freep) X509 *ec = recipient(ESTC_KEY_P256, NULL, &ec_key);
    struct estc_seal secret16 = by_secret(16), secret32 = by_secret(32);
    struct estc_seal for_rsa = {.cert = rsa, .key = rsa_key}, for_ec = {.cert = ec, .key = ec_key};
    const struct {
        const struct estc_seal *seal;
        unsigned listed;
        const char *parts[4]; /* none: refused */
    } cases[] = {
        {&secret16, SEAL_AES128_WRAP, {"id-aes128-wrap", "aes-128-cbc"}},
        {&secret16, SEAL_AES128_WRAP | SEAL_AES256_CBC, {"id-aes128-wrap", "aes-256-cbc"}},
        {&secret16, SEAL_AES256_WRAP | SEAL_AES128_CBC, {NULL}},
        {&secret32, SEAL_AES128_WRAP | SEAL_AES256_CBC, {NULL}},
        {&secret32, SEAL_RSA | SEAL_RSA_OAEP | SEAL_ECDH_SHA256, {NULL}},
        {&secret32, 0, {NULL}},
        {&for_rsa, SEAL_RSA, {"d.ktri", "rsaEncryption", "aes-128-cbc"}},
        {&for_rsa, SEAL_RSA | SEAL_RSA_OAEP | SEAL_AES256_CBC, {"rsaesOaep", "aes-256-cbc"}},
        {&for_rsa, SEAL_ECDH_SHA256 | SEAL_AES128_WRAP | SEAL_AES128_CBC, {NULL}},
        {&for_ec, SEAL_ECDH_SHA256 | SEAL_AES128_WRAP, {"id-aes128-wrap", "aes-128-cbc"}},
        {&for_ec, SEAL_ECDH_SHA256 | SEAL_AES256_WRAP, {"id-aes256-wrap", "aes-256-cbc"}},
        {&for_ec, SEAL_ECDH_SHA256, {NULL}},
        {&for_ec, SEAL_AES128_WRAP | SEAL_AES128_CBC, {NULL}},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct estc_seal_wish wish = {.kind = ESTC_SEAL_CERT, .capabilities = cases[i].listed};
        if (cases[i].parts[0]) {
            _cleanup(estc_buf_clear) struct estc_buf sealed = seal_as(cases[i].seal, &wish);
            assert_printed(&sealed, cases[i].parts);
            assert_opens(&sealed, cases[i].seal);
            continue;
        }
        struct estc_buf out = {0};
        struct estc_error err = {0};
        assert_int_equal(
            estc_keypackage_seal(all.key, &wish, cases[i].seal, &all.signer, &out, &err),
            ESTC_E_REJECTED);
        assert_null(out.data);
        assert_non_null(strstr(err.text, "SMIMECapabilities"));
    }
}

/* The second of the same type becomes a second value: OpenSSL adds no attribute twice. */
static void add_attribute(X509_REQ *csr, const char *oid, int type, const char *value, int len) {
    ASN1_OBJECT *object = OBJ_txt2obj(oid, 1);
    ASN1_STRING *string = ASN1_STRING_type_new(type); /* so that it may be empty */
    assert_true(ASN1_STRING_set(string, value, len));
    int at = X509_REQ_get_attr_by_OBJ(csr, object, -1);
    if (at >= 0)
        assert_true(X509_ATTRIBUTE_set1_data(X509_REQ_get_attr(csr, at), type, string, -1));
    else
        assert_true(
            X509_REQ_add1_attr_by_OBJ(csr, object, type, (const unsigned char *)string, -1));
    ASN1_STRING_free(string);
    ASN1_OBJECT_free(object);
}

#define CAPABILITIES "1.2.840.113549.1.9.15"
#define SECRET_ID "1.2.840.113549.1.9.16.2.37"
#define CERT_ID "1.2.840.113549.1.9.16.2.54"
#define WRAP128 "\x30\x0d\x30\x0b\x06\x09\x60\x86\x48\x01\x65\x03\x04\x01\x05"

static void k07_k12_wishes(void **state) {
    (void)state;
    static const struct {
        struct {
            const char *oid;
            int type;
            const char *value;
            int len;
        } attributes[3];
        int rc, kind;
    } cases[] = {
        {{{NULL}}, 0, ESTC_SEAL_NONE},
        {{{CAPABILITIES, V_ASN1_SEQUENCE, WRAP128, 15}}, 0, ESTC_SEAL_NONE},
        {{{CAPABILITIES, V_ASN1_SEQUENCE, WRAP128, 15}, {SECRET_ID, V_ASN1_OCTET_STRING, "k", 1}},
         0,
         ESTC_SEAL_SECRET},
        {{{CERT_ID, V_ASN1_OCTET_STRING, "k", 1}, {CAPABILITIES, V_ASN1_SEQUENCE, WRAP128, 15}},
         0,
         ESTC_SEAL_CERT},
        {{{SECRET_ID, V_ASN1_OCTET_STRING, "k", 1}}, ESTC_E_MALFORMED, 0},
        {{{CERT_ID, V_ASN1_OCTET_STRING, "k", 1}}, ESTC_E_MALFORMED, 0},
        {{{SECRET_ID, V_ASN1_OCTET_STRING, "k", 1},
          {CERT_ID, V_ASN1_OCTET_STRING, "k", 1},
          {CAPABILITIES, V_ASN1_SEQUENCE, WRAP128, 15}},
         ESTC_E_MALFORMED,
         0},
        {{{SECRET_ID, V_ASN1_OCTET_STRING, "k", 1},
          {SECRET_ID, V_ASN1_OCTET_STRING, "l", 1},
          {CAPABILITIES, V_ASN1_SEQUENCE, WRAP128, 15}},
         ESTC_E_MALFORMED,
         0},
        {{{SECRET_ID, V_ASN1_UTF8STRING, "k", 1}, {CAPABILITIES, V_ASN1_SEQUENCE, WRAP128, 15}},
         ESTC_E_MALFORMED,
         0},
        {{{SECRET_ID, V_ASN1_OCTET_STRING, "", 0}, {CAPABILITIES, V_ASN1_SEQUENCE, WRAP128, 15}},
         ESTC_E_MALFORMED,
         0},
        {{{SECRET_ID, V_ASN1_OCTET_STRING, "k", 1},
          {CAPABILITIES, V_ASN1_SEQUENCE, "\x30\x02\x04\x00", 4}},
         ESTC_E_MALFORMED,
         0},
        {{{CAPABILITIES, V_ASN1_OCTET_STRING, WRAP128, 15}}, ESTC_E_MALFORMED, 0},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        _cleanup(x509_req_freep) X509_REQ *csr = X509_REQ_new();
        for (size_t j = 0; j < 3 && cases[i].attributes[j].oid; j++)
            add_attribute(csr, cases[i].attributes[j].oid, cases[i].attributes[j].type,
                          cases[i].attributes[j].value, cases[i].attributes[j].len);
        struct estc_seal_wish wish = {0};
        assert_int_equal(estc_seal_wish_get(csr, &wish, NULL), cases[i].rc);
        assert_int_equal((int)wish.kind, cases[i].kind);
        if (wish.kind != ESTC_SEAL_NONE) {
            assert_int_equal(wish.capabilities, SEAL_AES128_WRAP);
            assert_int_equal(wish.id.len, 1);
            assert_memory_equal(wish.id.data, "k", 1);
        }
        estc_seal_wish_clear(&wish);
        assert_int_equal(ERR_peek_error(), 0);
    }
}

/* --- other nestings --- */

static CMS_ContentInfo *signed_by(const void *content, size_t len, const char *type, X509 *cert,
                                  EVP_PKEY *key) {
    _cleanup(bio_freep) BIO *in = BIO_new_mem_buf(content, (int)len);
    CMS_ContentInfo *cms = CMS_sign(NULL, NULL, NULL, NULL, CMS_BINARY | CMS_PARTIAL);
    ASN1_OBJECT *oid = OBJ_txt2obj(type, 0);
    assert_true(CMS_set1_eContentType(cms, oid));
    ASN1_OBJECT_free(oid);
    assert_non_null(CMS_add1_signer(cms, cert, key, EVP_sha256(), CMS_NOSMIMECAP));
    assert_true(CMS_final(cms, in, NULL, CMS_BINARY));
    return cms;
}

static CMS_ContentInfo *enveloped(const void *content, size_t len, const char *type,
                                  const struct estc_seal *seal, int gcm) {
    _cleanup(bio_freep) BIO *in = BIO_new_mem_buf(content, (int)len);
    CMS_ContentInfo *cms = gcm ? CMS_AuthEnvelopedData_create(EVP_aes_128_gcm())
                               : CMS_encrypt(NULL, NULL, EVP_aes_128_cbc(), CMS_PARTIAL);
    ASN1_OBJECT *oid = OBJ_txt2obj(type, 0);
    assert_true(CMS_set1_eContentType(cms, oid));
    ASN1_OBJECT_free(oid);
    CMS_set_detached(cms, 0);
    assert_non_null(CMS_add0_recipient_key(
        cms, NID_undef, OPENSSL_memdup(seal->secret, seal->secret_len), seal->secret_len,
        OPENSSL_memdup(seal->id, seal->id_len), seal->id_len, NULL, NULL, NULL));
    assert_true(CMS_final(cms, in, NULL, CMS_BINARY));
    return cms;
}

/* The whole ContentInfo, or what is in it. */
static struct estc_buf written(CMS_ContentInfo *cms, int bare) {
    struct estc_buf out = {0};
    unsigned char *der = NULL;
    int len = i2d_CMS_ContentInfo(cms, &der);
    assert_true(len > 0);
    const unsigned char *p = der;
    if (bare) {
        long part = 0;
        int tag = 0, class = 0;
        ASN1_get_object(&p, &part, &tag, &class, len);
        ASN1_get_object(&p, &part, &tag, &class, der + len - p);
        p += part;
        ASN1_get_object(&p, &part, &tag, &class, der + len - p);
    }
    assert_int_equal(estc_buf_append(&out, p, (size_t)(der + len - p)), 0);
    OPENSSL_free(der);
    CMS_ContentInfo_free(cms);
    return out;
}

static void put(struct estc_buf *out, int tag, int class, const struct estc_buf *content) {
    unsigned char head[16], *end = head;
    ASN1_put_object(&end, 1, (int)content->len, tag, class);
    assert_int_equal(estc_buf_append(out, head, (size_t)(end - head)), 0);
    assert_int_equal(estc_buf_append(out, content->data, content->len), 0);
}

/* A ContentInfo with SignedData that nobody signed, by hand: OpenSSL makes none. */
static struct estc_buf unsigned_data(const struct estc_buf *core) {
    _cleanup(estc_buf_clear) struct estc_buf octets = {0}, info = {0};
    unsigned char head[16], *end = head;
    ASN1_put_object(&end, 0, (int)core->len, V_ASN1_OCTET_STRING, V_ASN1_UNIVERSAL);
    assert_int_equal(estc_buf_append(&octets, head, (size_t)(end - head)), 0);
    assert_int_equal(estc_buf_append(&octets, core->data, core->len), 0);
    static const char type[] = "\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x07"; /* and 2 or 3 */
    assert_int_equal(estc_buf_append(&info, type, sizeof(type) - 1), 0);
    assert_int_equal(estc_buf_append(&info, "\x03", 1), 0); /* EnvelopedData */
    put(&info, 0, V_ASN1_CONTEXT_SPECIFIC, &octets);

    _cleanup(estc_buf_clear) struct estc_buf data = {0}, sequence = {0}, content = {0};
    assert_int_equal(estc_buf_append(&data, "\x02\x01\x03\x31\x00", 5), 0);
    put(&data, V_ASN1_SEQUENCE, V_ASN1_UNIVERSAL, &info);
    assert_int_equal(estc_buf_append(&data, "\x31\x00", 2), 0);
    put(&sequence, V_ASN1_SEQUENCE, V_ASN1_UNIVERSAL, &data);
    assert_int_equal(estc_buf_append(&content, type, sizeof(type) - 1), 0);
    assert_int_equal(estc_buf_append(&content, "\x02", 1), 0); /* SignedData */
    put(&content, 0, V_ASN1_CONTEXT_SPECIFIC, &sequence);
    struct estc_buf out = {0};
    put(&out, V_ASN1_SEQUENCE, V_ASN1_UNIVERSAL, &content);
    return out;
}

static struct estc_buf package(void) {
    struct estc_buf out = {0};
    assert_int_equal(pkcs8_package_encode(all.key, &out, NULL), 0);
    return out;
}

static void k15_other_nestings(void **state) {
    (void)state;
    struct estc_seal seal = by_secret(16);
    _cleanup(estc_buf_clear) struct estc_buf bare = package();
    _cleanup(estc_buf_clear) struct estc_buf enveloped_bare =
        written(enveloped(bare.data, bare.len, OID_KEY_PACKAGE, &seal, 0), 0);
    assert_opens(&enveloped_bare, &seal); /* nobody signed it */

    for (int whole = 0; whole < 2; whole++) {
        _cleanup(estc_buf_clear) struct estc_buf inside = written(
            signed_by(bare.data, bare.len, OID_KEY_PACKAGE, all.server, all.server_key), !whole);
        _cleanup(estc_buf_clear) struct estc_buf usual =
            written(enveloped(inside.data, inside.len, "pkcs7-signedData", &seal, 0), 0);
        assert_opens(&usual, &seal);
        _cleanup(estc_buf_clear) struct estc_buf gcm =
            written(enveloped(inside.data, inside.len, "pkcs7-signedData", &seal, 1), 0);
        assert_opens(&gcm, &seal);

        _cleanup(estc_buf_clear) struct estc_buf core =
            written(enveloped(bare.data, bare.len, OID_KEY_PACKAGE, &seal, 0), !whole);
        _cleanup(estc_buf_clear) struct estc_buf outermost = written(
            signed_by(core.data, core.len, "pkcs7-envelopedData", all.server, all.server_key), 0);
        assert_opens(&outermost, &seal);
        _cleanup(estc_buf_clear) struct estc_buf unsigned_bag = unsigned_data(&core);
        assert_opens(&unsigned_bag, &seal);
    }
}

static void k11_k15_refused_nestings(void **state) {
    (void)state;
    struct estc_seal seal = by_secret(16);
    _cleanup(estc_buf_clear) struct estc_buf bare = package();
    assert_stays_shut(&bare, &seal, ESTC_E_MALFORMED, "not CMS");
    _cleanup(estc_buf_clear) struct estc_buf clear =
        written(signed_by(bare.data, bare.len, OID_KEY_PACKAGE, all.server, all.server_key), 0);
    assert_stays_shut(&clear, &seal, ESTC_E_MALFORMED, "not encrypted");
    _cleanup(estc_buf_clear) struct estc_buf once =
        written(enveloped(bare.data, bare.len, OID_KEY_PACKAGE, &seal, 0), 0);
    _cleanup(estc_buf_clear) struct estc_buf twice =
        written(enveloped(once.data, once.len, "pkcs7-envelopedData", &seal, 0), 0);
    assert_stays_shut(&twice, &seal, ESTC_E_MALFORMED, "encrypted twice");
    _cleanup(estc_buf_clear) struct estc_buf resigned = written(
        signed_by(clear.data, clear.len, "pkcs7-signedData", all.server, all.server_key), 0);
    assert_stays_shut(&resigned, &seal, ESTC_E_MALFORMED, "signed twice");
    _cleanup(estc_buf_clear) struct estc_buf data =
        written(enveloped(bare.data, bare.len, "pkcs7-data", &seal, 0), 0);
    assert_stays_shut(&data, &seal, ESTC_E_MALFORMED, "neither");
    _cleanup(estc_buf_clear) struct estc_buf two = {0};
    assert_int_equal(estc_buf_append(&two, once.data, once.len), 0);
    assert_int_equal(estc_buf_append(&two, "", 1), 0);
    assert_stays_shut(&two, &seal, ESTC_E_MALFORMED, "left over");
}

/* --- whose signature, whose key --- */

static void k15_signature_counts(void **state) {
    (void)state;
    struct estc_seal seal = by_secret(16);
    _cleanup(pkey_freep) EVP_PKEY *key = support_key();
    _cleanup(x509_freep) X509 *stranger =
        support_cert(key, &(struct support_cert_spec){.subject = "CN=stranger"});
    _cleanup(estc_buf_clear) struct estc_buf bare = package();
    _cleanup(estc_buf_clear) struct estc_buf inside =
        written(signed_by(bare.data, bare.len, OID_KEY_PACKAGE, stranger, key), 1);
    _cleanup(estc_buf_clear) struct estc_buf foreign =
        written(enveloped(inside.data, inside.len, "pkcs7-signedData", &seal, 0), 0);
    assert_stays_shut(&foreign, &seal, ESTC_E_UNTRUSTED, "who signed it");

    _cleanup(estc_buf_clear) struct estc_buf good =
        written(signed_by(bare.data, bare.len, OID_KEY_PACKAGE, all.server, all.server_key), 1);
    good.data[good.len - 4] ^= 1; /* in the signature */
    _cleanup(estc_buf_clear) struct estc_buf forged =
        written(enveloped(good.data, good.len, "pkcs7-signedData", &seal, 0), 0);
    assert_stays_shut(&forged, &seal, ESTC_E_UNTRUSTED, "signature does not hold");
}

static void k13_k14_sealed_for_another(void **state) {
    (void)state;
    struct estc_seal seal = by_secret(16), other = by_secret(16), unnamed = by_secret(16);
    other.secret = secret + 1;
    unnamed.id = (const unsigned char *)"kek-8";
    _cleanup(estc_buf_clear) struct estc_buf sealed = sealed_for(&seal);
    assert_stays_shut(&sealed, &other, ESTC_E_CREDENTIAL, "sealed for another");
    assert_stays_shut(&sealed, &unnamed, ESTC_E_CREDENTIAL, "sealed for another");
    _cleanup(pkey_freep) EVP_PKEY *key = NULL, *second_key = NULL;
    _cleanup(x509_freep) X509 *cert = recipient(ESTC_KEY_P256, NULL, &key);
    _cleanup(x509_freep) X509 *second = recipient(ESTC_KEY_P256, NULL, &second_key);
    struct estc_seal by_cert = {.cert = cert, .key = key};
    struct estc_seal by_second = {.cert = second, .key = second_key};
    assert_stays_shut(&sealed, &by_cert, ESTC_E_CREDENTIAL, "sealed for another");
    _cleanup(estc_buf_clear) struct estc_buf for_cert = sealed_for(&by_cert);
    assert_stays_shut(&for_cert, &by_second, ESTC_E_CREDENTIAL, "sealed for another");
    assert_stays_shut(&for_cert, &seal, ESTC_E_CREDENTIAL, "sealed for another");
}

static void unfit_means_are_named(void **state) {
    (void)state;
    _cleanup(pkey_freep) EVP_PKEY *key = NULL;
    _cleanup(x509_freep) X509 *cert = recipient(ESTC_KEY_P256, NULL, &key);
    const unsigned char *id = (const unsigned char *)"i";
    const struct {
        struct estc_seal seal;
        const char *reason;
    } bad[] = {
        {{0}, "one of them"},
        {{.secret = secret, .secret_len = 16, .id = id, .id_len = 1, .cert = cert}, "one of them"},
        {{.secret = secret, .secret_len = 24, .id = id, .id_len = 1}, "16 or 32"},
        {{.secret = secret, .secret_len = 16}, "name"},
        {{.secret = secret, .secret_len = 16, .id = id, .id_len = 65}, "name"},
        {{.cert = cert, .key = all.key}, "not its own"},
    };
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct estc_error err = {0};
        assert_int_equal(estc_seal_check(&bad[i].seal, &err), ESTC_E_CREDENTIAL);
        if (!strstr(err.text, bad[i].reason))
            fail_msg("'%s' is not in: %s", bad[i].reason, err.text);
    }
}

/* --- hostile bytes --- */

static void z01_cut_and_changed_anywhere(void **state) {
    (void)state;
    struct estc_seal seal = by_secret(16);
    _cleanup(estc_buf_clear) struct estc_buf sealed = sealed_for(&seal);
    for (size_t len = 0; len < sealed.len; len++) {
        struct estc_buf cut = {.data = malloc(len ? len : 1), .len = len};
        memcpy(cut.data, sealed.data, len);
        assert_stays_shut(&cut, &seal, ESTC_E_MALFORMED, "");
        free(cut.data);
    }
    for (size_t i = 0; i < sealed.len * 8; i += 3) {
        sealed.data[i / 8] ^= (unsigned char)(1u << i % 8);
        _cleanup(pkey_freep) EVP_PKEY *key = NULL;
        int rc = open_with(&sealed, &seal, &key, NULL);
        assert_true((rc == 0) == (key != NULL));
        assert_true(rc >= 0);
        assert_true(rc || EVP_PKEY_eq(key, all.key) == 1);
        sealed.data[i / 8] ^= (unsigned char)(1u << i % 8);
    }
}

/* The same one layer further in, which only who has the secret can do. */
static void z01_changed_inside(void **state) {
    (void)state;
    struct estc_seal seal = by_secret(16);
    _cleanup(estc_buf_clear) struct estc_buf bare = package();
    _cleanup(estc_buf_clear) struct estc_buf inside =
        written(signed_by(bare.data, bare.len, OID_KEY_PACKAGE, all.server, all.server_key), 1);
    for (size_t i = 0; i < inside.len * 8; i += 5) {
        inside.data[i / 8] ^= (unsigned char)(1u << i % 8);
        _cleanup(estc_buf_clear) struct estc_buf sealed =
            written(enveloped(inside.data, inside.len, "pkcs7-signedData", &seal, 0), 0);
        _cleanup(pkey_freep) EVP_PKEY *key = NULL;
        int rc = open_with(&sealed, &seal, &key, NULL);
        assert_true((rc == 0) == (key != NULL));
        assert_true(rc >= 0);
        assert_true(rc || EVP_PKEY_eq(key, all.key) == 1);
        inside.data[i / 8] ^= (unsigned char)(1u << i % 8);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(k13_sealed_with_a_secret),
        cmocka_unit_test(k14_sealed_for_a_certificate),
        cmocka_unit_test(k14_key_usage_binds),
        cmocka_unit_test(k14_found_by_issuer_and_serial),
        cmocka_unit_test(k12_capabilities_bind),
        cmocka_unit_test(k07_k12_wishes),
        cmocka_unit_test(k15_other_nestings),
        cmocka_unit_test(k11_k15_refused_nestings),
        cmocka_unit_test(k15_signature_counts),
        cmocka_unit_test(k13_k14_sealed_for_another),
        cmocka_unit_test(unfit_means_are_named),
        cmocka_unit_test(z01_cut_and_changed_anywhere),
        cmocka_unit_test(z01_changed_inside),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
