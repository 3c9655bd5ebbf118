/* SPDX-License-Identifier: BSD-2-Clause */
/* Subjects and subjectAltNames, from text and to text. */
#include "support.h"

#include <stdlib.h>
#include <string.h>

#include <openssl/err.h>
#include <openssl/x509v3.h>

#include <estc/cert.h>
#include <estc/csr.h>

#include "pkix/name.h"

static X509_NAME *parse(const char *text) {
    X509_NAME *name = NULL;
    struct estc_error err = {0};
    if (estc_subject_parse(text, &name, &err))
        fail_msg("%s", err.text);
    return name;
}

static void subjects_print_as_they_were_read(void **state) {
    (void)state;
    static const struct {
        const char *in, *out;
    } cases[] = {
        {"CN=gw-0815,O=Example", "CN=gw-0815,O=Example"},
        {"cn = gw , O= Example Inc ", "CN=gw,O=Example Inc"},
        {"CN=a+serialNumber=7,O=x", "serialNumber=7+CN=a,O=x"}, /* a set has no order */
        {"CN=a,OU=b,O=c,L=d,ST=e,C=DE", "CN=a,OU=b,O=c,L=d,ST=e,C=DE"},
        {"UID=u,DC=example,DC=org", "UID=u,DC=example,DC=org"},
        {"emailAddress=a@b.example", "emailAddress=a@b.example"},
        {"CN=a\\,b\\+c\\\\d\\\"e\\;f\\<g\\>h", "CN=a\\,b\\+c\\\\d\\\"e\\;f\\<g\\>h"},
        {"CN=\\20x\\20", "CN=\\ x\\ "},
        {"CN=\\ x\\ ", "CN=\\ x\\ "},
        {"CN=\\#x", "CN=\\#x"},
        {"CN=a=b", "CN=a=b"},
        {"CN=a\\=b", "CN=a=b"},
        {"CN=M\xc3\xbcller", "CN=M\xc3\xbcller"},
        {"CN=M\\C3\\BCller", "CN=M\xc3\xbcller"},
        {"CN=a\\0Ab", "CN=a\\0Ab"},
        {"1.3.6.1.4.1.99999.1=x", "1.3.6.1.4.1.99999.1=#0C0178"},
        {"2.5.4.3=x", "CN=x"},
        {"", ""},
        {"  ", ""},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        X509_NAME *name = parse(cases[i].in);
        char *text = estc_name_text(name);
        assert_string_equal(text, cases[i].out);
        free(text);
        X509_NAME_free(name);
    }
}

/* The first part of the text is the last of the DER, and C is a PrintableString. */
static void subject_der_is_the_other_way_round(void **state) {
    (void)state;
    static const unsigned char expected[] = {
        0x30, 0x26, 0x31, 0x0b, 0x30, 0x09, 0x06, 0x03, 0x55, 0x04, 0x06, 0x13, 0x02, 'D',
        'E',  0x31, 0x17, 0x30, 0x08, 0x06, 0x03, 0x55, 0x04, 0x03, 0x0c, 0x01, 'a',  0x30,
        0x0b, 0x06, 0x03, 0x55, 0x04, 0x05, 0x13, 0x04, '0',  '8',  '1',  '5',
    };
    X509_NAME *name = parse("CN=a+serialNumber=0815,C=DE");
    const unsigned char *der = NULL;
    size_t len = 0;
    assert_true(X509_NAME_get0_der(name, &der, &len));
    assert_int_equal(len, sizeof(expected));
    assert_memory_equal(der, expected, len);
    X509_NAME_free(name);
}

static void refuses_broken_subjects(void **state) {
    (void)state;
    static const struct {
        const char *in, *reason;
    } cases[] = {
        {"gw-0815", "no TYPE=VALUE at 'gw-0815'"},
        {"CN=a,gw", "no TYPE=VALUE at 'gw'"},
        {"CN=a,", "no TYPE=VALUE at ''"},
        {"CN=a,,O=b", "no TYPE=VALUE at ',O=b'"},
        {",CN=a", "no TYPE=VALUE"},
        {"CN=a+", "no TYPE=VALUE"},
        {"=a", "unknown type"},
        {"XX=a", "unknown type"},
        {"CNN=a", "unknown type"},
        {"1.2.x=a", "unknown type"},
        {"9.9.9=a", "unknown type"},
        {"CN=", "empty value"},
        {"CN=   ", "empty value"},
        {"CN=,O=b", "empty value"},
        {"CN=#0401", "hexadecimal"},
        {"CN=a\\", "two hexadecimal digits"},
        {"CN=a\\4", "two hexadecimal digits"},
        {"CN=a\\4g", "two hexadecimal digits"},
        {"CN=a\\x", "two hexadecimal digits"},
        {"CN=a\\00b", "NUL"},
        {"CN=\"a\"", "special character"},
        {"CN=a;O=b", "special character"},
        {"CN=a<b", "special character"},
        {"C=Germany", "not fit for its type"},
        {"C=D\xc3\x84", "not fit for its type"},
        {"CN=\xff", "not fit for its type"},
        {"CN=\\FF\\FE", "not fit for its type"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        X509_NAME *name = NULL;
        struct estc_error err = {0};
        if (estc_subject_parse(cases[i].in, &name, &err) != ESTC_E_CONFIG)
            fail_msg("taken: %s", cases[i].in);
        assert_null(name);
        if (!strstr(err.text, cases[i].reason))
            fail_msg("'%s' is not in: %s", cases[i].reason, err.text);
        assert_int_equal(ERR_peek_error(), 0);
    }
}

static void refuses_endless_subjects(void **state) {
    (void)state;
    X509_NAME *name = NULL;
    char *text = malloc(6000);
    strcpy(text, "CN=x");
    for (int i = 1; i < 64; i++)
        strcat(text, ",OU=x");
    assert_int_equal(estc_subject_parse(text, &name, NULL), 0);
    X509_NAME_free(name);
    name = NULL;
    strcat(text, ",OU=x");
    assert_int_equal(estc_subject_parse(text, &name, NULL), ESTC_E_CONFIG);
    memset(text, 'x', 5000);
    text[5000] = '\0';
    assert_int_equal(estc_subject_parse(text, &name, NULL), ESTC_E_CONFIG);
    memcpy(text, "CN=", 3);
    text[80] = '\0'; /* 77 characters; ub-common-name is 64 */
    assert_int_equal(estc_subject_parse(text, &name, NULL), ESTC_E_CONFIG);
    assert_null(name);
    free(text);
}

static void subject_parser_survives_mutation(void **state) {
    (void)state;
    static const char seed[] = "CN=a\\2Cb+2.5.4.5=7,O=\\#x , C=DE";
    for (size_t at = 0; at < sizeof(seed) - 1; at++)
        for (int byte = 0; byte < 256; byte++) {
            char text[sizeof(seed)];
            X509_NAME *name = NULL;
            memcpy(text, seed, sizeof(seed));
            text[at] = (char)byte;
            int rc = estc_subject_parse(text, &name, NULL);
            assert_true(rc == 0 || rc == ESTC_E_CONFIG);
            assert_int_equal(rc == 0, name != NULL);
            X509_NAME_free(name);
        }
}

static void sans_print_as_they_were_read(void **state) {
    (void)state;
    static const struct {
        const char *in, *out;
    } cases[] = {
        {"DNS:gw.example", "DNS:gw.example"},
        {"dns:*.gw_1.example", "DNS:*.gw_1.example"},
        {"IP:192.0.2.255", "IP:192.0.2.255"},
        {"IP:2001:DB8:0:0:1:0:0:1", "IP:2001:db8::1:0:0:1"},
        {"ip:::1", "IP:::1"},
        {"IP:::", "IP:::"},
        {"IP:fe80::", "IP:fe80::"},
        {"IP:1:2:3:4:5:6:7:8", "IP:1:2:3:4:5:6:7:8"},
        {"IP:1:0:3:4:5:6:7:8", "IP:1:0:3:4:5:6:7:8"},
        {"IP:1:0:0:4:0:0:0:8", "IP:1:0:0:4::8"},
        {"URI:coaps://gw.example/x?y", "URI:coaps://gw.example/x?y"},
        {"URI:urn:uuid:f81d4fae-7dec-11d0-a765-00a0c91e6bf6",
         "URI:urn:uuid:f81d4fae-7dec-11d0-a765-00a0c91e6bf6"},
        {"email:ops@gw.example", "email:ops@gw.example"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        GENERAL_NAME *name = NULL;
        struct estc_error err = {0};
        if (estc_san_parse(cases[i].in, &name, &err))
            fail_msg("%s", err.text);
        char *text = san_text(name);
        assert_string_equal(text, cases[i].out);
        free(text);
        GENERAL_NAME_free(name);
    }
}

static void refuses_broken_sans(void **state) {
    (void)state;
    static const struct {
        const char *in, *reason;
    } cases[] = {
        {"", "begin it with"},
        {"gw.example", "begin it with"},
        {"RID:1.2.3", "begin it with"},
        {"DNS", "begin it with"},
        {"DNS:", "empty"},
        {"DNS:a..b", "empty"},
        {"DNS:.a", "empty"},
        {"DNS:-a", "hyphen"},
        {"DNS:a b", "not a host name"},
        {"DNS:a.*.b", "not a host name"},
        {"DNS:*", "not a host name"},
        {"DNS:*.", "empty"},
        {"DNS:m\xc3\xbc.example", "xn--"},
        {"IP:", "empty"},
        {"IP:1.2.3", "not an IPv4"},
        {"IP:1.2.3.256", "not an IPv4"},
        {"IP:fe80::1%eth0", "not an IPv4"},
        {"IP:gw.example", "not an IPv4"},
        {"URI:/path", "not a URI"},
        {"URI:1a:b", "not a URI"},
        {"URI:coaps:", "not a URI"},
        {"URI:coaps://a b", "not a URI"},
        {"email:ops", "not an address"},
        {"email:@x", "not an address"},
        {"email:ops@", "empty"},
        {"email:a b@x", "not an address"},
        {"email:a@b@c", "not a host name"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        GENERAL_NAME *name = NULL;
        struct estc_error err = {0};
        if (estc_san_parse(cases[i].in, &name, &err) != ESTC_E_CONFIG)
            fail_msg("taken: %s", cases[i].in);
        assert_null(name);
        if (!strstr(err.text, cases[i].reason))
            fail_msg("'%s' is not in: %s", cases[i].reason, err.text);
        assert_int_equal(ERR_peek_error(), 0);
    }
    char big[2000] = "DNS:";
    GENERAL_NAME *name = NULL;
    memset(big + 4, 'a', sizeof(big) - 5);
    big[sizeof(big) - 1] = '\0';
    assert_int_equal(estc_san_parse(big, &name, NULL), ESTC_E_CONFIG);
    big[4 + 254] = '\0';
    assert_int_equal(estc_san_parse(big, &name, NULL), ESTC_E_CONFIG);
    big[4 + 63] = '\0';
    assert_int_equal(estc_san_parse(big, &name, NULL), 0);
    GENERAL_NAME_free(name);
}

/* Names that only a peer can send: printed without harm. */
static void prints_hostile_names(void **state) {
    (void)state;
    X509_NAME *name = X509_NAME_new();
    static const unsigned char escape[] = "a\x1b[31m\n\x7f";
    assert_true(X509_NAME_add_entry_by_NID(name, NID_commonName, V_ASN1_UTF8STRING, escape,
                                           sizeof(escape) - 1, -1, 0));
    char *text = estc_name_text(name);
    assert_null(strpbrk(text, "\x1b\n\x7f"));
    assert_non_null(strstr(text, "\\1B[31m\\0A"));
    free(text);
    X509_NAME_free(name);

    /* Not UTF-8 at all, an odd BMPString, and a very long one. */
    static const struct {
        int type;
        const char *bytes;
        int len;
    } values[] = {
        {V_ASN1_UTF8STRING, "\xff\xfe\xc0", 3},
        {V_ASN1_BMPSTRING, "\0a\xd8\0", 4},
        {V_ASN1_UNIVERSALSTRING, "\x7f\xff\xff\xff", 4},
        {V_ASN1_T61STRING, "\xe9\0x", 3},
    };
    for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
        name = X509_NAME_new();
        ASN1_STRING *string = ASN1_STRING_type_new(values[i].type);
        assert_true(ASN1_STRING_set(string, values[i].bytes, values[i].len));
        X509_NAME_ENTRY *entry = X509_NAME_ENTRY_create_by_NID(
            NULL, NID_organizationName, values[i].type, ASN1_STRING_get0_data(string),
            ASN1_STRING_length(string));
        assert_non_null(entry);
        assert_true(X509_NAME_add_entry(name, entry, -1, 0));
        X509_NAME_ENTRY_free(entry);
        text = estc_name_text(name);
        assert_non_null(text);
        for (char *p = text; *p; p++)
            assert_true((unsigned char)*p >= 0x20 && *p != 0x7f);
        free(text);
        ASN1_STRING_free(string);
        X509_NAME_free(name);
    }
    ERR_clear_error();
}

static void bounds_long_names(void **state) {
    (void)state;
    X509_NAME *name = X509_NAME_new();
    for (int i = 0; i < 100; i++)
        assert_true(X509_NAME_add_entry_by_NID(
            name, NID_organizationalUnitName, V_ASN1_UTF8STRING,
            (const unsigned char *)"0123456789012345678901234567890123456789", 40, -1, 0));
    char *text = estc_name_text(name);
    assert_int_equal(strlen(text), NAME_TEXT_MAX);
    assert_string_equal(text + NAME_TEXT_MAX - 3, "...");
    free(text);
    X509_NAME_free(name);
}

static GENERAL_NAME *with_value(int type, const void *bytes, int len) {
    GENERAL_NAME *name = GENERAL_NAME_new();
    ASN1_STRING *string =
        ASN1_STRING_type_new(type == GEN_IPADD ? V_ASN1_OCTET_STRING : V_ASN1_IA5STRING);
    assert_true(ASN1_STRING_set(string, bytes, len));
    GENERAL_NAME_set0_value(name, type, string);
    return name;
}

static void prints_other_kinds_of_san(void **state) {
    (void)state;
    GENERAL_NAME *other = GENERAL_NAME_new(), *rid = GENERAL_NAME_new(), *dir = GENERAL_NAME_new();
    GENERAL_NAME *edi = GENERAL_NAME_new();
    ASN1_TYPE *value = ASN1_TYPE_new();
    ASN1_TYPE_set(value, V_ASN1_NULL, NULL);
    /* hardwareModuleName, RFC 4108: in many a birth certificate */
    assert_true(GENERAL_NAME_set0_othername(other, OBJ_txt2obj("1.3.6.1.5.5.7.8.4", 1), value));
    GENERAL_NAME_set0_value(rid, GEN_RID, OBJ_txt2obj("1.2.3.4", 1));
    GENERAL_NAME_set0_value(dir, GEN_DIRNAME, parse("CN=a,O=b"));
    GENERAL_NAME_set0_value(edi, GEN_EDIPARTY, EDIPARTYNAME_new());
    const struct {
        GENERAL_NAME *name;
        const char *text;
    } cases[] = {
        {other, "other:1.3.6.1.5.5.7.8.4"},
        {rid, "RID:1.2.3.4"},
        {dir, "dirName:CN=a,O=b"},
        {edi, "other:?"},
        {with_value(GEN_DNS, "a\0.evil\n", 8), "DNS:a?.evil?"},
        {with_value(GEN_URI, "", 0), "URI:"},
        {with_value(GEN_IPADD, "\x7f\0\0", 3), "IP:?"},
        {with_value(GEN_IPADD, "\x7f\0\0\1\xff\0\0\0", 8), "IP:?"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char *text = san_text(cases[i].name);
        assert_string_equal(text, cases[i].text);
        free(text);
        GENERAL_NAME_free(cases[i].name);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(subjects_print_as_they_were_read),
        cmocka_unit_test(subject_der_is_the_other_way_round),
        cmocka_unit_test(refuses_broken_subjects),
        cmocka_unit_test(refuses_endless_subjects),
        cmocka_unit_test(subject_parser_survives_mutation),
        cmocka_unit_test(sans_print_as_they_were_read),
        cmocka_unit_test(refuses_broken_sans),
        cmocka_unit_test(prints_hostile_names),
        cmocka_unit_test(bounds_long_names),
        cmocka_unit_test(prints_other_kinds_of_san),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
