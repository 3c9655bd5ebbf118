/* SPDX-License-Identifier: BSD-2-Clause */
#include "support.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/err.h>
#include <openssl/x509v3.h>

#include <estc/cert.h>
#include <estc/csr.h>

#include "base/cleanup_ossl.h"
#include "base/text.h"
#include "est/wishes.h"
#include "pkix/csr.h"
#include "pkix/name.h"

#define ALL ((1u << WISHES_KIND_MAX_) - 1)
#define ONLY(kind) WISHES_BIT(WISHES_##kind)

static struct estc_csrattrs vector_wishes(const char *name) {
    _cleanup(estc_buf_clear) struct estc_buf der = support_vector(name);
    struct estc_csrattrs attrs = {0};
    struct estc_error err = {0};
    if (estc_csrattrs_decode(der.data, der.len, &attrs, &err))
        fail_msg("%s", err.text);
    return attrs;
}

static void add_name(struct estc_csrattrs *attrs, int nid, const char *value) {
    ASN1_STRING *string = NULL;
    if (value) {
        string = ASN1_STRING_type_new(V_ASN1_PRINTABLESTRING);
        ASN1_STRING_set(string, value, -1);
    }
    assert_int_equal(estc_csrattrs_add_name(attrs, OBJ_nid2obj(nid), string, false), 0);
    ASN1_STRING_free(string);
}

/* With a value in the notation of OpenSSL's configuration; NULL: open. */
static void add_extension(struct estc_csrattrs *attrs, int nid, const char *value) {
    X509_EXTENSION *made = value ? X509V3_EXT_nconf_nid(NULL, NULL, nid, value) : NULL;
    assert_true(made || !value);
    assert_int_equal(estc_csrattrs_add_extension(attrs, OBJ_nid2obj(nid),
                                                 made && X509_EXTENSION_get_critical(made),
                                                 made ? X509_EXTENSION_get_data(made) : NULL),
                     0);
    X509_EXTENSION_free(made);
}

static void add_raw_extension(struct estc_csrattrs *attrs, int nid, const char *der, int len) {
    ASN1_OCTET_STRING *value = ASN1_OCTET_STRING_new();
    ASN1_OCTET_STRING_set(value, (const unsigned char *)der, len);
    assert_int_equal(estc_csrattrs_add_extension(attrs, OBJ_nid2obj(nid), false, value), 0);
    ASN1_OCTET_STRING_free(value);
}

static struct wishes_plan follow(const struct wishes_input *in) {
    struct wishes_plan plan = {0};
    struct estc_error err = {0};
    if (wishes_follow(in, &plan, &err))
        fail_msg("%s", err.text);
    assert_int_equal(text_list_len(plan.lines), plan.granted + plan.denied);
    assert_int_equal(ERR_peek_error(), 0);
    return plan;
}

static void assert_lines(const struct wishes_plan *plan, const char *const *expected) {
    size_t n = 0;
    for (; expected[n]; n++)
        assert_string_equal(plan->lines && n < text_list_len(plan->lines) ? plan->lines[n] : "",
                            expected[n]);
    assert_int_equal(text_list_len(plan->lines), n);
}
#define LINES(...) ((const char *const[]){__VA_ARGS__, NULL})

/* The request that comes of it. */
static X509_REQ *request_of(const struct wishes_input *in, const struct wishes_plan *plan) {
    _cleanup(pkey_freep) EVP_PKEY *key = NULL;
    assert_int_equal(estc_key_generate(plan->key_type, &key, NULL), 0);
    const struct estc_csr_spec spec = {
        .subject = in->subject,
        .name = plan->subject,
        .sans = plan->replaces_sans ? NULL : in->sans,
        .renew = in->renew,
        .digest = plan->digest,
        .extensions = plan->extensions,
    };
    _cleanup(estc_buf_clear) struct estc_buf der = {0};
    struct estc_error err = {0};
    X509_REQ *req = NULL;
    if (estc_csr_build(key, &spec, &der, &err) || estc_csr_parse(der.data, der.len, &req, &err))
        fail_msg("%s", err.text);
    return req;
}

static void assert_subject(const X509_REQ *req, const char *expected) {
    _cleanup(freep) char *text = estc_name_text(X509_REQ_get_subject_name(req));
    assert_string_equal(text, expected);
}

/* "DNS:a IP:192.0.2.1" of a request's subjectAltName; "" without one. */
static void assert_sans(const X509_REQ *req, const char *expected) {
    _cleanup(extensions_freep) STACK_OF(X509_EXTENSION) *asked = NULL;
    assert_int_equal(csr_extensions(req, &asked, NULL), 0);
    _cleanup(general_names_freep) GENERAL_NAMES *names =
        X509V3_get_d2i(asked, NID_subject_alt_name, NULL, NULL);
    char all[1024] = "";
    for (int i = 0; i < sk_GENERAL_NAME_num(names); i++) {
        _cleanup(freep) char *text = san_text(sk_GENERAL_NAME_value(names, i));
        size_t used = strlen(all);
        snprintf(all + used, sizeof(all) - used, "%s%s", used ? " " : "", text);
    }
    assert_string_equal(all, expected);
}

static void a03_no_wish_changes_nothing(void **state) {
    (void)state;
    const struct estc_csrattrs none = {0};
    const struct wishes_input in = {
        .attrs = &none, .obey = ALL, .key_type = ESTC_KEY_RSA2048, .subject = "CN=gw"};
    _cleanup(wishes_plan_clear) struct wishes_plan plan = follow(&in);
    assert_int_equal(plan.key_type, ESTC_KEY_RSA2048);
    assert_null(plan.digest);
    assert_null(plan.subject);
    assert_null(plan.extensions);
    assert_null(plan.lines);
    assert_false(plan.challenge);
}

static void a05_key_signature_and_binding(void **state) {
    (void)state;
    _cleanup(estc_csrattrs_clear) struct estc_csrattrs attrs =
        vector_wishes("9908-5.2-rfc7030-revised.csrattrs.der");
    struct wishes_input in = {
        .attrs = &attrs, .obey = WISHES_DEFAULT, .key_type = ESTC_KEY_P256, .subject = "CN=gw"};
    _cleanup(wishes_plan_clear) struct wishes_plan plan = follow(&in);
    assert_int_equal(plan.key_type, ESTC_KEY_P384);
    assert_true(plan.challenge);
    assert_lines(&plan,
                 LINES("key id-ecPublicKey on secp384r1: granted, other than configured",
                       "signature ecdsa-with-SHA384: granted, as it is", "channel binding: granted",
                       "1.3.6.1.1.1.1.22: not granted, it is not understood here"));
    _cleanup(x509_req_freep) X509_REQ *req = request_of(&in, &plan);
    assert_int_equal(X509_REQ_get_signature_nid(req), NID_ecdsa_with_SHA384);
    /* The digest alone, with the key that is configured. */
    attrs.key.curve = OBJ_nid2obj(NID_X9_62_prime256v1);
    _cleanup(wishes_plan_clear) struct wishes_plan p256 = follow(&in);
    assert_int_equal(p256.key_type, ESTC_KEY_P256);
    assert_ptr_equal(p256.digest, EVP_sha384());
    _cleanup(x509_req_freep) X509_REQ *mixed = request_of(&in, &p256);
    assert_int_equal(X509_REQ_get_signature_nid(mixed), NID_ecdsa_with_SHA384);
}

static void a14_each_kind_only_when_it_is_named(void **state) {
    (void)state;
    _cleanup(estc_csrattrs_clear) struct estc_csrattrs attrs = {.challenge = true};
    attrs.signature = OBJ_nid2obj(NID_ecdsa_with_SHA512);
    estc_csrattrs_set_key(&attrs, ESTC_KEY_P384);
    add_name(&attrs, NID_organizationName, "Theirs");
    add_extension(&attrs, NID_subject_alt_name, "DNS:their.example");
    add_extension(&attrs, NID_ext_key_usage, "clientAuth");
    for (unsigned obey = 0; obey <= ALL; obey++) {
        const struct wishes_input in = {
            .attrs = &attrs, .obey = obey, .key_type = ESTC_KEY_P256, .subject = "CN=gw"};
        _cleanup(wishes_plan_clear) struct wishes_plan plan = follow(&in);
        assert_int_equal(plan.key_type, obey & ONLY(KEY) ? ESTC_KEY_P384 : ESTC_KEY_P256);
        assert_ptr_equal(plan.digest, obey & ONLY(SIGNATURE) ? EVP_sha512() : NULL);
        assert_int_equal(plan.challenge, (obey & ONLY(POP)) != 0);
        assert_int_equal(plan.subject != NULL, (obey & ONLY(NAMES)) != 0);
        assert_int_equal(plan.replaces_sans, (obey & ONLY(NAMES)) != 0);
        assert_int_equal(sk_X509_EXTENSION_num(plan.extensions),
                         obey & (ONLY(NAMES) | ONLY(EXTENSIONS))
                             ? ((obey & ONLY(NAMES)) != 0) + ((obey & ONLY(EXTENSIONS)) != 0)
                             : -1);
        assert_int_equal(plan.granted, __builtin_popcount(obey) + ((obey & ONLY(NAMES)) != 0));
        assert_int_equal(plan.denied, 6 - plan.granted);
    }
    const struct wishes_input in = {
        .attrs = &attrs, .obey = 0, .key_type = ESTC_KEY_P256, .subject = "CN=gw"};
    _cleanup(wishes_plan_clear) struct wishes_plan plan = follow(&in);
    assert_lines(&plan,
                 LINES("key id-ecPublicKey on secp384r1: not granted, obey does not name key",
                       "signature ecdsa-with-SHA512: not granted, obey does not name signature",
                       "channel binding: not granted, obey does not name pop, or pop is "
                       "never",
                       "subject O=Theirs: not granted, obey does not name names",
                       "subjectAltName: not granted, obey does not name names",
                       "extension extendedKeyUsage: not granted, obey does not name extensions"));
}

static void a14_what_is_never_granted(void **state) {
    (void)state;
    static const struct {
        int nid;
        const char *value;
    } extensions[] = {
        {NID_basic_constraints, "critical,CA:TRUE"},
        {NID_key_usage, "critical,keyCertSign"},
    };
    static const int signatures[] = {
        NID_ecdsa_with_SHA1,         NID_ecdsa_with_SHA224, NID_md5,
        NID_sha256WithRSAEncryption, NID_rsassaPss,         NID_sha3_256};
    for (size_t i = 0; i < 2; i++) {
        _cleanup(estc_csrattrs_clear) struct estc_csrattrs attrs = {0};
        add_extension(&attrs, extensions[i].nid, extensions[i].value);
        const struct wishes_input in = {.attrs = &attrs, .obey = ALL};
        _cleanup(wishes_plan_clear) struct wishes_plan plan = follow(&in);
        assert_null(plan.extensions);
        assert_non_null(strstr(plan.lines[0], "not granted, it is one for a CA"));
    }
    for (size_t i = 0; i < sizeof(signatures) / sizeof(signatures[0]); i++) {
        const struct estc_csrattrs attrs = {.signature = OBJ_nid2obj(signatures[i])};
        const struct wishes_input in = {.attrs = &attrs, .obey = ALL, .key_type = ESTC_KEY_P256};
        _cleanup(wishes_plan_clear) struct wishes_plan plan = follow(&in);
        assert_null(plan.digest);
        assert_int_equal(plan.denied, 1);
    }
    /* Not DER, not a kind of key that we make. */
    _cleanup(estc_csrattrs_clear) struct estc_csrattrs broken = {0};
    add_raw_extension(&broken, NID_basic_constraints, "\x30", 1);
    add_raw_extension(&broken, NID_subject_alt_name, "\x30\x00", 2);
    broken.key.algorithm = OBJ_nid2obj(NID_ED25519);
    const struct wishes_input in = {.attrs = &broken, .obey = ALL, .subject = "CN=gw"};
    _cleanup(wishes_plan_clear) struct wishes_plan plan = follow(&in);
    assert_lines(&plan, LINES("key ED25519: not granted, keys of this kind are not made here",
                              "extension basicConstraints: not granted, it is one for a CA",
                              "subjectAltName: not granted, it cannot be decoded"));
}

static void a11_given_and_open_parts_of_the_subject(void **state) {
    (void)state;
    _cleanup(x509_name_freep) X509_NAME *own = NULL;
    assert_int_equal(estc_subject_parse("serialNumber=4711,CN=birth", &own, NULL), 0);
    static const struct {
        const char *subject, *expected;
        size_t granted;
    } rows[] = {
        /* CN open; OU=myDept, OU=myGroup given: in the order of the template, the rest behind. */
        {"CN=gw", "OU=myGroup,OU=myDept,CN=gw", 3},
        {"CN=gw,O=Example", "O=Example,OU=myGroup,OU=myDept,CN=gw", 3},
        {"CN=gw,OU=mine", "OU=myGroup,OU=myDept,CN=gw", 3},
        {"CN=gw,OU=myGroup,OU=myDept", "CN=gw,OU=myGroup,OU=myDept", 3}, /* as it is */
        {"O=Example", "O=Example,OU=myGroup,OU=myDept,CN=birth", 3},
    };
    _cleanup(estc_csrattrs_clear) struct estc_csrattrs attrs =
        vector_wishes("9908-3.4-template.csrattrs.der");
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        const struct wishes_input in = {.attrs = &attrs,
                                        .obey = ONLY(NAMES),
                                        .key_type = ESTC_KEY_P256,
                                        .subject = rows[i].subject,
                                        .own = own};
        _cleanup(wishes_plan_clear) struct wishes_plan plan = follow(&in);
        _cleanup(x509_req_freep) X509_REQ *req = request_of(&in, &plan);
        assert_subject(req, rows[i].expected);
    }
    /* Nowhere a common name: the rest is followed. */
    const struct wishes_input in = {.attrs = &attrs, .obey = ONLY(NAMES), .subject = "O=Example"};
    _cleanup(wishes_plan_clear) struct wishes_plan plan = follow(&in);
    assert_string_equal(plan.lines[1], "subject CN=?: not granted, neither the configuration nor "
                                       "the own certificate has one");
    _cleanup(x509_req_freep) X509_REQ *req = request_of(&in, &plan);
    assert_subject(req, "O=Example,OU=myGroup,OU=myDept");
}

static void a11_single_wishes_are_added(void **state) {
    (void)state;
    _cleanup(x509_name_freep) X509_NAME *own = NULL;
    assert_int_equal(estc_subject_parse("serialNumber=4711,CN=birth", &own, NULL), 0);
    _cleanup(estc_csrattrs_clear) struct estc_csrattrs attrs =
        vector_wishes("9908-5.5-p384.csrattrs.der");
    struct wishes_input in = {
        .attrs = &attrs, .obey = ALL, .subject = "CN=gw,O=Example", .own = own};
    _cleanup(wishes_plan_clear) struct wishes_plan plan = follow(&in);
    _cleanup(x509_req_freep) X509_REQ *req = request_of(&in, &plan);
    assert_subject(req, "serialNumber=4711,CN=gw,O=Example");
    assert_string_equal(plan.lines[3], "subject serialNumber=?: granted, from the certificate that "
                                       "authenticates");
    /* A configured one wins over the own certificate's, under any policy. */
    in.subject = "CN=gw,serialNumber=1";
    in.obey = 0;
    _cleanup(wishes_plan_clear) struct wishes_plan as_it_is = follow(&in);
    assert_null(as_it_is.subject);
    assert_string_equal(as_it_is.lines[3], "subject serialNumber=?: granted, as it is");
    /* A given value takes the place of ours; the server's type of string is kept. */
    _cleanup(estc_csrattrs_clear) struct estc_csrattrs given = {0};
    add_name(&given, NID_organizationName, "Theirs");
    in = (struct wishes_input){.attrs = &given, .obey = ALL, .subject = "CN=gw,O=Ours"};
    _cleanup(wishes_plan_clear) struct wishes_plan theirs = follow(&in);
    _cleanup(x509_req_freep) X509_REQ *replaced = request_of(&in, &theirs);
    assert_subject(replaced, "O=Theirs,CN=gw");
    const X509_NAME_ENTRY *entry = X509_NAME_get_entry(X509_REQ_get_subject_name(replaced), 1);
    assert_int_equal(ASN1_STRING_type(X509_NAME_ENTRY_get_data(entry)), V_ASN1_PRINTABLESTRING);
}

static void a13_subject_alt_names_completed(void **state) {
    (void)state;
    _cleanup(estc_csrattrs_clear) struct estc_csrattrs template =
        vector_wishes("9908-3.4-template.csrattrs.der");
    static const char *const none[] = {NULL};
    static const char *const sans[] = {"DNS:gw.example", "IP:192.0.2.1", "IP:192.0.2.2", NULL};
    static const char *const had[] = {"DNS:www.myServer.com", "IP:192.0.2.1", NULL};
    static const struct {
        const char *const *sans;
        unsigned obey;
        const char *expected;
    } rows[] = {
        {sans, ONLY(NAMES), "DNS:www.myServer.com DNS:gw.example IP:192.0.2.1 IP:192.0.2.2"},
        {none, ONLY(NAMES), "DNS:www.myServer.com"},
        {had, 0, "DNS:www.myServer.com IP:192.0.2.1"},
        {sans, 0, "DNS:gw.example IP:192.0.2.1 IP:192.0.2.2"},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        const struct wishes_input in = {
            .attrs = &template, .obey = rows[i].obey, .subject = "CN=gw", .sans = rows[i].sans};
        _cleanup(wishes_plan_clear) struct wishes_plan plan = follow(&in);
        assert_int_equal(plan.replaces_sans, rows[i].obey != 0);
        _cleanup(x509_req_freep) X509_REQ *req = request_of(&in, &plan);
        assert_sans(req, rows[i].expected);
    }
    /* An empty directoryName is the subject as it will be. */
    _cleanup(estc_csrattrs_clear) struct estc_csrattrs directory = {0};
    add_name(&directory, NID_organizationName, "Theirs");
    add_raw_extension(&directory, NID_subject_alt_name, "\x30\x04\xa4\x02\x30\x00", 6);
    struct wishes_input in = {.attrs = &directory, .obey = ALL, .subject = "CN=gw"};
    _cleanup(wishes_plan_clear) struct wishes_plan plan = follow(&in);
    _cleanup(x509_req_freep) X509_REQ *req = request_of(&in, &plan);
    assert_sans(req, "dirName:O=Theirs,CN=gw");
    /* One that is open as a whole is what is configured, or nothing. */
    _cleanup(estc_csrattrs_clear) struct estc_csrattrs open = {0};
    add_extension(&open, NID_subject_alt_name, NULL);
    in = (struct wishes_input){.attrs = &open, .obey = ALL, .subject = "CN=gw", .sans = sans};
    _cleanup(wishes_plan_clear) struct wishes_plan ours = follow(&in);
    assert_lines(&ours, LINES("subjectAltName: granted, as it is"));
    in.sans = NULL;
    _cleanup(wishes_plan_clear) struct wishes_plan nothing = follow(&in);
    assert_lines(&nothing, LINES("subjectAltName: not granted, none is configured"));
}

/* RFC 9908 section 5.1: an otherName that no configuration can say, critical. */
static void a13_extensions_are_copied_as_given(void **state) {
    (void)state;
    _cleanup(estc_csrattrs_clear) struct estc_csrattrs attrs =
        vector_wishes("9908-5.1-acp-san.csrattrs.der");
    add_extension(&attrs, NID_key_usage, "critical,digitalSignature");
    add_extension(&attrs, NID_ext_key_usage, "clientAuth");
    add_extension(&attrs, NID_tlsfeature, NULL);
    const struct wishes_input in = {.attrs = &attrs, .obey = ALL, .subject = "CN=gw"};
    _cleanup(wishes_plan_clear) struct wishes_plan plan = follow(&in);
    assert_string_equal(plan.lines[3], "extension tlsfeature: not granted, there is nothing here "
                                       "to fill it with");
    _cleanup(x509_req_freep) X509_REQ *req = request_of(&in, &plan);
    _cleanup(extensions_freep) STACK_OF(X509_EXTENSION) *asked = NULL;
    assert_int_equal(csr_extensions(req, &asked, NULL), 0);
    assert_int_equal(sk_X509_EXTENSION_num(asked), 3);
    for (int i = 0; i < 3; i++) {
        X509_EXTENSION *extension = sk_X509_EXTENSION_value(asked, i);
        const struct estc_extension_wish *wish = &attrs.extensions[i];
        assert_int_equal(OBJ_cmp(X509_EXTENSION_get_object(extension), wish->oid), 0);
        assert_int_equal(X509_EXTENSION_get_critical(extension), wish->critical);
        assert_int_equal(ASN1_STRING_cmp(X509_EXTENSION_get_data(extension), wish->value), 0);
    }
    assert_true(attrs.extensions[0].critical);
}

/* RFC 7030 section 4.2.2. */
static void e08_a_renewal_keeps_its_names(void **state) {
    (void)state;
    static const char *const sans[] = {"DNS:gw.example", NULL};
    _cleanup(pkey_freep) EVP_PKEY *key = support_key();
    _cleanup(x509_freep) X509 *cert =
        support_cert(key, &(struct support_cert_spec){.subject = "CN=gw", .sans = sans});
    _cleanup(estc_csrattrs_clear) struct estc_csrattrs attrs =
        vector_wishes("9908-3.4-template.csrattrs.der");
    const struct wishes_input in = {
        .attrs = &attrs, .obey = ALL, .subject = "CN=other", .renew = cert};
    _cleanup(wishes_plan_clear) struct wishes_plan plan = follow(&in);
    assert_null(plan.subject);
    assert_false(plan.replaces_sans);
    assert_string_equal(plan.lines[1], "subject CN=?: granted, as it is");
    assert_string_equal(plan.lines[2], "subject OU=myDept: not granted, a renewal keeps the names "
                                       "of its certificate");
    _cleanup(x509_req_freep) X509_REQ *req = request_of(&in, &plan);
    assert_subject(req, "CN=gw");
    assert_sans(req, "DNS:gw.example");
}

static void a_key_that_is_there_stays(void **state) {
    (void)state;
    _cleanup(estc_csrattrs_clear) struct estc_csrattrs attrs = {0};
    estc_csrattrs_set_key(&attrs, ESTC_KEY_P384);
    const struct wishes_input in = {
        .attrs = &attrs, .obey = ALL, .key_type = ESTC_KEY_P256, .key_made = true};
    _cleanup(wishes_plan_clear) struct wishes_plan plan = follow(&in);
    assert_int_equal(plan.key_type, ESTC_KEY_P256);
    assert_non_null(strstr(plan.lines[0], "not granted, the key of an earlier attempt"));
}

/* Whatever a server says, log lines stay clean and bounded. */
static void text_of_servers_is_harmless(void **state) {
    (void)state;
    _cleanup(estc_csrattrs_clear) struct estc_csrattrs attrs = {0};
    char longest[5000];
    memset(longest, 'x', sizeof(longest) - 1);
    longest[sizeof(longest) - 1] = '\0';
    add_name(&attrs, NID_commonName, "a\x1b[31m\nb%s%n");
    add_name(&attrs, NID_organizationName, longest);
    const struct wishes_input in = {.attrs = &attrs, .obey = 0, .subject = "CN=gw"};
    _cleanup(wishes_plan_clear) struct wishes_plan plan = follow(&in);
    assert_int_equal(plan.denied, 2);
    for (int i = 0; i < 2; i++) {
        assert_true(strlen(plan.lines[i]) <= 512);
        assert_null(strpbrk(plan.lines[i], "\x1b\n"));
    }
}

static void a_broken_configuration_is_said(void **state) {
    (void)state;
    static const char *const sans[] = {"DNS:not ok", NULL};
    _cleanup(estc_csrattrs_clear) struct estc_csrattrs attrs =
        vector_wishes("9908-3.4-template.csrattrs.der");
    struct wishes_plan plan = {0};
    struct estc_error err = {0};
    struct wishes_input in = {.attrs = &attrs, .obey = ALL, .subject = "gw"};
    assert_int_equal(wishes_follow(&in, &plan, &err), ESTC_E_CONFIG);
    in.subject = "CN=gw";
    in.sans = sans;
    assert_int_equal(wishes_follow(&in, &plan, &err), ESTC_E_CONFIG);
    assert_null(plan.lines);
}

/* Every vector under every policy: a request that can be built comes of it. */
static void all_vectors_make_requests(void **state) {
    (void)state;
    static const char *const vectors[] = {
        "7030-A2-csrattrs-response.der",
        "8951-s4-csrattrs-example.der",
        "9908-5.1-acp-san.csrattrs.der",
        "9908-5.2-rfc7030-revised.csrattrs.der",
        "9908-5.3-as-described.csrattrs.der",
        "9908-5.3-san-MISPRINT.csrattrs.der",
        "9908-5.5-p384.csrattrs.der",
        "9908-5.6-p521-many.csrattrs.der",
        "9908-3.4-template.csrattrs.der",
        "9908-4-coexist.csrattrs.der",
        "9908-3.4-template-printed-oid.csrattrs.der",
    };
    for (size_t i = 0; i < sizeof(vectors) / sizeof(vectors[0]); i++) {
        _cleanup(estc_csrattrs_clear) struct estc_csrattrs attrs = vector_wishes(vectors[i]);
        for (unsigned obey = 0; obey <= ALL; obey++) {
            const struct wishes_input in = {.attrs = &attrs, .obey = obey, .subject = "CN=gw"};
            _cleanup(wishes_plan_clear) struct wishes_plan plan = follow(&in);
            X509_REQ_free(request_of(&in, &plan));
        }
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a03_no_wish_changes_nothing),
        cmocka_unit_test(a05_key_signature_and_binding),
        cmocka_unit_test(a14_each_kind_only_when_it_is_named),
        cmocka_unit_test(a14_what_is_never_granted),
        cmocka_unit_test(a11_given_and_open_parts_of_the_subject),
        cmocka_unit_test(a11_single_wishes_are_added),
        cmocka_unit_test(a13_subject_alt_names_completed),
        cmocka_unit_test(a13_extensions_are_copied_as_given),
        cmocka_unit_test(e08_a_renewal_keeps_its_names),
        cmocka_unit_test(a_key_that_is_there_stays),
        cmocka_unit_test(text_of_servers_is_harmless),
        cmocka_unit_test(a_broken_configuration_is_said),
        cmocka_unit_test(all_vectors_make_requests),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
