/* SPDX-License-Identifier: BSD-2-Clause */
/* The registrar's decisions, from a request to a certificate in the ledger: real CA, real files. */
#include "site.h"

#include <openssl/x509v3.h>

#include <estc/cert.h>
#include <estc/key.h>

#include "base/clock.h"

/* Asks with a fresh key; NULL and the error when it is refused. */
static X509 *ask(struct site *s, X509 *cert, enum estc_op op, const char *label,
                 const char *subject, const char *const *sans, int expected,
                 struct estc_error *err) {
    _cleanup(pkey_freep) EVP_PKEY *key = support_key();
    _cleanup(x509_req_freep) X509_REQ *csr = site_request(key, subject, sans);
    X509 *issued = NULL;
    int rc = site_ask(s, cert, op, label, csr, &issued, err);
    if (rc != expected)
        fail_msg("%s: %d, not %d: %s", subject, rc, expected, err->text);
    if (!rc)
        assert_true(estc_cert_has_key(issued, key));
    return issued;
}

static void granted(struct site *s, const char *subject, const char *const *sans) {
    struct estc_error err = {0};
    X509_free(ask(s, s->device.cert, ESTC_OP_SEN, "", subject, sans, 0, &err));
}

static void refused(struct site *s, const char *subject, const char *const *sans,
                    const char *text) {
    struct estc_error err = {0};
    ask(s, s->device.cert, ESTC_OP_SEN, "", subject, sans, ESTC_E_REJECTED, &err);
    if (!strstr(err.text, text))
        fail_msg("'%s' does not say '%s'", err.text, text);
}

#define SANS(...)           \
    (const char *const[]) { \
        __VA_ARGS__, NULL   \
    }

static void names_are_granted_by_pattern_only(void **state) {
    struct site *s = *state;
    granted(s, "CN=gateway-1", NULL);
    granted(s, "CN=gateway-1-mqtt", SANS("DNS:gateway-1.local", "DNS:a.gateway-1.local"));
    granted(s, NULL, SANS("DNS:gateway-1"));
    refused(s, "CN=gateway-2", NULL, "commonName 'gateway-2' matches no pattern of rule 'devices'");
    refused(s, "CN=gateway-1,O=Example", NULL, "organizationName 'Example'");
    refused(s, "CN=gateway-1,CN=gateway-2", NULL, "gateway-2");
    refused(s, "CN=gateway-1", SANS("DNS:gateway-1", "DNS:bank.example"),
            "name 'DNS:bank.example'");
    refused(s, "CN=gateway-1", SANS("IP:192.0.2.1"), "name 'IP:192.0.2.1'");
    refused(s, "CN=gateway-1", SANS("URI:coaps://x"), "name 'URI:coaps://x'");
    refused(s, "CN=gateway-1", SANS("email:a@b.example"), "name 'email:a@b.example'");
    refused(s, NULL, NULL, "no name at all");
}

static void the_floor_holds(void **state) {
    struct site *s = *state;
    struct estc_error err = {0};
    _cleanup(x509_freep) X509 *cert =
        ask(s, s->device.cert, ESTC_OP_SEN, "", "CN=gateway-1", SANS("DNS:gateway-1"), 0, &err);
    uint32_t flags = X509_get_extension_flags(cert);
    assert_false(flags & EXFLAG_CA);
    assert_true(flags & EXFLAG_BCONS);
    assert_int_equal(X509_get_extended_key_usage(cert), XKU_SSL_SERVER | XKU_SSL_CLIENT);
    assert_int_equal(X509_get_key_usage(cert), KU_DIGITAL_SIGNATURE);
    assert_non_null(X509_get0_subject_key_id(cert));
    assert_non_null(X509_get0_authority_key_id(cert));
    _cleanup(estc_cert_facts_clear) struct estc_cert_facts facts = {0};
    assert_int_equal(estc_cert_facts_get(cert, &facts, &err), 0);
    assert_true(strlen(facts.serial) >= 28); /* 128 random bits, leading zeroes apart */
    assert_string_equal(facts.sans[0], "DNS:gateway-1");
    assert_int_equal(facts.not_after - facts.not_before, 90 * 86400 + 300);
}

/* An extension that a device asks for and should not have stays out, whatever it is. */
static void requested_extensions_are_dropped(void **state) {
    struct site *s = *state;
    static const struct {
        int nid;
        const char *value;
    } wishes[] = {
        {NID_basic_constraints, "critical,CA:TRUE"},
        {NID_ext_key_usage, "1.3.6.1.5.5.7.3.28,clientAuth"},
        {NID_key_usage, "critical,keyCertSign"},
    };
    for (size_t i = 0; i < sizeof(wishes) / sizeof(wishes[0]); i++) {
        _cleanup(pkey_freep) EVP_PKEY *key = support_key();
        _cleanup(x509_req_freep) X509_REQ *csr = site_request(key, "CN=gateway-1", NULL);
        X509_EXTENSION *ext = X509V3_EXT_conf_nid(NULL, NULL, wishes[i].nid, wishes[i].value);
        STACK_OF(X509_EXTENSION) *list = sk_X509_EXTENSION_new_null();
        assert_true(ext && list && sk_X509_EXTENSION_push(list, ext) > 0);
        assert_int_equal(X509_REQ_add_extensions(csr, list), 1);
        assert_true(X509_REQ_sign(csr, key, EVP_sha256()) > 0);
        sk_X509_EXTENSION_pop_free(list, X509_EXTENSION_free);
        struct estc_error err = {0};
        _cleanup(x509_freep) X509 *cert = NULL;
        assert_int_equal(site_ask(s, s->device.cert, ESTC_OP_SEN, "", csr, &cert, &err), 0);
        assert_false(X509_get_extension_flags(cert) & EXFLAG_CA);
        assert_int_equal(X509_get_extended_key_usage(cert), XKU_SSL_SERVER | XKU_SSL_CLIENT);
        assert_int_equal(X509_get_key_usage(cert), KU_DIGITAL_SIGNATURE);
    }
}

static void issued_certificates_lead_to_the_root(void **state) {
    struct site *s = *state;
    struct estc_error err = {0};
    char path[PATH_MAX + 16];
    snprintf(path, sizeof(path), "%s/trust.pem", s->dir);
    struct estc_trust *trust = NULL;
    assert_int_equal(pem_read_trust(path, &trust, &err), 0);
    const struct estc_peer peer = {.cert = s->device.cert, .address = "[::1]:1"};
    _cleanup(sk_x509_freep) STACK_OF(X509) *cacerts = NULL;
    assert_int_equal(
        registrar_server_ops(s->registrar)->cacerts(s->registrar, &peer, "", &cacerts, &err), 0);
    assert_int_equal(sk_X509_num(cacerts), 2);
    _cleanup(x509_freep) X509 *cert =
        ask(s, s->device.cert, ESTC_OP_SEN, "", "CN=gateway-1", NULL, 0, &err);
    if (estc_trust_verify(trust, cert, cacerts, ESTC_PURPOSE_CLIENT, clock_real(), NULL, &err))
        fail_msg("%s", err.text);
    estc_trust_free(trust);
}

/* After a restart as well: a device that was killed before it had the answer asks again. */
static void d06_the_same_request_gets_the_same_certificate(void **state) {
    struct site *s = *state;
    struct estc_error err = {0};
    _cleanup(pkey_freep) EVP_PKEY *key = support_key();
    _cleanup(x509_req_freep) X509_REQ *csr = site_request(key, "CN=gateway-1", NULL);
    _cleanup(x509_req_freep) X509_REQ *again = site_request(key, "CN=gateway-1", NULL);
    _cleanup(x509_freep) X509 *first = NULL, *second = NULL, *third = NULL, *fourth = NULL;
    X509 *device = s->device.cert;
    assert_int_equal(site_ask(s, device, ESTC_OP_SEN, "", csr, &first, &err), 0);
    assert_int_equal(site_ask(s, device, ESTC_OP_SEN, "", csr, &second, &err), 0);
    assert_int_equal(X509_cmp(first, second), 0);
    site_close(s);
    site_open(s);
    assert_int_equal(site_ask(s, device, ESTC_OP_SEN, "", again, &third, &err), 0);
    assert_int_equal(X509_cmp(first, third), 0);
    /* Once the holder has shown it, the same key again is a wish for a new one. */
    const struct estc_peer peer = {.cert = first, .address = "[::1]:1"};
    _cleanup(sk_x509_freep) STACK_OF(X509) *cacerts = NULL;
    assert_int_equal(
        registrar_server_ops(s->registrar)->cacerts(s->registrar, &peer, "", &cacerts, &err), 0);
    assert_int_equal(site_ask(s, device, ESTC_OP_SEN, "", csr, &fourth, &err), 0);
    assert_int_not_equal(X509_cmp(first, fourth), 0);
}

static void a_live_name_belongs_to_one_device(void **state) {
    struct site *s = *state;
    struct estc_error err = {0};
    site_change(s, "\"${CN}-*\"", "\"shared\"");
    _cleanup(x509_freep) X509 *mine =
        ask(s, s->device.cert, ESTC_OP_SEN, "", "CN=shared", NULL, 0, &err);
    ask(s, s->other.cert, ESTC_OP_SEN, "", "CN=shared", NULL, ESTC_E_REJECTED, &err);
    assert_non_null(strstr(err.text, "belongs to another device until"));
    ask(s, s->other.cert, ESTC_OP_SEN, "", "CN=SHARED", NULL, ESTC_E_REJECTED, &err);
    _cleanup(x509_freep) X509 *anew =
        ask(s, s->device.cert, ESTC_OP_SEN, "", "CN=shared", NULL, 0, &err);
    assert_int_not_equal(X509_cmp(anew, mine), 0);
    /* The line goes on through renewals. */
    _cleanup(x509_freep) X509 *renewed = ask(s, mine, ESTC_OP_SREN, "", "CN=shared", NULL, 0, &err);
    _cleanup(x509_freep) X509 *twice =
        ask(s, renewed, ESTC_OP_SREN, "", "CN=shared", NULL, 0, &err);
    assert_int_not_equal(X509_cmp(twice, renewed), 0);
    ask(s, s->other.cert, ESTC_OP_SEN, "", "CN=shared", NULL, ESTC_E_REJECTED, &err);
}

static void who_may_do_what(void **state) {
    struct site *s = *state;
    struct estc_error err = {0};
    _cleanup(x509_freep) X509 *mine =
        ask(s, s->device.cert, ESTC_OP_SEN, "", "CN=gateway-1", NULL, 0, &err);
    ask(s, mine, ESTC_OP_SEN, "", "CN=gateway-1", NULL, ESTC_E_REJECTED, &err);
    assert_non_null(strstr(err.text, "/sren"));
    ask(s, s->device.cert, ESTC_OP_SREN, "", "CN=gateway-1", NULL, ESTC_E_REJECTED, &err);
    assert_non_null(strstr(err.text, "/sen"));
    ask(s, s->device.cert, ESTC_OP_SEN, "nowhere", "CN=gateway-1", NULL, ESTC_E_NOT_FOUND, &err);
    _cleanup(x509_freep) X509 *brief =
        ask(s, s->device.cert, ESTC_OP_SEN, "short", "CN=gateway-1", NULL, 0, &err);
    _cleanup(estc_cert_facts_clear) struct estc_cert_facts facts = {0};
    assert_int_equal(estc_cert_facts_get(brief, &facts, &err), 0);
    assert_in_range(facts.not_after - facts.not_before, 3600, 3600 + 360);
}

/* The server's certificate is the CA's too, but no device's: it is in no ledger. */
static void a_certificate_that_is_not_in_the_ledger_renews_nothing(void **state) {
    struct site *s = *state;
    struct estc_error err = {0};
    char path[PATH_MAX + 32];
    snprintf(path, sizeof(path), "%s/server/cert.pem", s->dir);
    _cleanup(sk_x509_freep) STACK_OF(X509) *server = NULL;
    assert_int_equal(pem_read_certs(path, &server, &err), 0);
    ask(s, sk_X509_value(server, 0), ESTC_OP_SREN, "", "CN=localhost", NULL, ESTC_E_REJECTED, &err);
    assert_non_null(strstr(err.text, "not in the ledger"));
}

static void a_rule_that_is_gone_renews_nothing(void **state) {
    struct site *s = *state;
    struct estc_error err = {0};
    _cleanup(x509_freep) X509 *mine =
        ask(s, s->device.cert, ESTC_OP_SEN, "", "CN=gateway-1", NULL, 0, &err);
    site_change(s, "name = \"devices\"", "name = \"renamed\"");
    ask(s, mine, ESTC_OP_SREN, "", "CN=gateway-1", NULL, ESTC_E_REJECTED, &err);
    assert_non_null(strstr(err.text, "rule 'devices'"));
}

static void a_rule_may_limit_keys_and_usages(void **state) {
    struct site *s = *state;
    struct estc_error err = {0};
    site_change(s, "client_ca = \"factory\";",
                "client_ca = \"factory\"; key_types = [ \"p384\" ]; "
                "extended_key_usage = [ \"clientAuth\" ];");
    ask(s, s->device.cert, ESTC_OP_SEN, "", "CN=gateway-1", NULL, ESTC_E_REJECTED, &err);
    assert_non_null(strstr(err.text, "does not take keys of kind p256"));
    _cleanup(pkey_freep) EVP_PKEY *key = NULL;
    assert_int_equal(estc_key_generate(ESTC_KEY_P384, &key, &err), 0);
    _cleanup(x509_req_freep) X509_REQ *csr = site_request(key, "CN=gateway-1", NULL);
    _cleanup(x509_freep) X509 *cert = NULL;
    assert_int_equal(site_ask(s, s->device.cert, ESTC_OP_SEN, "", csr, &cert, &err), 0);
    assert_int_equal(X509_get_extended_key_usage(cert), XKU_SSL_CLIENT);
}

static void rsa_keys_encipher(void **state) {
    struct site *s = *state;
    struct estc_error err = {0};
    _cleanup(pkey_freep) EVP_PKEY *key = NULL;
    assert_int_equal(estc_key_generate(ESTC_KEY_RSA2048, &key, &err), 0);
    _cleanup(x509_req_freep) X509_REQ *csr = site_request(key, "CN=gateway-1", NULL);
    _cleanup(x509_freep) X509 *cert = NULL;
    assert_int_equal(site_ask(s, s->device.cert, ESTC_OP_SEN, "", csr, &cert, &err), 0);
    assert_int_equal(X509_get_key_usage(cert), KU_DIGITAL_SIGNATURE | KU_KEY_ENCIPHERMENT);
}

/* A ledger that cannot be written: nothing is issued, the device is told to come again. */
static void without_a_ledger_nothing_is_issued(void **state) {
    struct site *s = *state;
    struct estc_error err = {0};
    site_sql(s, "DROP TABLE certificates");
    ask(s, s->device.cert, ESTC_OP_SEN, "", "CN=gateway-1", NULL, ESTC_E_TIMEOUT, &err);
    assert_null(strstr(err.text, s->dir)); /* where it lies is nobody's business out there */
}

int main(void) {
    const struct CMUnitTest tests[] = {
        SITED(names_are_granted_by_pattern_only),
        SITED(the_floor_holds),
        SITED(requested_extensions_are_dropped),
        SITED(issued_certificates_lead_to_the_root),
        SITED(d06_the_same_request_gets_the_same_certificate),
        SITED(a_live_name_belongs_to_one_device),
        SITED(who_may_do_what),
        SITED(a_certificate_that_is_not_in_the_ledger_renews_nothing),
        SITED(a_rule_that_is_gone_renews_nothing),
        SITED(a_rule_may_limit_keys_and_usages),
        SITED(rsa_keys_encipher),
        SITED(without_a_ledger_nothing_is_issued),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
