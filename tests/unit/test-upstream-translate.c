/* SPDX-License-Identifier: BSD-2-Clause */
/* EST over HTTPS to EST-coaps and back: bytes, codes, dates. */
#include "support.h"

#include <stdio.h>
#include <string.h>

#include <estc/certs.h>
#include <estc/keypackage.h>

#include "base/cleanup_ossl.h"
#include "est-registrar/upstream_media.h"
#include "est-registrar/upstream_translate.h"

static struct translate_body body_of(const char *type, const char *text) {
    return (struct translate_body){
        .type = type, .data = (const unsigned char *)text, .len = strlen(text)};
}

static void g05_g06_base64(void **state) {
    (void)state;
    static const struct {
        const char *text;
        int rc; /* or the length */
        const char *bytes;
    } rows[] = {
        {"QUJD", 3, "ABC"},
        {"QUI=", 2, "AB"},
        {"QQ==", 1, "A"},
        {"\r\n\tQ U\nJ\r\nD ", 3, "ABC"},
        {"QQ\n=\n=", 1, "A"},
        {"", -1, "it is empty"},
        {" \r\n", -1, "it is empty"},
        {"QUJ", -1, "it ends in the middle"},
        {"QQ=", -1, "it ends in the middle"},
        {"Q===", -1, "byte 1 of it is 0x3d"},
        {"====", -1, "byte 0 of it is 0x3d"},
        {"QQ==QQ==", -1, "byte 4 of it"},
        {"QQ=Q", -1, "byte 3 of it"},
        {"QUJD-", -1, "byte 4 of it is 0x2d"},
        {"<html>", -1, "byte 0 of it is 0x3c"},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        _cleanup(estc_buf_clear) struct estc_buf out = {0};
        struct estc_error err = {0};
        int rc = translate_from_base64(rows[i].text, strlen(rows[i].text), &out, &err);
        if (rows[i].rc < 0) {
            assert_int_equal(rc, ESTC_E_MALFORMED);
            assert_null(out.data);
            if (!strstr(err.text, rows[i].bytes))
                fail_msg("'%s' does not say '%s'", err.text, rows[i].bytes);
            continue;
        }
        assert_int_equal(rc, 0);
        assert_int_equal(out.len, rows[i].rc);
        assert_memory_equal(out.data, rows[i].bytes, out.len);
    }
    _cleanup(estc_buf_clear) struct estc_buf text = {0};
    assert_int_equal(translate_to_base64("\0\xff", 2, &text), 0);
    assert_string_equal((char *)text.data, "AP8=");
}

static void r02_g11_codes(void **state) {
    (void)state;
    static const struct {
        long status;
        unsigned code;
    } rows[] = {{400, 400}, {401, 401}, {403, 403}, {404, 404}, {204, 404}, {405, 405}, {406, 406},
                {413, 413}, {415, 415}, {500, 500}, {501, 501}, {502, 502}, {503, 503}, {504, 504},
                {402, 400}, {418, 400}, {505, 502}, {302, 502}, {201, 502}, {0, 502},   {999, 502}};
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        assert_int_equal(translate_status(rows[i].status), rows[i].code);
}

static void d08_retry_after(void **state) {
    (void)state;
    const int64_t now = 784111777; /* Sun, 06 Nov 1994 08:49:37 GMT */
    static const struct {
        const char *value;
        int64_t seconds;
    } rows[] = {
        {NULL, 0},
        {"", 0},
        {"0", 0},
        {"120", 120},
        {"soon", 0},
        {"-5", 0},
        {"12 apples", 0},
        {"2592001", TRANSLATE_RETRY_MAX},
        {"99999999999999999999999", TRANSLATE_RETRY_MAX},
        {"Sun, 06 Nov 1994 08:50:37 GMT", 60},
        {"Sunday, 06-Nov-94 08:50:37 GMT", 60},
        {"Sun Nov  6 08:50:37 1994", 60},
        {"Sun, 06 Nov 1994 08:40:37 GMT", 0},
        {"Fri, 31 Dec 2027 23:59:59 GMT", TRANSLATE_RETRY_MAX},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        if (translate_retry_after(rows[i].value, now) != rows[i].seconds)
            fail_msg("%s: %lld", rows[i].value,
                     (long long)translate_retry_after(rows[i].value, now));
}

static void g07_media_types(void **state) {
    (void)state;
    static const struct {
        const char *type;
        bool is;
        enum media_smime smime;
    } rows[] = {
        {"application/pkcs7-mime", true, MEDIA_UNSAID},
        {"application/pkcs7-mime;smime-type=certs-only", true, MEDIA_NAMED},
        {" APPLICATION/PKCS7-mime ; Smime-Type=\"Certs-Only\"; name=x", true, MEDIA_NAMED},
        {"application/pkcs7-mime; name=\"a;smime-type=other\"; smime-type=certs-only", true,
         MEDIA_NAMED},
        {"application/pkcs7-mime; smime-type=certs-only-not", true, MEDIA_OTHER},
        {"application/pkcs7-mime; smime-type=", true, MEDIA_UNSAID},
        {"application/pkcs7-mime; smime-type=\"", true, MEDIA_UNSAID},
        {"application/pkcs7-mime; x-smime-type=certs-only", true, MEDIA_UNSAID},
        {"application/pkcs7-mimes", false, MEDIA_UNSAID},
        {"application/pkcs7", false, MEDIA_UNSAID},
        {"", false, MEDIA_UNSAID},
        {NULL, false, MEDIA_UNSAID},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        if (media_is(rows[i].type, "application/pkcs7-mime") != rows[i].is)
            fail_msg("%s: is", rows[i].type);
        if (media_smime(rows[i].type, "certs-only") != rows[i].smime)
            fail_msg("%s: smime-type", rows[i].type);
    }
}

#define MIXED "multipart/mixed; boundary=b"
#define KEY "Content-Type: application/pkcs8\r\n\r\n"

static void g08_parts(void **state) {
    (void)state;
    static const struct {
        const char *type, *text, *says; /* NULL: the parts are "1" and "2" */
    } rows[] = {
        {MIXED, "--b\r\n\r\n1\r\n--b\r\n\r\n2\r\n--b--", NULL},
        {"multipart/mixed;charset=x; BOUNDARY=\"b c\"", "--b c\n\n1\n--b c \n\n2\n--b c--\n", NULL},
        {MIXED, "before\r\n--bb\r\n--b\r\nX: y\r\n\r\n1\r\n--b\t\r\n\r\n2\r\n--b--\r\n--b", NULL},
        {MIXED, "--b\r\ncontent-TYPE:\r\n a/b;\r\n\tc=d\r\n\r\n1\r\n--b\r\n\r\n2\r\n--b--", NULL},
        {"multipart/mixed", "--b", "has no boundary"},
        {"multipart/mixed; boundary=", "--", "has no boundary"},
        {MIXED, "", "last boundary is missing"},
        {MIXED, "--b", "a part of it has no body"},
        {MIXED, "--b\r\nX: y", "a part of it has no body"},
        {MIXED, "--b--", "has not two parts"},
        {MIXED, "--b\r\n\r\n1\r\n--b--", "has not two parts"},
        {MIXED, "--b\r\n\r\n1\r\n--b\r\n\r\n2\r\n", "last boundary is missing"},
        {MIXED, "--b\r\n\r\n1\r\n--b\r\n\r\n2\r\n--b\r\n\r\n3\r\n--b--", "more than two"},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        const struct translate_body body = body_of(rows[i].type, rows[i].text);
        struct translate_body part[MEDIA_PARTS];
        char *types[MEDIA_PARTS] = {NULL};
        struct estc_error err = {0};
        int rc = media_split(&body, part, types, &err);
        if (rc != (rows[i].says ? ESTC_E_MALFORMED : 0))
            fail_msg("%zu: %d %s", i, rc, err.text);
        if (rows[i].says && !strstr(err.text, rows[i].says))
            fail_msg("%zu: %s", i, err.text);
        for (int k = 0; !rc && k < MEDIA_PARTS; k++) {
            assert_true(part[k].len >= 1);
            assert_int_equal(part[k].data[0], '1' + k);
        }
        if (!rc && i == 3)
            assert_string_equal(part[0].type, " a/b;\tc=d");
        for (int k = 0; k < MEDIA_PARTS; k++)
            free(types[k]);
    }
}

/* The answer of RFC 7030 A.4 in our own words: a real key and its certificate. */
static char *generated_text(EVP_PKEY *key, X509 *cert, bool swapped) {
    struct estc_error err = {0};
    _cleanup(estc_buf_clear) struct estc_buf pkcs8 = {0}, der = {0}, first = {0}, second = {0};
    STACK_OF(X509) *only = sk_X509_new_null();
    sk_X509_push(only, cert);
    assert_int_equal(estc_pkcs8_encode(key, &pkcs8, &err), 0);
    assert_int_equal(estc_certs_encode(only, &der, &err), 0);
    sk_X509_free(only);
    assert_int_equal(translate_to_base64(pkcs8.data, pkcs8.len, &first), 0);
    assert_int_equal(translate_to_base64(der.data, der.len, &second), 0);
    static const char certs[] =
        "Content-Type: application/pkcs7-mime; smime-type=certs-only\r\n\r\n";
    char *text = malloc(first.len + second.len + 400);
    sprintf(text, "--b\r\n%s%s\r\n--b\r\n%s%s\r\n--b--\r\n", swapped ? certs : KEY,
            swapped ? (char *)second.data : (char *)first.data, swapped ? KEY : certs,
            swapped ? (char *)first.data : (char *)second.data);
    return text;
}

static void g08_g09_generated_keys(void **state) {
    (void)state;
    _cleanup(pkey_freep) EVP_PKEY *key = support_key(), *other = support_key();
    _cleanup(x509_freep) X509 *cert =
        support_cert(key, &(struct support_cert_spec){.subject = "CN=gw"});
    for (int swapped = 0; swapped < 2; swapped++) {
        _cleanup(freep) char *text = generated_text(key, cert, swapped);
        const struct translate_body body = body_of(MIXED, text);
        _cleanup(estc_buf_clear) struct estc_buf got = {0};
        _cleanup(x509_freep) X509 *issued = NULL;
        struct estc_error err = {0};
        if (translate_generated(&body, false, &got, &issued, &err))
            fail_msg("%s", err.text);
        assert_int_equal(X509_cmp(issued, cert), 0);
        /* Where a sealed one was asked for, this is none. */
        _cleanup(estc_buf_clear) struct estc_buf none = {0};
        X509 *nothing = NULL;
        assert_int_equal(translate_generated(&body, true, &none, &nothing, &err), ESTC_E_MALFORMED);
        assert_null(none.data);
        assert_null(nothing);
    }
    _cleanup(freep) char *text = generated_text(other, cert, false);
    const struct translate_body body = body_of(MIXED, text);
    struct estc_buf none = {0};
    X509 *nothing = NULL;
    struct estc_error err = {0};
    assert_int_equal(translate_generated(&body, false, &none, &nothing, &err), ESTC_E_MALFORMED);
    assert_non_null(strstr(err.text, "no pair"));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(g05_g06_base64),  cmocka_unit_test(r02_g11_codes),
        cmocka_unit_test(d08_retry_after), cmocka_unit_test(g07_media_types),
        cmocka_unit_test(g08_parts),       cmocka_unit_test(g08_g09_generated_keys),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
