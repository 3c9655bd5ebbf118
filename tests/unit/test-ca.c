/* SPDX-License-Identifier: BSD-2-Clause */
/* The local CA: what it takes as its own, and how long what it issues lives. */
#include "site.h"

#include <openssl/x509v3.h>

#include <estc/cert.h>
#include <estc/key.h>

#include "base/clock.h"
#include "est-registrar/ca.h"

#define HOUR INT64_C(3600)
#define DAY INT64_C(86400)

static void write_pem(const struct site *s, const char *name, X509 *const *certs) {
    char path[PATH_MAX + 32];
    struct estc_buf pem = {0};
    snprintf(path, sizeof(path), "%s/%s", s->dir, name);
    for (; *certs; certs++)
        assert_int_equal(estc_cert_to_pem(*certs, &pem, NULL), 0);
    assert_int_equal(fs_write_atomic(AT_FDCWD, path, pem.data, pem.len, 0644, NULL), 0);
    estc_buf_clear(&pem);
}

static EVP_PKEY *write_key(const struct site *s, const char *name) {
    char path[PATH_MAX + 32];
    struct estc_buf pem = {0};
    EVP_PKEY *key = support_key();
    snprintf(path, sizeof(path), "%s/%s", s->dir, name);
    assert_int_equal(estc_key_to_pem(key, &pem, NULL), 0);
    assert_int_equal(fs_write_atomic(AT_FDCWD, path, pem.data, pem.len, 0600, NULL), 0);
    estc_buf_clear(&pem);
    return key;
}

/* Replaces the site's issuing CA by one like that, below a root of the test's own. */
static X509 *replace_ca(struct site *s, struct support_cert_spec spec) {
    _cleanup(pkey_freep) EVP_PKEY *root_key = support_key();
    _cleanup(pkey_freep) EVP_PKEY *key = write_key(s, "ca/issuing.key");
    _cleanup(x509_freep) X509 *root = support_cert(
        root_key, &(struct support_cert_spec){
                      .subject = "CN=Root", .ca = 1, .not_after = clock_real() + 400 * DAY});
    spec.issuer = root;
    spec.issuer_key = root_key;
    X509 *ca = support_cert(key, &spec);
    write_pem(s, "ca/issuing.pem", (X509 *[]){ca, NULL});
    write_pem(s, "ca/root.pem", (X509 *[]){root, NULL});
    return ca;
}

static void refused(const struct site *s, const char *says, const char *remedy) {
    struct estc_error err = {0};
    struct ca *ca = NULL;
    int rc = ca_open(s->config, &ca, &err);
    assert_null(ca);
    if (rc == 0 || !strstr(err.text, says) || !strstr(err.text, remedy))
        fail_msg("%d '%s' does not say '%s' and '%s'", rc, err.text, says, remedy);
}

static void what_is_no_ca_is_found_at_start(void **state) {
    struct site *s = *state;
    const int64_t now = clock_real();
    const struct {
        struct support_cert_spec spec;
        const char *says, *remedy;
    } rows[] = {
        {{.subject = "CN=Leaf"}, "'CN=Leaf' is not for a CA", "name the issuing CA's certificate"},
        {{.subject = "CN=Old", .ca = 1, .not_after = now - 5}, "'CN=Old' expired", "renew it"},
        {{.subject = "CN=Soon", .ca = 1, .not_before = now + HOUR},
         "is not valid before",
         "this machine's clock"},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        X509_free(replace_ca(s, rows[i].spec));
        refused(s, rows[i].says, rows[i].remedy);
        refused(s, "ca/issuing.pem", rows[i].remedy);
    }
}

static void the_pair_and_the_chain_have_to_fit(void **state) {
    struct site *s = *state;
    _cleanup(x509_freep) X509 *ca =
        replace_ca(s, (struct support_cert_spec){.subject = "CN=CA", .ca = 1});
    struct estc_error err = {0};
    struct ca *opened = NULL;
    if (ca_open(s->config, &opened, &err))
        fail_msg("%s", err.text);
    assert_int_equal(sk_X509_num(ca_certificates(opened)), 2);
    assert_int_equal(X509_cmp(ca_certificate(opened), ca), 0);
    assert_null(ca_close(opened));

    _cleanup(pkey_freep) EVP_PKEY *key = support_key();
    _cleanup(x509_freep) X509 *stranger =
        support_cert(key, &(struct support_cert_spec){.subject = "CN=Root", .ca = 1});
    write_pem(s, "ca/root.pem", (X509 *[]){stranger, NULL});
    refused(s, "ca/root.pem does not lead from the issuing CA to a root", "");
    /* Without a root nothing is promised: devices need to have it. */
    write_pem(s, "ca/root.pem", (X509 *[]){ca, NULL});
    assert_int_equal(ca_open(s->config, &opened, &err), 0);
    assert_int_equal(sk_X509_num(ca_certificates(opened)), 1); /* not twice */
    ca_close(opened);

    EVP_PKEY_free(write_key(s, "ca/issuing.key"));
    refused(s, "do not belong together", "name the pair that does");
    char path[PATH_MAX + 32];
    snprintf(path, sizeof(path), "%s/ca/issuing.key", s->dir);
    assert_int_equal(chmod(path, 0640), 0);
    refused(s, "others than its owner have access", "chmod 600");
    assert_int_equal(unlink(path), 0);
    refused(s, "ca/issuing.key", "no such file");
}

/* --- lifetimes --- */

static void issue(const struct site *s, const struct config_rule *rule, int64_t now,
                  struct estc_cert_facts *out) {
    struct estc_error err = {0};
    struct ca *ca = NULL;
    _cleanup(x509_freep) X509 *cert = NULL;
    _cleanup(pkey_freep) EVP_PKEY *key = support_key();
    _cleanup(x509_req_freep) X509_REQ *csr = site_request(key, "CN=gateway-1", NULL);
    if (ca_open(s->config, &ca, &err) || ca_issue(ca, s->config, rule, csr, now, &cert, &err))
        fail_msg("%s", err.text);
    assert_int_equal(X509_verify(cert, X509_get0_pubkey(ca_certificate(ca))), 1);
    assert_int_equal(estc_cert_facts_get(cert, out, &err), 0);
    ca_close(ca);
}

static void lifetimes_are_the_rule_s_and_end_with_the_ca(void **state) {
    struct site *s = *state;
    const int64_t now = clock_real();
    const struct {
        int64_t lifetime, backdate, ca_before, ca_after; /* CA's relative to now */
        int64_t before, after;                           /* expected, relative to now */
    } rows[] = {
        {90 * DAY, 300, -9 * DAY, 300 * DAY, -300, 90 * DAY},
        {90 * DAY, 0, -9 * DAY, 300 * DAY, 0, 90 * DAY},
        {HOUR, DAY, -9 * DAY, 300 * DAY, -360, HOUR}, /* a tenth at the most */
        {1, 300, -9 * DAY, 300 * DAY, 0, 1},
        {90 * DAY, 300, -9 * DAY, 30 * DAY, -300, 30 * DAY}, /* never longer than the CA */
        {90 * DAY, 300, -60, 300 * DAY, -60, 90 * DAY},      /* nor from before it */
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        X509_free(replace_ca(s, (struct support_cert_spec){.subject = "CN=CA",
                                                           .ca = 1,
                                                           .not_before = now + rows[i].ca_before,
                                                           .not_after = now + rows[i].ca_after}));
        _cleanup(estc_cert_facts_clear) struct estc_cert_facts facts = {0};
        struct config_rule rule = *config_rule_at(s->config, 0);
        rule.lifetime = rows[i].lifetime;
        s->config->backdate = rows[i].backdate;
        issue(s, &rule, now, &facts);
        assert_int_equal(facts.not_before - now, rows[i].before);
        assert_int_equal(facts.not_after - now, rows[i].after);
    }
}

static void a_ca_that_expires_while_it_runs_issues_nothing(void **state) {
    struct site *s = *state;
    struct estc_error err = {0};
    struct ca *ca = NULL;
    X509 *cert = NULL;
    _cleanup(pkey_freep) EVP_PKEY *key = support_key();
    _cleanup(x509_req_freep) X509_REQ *csr = site_request(key, "CN=gateway-1", NULL);
    assert_int_equal(ca_open(s->config, &ca, &err), 0);
    assert_int_equal(ca_issue(ca, s->config, config_rule_at(s->config, 0), csr,
                              clock_real() + 3660 * DAY, &cert, &err),
                     ESTC_E_CREDENTIAL);
    assert_null(cert);
    assert_non_null(strstr(err.text, "the issuing CA has expired: renew it"));
    ca_close(ca);
}

static void usages_are_on_the_list_whatever_the_bits(void **state) {
    struct site *s = *state;
    struct ca *ca = NULL;
    _cleanup(pkey_freep) EVP_PKEY *key = support_key();
    _cleanup(x509_req_freep) X509_REQ *csr = site_request(key, "CN=gateway-1", NULL);
    assert_int_equal(ca_open(s->config, &ca, NULL), 0);
    static const struct {
        unsigned bits;
        uint32_t usages;
    } rows[] = {
        {CONFIG_EKU_CLIENT, XKU_SSL_CLIENT},
        {CONFIG_EKU_SERVER, XKU_SSL_SERVER},
        {~0U, XKU_SSL_CLIENT | XKU_SSL_SERVER},
        {0, XKU_SSL_CLIENT | XKU_SSL_SERVER}, /* a certificate for everything is not on it */
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct config_rule rule = *config_rule_at(s->config, 0);
        _cleanup(x509_freep) X509 *cert = NULL;
        rule.eku = rows[i].bits;
        assert_int_equal(ca_issue(ca, s->config, &rule, csr, clock_real(), &cert, NULL), 0);
        assert_int_equal(X509_get_extended_key_usage(cert), rows[i].usages);
    }
    ca_close(ca);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        SITED(what_is_no_ca_is_found_at_start),
        SITED(the_pair_and_the_chain_have_to_fit),
        SITED(lifetimes_are_the_rule_s_and_end_with_the_ca),
        SITED(a_ca_that_expires_while_it_runs_issues_nothing),
        SITED(usages_are_on_the_list_whatever_the_bits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
