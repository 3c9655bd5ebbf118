/* SPDX-License-Identifier: BSD-2-Clause */
/* Sealed keys that others have made: what is opened, and what stays shut. */
#include "keypackage_fixture.h"

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
        cmocka_unit_test(k15_other_nestings),    cmocka_unit_test(k11_k15_refused_nestings),
        cmocka_unit_test(k15_signature_counts),  cmocka_unit_test(k13_k14_sealed_for_another),
        cmocka_unit_test(unfit_means_are_named), cmocka_unit_test(z01_cut_and_changed_anywhere),
        cmocka_unit_test(z01_changed_inside),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
