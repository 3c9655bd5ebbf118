/* SPDX-License-Identifier: BSD-2-Clause */
/* Whom a certificate names, who is a registration authority, and fingerprints typed by people. */
#include "support.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/err.h>

#include <estc/cert.h>
#include <estc/trust.h>

#include "base/cleanup_ossl.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

static X509 *with_names(const char *const *sans, const char *eku) {
    _cleanup(pkey_freep) EVP_PKEY *key = support_key();
    return support_cert(
        key, &(struct support_cert_spec){.subject = "CN=est.example", .sans = sans, .eku = eku});
}

static void s04_names_and_addresses(void **state) {
    (void)state;
    static const char *const all[] = {"DNS:est.example",
                                      "DNS:*.wild.example",
                                      "IP:192.0.2.1",
                                      "IP:2001:db8::1",
                                      "IP:fe80::1",
                                      "URI:coaps://uri.example",
                                      "URI:coaps://Port.example:7777/est",
                                      "URI:coaps://[2001:db8::2]:5684",
                                      "URI:coaps://192.0.2.2",
                                      "URI:https://web.example",
                                      "email:mail@mail.example",
                                      NULL};
    static const struct {
        const char *host;
        uint16_t port;
        bool named;
    } rows[] = {
        {"est.example", 0, true},
        {"EST.Example", 0, true},
        {"est.example.", 0, true},
        {"est.example", 9, true}, /* only a URI says a port */
        {"est.exampl", 0, false},
        {"xest.example", 0, false},
        {"a.wild.example", 0, false},
        {"*.wild.example", 0, false},
        {"192.0.2.1", 0, true},
        {"192.0.2.3", 0, false},
        {"2001:db8::1", 0, true},
        {"2001:0DB8:0::1", 0, true},
        {"fe80::1%eth0", 0, true},
        {"fe80::2%eth0", 0, false},
        {"est.example%eth0", 0, false},
        {"uri.example", 0, true},
        {"uri.example", 5684, true},
        {"uri.example", 5685, false},
        {"port.example", 7777, true},
        {"port.example", 0, false},
        {"2001:db8::2", 5684, true},
        {"192.0.2.2", 0, true},
        {"web.example", 0, false},
        {"mail.example", 0, false},
        {"", 0, false},
        {".", 0, false},
    };
    _cleanup(x509_freep) X509 *cert = with_names(all, NULL);
    for (size_t i = 0; i < COUNT(rows); i++)
        if (estc_cert_names_host(cert, rows[i].host, rows[i].port) != rows[i].named)
            fail_msg("'%s':%u", rows[i].host, rows[i].port);
    assert_int_equal(ERR_peek_error(), 0);
}

static void s04_no_common_name(void **state) {
    (void)state;
    _cleanup(x509_freep) X509 *cert = with_names(NULL, NULL);
    assert_false(estc_cert_names_host(cert, "est.example", 0));
    /* Nor a name written as bytes that say something else. */
    GENERAL_NAMES *names = GENERAL_NAMES_new();
    GENERAL_NAME *name = GENERAL_NAME_new();
    ASN1_IA5STRING *ia5 = ASN1_IA5STRING_new();
    assert_true(ASN1_STRING_set(ia5, "coaps://est.example\0.evil", 25));
    GENERAL_NAME_set0_value(name, GEN_URI, ia5);
    sk_GENERAL_NAME_push(names, name);
    name = GENERAL_NAME_new();
    ia5 = ASN1_IA5STRING_new();
    assert_true(ASN1_STRING_set(ia5, "est.example\0", 12));
    GENERAL_NAME_set0_value(name, GEN_DNS, ia5);
    sk_GENERAL_NAME_push(names, name);
    assert_true(X509_add1_ext_i2d(cert, NID_subject_alt_name, names, 0, X509V3_ADD_REPLACE));
    GENERAL_NAMES_free(names);
    assert_false(estc_cert_names_host(cert, "est.example", 0));
    assert_int_equal(ERR_peek_error(), 0);
}

static void s02_the_mark_of_a_registration_authority(void **state) {
    (void)state;
    _cleanup(x509_freep) X509 *ra = with_names(NULL, "serverAuth,1.3.6.1.5.5.7.3.28");
    _cleanup(x509_freep) X509 *ca = with_names(NULL, "serverAuth,1.3.6.1.5.5.7.3.27");
    _cleanup(x509_freep) X509 *any = with_names(NULL, "anyExtendedKeyUsage");
    _cleanup(x509_freep) X509 *none = with_names(NULL, NULL);
    assert_true(estc_cert_is_ra(ra));
    assert_false(estc_cert_is_ra(ca));
    assert_false(estc_cert_is_ra(any)); /* anything goes is no mark */
    assert_false(estc_cert_is_ra(none));
}

static void s05_fingerprints(void **state) {
    (void)state;
    _cleanup(x509_freep) X509 *cert = with_names(NULL, NULL);
    _cleanup(x509_freep) X509 *other = with_names(NULL, NULL);
    const EVP_MD *const digests[] = {EVP_sha256(), EVP_sha512()};
    const char *const prefixes[] = {"SHA256:", "sha512:"};
    struct estc_error err = {0};
    for (size_t d = 0; d < COUNT(digests); d++) {
        unsigned char hash[EVP_MAX_MD_SIZE];
        unsigned len = 0;
        X509_digest(cert, digests[d], hash, &len);
        char plain[256], colons[256];
        int at = snprintf(plain, sizeof(plain), "%s", prefixes[d]), to = at;
        memcpy(colons, plain, (size_t)at + 1);
        for (unsigned i = 0; i < len; i++) {
            at += snprintf(plain + at, sizeof(plain) - (size_t)at, "%02x", hash[i]);
            to +=
                snprintf(colons + to, sizeof(colons) - (size_t)to, "%s%02X", i ? ":" : "", hash[i]);
        }
        const char *const texts[] = {plain, colons};
        for (size_t i = 0; i < COUNT(texts); i++) {
            struct estc_fingerprint fp;
            assert_int_equal(estc_fingerprint_parse(texts[i], &fp, &err), 0);
            assert_true(estc_fingerprint_matches(&fp, cert));
            assert_false(estc_fingerprint_matches(&fp, other));
        }
        plain[at - 1] = plain[at - 1] == '0' ? '1' : '0';
        struct estc_fingerprint fp;
        assert_int_equal(estc_fingerprint_parse(plain, &fp, &err), 0);
        assert_false(estc_fingerprint_matches(&fp, cert)); /* the last digit counts */
        for (int cut = 0; cut < at; cut++) {
            char part[256];
            snprintf(part, sizeof(part), "%.*s", cut, plain);
            assert_int_equal(estc_fingerprint_parse(part, &fp, &err), ESTC_E_CONFIG);
        }
        strcat(plain, "00");
        assert_int_equal(estc_fingerprint_parse(plain, &fp, &err), ESTC_E_CONFIG);
    }
    static const char *const bad[] = {
        "",
        "SHA256:",
        "SHA1:00",
        "MD5:00",
        "SHA256",
        "SHA256:zz",
        "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff",
        "SHA256:00112233445566778899aabbccddeeff00112233445566778899aabbccddee:",
        "SHA256:0:0112233445566778899aabbccddeeff00112233445566778899aabbccddeeff",
    };
    struct estc_fingerprint fp;
    for (size_t i = 0; i < COUNT(bad); i++)
        assert_int_equal(estc_fingerprint_parse(bad[i], &fp, &err), ESTC_E_CONFIG);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(s04_names_and_addresses),
        cmocka_unit_test(s04_no_common_name),
        cmocka_unit_test(s02_the_mark_of_a_registration_authority),
        cmocka_unit_test(s05_fingerprints),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
