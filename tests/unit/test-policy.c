/* SPDX-License-Identifier: BSD-2-Clause */
/* Who may have what, decided without a ledger or a network; and what only looks like a name. */
#include "conf_file.h"

#include <openssl/x509v3.h>

#include <estc/csr.h>
#include <estc/key.h>

#include "base/cleanup_ossl.h"
#include "est-registrar/policy.h"

static const char rules[] =
    "server = { certificate = \"s\"; key = \"s\"; }; ca = { certificate = \"c\"; key = \"c\"; };\n"
    "client_cas = ( { name = \"factory\"; certificate = \"f\"; },\n"
    "               { name = \"lab\"; certificate = \"l\"; } );\n"
    "rules = (\n"
    " { name = \"plain\"; client_ca = \"factory\"; subject = { CN = [ \"${CN}\", \"${CN}-*\" ];\n"
    "   O = [ \"Example\" ]; }; dns = [ \"*.${CN}.gw.example\" ]; key_types = [ \"p256\" ]; },\n"
    " { name = \"wide\"; client_ca = \"factory\"; subject = { CN = [ \"*\" ]; DC = [ \"*\" ]; };\n"
    "   dns = [ \"*\", \"*.*\" ]; ip = [ \"10.0.0.0/8\", \"2001:db8::/32\" ];\n"
    "   uri = [ \"coaps:/\" \"/${CN}.gw.example\" ]; email = [ \"${CN}@*.example\" ];\n"
    "   label = \"wide\"; change_names = true; },\n"
    " { name = \"lab\"; client_ca = \"lab\"; subject = { CN = [ \"lab-*\" ]; }; } );\n";

struct bench {
    void *files; /* struct conf_place */
    struct config *config;
    EVP_PKEY *key;
    X509 *birth; /* CN=gw-1 */
};

static int setup(void **state) {
    struct bench *b = calloc(1, sizeof(*b));
    if (conf_place_setup(&b->files))
        return -1;
    struct conf_place *c = b->files;
    conf_write(c, "est-registrar.conf", rules);
    config_load(c->path, &b->config, &c->errors);
    assert_no_errors(&c->errors);
    b->key = support_key();
    b->birth = support_cert(b->key, &(struct support_cert_spec){.subject = "CN=gw-1,O=Factory"});
    *state = b;
    return 0;
}

static int teardown(void **state) {
    struct bench *b = *state;
    config_free(b->config);
    EVP_PKEY_free(b->key);
    X509_free(b->birth);
    void *files = b->files;
    free(b);
    return conf_place_teardown(&files);
}

static int judge(const struct bench *b, const char *ca, const char *label, X509_REQ *csr,
                 const char *expected, struct estc_error *err) {
    const struct config_rule *rule = NULL;
    int rc = policy_judge(b->config, ca, b->birth, label, csr, &rule, err);
    if (rc)
        assert_null(rule);
    else
        assert_string_equal(rule->name, expected);
    return rc;
}

static X509_REQ *request(EVP_PKEY *key, const char *subject, const char *san) {
    const char *const sans[] = {san, NULL};
    const struct estc_csr_spec spec = {.subject = subject, .sans = sans};
    struct estc_buf der = {0};
    struct estc_error err = {0};
    X509_REQ *csr = NULL;
    if (estc_csr_build(key, &spec, &der, &err) || estc_csr_parse(der.data, der.len, &csr, &err))
        fail_msg("%s: %s", subject, err.text);
    estc_buf_clear(&der);
    return csr;
}

static void the_first_rule_that_fits_grants(void **state) {
    const struct bench *b = *state;
    static const struct {
        const char *ca, *label, *subject, *san;
        const char *rule; /* NULL: refused, and: */
        const char *says;
    } rows[] = {
        {"factory", "", "CN=gw-1", NULL, "plain", NULL},
        {"factory", "", "CN=gw-1-mqtt,O=Example", "DNS:a.gw-1.gw.example", "plain", NULL},
        {"factory", "", "CN=gw-2", NULL, NULL, "commonName 'gw-2' matches no pattern of rule 'pl"},
        {"factory", "", "CN=gw-1,O=Factory", NULL, NULL, "organizationName 'Factory' matches no"},
        {"factory", "", "CN=gw-1,OU=x", NULL, NULL, "organizationalUnitName 'x' matches no"},
        {"factory", "", "CN=gw-1,emailAddress=a@b.example", NULL, NULL, "emailAddress 'a@b"},
        {"factory", "", "CN=gw-1,1.2.3.4=x", NULL, NULL, "1.2.3.4 'x' matches no pattern"},
        {"factory", "", "CN=gw-1", "DNS:gw-1.gw.example", NULL, "name 'DNS:gw-1.gw.example' mat"},
        {"factory", "", "CN=gw-1", "IP:10.0.0.1", NULL, "name 'IP:10.0.0.1' matches no"},
        {"factory", "wide", "CN=other", NULL, "wide", NULL},
        {"factory", "wide", "", "DNS:x", "wide", NULL},
        {"factory", "wide", "", "IP:10.1.2.3", "wide", NULL},
        {"factory", "wide", "", "IP:2001:db8::7", "wide", NULL},
        {"factory", "wide", "", "IP:192.0.2.1", NULL, "name 'IP:192.0.2.1'"},
        {"factory", "wide", "", "IP:2001:db9::7", NULL, "name 'IP:2001:db9::7'"},
        {"factory", "wide", "", "URI:coaps://gw-1.gw.example", "wide", NULL},
        {"factory", "wide", "", "URI:coaps://gw-1.gw.example/x", NULL, "name 'URI:coaps://gw-1"},
        {"factory", "wide", "", "email:gw-1@a.example", "wide", NULL},
        {"factory", "wide", "", "email:gw-2@a.example", NULL, "name 'email:gw-2@a.example'"},
        {"factory", "wide", "", "DNS:*.example", NULL, "name 'DNS:*.example' matches no"},
        {"factory", "wide", "CN=*", NULL, NULL, "commonName '*' matches no"},
        {"factory", "wide", "", NULL, NULL, "no name at all"},
        {"lab", "", "CN=lab-1", NULL, "lab", NULL},
        {"lab", "", "CN=gw-1", NULL, NULL, "of rule 'lab'"},
        {"lab", "wide", "CN=gw-1", NULL, NULL, "no rule is for certificates of 'lab' and the lab"},
        {"nobody", "", "CN=gw-1", NULL, NULL, "no rule is for certificates of 'nobody' without a"},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct estc_error err = {0};
        _cleanup(x509_req_freep) X509_REQ *csr = request(b->key, rows[i].subject, rows[i].san);
        int rc = judge(b, rows[i].ca, rows[i].label, csr, rows[i].rule, &err);
        if (rc != (rows[i].rule ? 0 : ESTC_E_REJECTED) ||
            (rows[i].says && !strstr(err.text, rows[i].says)))
            fail_msg("%zu: '%s' '%s': %d '%s'", i, rows[i].subject, rows[i].san, rc, err.text);
    }
}

static void an_unknown_label_is_not_there(void **state) {
    const struct bench *b = *state;
    struct estc_error err = {0};
    _cleanup(x509_req_freep) X509_REQ *csr = request(b->key, "CN=gw-1", NULL);
    assert_int_equal(judge(b, "factory", "WIDE", csr, NULL, &err), ESTC_E_NOT_FOUND);
    assert_string_equal(err.text, "there is no label 'WIDE' here");
    assert_int_equal(policy_label(b->config, "", &err), 0);
    assert_int_equal(policy_label(b->config, "wide", &err), 0);
    assert_int_equal(policy_label(b->config, "plain", &err), ESTC_E_NOT_FOUND);
}

static void keys_are_of_the_rule_s_kinds(void **state) {
    const struct bench *b = *state;
    struct estc_error err = {0};
    for (int type = 0; type < ESTC_KEY_RSA4096; type++) {
        _cleanup(pkey_freep) EVP_PKEY *key = NULL;
        assert_int_equal(estc_key_generate((enum estc_key_type)type, &key, &err), 0);
        _cleanup(x509_req_freep) X509_REQ *csr = request(key, "CN=gw-1", NULL);
        bool listed = type == ESTC_KEY_P256;
        assert_int_equal(judge(b, "factory", "", csr, "plain", &err), listed ? 0 : ESTC_E_REJECTED);
        if (!listed)
            assert_non_null(strstr(err.text, "rule 'plain' does not take keys of kind"));
        assert_int_equal(judge(b, "factory", "wide", csr, "wide", &err), 0);
    }
}

/* --- names that are none --- */

/* A request whose subjectAltName is these bytes. */
static X509_REQ *request_with_san(EVP_PKEY *key, const void *der, size_t len) {
    X509_REQ *csr = request(key, "CN=gw-1", NULL);
    _cleanup(x509_req_freep) X509_REQ *made = csr;
    ASN1_OCTET_STRING *value = ASN1_OCTET_STRING_new();
    assert_true(ASN1_OCTET_STRING_set(value, der, (int)len));
    X509_EXTENSION *ext = X509_EXTENSION_create_by_NID(NULL, NID_subject_alt_name, 0, value);
    STACK_OF(X509_EXTENSION) *list = sk_X509_EXTENSION_new_null();
    assert_true(sk_X509_EXTENSION_push(list, ext) > 0);
    assert_int_equal(X509_REQ_add_extensions(csr, list), 1);
    assert_true(X509_REQ_sign(csr, key, EVP_sha256()) > 0);
    sk_X509_EXTENSION_pop_free(list, X509_EXTENSION_free);
    ASN1_OCTET_STRING_free(value);
    return TAKE(made);
}

#define SAN(tag, text) tag, sizeof(text) - 1, text

static void what_only_looks_like_a_name_is_refused(void **state) {
    const struct bench *b = *state;
    static const struct {
        unsigned char tag;
        size_t len;
        const char *value;
        bool granted;
    } rows[] = {
        {SAN(0x82, "a.b"), true},
        {SAN(0x82, "a b"), false},
        {SAN(0x82, ""), false},
        {SAN(0x82, "a\0b"), false},
        {SAN(0x82, "a..b"), false},
        {SAN(0x82, "a\nb"), false},
        {SAN(0x82, "a\xff"), false},
        {SAN(0x82, "*"), false},
        {SAN(0x82, "a,DNS:b"), false},
        {SAN(0x82, "-a"), false},
        {SAN(0x82, "f*o"), false},
        {SAN(0x82, "a."), false},
        {SAN(0x87, "\x0a\0\0\1"), true},
        {SAN(0x87, "\x0a\0\0"), false},
        {SAN(0x87, "\x0a\0\0\0\xff\0\0\0"), false}, /* address and mask */
        {SAN(0x87, ""), false},
        {SAN(0x86, "coaps://gw-1.gw.example"), true},
        {SAN(0x86, "coaps://gw-1.gw.example "), false},
        {SAN(0x86, "gw-1"), false},
        {SAN(0x81, "gw-1@a.example"), true},
        {SAN(0x81, "gw-1@a.example\0"), false},
        {SAN(0x81, "@a.example"), false},
        {SAN(0x88, "\x2a\x03\x04"), false},                 /* registeredID */
        {SAN(0xa4, "\x30\0"), false},                       /* directoryName */
        {SAN(0xa0, "\x06\3\x2a\3\4\xa0\4\x0c\2hi"), false}, /* otherName */
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct estc_error err = {0};
        unsigned char der[64] = {0x30, (unsigned char)(rows[i].len + 2), rows[i].tag,
                                 (unsigned char)rows[i].len};
        memcpy(der + 4, rows[i].value, rows[i].len);
        _cleanup(x509_req_freep) X509_REQ *csr = request_with_san(b->key, der, rows[i].len + 4);
        int rc = judge(b, "factory", "wide", csr, "wide", &err);
        if (rc != (rows[i].granted ? 0 : ESTC_E_REJECTED))
            fail_msg("row %zu '%s': %d '%s'", i, rows[i].value, rc, err.text);
    }
}

static void broken_names_are_malformed(void **state) {
    const struct bench *b = *state;
    static const struct {
        const char *der;
        size_t len;
        const char *says;
    } rows[] = {
        {"", 0, "cannot be decoded"},
        {"\x30\0", 2, "is empty"},
        {"\x30\x80\x82\1a\0\0", 7, "cannot be decoded"}, /* BER: indefinite length */
        {"\x30\x81\3\x82\1a", 6, "cannot be decoded"},   /* BER: long form */
        {"\x30\3\x82\1a\0", 6, "cannot be decoded"},     /* something behind it */
        {"\x30\4\x82\1a", 5, "cannot be decoded"},       /* cut */
        {"\x30\5\xa2\3\4\1a", 7, "cannot be decoded"},   /* constructed string */
        {"\x30\3\x8f\1a", 5, "cannot be decoded"},       /* no such kind */
        {"\4\3\x82\1a", 5, "cannot be decoded"},
        {"\x82\1a", 3, "cannot be decoded"},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct estc_error err = {0};
        _cleanup(x509_req_freep) X509_REQ *csr = request_with_san(b->key, rows[i].der, rows[i].len);
        int rc = judge(b, "factory", "wide", csr, "wide", &err);
        if (rc != ESTC_E_MALFORMED || !strstr(err.text, rows[i].says))
            fail_msg("row %zu: %d '%s'", i, rc, err.text);
        GENERAL_NAMES *names = NULL;
        assert_int_equal(policy_names(csr, &names, &err), ESTC_E_MALFORMED);
        assert_null(names);
    }
}

/* Every byte of it wrong in some ways, and cut anywhere: an answer, and never a grant of a name
 * that is not the one asked for. */
static void mutated_names_never_surprise(void **state) {
    const struct bench *b = *state;
    static const unsigned char good[] = "\x30\x0e\x82\3a.b\x87\4\x0a\0\0\1\x82\1z";
    const size_t len = sizeof(good) - 1;
    for (size_t at = 0; at <= len; at++)
        for (unsigned flip = 0; flip < 8; flip++) {
            struct estc_error err = {0};
            unsigned char der[sizeof(good)];
            memcpy(der, good, len);
            if (at < len)
                der[at] ^= (unsigned char)(1U << flip);
            /* cut there, or whole */
            size_t n = flip == 7 ? at : len;
            _cleanup(x509_req_freep) X509_REQ *csr = request_with_san(b->key, der, n);
            const struct config_rule *rule = NULL;
            int rc = policy_judge(b->config, "factory", b->birth, "wide", csr, &rule, &err);
            assert_true(rc == 0 || rc == ESTC_E_REJECTED || rc == ESTC_E_MALFORMED);
            if (rc == 0) { /* whatever it is, it is DER and each name is well formed */
                _cleanup(general_names_freep) GENERAL_NAMES *names = NULL;
                assert_int_equal(policy_names(csr, &names, &err), 0);
                unsigned char *again = NULL;
                assert_int_equal(i2d_GENERAL_NAMES(names, &again), (int)n);
                assert_memory_equal(again, der, n);
                OPENSSL_free(again);
            }
        }
}

/* Subjects of odd string types, as other makers of requests write them. */
static void subjects_are_compared_as_text(void **state) {
    const struct bench *b = *state;
    static const struct {
        int type;
        const char *value;
        int len;
        bool granted;
    } rows[] = {
        {V_ASN1_UTF8STRING, "gw-1", 4, true},
        {V_ASN1_PRINTABLESTRING, "gw-1", 4, true},
        {V_ASN1_T61STRING, "gw-1", 4, true},
        {V_ASN1_BMPSTRING, "\0g\0w\0-\0001", 8, true},
        {V_ASN1_BMPSTRING, "\0g\0w\0-", 6, false},
        {V_ASN1_UTF8STRING, "gw-1\0", 5, false},
        {V_ASN1_UTF8STRING, "gw-1-\xe2\x98\x83", 8, true},
        {V_ASN1_UTF8STRING, "", 0, false},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct estc_error err = {0};
        _cleanup(x509_req_freep) X509_REQ *csr = request(b->key, "", "DNS:a.gw-1.gw.example");
        _cleanup(x509_name_freep) X509_NAME *name = X509_NAME_new();
        if (!X509_NAME_add_entry_by_NID(name, NID_commonName, rows[i].type,
                                        (const unsigned char *)rows[i].value, rows[i].len, -1, 0))
            fail_msg("row %zu cannot be made", i);
        assert_true(X509_REQ_set_subject_name(csr, name));
        int rc = judge(b, "factory", "", csr, "plain", &err);
        if (rc != (rows[i].granted ? 0 : ESTC_E_REJECTED))
            fail_msg("row %zu: %d '%s'", i, rc, err.text);
    }
}

/* What a device sends comes back to it and into the log: bounded and printable. */
static void refusals_are_harmless_text(void **state) {
    const struct bench *b = *state;
    struct estc_error err = {0};
    _cleanup(x509_req_freep) X509_REQ *csr = request(b->key, "", "DNS:a.gw-1.gw.example");
    _cleanup(x509_name_freep) X509_NAME *name = X509_NAME_new();
    assert_true(X509_NAME_add_entry_by_NID(name, NID_commonName, V_ASN1_UTF8STRING,
                                           (const unsigned char *)"\x1b[31m\n\xc3\xbc", 8, -1, 0));
    assert_true(X509_REQ_set_subject_name(csr, name));
    assert_int_equal(judge(b, "factory", "", csr, NULL, &err), ESTC_E_REJECTED);
    for (const char *p = err.text; *p; p++)
        assert_true((unsigned char)*p >= ' ' && *p != 127);
    assert_non_null(strstr(err.text, "commonName '?[31m?\xc3\xbc' matches no"));
}

#define BENCH(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void) {
    const struct CMUnitTest tests[] = {
        BENCH(the_first_rule_that_fits_grants), BENCH(an_unknown_label_is_not_there),
        BENCH(keys_are_of_the_rule_s_kinds),    BENCH(what_only_looks_like_a_name_is_refused),
        BENCH(broken_names_are_malformed),      BENCH(mutated_names_never_surprise),
        BENCH(subjects_are_compared_as_text),   BENCH(refusals_are_harmless_text),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
