/* SPDX-License-Identifier: BSD-2-Clause */
/* Subject, subjectAltName and extensions, as they were configured and as the server wishes. */
#include "wishes_fixture.h"

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

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a11_given_and_open_parts_of_the_subject),
        cmocka_unit_test(a11_single_wishes_are_added),
        cmocka_unit_test(a13_subject_alt_names_completed),
        cmocka_unit_test(a13_extensions_are_copied_as_given),
        cmocka_unit_test(e08_a_renewal_keeps_its_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
