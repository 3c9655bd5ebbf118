/* SPDX-License-Identifier: BSD-2-Clause */
/* ChangeSubjectName: what a request asks for beside the names that it has. */
#include "support.h"

#include <string.h>

#include <openssl/err.h>

#include <estc/client.h>
#include <estc/csr.h>

#include "base/cleanup_ossl.h"
#include "pkix/csr.h"

#define OID "1.3.6.1.5.5.7.7.36"

static const char *const old_sans[] = {"DNS:old.example", NULL};
static const char *const new_sans[] = {"DNS:new.example", "IP:192.0.2.1", NULL};

static int setup(void **state) {
    *state = support_key();
    return 0;
}

static int teardown(void **state) {
    EVP_PKEY_free(*state);
    return 0;
}

static X509 *certificate(EVP_PKEY *key, const char *subject, const char *const *sans) {
    return support_cert(key, &(struct support_cert_spec){.subject = subject, .sans = sans});
}

static X509_REQ *build(EVP_PKEY *key, const struct estc_csr_spec *spec) {
    _cleanup(estc_buf_clear) struct estc_buf der = {0};
    struct estc_error err = {0};
    X509_REQ *req = NULL;
    if (estc_csr_build(key, spec, &der, &err) || estc_csr_parse(der.data, der.len, &req, &err))
        fail_msg("%s", err.text);
    return req;
}

static void assert_names(const GENERAL_NAMES *names, const char *const *expected) {
    int n = 0;
    for (; expected && expected[n]; n++) {
        _cleanup(general_name_freep) GENERAL_NAME *name = NULL;
        assert_int_equal(estc_san_parse(expected[n], &name, NULL), 0);
        assert_true(n < sk_GENERAL_NAME_num(names));
        assert_int_equal(GENERAL_NAME_cmp(sk_GENERAL_NAME_value(names, n), name), 0);
    }
    assert_int_equal(names ? sk_GENERAL_NAME_num(names) : 0, n);
}

static void assert_subject(const X509_NAME *subject, const char *expected) {
    _cleanup(x509_name_freep) X509_NAME *name = NULL;
    assert_int_equal(estc_subject_parse(expected, &name, NULL), 0);
    assert_int_equal(X509_NAME_cmp(subject, name), 0);
}

/* The value of the attribute, as it is written. */
static const ASN1_STRING *value_of(const X509_REQ *req) {
    _cleanup(object_freep) ASN1_OBJECT *type = OBJ_txt2obj(OID, 1);
    const ASN1_TYPE *value = NULL;
    assert_int_equal(csr_attribute(req, type, &value), 0);
    assert_non_null(value);
    assert_int_equal(value->type, V_ASN1_SEQUENCE);
    return value->value.sequence;
}

/* --- written --- */

static void e08_e09_new_names_stand_beside_the_old_ones(void **state) {
    EVP_PKEY *key = *state;
    static const struct {
        const char *subject;
        const char *const *sans;
    } rows[] = {{"CN=new", new_sans}, {"CN=new", NULL}, {"", new_sans}, {NULL, new_sans}};
    _cleanup(x509_freep) X509 *old = certificate(key, "CN=old,O=x", old_sans);
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        const struct estc_csr_spec spec = {
            .subject = rows[i].subject, .sans = rows[i].sans, .renew = old, .rename = true};
        _cleanup(x509_req_freep) X509_REQ *req = build(key, &spec);
        _cleanup(x509_name_freep) X509_NAME *subject = NULL;
        _cleanup(general_names_freep) GENERAL_NAMES *sans = NULL, *kept = NULL;
        _cleanup(extensions_freep) STACK_OF(X509_EXTENSION) *asked = NULL;
        assert_int_equal(csr_extensions(req, &asked, NULL), 0);
        kept = X509V3_get_d2i(asked, NID_subject_alt_name, NULL, NULL);
        assert_names(kept, old_sans);
        assert_subject(X509_REQ_get_subject_name(req), "CN=old,O=x");
        assert_int_equal(estc_csr_new_names(req, &subject, &sans, NULL), 0);
        assert_subject(subject, rows[i].subject ? rows[i].subject : "");
        assert_names(sans, rows[i].sans);
    }
}

static void e09_the_bytes_are_those_of_the_erratum(void **state) {
    EVP_PKEY *key = *state;
    _cleanup(x509_freep) X509 *old = certificate(key, "CN=old", old_sans);
    static const char *const a[] = {"DNS:a", NULL};
    static const unsigned char name[] = "\x30\x0c\x31\x0a\x30\x08\x06\x03\x55\x04\x03\x0c\x01"
                                        "b";
    static const unsigned char tagged[] = "\xa1\x03\x82\x01"
                                          "a";
    for (int i = 1; i <= 3; i++) {
        const struct estc_csr_spec spec = {
            .subject = i & 1 ? "CN=b" : "", .sans = i & 2 ? a : NULL, .renew = old, .rename = true};
        _cleanup(x509_req_freep) X509_REQ *req = build(key, &spec);
        unsigned char expected[64] = {0x30, 0};
        size_t n = 2;
        if (i & 1)
            memcpy(expected + n, name, sizeof(name) - 1);
        n += i & 1 ? sizeof(name) - 1 : 0;
        if (i & 2)
            memcpy(expected + n, tagged, sizeof(tagged) - 1);
        n += i & 2 ? sizeof(tagged) - 1 : 0;
        expected[1] = (unsigned char)(n - 2);
        const ASN1_STRING *value = value_of(req);
        assert_int_equal(ASN1_STRING_length(value), n);
        assert_memory_equal(ASN1_STRING_get0_data(value), expected, n);
    }
}

static void e09_no_name_at_all_cannot_be_asked_for(void **state) {
    EVP_PKEY *key = *state;
    _cleanup(x509_freep) X509 *old = certificate(key, "CN=old", old_sans);
    _cleanup(estc_buf_clear) struct estc_buf der = {0};
    const struct estc_csr_spec spec = {.renew = old, .rename = true};
    assert_int_equal(estc_csr_build(key, &spec, &der, NULL), ESTC_E_CONFIG);
    assert_int_equal(der.len, 0);
}

/* A server's wish for names is granted in the attribute, too, and not beside the old names. */
static void names_wished_for_are_new_names(void **state) {
    EVP_PKEY *key = *state;
    _cleanup(x509_freep) X509 *old = certificate(key, "CN=old", old_sans);
    _cleanup(x509_freep) X509 *wish = certificate(key, "CN=any", new_sans);
    _cleanup(extensions_freep) STACK_OF(X509_EXTENSION) *wished = sk_X509_EXTENSION_new_null();
    int at = X509_get_ext_by_NID(wish, NID_subject_alt_name, -1);
    sk_X509_EXTENSION_push(wished, X509_EXTENSION_dup(X509_get_ext(wish, at)));
    const struct estc_csr_spec spec = {
        .subject = "CN=new", .renew = old, .rename = true, .extensions = wished};
    _cleanup(x509_req_freep) X509_REQ *req = build(key, &spec);
    _cleanup(x509_name_freep) X509_NAME *subject = NULL;
    _cleanup(general_names_freep) GENERAL_NAMES *sans = NULL;
    assert_int_equal(estc_csr_new_names(req, &subject, &sans, NULL), 0);
    assert_names(sans, new_sans);
}

static void requests_without_it_ask_for_none(void **state) {
    EVP_PKEY *key = *state;
    _cleanup(x509_freep) X509 *old = certificate(key, "CN=old", old_sans);
    for (int i = 0; i < 2; i++) {
        const struct estc_csr_spec spec = {.subject = "CN=new", .renew = i ? old : NULL};
        _cleanup(x509_req_freep) X509_REQ *req = build(key, &spec);
        X509_NAME *subject = NULL;
        GENERAL_NAMES *sans = NULL;
        assert_int_equal(estc_csr_new_names(req, &subject, &sans, NULL), 0);
        assert_null(subject);
        assert_null(sans);
    }
}

/* --- read --- */

/* What a request says whose attribute has these bytes, so many times. */
static int read_value(const unsigned char *value, size_t len, int times, X509_NAME **subject,
                      GENERAL_NAMES **sans) {
    _cleanup(x509_req_freep) X509_REQ *req = X509_REQ_new();
    _cleanup(object_freep) ASN1_OBJECT *type = OBJ_txt2obj(OID, 1);
    struct estc_error err = {0};
    for (int i = 0; i < times; i++) {
        X509_ATTRIBUTE *attribute =
            X509_ATTRIBUTE_create_by_OBJ(NULL, type, V_ASN1_SEQUENCE, value, (int)len);
        bool added = X509_REQ_add1_attr(req, attribute);
        X509_ATTRIBUTE_free(attribute);
        ERR_clear_error();
        if (!added) /* no item of ASN.1: OpenSSL does not let it through in a request either */
            return ESTC_E_MALFORMED;
    }
    int rc = estc_csr_new_names(req, subject, sans, &err);
    assert_int_equal(rc != 0, *err.text != '\0');
    assert_int_equal(ERR_peek_error(), 0);
    return rc;
}

#define NAME_B                                             \
    "\x30\x0c\x31\x0a\x30\x08\x06\x03\x55\x04\x03\x0c\x01" \
    "b"
#define DNS_A  \
    "\x82\x01" \
    "a"

static const struct {
    const char *what;
    const char *bytes;
    size_t len;
    const char *subject; /* NULL: refused */
    const char *const *sans;
} values[] = {
#define VALUE(bytes) bytes, sizeof(bytes) - 1
    {"both, as the erratum has them", VALUE("\x30\x13" NAME_B "\xa1\x03" DNS_A), "CN=b",
     (const char *const[]){"DNS:a", NULL}},
    {"both, as the RFC was printed", VALUE("\x30\x13" NAME_B "\x30\x03" DNS_A), "CN=b",
     (const char *const[]){"DNS:a", NULL}},
    {"a subject", VALUE("\x30\x0e" NAME_B), "CN=b", NULL},
    {"an empty subject", VALUE("\x30\x02\x30\x00"), "", NULL},
    {"names", VALUE("\x30\x05\xa1\x03" DNS_A), "", (const char *const[]){"DNS:a", NULL}},
    {"names, as printed", VALUE("\x30\x05\x30\x03" DNS_A), "",
     (const char *const[]){"DNS:a", NULL}},
    {"an empty subject and names", VALUE("\x30\x07\x30\x00\xa1\x03" DNS_A), "",
     (const char *const[]){"DNS:a", NULL}},
    {"neither", VALUE("\x30\x00"), NULL, NULL},
    {"no names in the list", VALUE("\x30\x02\xa1\x00"), NULL, NULL},
    {"a subject and no names in the list", VALUE("\x30\x10" NAME_B "\xa1\x00"), NULL, NULL},
    {"two subjects", VALUE("\x30\x1c" NAME_B NAME_B), NULL, NULL},
    {"names twice", VALUE("\x30\x0a\xa1\x03" DNS_A "\xa1\x03" DNS_A), NULL, NULL},
    {"names first", VALUE("\x30\x13\xa1\x03" DNS_A NAME_B), NULL, NULL},
    {"an explicit tag", VALUE("\x30\x07\xa1\x05\x30\x03" DNS_A), NULL, NULL},
    {"another tag", VALUE("\x30\x05\xa2\x03" DNS_A), NULL, NULL},
    {"a long form of a length", VALUE("\x30\x06\xa1\x81\x03" DNS_A), NULL, NULL},
    {"something behind it", VALUE("\x30\x10" NAME_B "\x05\x00"), NULL, NULL},
    {"bytes behind it", VALUE("\x30\x0e" NAME_B "\x00"), NULL, NULL},
    {"an indefinite length", VALUE("\x30\x80" NAME_B "\x00\x00"), NULL, NULL},
#undef VALUE
};

static void e09_both_forms_are_read_and_nothing_else(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
        _cleanup(x509_name_freep) X509_NAME *subject = NULL;
        _cleanup(general_names_freep) GENERAL_NAMES *sans = NULL;
        int rc =
            read_value((const unsigned char *)values[i].bytes, values[i].len, 1, &subject, &sans);
        if (rc != (values[i].subject ? 0 : ESTC_E_MALFORMED))
            fail_msg("%s: %d", values[i].what, rc);
        if (!values[i].subject) {
            assert_null(subject);
            assert_null(sans);
            continue;
        }
        assert_subject(subject, values[i].subject);
        assert_int_equal(!sans, !values[i].sans);
        assert_names(sans, values[i].sans);
    }
}

static void it_may_not_be_there_twice(void **state) {
    (void)state;
    X509_NAME *subject = NULL;
    GENERAL_NAMES *sans = NULL;
    assert_int_equal(
        read_value((const unsigned char *)values[0].bytes, values[0].len, 2, &subject, &sans),
        ESTC_E_MALFORMED);
    /* Nor be anything but a SEQUENCE. */
    _cleanup(x509_req_freep) X509_REQ *req = X509_REQ_new();
    _cleanup(object_freep) ASN1_OBJECT *type = OBJ_txt2obj(OID, 1);
    assert_true(
        X509_REQ_add1_attr_by_OBJ(req, type, V_ASN1_UTF8STRING, (const unsigned char *)"CN=b", 4));
    assert_int_equal(estc_csr_new_names(req, &subject, &sans, NULL), ESTC_E_MALFORMED);
    assert_null(subject);
    assert_null(sans);
}

/* Whatever the bytes, it is read or refused: and what is read is all there. */
static void broken_bytes_are_survived(void **state) {
    (void)state;
    size_t read = 0, refused = 0;
    for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
        unsigned char bytes[64];
        for (size_t at = 0; at < values[i].len; at++) {
            for (unsigned value = 0; value < 256; value++) {
                _cleanup(x509_name_freep) X509_NAME *subject = NULL;
                _cleanup(general_names_freep) GENERAL_NAMES *sans = NULL;
                memcpy(bytes, values[i].bytes, values[i].len);
                bytes[at] = (unsigned char)value;
                int rc = read_value(bytes, values[i].len, 1, &subject, &sans);
                assert_int_equal(!rc, subject != NULL);
                assert_true(!sans || (subject && sk_GENERAL_NAME_num(sans) > 0));
                *(rc ? &refused : &read) += 1;
            }
            X509_NAME *subject = NULL;
            GENERAL_NAMES *sans = NULL;
            int rc = read_value((const unsigned char *)values[i].bytes, at, 1, &subject, &sans);
            assert_true(rc == ESTC_E_MALFORMED || !values[i].subject);
            X509_NAME_free(subject);
            GENERAL_NAMES_free(sans);
        }
    }
    assert_true(read > 1000 && refused > 10000);
}

/* --- what came of it --- */

static void e06_e09_the_certificate_has_the_new_names(void **state) {
    EVP_PKEY *key = *state;
    static const char *const turned[] = {"IP:192.0.2.1", "DNS:new.example", NULL};
    static const struct {
        const char *subject;
        const char *const *sans;
        int rc;
    } rows[] = {
        {"CN=new", new_sans, 0},
        {"CN=new", turned, 0},
        {"CN=old", old_sans, ESTC_E_MISMATCH},
        /* The CA's own choice, as in any enrolment. */
        {"CN=new,O=ours", new_sans, 0},
        {"CN=new", NULL, 0},
    };
    _cleanup(x509_freep) X509 *old = certificate(key, "CN=old", old_sans);
    for (int renames = 0; renames < 2; renames++) {
        const struct estc_csr_spec spec = {
            .subject = "CN=new", .sans = new_sans, .renew = old, .rename = renames};
        _cleanup(estc_buf_clear) struct estc_buf der = {0};
        assert_int_equal(estc_csr_build(key, &spec, &der, NULL), 0);
        for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
            _cleanup(x509_freep) X509 *issued = certificate(key, rows[i].subject, rows[i].sans);
            assert_int_equal(estc_client_check_names(der.data, der.len, issued, NULL),
                             renames ? rows[i].rc : 0);
        }
        assert_int_equal(estc_client_check_names(der.data, der.len - 1, old, NULL),
                         ESTC_E_MALFORMED);
    }
    /* The old names in other words. */
    const struct estc_csr_spec same = {
        .subject = "CN=old", .sans = old_sans, .renew = old, .rename = true};
    _cleanup(estc_buf_clear) struct estc_buf der = {0};
    assert_int_equal(estc_csr_build(key, &same, &der, NULL), 0);
    assert_int_equal(estc_client_check_names(der.data, der.len, old, NULL), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(e08_e09_new_names_stand_beside_the_old_ones),
        cmocka_unit_test(e09_the_bytes_are_those_of_the_erratum),
        cmocka_unit_test(e09_no_name_at_all_cannot_be_asked_for),
        cmocka_unit_test(names_wished_for_are_new_names),
        cmocka_unit_test(requests_without_it_ask_for_none),
        cmocka_unit_test(e09_both_forms_are_read_and_nothing_else),
        cmocka_unit_test(it_may_not_be_there_twice),
        cmocka_unit_test(broken_bytes_are_survived),
        cmocka_unit_test(e06_e09_the_certificate_has_the_new_names),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
