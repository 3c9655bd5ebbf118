/* SPDX-License-Identifier: BSD-2-Clause */
/* The registrar's decisions on new names (ChangeSubjectName): real CA, real ledger. */
#include "site.h"

#include <openssl/x509v3.h>

#include <estc/cert.h>
#include <estc/key.h>

#include "est-registrar/registrar_internal.h"
#include "est-registrar/rename.h"
#include "pkix/csr.h"

#define SANS(...)           \
    (const char *const[]) { \
        __VA_ARGS__, NULL   \
    }

/* A renewal of `from` that asks for these names. */
static X509_REQ *request(EVP_PKEY *key, const X509 *from, const char *subject,
                         const char *const *sans) {
    _cleanup(estc_buf_clear) struct estc_buf der = {0};
    struct estc_error err = {0};
    X509_REQ *csr = NULL;
    const struct estc_csr_spec spec = {
        .subject = subject, .sans = sans, .renew = from, .rename = true};
    if (estc_csr_build(key, &spec, &der, &err) || estc_csr_parse(der.data, der.len, &csr, &err))
        fail_msg("%s", err.text);
    return csr;
}

static int ask(struct site *s, X509 *peer, enum estc_op op, const X509 *from, const char *subject,
               const char *const *sans, X509 **issued, struct estc_error *err) {
    _cleanup(pkey_freep) EVP_PKEY *key = support_key();
    _cleanup(x509_req_freep) X509_REQ *csr = request(key, from, subject, sans);
    int rc = site_ask(s, peer, op, "", csr, issued, err);
    if (!rc)
        assert_true(estc_cert_has_key(*issued, key));
    return rc;
}

static void refused(struct site *s, X509 *peer, const char *subject, const char *const *sans,
                    const char *text) {
    struct estc_error err = {0};
    X509 *issued = NULL;
    assert_int_equal(ask(s, peer, ESTC_OP_SREN, peer, subject, sans, &issued, &err),
                     ESTC_E_REJECTED);
    assert_null(issued);
    if (!strstr(err.text, text))
        fail_msg("'%s' does not say '%s'", err.text, text);
}

/* "CN=a DNS:b DNS:c" */
static void assert_named(X509 *cert, const char *expected) {
    _cleanup(estc_cert_facts_clear) struct estc_cert_facts facts = {0};
    char names[256];
    assert_int_equal(estc_cert_facts_get(cert, &facts, NULL), 0);
    size_t n = (size_t)snprintf(names, sizeof(names), "%s", facts.subject);
    for (char **san = facts.sans; san && *san && n < sizeof(names); san++)
        n += (size_t)snprintf(names + n, sizeof(names) - n, " %s", *san);
    assert_string_equal(names, expected);
}

/* The first rule with these settings, and patterns that speak of nobody's birth certificate. */
static void rule_with(struct site *s, const char *settings) {
    char text[256];
    snprintf(text, sizeof(text), "name = \"devices\"; %s", settings);
    site_change(s, "\"${CN}-*\" ]; }", "\"gw-*\" ]; O = [ \"Example\" ]; }");
    site_change(s, "\"*.${CN}.local\" ]", "\"*.example\" ]");
    site_change(s, "name = \"devices\";", text);
}

static X509 *first(struct site *s) {
    _cleanup(pkey_freep) EVP_PKEY *key = support_key();
    _cleanup(x509_req_freep) X509_REQ *csr =
        site_request(key, "CN=gateway-1", SANS("DNS:gateway-1.local"));
    struct estc_error err = {0};
    X509 *issued = NULL;
    if (site_ask(s, s->device.cert, ESTC_OP_SEN, "", csr, &issued, &err))
        fail_msg("%s", err.text);
    return issued;
}

static void e11_a_rule_lets_names_change(void **state) {
    struct site *s = *state;
    struct estc_error err = {0};
    rule_with(s, "change_names = true;");
    const struct {
        const char *subject;
        const char *const *sans;
        const char *named;
    } rows[] = {
        {"CN=gw-2,O=Example", SANS("DNS:a.example"), "CN=gw-2,O=Example DNS:a.example"},
        {"CN=gateway-1", SANS("DNS:gateway-1.local", "DNS:b.example"),
         "CN=gateway-1 DNS:gateway-1.local DNS:b.example"},
        {"CN=gw-3", NULL, "CN=gw-3"},
        {NULL, SANS("DNS:c.example"), " DNS:c.example"},
    };
    _cleanup(x509_freep) X509 *mine = first(s);
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        _cleanup(x509_freep) X509 *issued = NULL;
        if (ask(s, mine, ESTC_OP_SREN, mine, rows[i].subject, rows[i].sans, &issued, &err))
            fail_msg("%s", err.text);
        assert_named(issued, rows[i].named);
        int at = X509_get_ext_by_NID(issued, NID_subject_alt_name, -1);
        if (at >= 0) /* RFC 5280 section 4.2.1.6 */
            assert_int_equal(X509_EXTENSION_get_critical(X509_get_ext(issued, at)),
                             !rows[i].subject);
    }
}

static void e11_without_it_names_stay(void **state) {
    struct site *s = *state;
    rule_with(s, "");
    _cleanup(x509_freep) X509 *mine = first(s);
    refused(s, mine, "CN=gw-2", NULL, "change_names = true");
    refused(s, mine, "CN=gw-2", NULL, "/sen");
    /* Not even when the names are the old ones: nothing is passed over. */
    refused(s, mine, "CN=gateway-1", SANS("DNS:gateway-1.local"), "rule 'devices'");
}

static void e11_new_names_fit_the_patterns(void **state) {
    struct site *s = *state;
    struct estc_error err = {0};
    rule_with(s, "change_names = true; key_types = [ \"p256\" ];");
    _cleanup(x509_freep) X509 *mine = first(s);
    refused(s, mine, "CN=bank", NULL, "commonName 'bank' matches no pattern of rule 'devices'");
    refused(s, mine, "CN=gw-2,OU=x", NULL, "organizationalUnitName 'x'");
    refused(s, mine, "CN=gw-2", SANS("DNS:gateway-1.local", "DNS:bank.test"), "DNS:bank.test");
    refused(s, mine, "CN=gw-2", SANS("IP:192.0.2.1"), "IP:192.0.2.1");
    /* What was in the subject is granted in the subject, and nowhere else. */
    refused(s, mine, "O=gateway-1", NULL, "organizationName 'gateway-1'");
    /* "${CN}" is the birth certificate's, not that of the name that was changed last. */
    _cleanup(x509_freep) X509 *changed = NULL;
    assert_int_equal(ask(s, mine, ESTC_OP_SREN, mine, "CN=gw-2", NULL, &changed, &err), 0);
    refused(s, changed, "CN=gw-2", SANS("DNS:gw-2.local"), "matches nothing new");
    /* The kind of key is judged as ever. */
    _cleanup(pkey_freep) EVP_PKEY *key = NULL;
    assert_int_equal(estc_key_generate(ESTC_KEY_P384, &key, NULL), 0);
    _cleanup(x509_req_freep) X509_REQ *csr = request(key, mine, "CN=gw-2", NULL);
    X509 *issued = NULL;
    assert_int_equal(site_ask(s, mine, ESTC_OP_SREN, "", csr, &issued, &err), ESTC_E_REJECTED);
    assert_non_null(strstr(err.text, "p384"));
}

static void e11_the_name_of_another_device_is_not_to_be_had(void **state) {
    struct site *s = *state;
    struct estc_error err = {0};
    rule_with(s, "change_names = true;");
    _cleanup(x509_freep) X509 *mine = first(s);
    _cleanup(pkey_freep) EVP_PKEY *key = support_key();
    _cleanup(x509_req_freep) X509_REQ *csr = site_request(key, "CN=gw-9", NULL);
    _cleanup(x509_freep) X509 *theirs = NULL;
    assert_int_equal(site_ask(s, s->other.cert, ESTC_OP_SEN, "", csr, &theirs, &err), 0);
    refused(s, mine, "CN=gw-9", NULL, "'CN=gw-9' belongs to another device");
}

/* RFC 7030 section 4.2.1: in a first enrolment the new names are judged as if they stood in it. */
static void e07_a_first_enrolment_may_ask_so_too(void **state) {
    struct site *s = *state;
    struct estc_error err = {0};
    rule_with(s, "");
    X509 *birth = s->device.cert;
    _cleanup(x509_freep) X509 *issued = NULL;
    if (ask(s, birth, ESTC_OP_SEN, birth, "CN=gw-2", SANS("DNS:gateway-1.local"), &issued, &err))
        fail_msg("%s", err.text);
    assert_named(issued, "CN=gw-2 DNS:gateway-1.local");
    X509 *none = NULL;
    assert_int_equal(ask(s, birth, ESTC_OP_SEN, birth, "CN=bank", NULL, &none, &err),
                     ESTC_E_REJECTED);
    assert_non_null(strstr(err.text, "'bank'"));
    assert_null(none);
}

/* The same request is the one for the same new names; what is recorded are these. */
static void e11_the_ledger_knows_the_new_names(void **state) {
    struct site *s = *state;
    struct estc_error err = {0};
    rule_with(s, "change_names = true;");
    _cleanup(x509_freep) X509 *mine = first(s);
    _cleanup(pkey_freep) EVP_PKEY *key = support_key();
    _cleanup(x509_freep) X509 *one = NULL, *again = NULL, *other = NULL;
    for (int i = 0; i < 3; i++) {
        _cleanup(x509_req_freep) X509_REQ *csr =
            request(key, mine, i < 2 ? "CN=gw-2" : "CN=gw-3", NULL);
        X509 **out = i == 0 ? &one : i == 1 ? &again : &other;
        assert_int_equal(site_ask(s, mine, ESTC_OP_SREN, "", csr, out, &err), 0);
    }
    assert_int_equal(X509_cmp(one, again), 0);
    assert_named(other, "CN=gw-3");
    _cleanup(estc_cert_facts_clear) struct estc_cert_facts facts = {0};
    _cleanup(ledger_entry_clear) struct ledger_entry entry = {0};
    struct ledger *ledger = s->registrar->ledger;
    assert_int_equal(estc_cert_facts_get(one, &facts, NULL), 0);
    assert_int_equal(ledger->ops->find(ledger, facts.sha256, &entry, NULL), 0);
    assert_string_equal(entry.subject, "CN=gw-2");
    assert_string_equal(entry.op, "sren");
    /* Its own renewal is a plain one. */
    _cleanup(x509_req_freep) X509_REQ *csr = site_request(key, "CN=gw-2", NULL);
    _cleanup(x509_freep) X509 *renewed = NULL;
    assert_int_equal(site_ask(s, one, ESTC_OP_SREN, "", csr, &renewed, &err), 0);
    assert_named(renewed, "CN=gw-2");
}

/* A renewal with its bytes, which somebody may have to look at. */
static int renew(struct site *s, X509 *peer_cert, X509_REQ *csr, X509 **issued) {
    unsigned char *der = NULL;
    int len = i2d_X509_REQ(csr, &der);
    const struct estc_peer peer = {.cert = peer_cert, .address = "[::1]:1"};
    const struct estc_enroll_request in = {
        .op = ESTC_OP_SREN, .label = "", .csr = csr, .der = der, .der_len = (size_t)len};
    int64_t retry_after = 0;
    struct estc_error err = {0};
    int rc = registrar_server_ops(s->registrar)
                 ->enroll(s->registrar, &peer, &in, issued, &retry_after, &err);
    OPENSSL_free(der);
    return rc;
}

/* A renewal continues what was approved; one under new names does not. */
static void d03_e11_new_names_wait_for_approval(void **state) {
    struct site *s = *state;
    rule_with(s, "change_names = true;");
    _cleanup(x509_freep) X509 *mine = first(s);
    site_change(s, "change_names = true;", "change_names = true; approval = \"manual\";");
    _cleanup(pkey_freep) EVP_PKEY *key = support_key();
    _cleanup(x509_req_freep) X509_REQ *csr = request(key, mine, "CN=gw-2", SANS("DNS:a.example"));
    _cleanup(x509_freep) X509 *issued = NULL;
    assert_int_equal(renew(s, mine, csr, &issued), ESTC_E_PENDING);
    struct ledger *ledger = s->registrar->ledger;
    _cleanup(ledger_pending_clear) struct ledger_pending found = {0};
    assert_int_equal(ledger->ops->get_request(ledger, 1, &found, NULL), 0);
    assert_string_equal(found.subject, "CN=gw-2");
    assert_string_equal(found.names, "DNS:a.example");
    assert_string_equal(found.device, "CN=gateway-1");
    assert_int_equal(ledger->ops->decide_request(ledger, 1, LEDGER_APPROVED, "", 1, NULL), 0);
    /* What was approved is these names. */
    _cleanup(x509_req_freep) X509_REQ *other = request(key, mine, "CN=gw-3", NULL);
    assert_int_equal(renew(s, mine, other, &issued), ESTC_E_PENDING);
    assert_int_equal(renew(s, mine, csr, &issued), 0);
    assert_named(issued, "CN=gw-2 DNS:a.example");
    _cleanup(x509_req_freep) X509_REQ *plain =
        site_request(key, "CN=gateway-1", SANS("DNS:gateway-1.local"));
    _cleanup(x509_freep) X509 *renewed = NULL;
    assert_int_equal(renew(s, mine, plain, &renewed), 0);
}

/* Other extensions stay as they were asked for. */
static void only_names_are_replaced(void **state) {
    struct site *s = *state;
    _cleanup(extensions_freep) STACK_OF(X509_EXTENSION) *more = sk_X509_EXTENSION_new_null();
    _cleanup(pkey_freep) EVP_PKEY *key = support_key();
    _cleanup(x509_freep) X509 *old = support_cert(
        key, &(struct support_cert_spec){.subject = "CN=old", .sans = SANS("DNS:old.example")});
    sk_X509_EXTENSION_push(more, X509V3_EXT_conf_nid(NULL, NULL, NID_key_usage, "keyAgreement"));
    for (int i = 0; i < 2; i++) {
        const struct estc_csr_spec spec = {.subject = "CN=new",
                                           .sans = i ? SANS("DNS:new.example") : NULL,
                                           .renew = old,
                                           .rename = true,
                                           .challenge = "x",
                                           .extensions = more};
        _cleanup(estc_buf_clear) struct estc_buf der = {0};
        _cleanup(x509_req_freep) X509_REQ *csr = NULL, *renamed = NULL, *twice = NULL;
        _cleanup(extensions_freep) STACK_OF(X509_EXTENSION) *asked = NULL;
        assert_int_equal(estc_csr_build(key, &spec, &der, NULL), 0);
        assert_int_equal(estc_csr_parse(der.data, der.len, &csr, NULL), 0);
        assert_int_equal(rename_apply(csr, &renamed, NULL), 0);
        assert_int_equal(csr_extensions(renamed, &asked, NULL), 0);
        assert_int_equal(sk_X509_EXTENSION_num(asked), 1 + i);
        assert_true(X509v3_get_ext_by_NID(asked, NID_key_usage, -1) >= 0);
        assert_int_equal(EVP_PKEY_eq(X509_REQ_get0_pubkey(renamed), key), 1);
        assert_int_equal(rename_apply(renamed, &twice, NULL), 0);
        assert_null(twice);
    }
    (void)s;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        SITED(e11_a_rule_lets_names_change),
        SITED(e11_without_it_names_stay),
        SITED(e11_new_names_fit_the_patterns),
        SITED(e11_the_name_of_another_device_is_not_to_be_had),
        SITED(e07_a_first_enrolment_may_ask_so_too),
        SITED(e11_the_ledger_knows_the_new_names),
        SITED(d03_e11_new_names_wait_for_approval),
        SITED(only_names_are_replaced),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
