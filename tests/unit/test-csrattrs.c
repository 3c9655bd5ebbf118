/* SPDX-License-Identifier: BSD-2-Clause */
/* CSR attributes of every form, as they are read. */
#include "csrattrs_fixture.h"

/* RFC 9908 section 5, RFC 7030 A.2. What stands in no table of ours is listed and does no harm. */
static void a03_a05_examples_of_the_rfcs(void **state) {
    (void)state;
    static const struct row rows[] = {
        {"9908-5.1-acp-san.csrattrs.der", "P ext:subjectAltName!"},
        {"9908-5.2-rfc7030-revised.csrattrs.der",
         "P pop key:id-ecPublicKey/secp384r1 sig:ecdsa-with-SHA384 other:1.3.6.1.1.1.1.22"},
        {"9908-5.3-as-described.csrattrs.der",
         "P pop key:id-ecPublicKey/secp521r1 sig:ecdsa-with-SHA512 ext:subjectAltName"},
        /* Printed with the bytes of section 5.6. */
        {"9908-5.3-san-MISPRINT.csrattrs.der",
         "P pop key:id-ecPublicKey/secp521r1 sig:ecdsa-with-SHA512 serialNumber=? "
         "other:friendlyName other:favouriteDrink"},
        {"9908-5.4-rsa4096.csrattrs.der", "P pop key:rsaEncryption/4096 sig:RSA-SHA256"},
        {"9908-5.5-p384.csrattrs.der",
         "P pop key:id-ecPublicKey/secp384r1 sig:ecdsa-with-SHA384 serialNumber=?"},
        {"9908-5.6-p521-many.csrattrs.der",
         "P pop key:id-ecPublicKey/secp521r1 sig:ecdsa-with-SHA512 serialNumber=? "
         "other:friendlyName other:favouriteDrink"},
        /* A curve and a digest as elements of their own. */
        {"9148-A4-att-response.csrattrs.der",
         "P pop key:id-ecPublicKey/brainpoolP384r1 sig:SHA384 other:1.3.6.1.1.1.1.22 "
         "other:2.999.1 other:2.999.2"},
    };
    check_vectors(rows, sizeof(rows) / sizeof(rows[0]));
    _cleanup(estc_buf_clear) struct estc_buf a = support_vector("7030-A2-csrattrs-response.der");
    _cleanup(estc_buf_clear) struct estc_buf b =
        support_vector("9148-A4-att-response.csrattrs.der");
    assert_int_equal(a.len, b.len);
    assert_memory_equal(a.data, b.data, a.len);
}

static void a02_a07_empty_sequence_and_empty_set(void **state) {
    (void)state;
    static const struct row rows[] = {
        {"8951-csrattrs-empty.der", "P"},
        {"9908-3.2-keytype-empty-set.csrattrs.der", "P key:id-ecPublicKey"},
    };
    check_vectors(rows, sizeof(rows) / sizeof(rows[0]));
}

/* extensionRequest holding a bare OID: nothing but that element is lost. */
static void a08_flawed_example(void **state) {
    (void)state;
    static const struct row rows[] = {
        {"8951-s4-csrattrs-example.der",
         "P pop key:id-ecPublicKey/secp384r1 sig:ecdsa-with-SHA384 other:extReq"},
    };
    check_vectors(rows, 1);
}

static void a09_a11_a13_templates(void **state) {
    (void)state;
    static const struct row rows[] = {
        {"9908-3.4-template.csrattrs.der",
         "T key:id-ecPublicKey/prime256v1 CN=? OU=myDept OU=myGroup ext:subjectAltName? "
         "ext:keyUsage! ext:extendedKeyUsage?"},
        /* The plain P-384, the binding and the signature beside it do not count. */
        {"9908-4-coexist.csrattrs.der",
         "T key:id-ecPublicKey/prime256v1 CN=? OU=myDept OU=myGroup ext:subjectAltName? "
         "ext:keyUsage! ext:extendedKeyUsage?"},
        /* A misprinted OID is an unknown attribute. */
        {"9908-3.4-template-printed-oid.csrattrs.der",
         "T key:id-ecPublicKey/prime256v1 CN=? OU=myDept OU=myGroup "
         "other:1.2.840.113549.1.9.62"},
    };
    check_vectors(rows, sizeof(rows) / sizeof(rows[0]));
}

static void a05_a11_other_plain_forms(void **state) {
    (void)state;
    static const struct row rows[] = {
        {"30( " EC ")", "P key:id-ecPublicKey"},
        {"30( " EC P256 ")", "P key:id-ecPublicKey/prime256v1"},
        {"30( " P256 ")", "P key:id-ecPublicKey/prime256v1"},
        {"30( 30( " RSA "31( )))", "P key:rsaEncryption"},
        {"30( 30( " RSA "31( 05 00 )))", "P key:rsaEncryption"},
        {"30( 06( 2b 65 70 ))", "P key:ED25519"},
        {"30( " CN ")", "P CN=?"},
        {"30( 30( " CN "31( 0c( 67 77 2d 31 ))))", "P CN=gw-1"},
        {"30( 30( " CN "31( )))", "P CN=?"},
        /* Two values, or one that is no text. */
        {"30( 30( " CN "31( 0c( 61 ) 0c( 62 ))))", "P other:CN"},
        {"30( 30( " CN "31( 02( 05 ))))", "P other:CN"},
        {"30( 30( " CHALLENGE "31( )))", "P pop"},
        /* The first of several signatures counts. */
        {"30( " ES256 ES384 ")", "P sig:ecdsa-with-SHA256 other:ecdsa-with-SHA384"},
        {"30( 30( " ES256 "31( )))", "P sig:ecdsa-with-SHA256"},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        _cleanup(estc_buf_clear) struct estc_buf der = bytes_of(rows[i].der);
        assert_wishes(der.data, der.len, rows[i].expected);
    }
}

static void a10_a13_other_templates(void **state) {
    (void)state;
    static const struct row rows[] = {
        {IN_ATTRIBUTES(""), "T"},
        {IN_TEMPLATE("30( ) a1( )"), "T"},
        {IN_TEMPLATE("30( 31( 30( " CN ") 30( 06( 55 04 05 )))) a1( )"), "T CN=?+serialNumber=?"},
        {IN_TEMPLATE("30( 31( 30( " CN "05 00 ) 30( 06( 55 04 05 )))) a1( )"),
         "T serialNumber=? other:CN"},
        {IN_TEMPLATE("a0( 30( " EC ")) a1( )"), "T key:id-ecPublicKey"},
        {IN_TEMPLATE("a0( 30( " RSA "05 00 )) a1( )"), "T key:rsaEncryption"},
        {IN_TEMPLATE("a0( 30( " RSA ") 03( 00 30( 02( 00 80 01 ) 02( 03 )))) a1( )"),
         "T key:rsaEncryption/16"},
        {IN_TEMPLATE("a0( 30( 06( 88 37 01 ) 04 00 )) a1( )"), "T key:2.999.1"},
        /* The binding, to be filled in. */
        {IN_ATTRIBUTES("30( " CHALLENGE "31( ))"), "T pop"},
        /* One ExtensionTemplate where others have a list of them. */
        {IN_ATTRIBUTES("30( " OPEN_EXT "31( 30( " KU ")))"), "T ext:keyUsage?"},
        {IN_ATTRIBUTES("30( " OPEN_EXT "31( 30( 30( " KU "))))"), "T ext:keyUsage?"},
        {IN_ATTRIBUTES("30( " EXT_REQ "31( 30( 30( " KU "01( ff ) 04( 05 00 )))))"),
         "T ext:keyUsage!"},
        {IN_ATTRIBUTES("30( " EXT_REQ "31( 30( 30( " KU "01( 00 ) 04( 05 00 )))))"),
         "T ext:keyUsage"},
        {IN_ATTRIBUTES("30( " CN "31( ))"), "T other:CN"},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        _cleanup(estc_buf_clear) struct estc_buf der = bytes_of(rows[i].der);
        assert_wishes(der.data, der.len, rows[i].expected);
    }
}

static void key_wishes_against_our_types(void **state) {
    (void)state;
    static const struct {
        const char *der;
        unsigned fits; /* bits by enum estc_key_type */
    } rows[] = {
        {"30( )", 0x1f},
        {"30( " EC ")", 1 << ESTC_KEY_P256 | 1 << ESTC_KEY_P384},
        {"30( " P384 ")", 1 << ESTC_KEY_P384},
        {"30( 06( 2b 81 04 00 23 ))", 0}, /* P-521 */
        {"30( " RSA ")", 1 << ESTC_KEY_RSA2048 | 1 << ESTC_KEY_RSA3072 | 1 << ESTC_KEY_RSA4096},
        {"30( 30( " RSA "31( 02( 0c 00 ))))", 1 << ESTC_KEY_RSA3072},
        {"30( 30( " RSA "31( 02( 04 00 ))))", 0},
        {"30( 06( 2b 65 70 ))", 0}, /* Ed25519 */
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        _cleanup(estc_buf_clear) struct estc_buf der = bytes_of(rows[i].der);
        _cleanup(estc_csrattrs_clear) struct estc_csrattrs attrs = {0};
        assert_int_equal(estc_csrattrs_decode(der.data, der.len, &attrs, NULL), 0);
        for (int type = 0; type <= ESTC_KEY_TYPE_MAX_; type++)
            assert_int_equal(estc_key_wish_fits(&attrs.key, (enum estc_key_type)type),
                             type < ESTC_KEY_TYPE_MAX_ && rows[i].fits >> type & 1);
    }
}

static void digests_of_signatures(void **state) {
    (void)state;
    static const struct {
        int signature, digest;
    } rows[] = {
        {NID_undef, NID_undef},
        {NID_ecdsa_with_SHA384, NID_sha384},
        {NID_sha256WithRSAEncryption, NID_sha256},
        {NID_sha512, NID_sha512},
        {NID_ED25519, NID_undef},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        const struct estc_csrattrs attrs = {
            .signature = rows[i].signature ? OBJ_nid2obj(rows[i].signature) : NULL};
        assert_int_equal(estc_csrattrs_digest(&attrs), rows[i].digest);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a03_a05_examples_of_the_rfcs),
        cmocka_unit_test(a02_a07_empty_sequence_and_empty_set),
        cmocka_unit_test(a08_flawed_example),
        cmocka_unit_test(a09_a11_a13_templates),
        cmocka_unit_test(a05_a11_other_plain_forms),
        cmocka_unit_test(a10_a13_other_templates),
        cmocka_unit_test(key_wishes_against_our_types),
        cmocka_unit_test(digests_of_signatures),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
