/* SPDX-License-Identifier: BSD-2-Clause */
/* What est-registrar says in /att, by rule and by client, and what it demands. */
#include "site.h"

#include <openssl/x509v3.h>

#include <estc/csrattrs.h>
#include <estc/key.h>

#include "est-registrar/attributes.h"
#include "wishes_text.h"

#define NAMED "name = \"devices\";"

/* The wishes of a rule as one line; or the error. */
static struct wishes_text said(const struct config_rule *rule) {
    struct wishes_text text = {""};
    struct estc_error err = {0};
    _cleanup(estc_csrattrs_clear) struct estc_csrattrs attrs = {0};
    if (attributes_of(rule, &attrs, &err))
        snprintf(text.text, sizeof(text.text), "%s", err.text);
    else
        text = wishes_text(&attrs);
    return text;
}

static char *const *list(const char *a, const char *b, const char *c) {
    static const char *items[4];
    items[0] = a;
    items[1] = b;
    items[2] = c;
    return (char *const *)(uintptr_t)items;
}

static void a04_a07_what_is_demanded_is_said(void **state) {
    (void)state;
    static const struct {
        const char *types[3];
        int signature;
        const char *expected;
    } rows[] = {
        {{NULL}, CONFIG_SIGNATURE_ANY, "P"},
        {{"p384"}, CONFIG_SIGNATURE_ANY, "P key:id-ecPublicKey/secp384r1"},
        {{"rsa3072"}, CONFIG_SIGNATURE_ANY, "P key:rsaEncryption/3072"},
        /* A whole family is one wish; of anything else the first. */
        {{"p384", "p256"}, CONFIG_SIGNATURE_ANY, "P key:id-ecPublicKey"},
        {{"rsa4096", "rsa2048", "rsa3072"}, CONFIG_SIGNATURE_ANY, "P key:rsaEncryption"},
        {{"rsa4096", "rsa2048"}, CONFIG_SIGNATURE_ANY, "P key:rsaEncryption/4096"},
        {{"p256", "rsa2048"}, CONFIG_SIGNATURE_ANY, "P key:id-ecPublicKey/prime256v1"},
        {{"p256"},
         CONFIG_SIGNATURE_SHA512,
         "P key:id-ecPublicKey/prime256v1 sig:ecdsa-with-SHA512"},
        {{"rsa2048"}, CONFIG_SIGNATURE_SHA256, "P key:rsaEncryption/2048 sig:RSA-SHA256"},
        {{NULL}, CONFIG_SIGNATURE_SHA384, "P sig:SHA384"},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct config_rule rule = {
            .name = (char *)(uintptr_t) "r",
            .key_types =
                (char **)(uintptr_t)list(rows[i].types[0], rows[i].types[1], rows[i].types[2]),
            .attributes.signature = rows[i].signature,
        };
        assert_string_equal(said(&rule).text, rows[i].expected);
        rule.pop = CONFIG_POP_REQUIRED;
        char bound[256];
        snprintf(bound, sizeof(bound), "P pop%s", rows[i].expected + 1);
        assert_string_equal(said(&rule).text, bound);
    }
}

static void a06_a11_names_and_extensions_are_read(void **state) {
    (void)state;
    static const struct {
        bool extension;
        int form;
        const char *text, *expected;
    } rows[] = {
        {false, ESTC_CSRATTRS_PLAIN, "O=Site", "P O=Site"},
        {false, ESTC_CSRATTRS_PLAIN, "serialNumber", "P serialNumber=?"},
        {false, ESTC_CSRATTRS_PLAIN, "C", "P C=?"},
        {false, ESTC_CSRATTRS_PLAIN, "DC", "P DC=?"},
        {false, ESTC_CSRATTRS_PLAIN, "2.5.4.65", "P pseudonym=?"},
        {false, ESTC_CSRATTRS_PLAIN, "O=a,OU=b", "attributes.subject: 'O=a,OU=b': neither"},
        {false, ESTC_CSRATTRS_PLAIN, "", "attributes.subject: '': neither"},
        {false, ESTC_CSRATTRS_PLAIN, "=x", "attributes.subject: '=x': neither"},
        {true, ESTC_CSRATTRS_PLAIN, "keyUsage=critical,digitalSignature", "P ext:keyUsage!"},
        {true, ESTC_CSRATTRS_PLAIN, "subjectAltName=DNS:a.example,IP:192.0.2.1",
         "P ext:subjectAltName"},
        {true, ESTC_CSRATTRS_TEMPLATE, "extendedKeyUsage", "P ext:extendedKeyUsage?"},
        {true, ESTC_CSRATTRS_PLAIN, "extendedKeyUsage", "attributes.form: the plain form"},
        {true, ESTC_CSRATTRS_PLAIN, "keyUsage=flying", "attributes.extensions: 'keyUsage=flying'"},
        {true, ESTC_CSRATTRS_PLAIN, "keyUsage=@section", "attributes.extensions: 'keyUsage=@"},
        {true, ESTC_CSRATTRS_PLAIN, "subjectAltName=@section", "attributes.extensions: 'subjectA"},
        {true, ESTC_CSRATTRS_PLAIN, "subjectKeyIdentifier=hash",
         "attributes.extensions: 'subjectK"},
        {true, ESTC_CSRATTRS_PLAIN, "authorityKeyIdentifier=keyid:always",
         "attributes.extensions: 'authorityK"},
        {true, ESTC_CSRATTRS_PLAIN, "commonName=x", "attributes.extensions: 'commonName=x': no"},
        {true, ESTC_CSRATTRS_PLAIN, "", "attributes.extensions: '': no"},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        char **texts = (char **)(uintptr_t)list(rows[i].text, NULL, NULL);
        const struct config_rule rule = {
            .attributes = {.form = rows[i].form,
                           .subject = rows[i].extension ? NULL : texts,
                           .extensions = rows[i].extension ? texts : NULL}};
        struct wishes_text text = said(&rule);
        if (strncmp(text.text, rows[i].expected, strlen(rows[i].expected)) != 0)
            fail_msg("'%s': %s", rows[i].text, text.text);
    }
}

/* What /att answers: the wishes as one line, "" for nothing (4.04). */
static struct wishes_text att(struct site *s, X509 *cert, const char *label, int expected) {
    const struct estc_peer peer = {.cert = cert, .address = "[::1]:1"};
    _cleanup(estc_buf_clear) struct estc_buf der = {0};
    _cleanup(estc_csrattrs_clear) struct estc_csrattrs attrs = {0};
    struct estc_error err = {0};
    struct wishes_text none = {""};
    int rc = registrar_server_ops(s->registrar)->csrattrs(s->registrar, &peer, label, &der, &err);
    if (rc != expected)
        fail_msg("%d: %s", rc, err.text);
    if (der.len == 0)
        return none;
    assert_int_equal(estc_csrattrs_decode(der.data, der.len, &attrs, &err), 0);
    return wishes_text(&attrs);
}

static void a01_a02_by_client_and_label(void **state) {
    struct site *s = *state;
    assert_string_equal(att(s, s->device.cert, "", 0).text, "");
    site_change(s, NAMED, NAMED " key_types = [ \"p256\" ]; attributes = { subject = \"O=x\"; };");
    assert_string_equal(att(s, s->device.cert, "", 0).text, "P key:id-ecPublicKey/prime256v1 O=x");
    assert_string_equal(att(s, s->device.cert, "short", 0).text, "");
    att(s, s->device.cert, "unknown", ESTC_E_NOT_FOUND);
    /* A certificate of ours hears the rule that granted it; a stranger's hears nothing. */
    struct estc_error err = {0};
    _cleanup(pkey_freep) EVP_PKEY *key = support_key();
    _cleanup(x509_req_freep) X509_REQ *csr = site_request(key, "CN=gateway-1", NULL);
    _cleanup(x509_freep) X509 *issued = NULL;
    assert_int_equal(site_ask(s, s->device.cert, ESTC_OP_SEN, "", csr, &issued, &err), 0);
    assert_string_equal(att(s, issued, "", 0).text, "P key:id-ecPublicKey/prime256v1 O=x");
    _cleanup(x509_freep) X509 *stranger =
        support_cert(key, &(struct support_cert_spec){.subject = "CN=gateway-1"});
    assert_string_equal(att(s, stranger, "", 0).text, "");
    /* In the form that is configured. */
    site_change(s, "attributes = {", "attributes = { form = \"template\";");
    assert_string_equal(att(s, s->device.cert, "", 0).text, "T key:id-ecPublicKey/prime256v1 O=x");
}

static void p07_a_binding_that_is_demanded_is_announced(void **state) {
    struct site *s = *state;
    /* By the second of two rules that come into question: it may be the one that grants. */
    site_change(s, "label = \"short\";", "pop = \"required\";");
    assert_string_equal(att(s, s->device.cert, "", 0).text, "P pop");
}

static void e14_nothing_that_is_asked_for_leaks(void **state) {
    struct site *s = *state;
    int plain = 0;
    for (int i = 0; i < 2; i++) {
        _cleanup(pkey_freep) EVP_PKEY *key = support_key();
        _cleanup(x509_req_freep) X509_REQ *csr = site_request(key, "CN=gateway-1", NULL);
        if (i) { /* an extension and an attribute that nobody knows */
            ASN1_OBJECT *oid = OBJ_txt2obj("2.999.1", 1);
            ASN1_OCTET_STRING *value = ASN1_OCTET_STRING_new();
            ASN1_OCTET_STRING_set(value, (const unsigned char *)"\x05", 2);
            STACK_OF(X509_EXTENSION) *asked = sk_X509_EXTENSION_new_null();
            sk_X509_EXTENSION_push(asked, X509_EXTENSION_create_by_OBJ(NULL, oid, 1, value));
            assert_true(X509_REQ_add_extensions(csr, asked));
            assert_true(X509_REQ_add1_attr_by_OBJ(csr, oid, V_ASN1_UTF8STRING,
                                                  (const unsigned char *)"leak", 4));
            sk_X509_EXTENSION_pop_free(asked, X509_EXTENSION_free);
            ASN1_OCTET_STRING_free(value);
            ASN1_OBJECT_free(oid);
            assert_true(X509_REQ_sign(csr, key, EVP_sha256()) > 0);
        }
        struct estc_error err = {0};
        _cleanup(x509_freep) X509 *cert = NULL;
        assert_int_equal(site_ask(s, s->device.cert, ESTC_OP_SEN, "", csr, &cert, &err), 0);
        plain = i ? plain : X509_get_ext_count(cert);
        assert_int_equal(X509_get_ext_count(cert), plain);
        unsigned char *der = NULL;
        int len = i2d_X509(cert, &der);
        assert_null(memmem(der, (size_t)len, "leak", 4));
        OPENSSL_free(der);
    }
}

/* A request for what is given; digest NULL: the usual one. */
static X509_REQ *request(EVP_PKEY *key, const char *subject, const char *const *sans,
                         const EVP_MD *digest, const char *usage) {
    _cleanup(estc_buf_clear) struct estc_buf der = {0};
    struct estc_error err = {0};
    X509_REQ *csr = NULL;
    STACK_OF(X509_EXTENSION) *extensions = sk_X509_EXTENSION_new_null();
    if (usage)
        sk_X509_EXTENSION_push(extensions, X509V3_EXT_nconf_nid(NULL, NULL, NID_key_usage, usage));
    const struct estc_csr_spec spec = {
        .subject = subject, .sans = sans, .digest = digest, .extensions = extensions};
    if (estc_csr_build(key, &spec, &der, &err) || estc_csr_parse(der.data, der.len, &csr, &err))
        fail_msg("%s", err.text);
    sk_X509_EXTENSION_pop_free(extensions, X509_EXTENSION_free);
    return csr;
}

static void r06_what_is_missing_is_named(void **state) {
    (void)state;
    static const char *const sans[] = {"DNS:a.example", "DNS:b.example", NULL};
    static const char *const others[] = {"DNS:b.example", NULL};
    static const struct {
        const char *subject;
        const char *const *sans;
        bool sha384;
        const char *usage, *missing;
        enum estc_op op;
        bool renewal;
    } rows[] = {
        {"CN=a,O=Site", sans, true, "digitalSignature", NULL, ESTC_OP_SEN},
        {"CN=a,O=Site", sans, false, "digitalSignature", "a signature with SHA384", ESTC_OP_SEN},
        {"CN=a,O=Site", sans, false, "digitalSignature", NULL, ESTC_OP_SKG}, /* means nothing */
        {"CN=a", sans, true, "digitalSignature", "in the subject, O", ESTC_OP_SEN},
        {"CN=a,O=Else", sans, true, "digitalSignature", "in the subject, O", ESTC_OP_SEN},
        {"O=Site", sans, true, "digitalSignature", "in the subject, CN", ESTC_OP_SEN},
        {"CN=a,O=Site", sans, true, NULL, "extension keyUsage", ESTC_OP_SEN},
        {"CN=a,O=Site", sans, true, "keyAgreement", "extension keyUsage", ESTC_OP_SEN},
        {"CN=a,O=Site", NULL, true, "digitalSignature", "extension subjectAltName", ESTC_OP_SEN},
        {"CN=a,O=Site", others, true, "digitalSignature", "extension subjectAltName", ESTC_OP_SEN},
        /* A renewal keeps its names, whatever they are. */
        {"OU=x", others, true, "digitalSignature", NULL, ESTC_OP_SREN, true},
        {"OU=x", others, true, NULL, "extension keyUsage", ESTC_OP_SREN, true},
        {"OU=x", others, false, "digitalSignature", NULL, ESTC_OP_SKG, true},
        {"OU=x", sans, false, "digitalSignature", "in the subject, O", ESTC_OP_SKG},
    };
    const char *subject[] = {"O=Site", "CN", NULL};
    const char *extensions[] = {"keyUsage=digitalSignature", "subjectAltName=DNS:a.example", NULL};
    struct config_rule rule = {.attributes = {.signature = CONFIG_SIGNATURE_SHA384,
                                              .subject = (char **)(uintptr_t)subject,
                                              .extensions = (char **)(uintptr_t)extensions}};
    _cleanup(pkey_freep) EVP_PKEY *key = support_key();
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct estc_error err = {0};
        _cleanup(x509_req_freep) X509_REQ *csr =
            request(key, rows[i].subject, rows[i].sans, rows[i].sha384 ? EVP_sha384() : NULL,
                    rows[i].usage);
        rule.attributes.demand = CONF_FALSE; /* only a wish */
        assert_int_equal(attributes_judge(&rule, rows[i].op, rows[i].renewal, csr, &err), 0);
        rule.attributes.demand = CONF_TRUE;
        int rc = attributes_judge(&rule, rows[i].op, rows[i].renewal, csr, &err);
        assert_int_equal(rc, rows[i].missing ? ESTC_E_REJECTED : 0);
        if (rows[i].missing)
            assert_non_null(strstr(err.text, rows[i].missing));
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a04_a07_what_is_demanded_is_said),
        cmocka_unit_test(a06_a11_names_and_extensions_are_read),
        SITED(a01_a02_by_client_and_label),
        SITED(p07_a_binding_that_is_demanded_is_announced),
        SITED(e14_nothing_that_is_asked_for_leaks),
        cmocka_unit_test(r06_what_is_missing_is_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
