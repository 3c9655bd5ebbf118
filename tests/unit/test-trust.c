/* SPDX-License-Identifier: BSD-2-Clause */
#include "support.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include <openssl/err.h>
#include <openssl/x509v3.h>

#include <estc/cert.h>
#include <estc/trust.h>

#include "base/cleanup_ossl.h"

/* A root, an issuing CA below it and a leaf below that, made once. */
static struct {
    EVP_PKEY *root_key, *ca_key, *key;
    X509 *root, *ca, *leaf;
    int64_t now;
} pki;

static X509 *issue(EVP_PKEY *key, const char *subject, X509 *issuer, EVP_PKEY *issuer_key, int ca) {
    return support_cert(
        key, &(struct support_cert_spec){
                 .subject = subject, .issuer = issuer, .issuer_key = issuer_key, .ca = ca});
}

static int setup(void **state) {
    (void)state;
    pki.now = time(NULL);
    pki.root_key = support_key();
    pki.ca_key = support_key();
    pki.key = support_key();
    pki.root = issue(pki.root_key, "CN=root", NULL, NULL, 1);
    pki.ca = issue(pki.ca_key, "CN=ca", pki.root, pki.root_key, 1);
    pki.leaf = issue(pki.key, "CN=leaf", pki.ca, pki.ca_key, 0);
    return 0;
}

static int teardown(void **state) {
    (void)state;
    EVP_PKEY_free(pki.root_key);
    EVP_PKEY_free(pki.ca_key);
    EVP_PKEY_free(pki.key);
    X509_free(pki.root);
    X509_free(pki.ca);
    X509_free(pki.leaf);
    return 0;
}

static struct estc_trust *trust_of(X509 *anchor) {
    struct estc_trust *trust = NULL;
    assert_int_equal(estc_trust_new(&trust, NULL), 0);
    if (anchor)
        assert_int_equal(estc_trust_add(trust, anchor, NULL), 0);
    return trust;
}

static STACK_OF(X509) * list_of(X509 *cert) {
    STACK_OF(X509) *list = sk_X509_new_null();
    assert_true(sk_X509_push(list, cert));
    return list;
}

/* Verifies leaf through helper (may be NULL) to anchor; text is what the failure must say. */
static void check(X509 *anchor, X509 *leaf, X509 *helper, enum estc_purpose purpose, int64_t now,
                  const char *text) {
    struct estc_trust *trust = trust_of(anchor);
    STACK_OF(X509) *helpers = helper ? list_of(helper) : NULL;
    struct estc_error err = {0};
    int rc = estc_trust_verify(trust, leaf, helpers, purpose, now, NULL, &err);
    if (rc != (text ? ESTC_E_UNTRUSTED : 0))
        fail_msg("%d, expected %s: %s", rc, text ? text : "success", err.text);
    if (text && !strstr(err.text, text))
        fail_msg("'%s' is not in: %s", text, err.text);
    assert_int_equal(err.code, rc);
    assert_int_equal(ERR_peek_error(), 0);
    sk_X509_free(helpers);
    estc_trust_free(trust);
}

static void follows_a_chain_to_an_anchor(void **state) {
    (void)state;
    check(pki.root, pki.leaf, pki.ca, ESTC_PURPOSE_ANY, pki.now, NULL);
    check(pki.root, pki.leaf, pki.ca, ESTC_PURPOSE_SERVER, pki.now, NULL);
    check(pki.root, pki.leaf, pki.ca, ESTC_PURPOSE_CLIENT, pki.now, NULL);
    check(pki.ca, pki.leaf, NULL, ESTC_PURPOSE_ANY, pki.now, NULL);   /* a partial chain */
    check(pki.leaf, pki.leaf, NULL, ESTC_PURPOSE_ANY, pki.now, NULL); /* a pinned leaf */
    check(pki.root, pki.root, NULL, ESTC_PURPOSE_ANY, pki.now, NULL);
    check(pki.root, pki.leaf, pki.ca, ESTC_PURPOSE_ANY, 0, NULL); /* the system's clock */
}

/* A clock that is known to be behind: what begins later passes, what has ended never does. */
static void a_floor_forgives_beginnings_alone(void **state) {
    (void)state;
    int64_t before = pki.now - 3650 * INT64_C(86400), after = pki.now + 36500 * INT64_C(86400);
    static const enum estc_purpose purposes[] = {ESTC_PURPOSE_ANY, ESTC_PURPOSE_SERVER,
                                                 ESTC_PURPOSE_CLIENT};
    for (size_t i = 0; i < sizeof(purposes) / sizeof(purposes[0]); i++) {
        check(pki.root, pki.leaf, pki.ca, purposes[i], estc_at_least(before), NULL);
        check(pki.root, pki.leaf, pki.ca, purposes[i], estc_at_least(pki.now), NULL);
        check(pki.root, pki.leaf, pki.ca, purposes[i], before, "not valid before");
        check(pki.root, pki.leaf, pki.ca, purposes[i], estc_at_least(after), "(now: at least ");
        check(pki.root, pki.leaf, NULL, purposes[i], estc_at_least(before), "issuer");
    }
    check(pki.root, pki.leaf, pki.ca, ESTC_PURPOSE_EXPIRED_CLIENT, estc_at_least(before), "before");
}

static void returns_the_chain(void **state) {
    (void)state;
    struct estc_trust *trust = trust_of(pki.root);
    STACK_OF(X509) *helpers = list_of(pki.ca);
    _cleanup(sk_x509_freep) STACK_OF(X509) *chain = NULL;
    assert_int_equal(
        estc_trust_verify(trust, pki.leaf, helpers, ESTC_PURPOSE_ANY, pki.now, &chain, NULL), 0);
    assert_int_equal(sk_X509_num(chain), 3);
    assert_int_equal(X509_cmp(sk_X509_value(chain, 0), pki.leaf), 0);
    assert_int_equal(X509_cmp(sk_X509_value(chain, 2), pki.root), 0);
    STACK_OF(X509) *untouched = NULL;
    assert_int_equal(
        estc_trust_verify(trust, pki.leaf, NULL, ESTC_PURPOSE_ANY, pki.now, &untouched, NULL),
        ESTC_E_UNTRUSTED);
    assert_null(untouched);
    sk_X509_free(helpers);
    estc_trust_free(trust);
}

static void needs_a_way_to_an_anchor(void **state) {
    (void)state;
    check(pki.root, pki.leaf, NULL, ESTC_PURPOSE_ANY, pki.now,
          "certificate 'CN=leaf' leads to no trust anchor (issuer 'CN=ca'): add the CA's");
    check(NULL, pki.leaf, pki.ca, ESTC_PURPOSE_ANY, pki.now, "leads to no trust anchor");
    check(NULL, pki.root, NULL, ESTC_PURPOSE_ANY, pki.now, "'CN=root' is self-signed");
    _cleanup(x509_freep) X509 *other = issue(pki.key, "CN=other", NULL, NULL, 1);
    check(other, pki.leaf, pki.ca, ESTC_PURPOSE_ANY, pki.now, "leads to no trust anchor");
    /* A root among the helpers is not believed for being there. */
    _cleanup(x509_freep) X509 *direct = issue(pki.key, "CN=direct", pki.root, pki.root_key, 0);
    check(other, direct, pki.root, ESTC_PURPOSE_ANY, pki.now, "'CN=root' is a root, but no trust");
    /* The same name, another key. */
    _cleanup(x509_freep) X509 *impostor = issue(pki.key, "CN=ca", NULL, NULL, 1);
    check(impostor, pki.leaf, NULL, ESTC_PURPOSE_ANY, pki.now, "'CN=leaf'");
}

static void says_when_dates_are_wrong(void **state) {
    (void)state;
    /* 2025-03-01 to 2026-03-01 */
    _cleanup(x509_freep) X509 *leaf =
        support_cert(pki.key, &(struct support_cert_spec){.subject = "CN=x",
                                                          .issuer = pki.ca,
                                                          .issuer_key = pki.ca_key,
                                                          .not_before = 1740787200,
                                                          .not_after = 1772323200});
    check(leaf, leaf, NULL, ESTC_PURPOSE_ANY, 1750000000, NULL);
    check(leaf, leaf, NULL, ESTC_PURPOSE_ANY, 1772323201,
          "certificate 'CN=x' expired 2026-03-01T00:00:00Z (now: 2026-03-01T00:00:01Z): renew it, "
          "or check this machine's clock");
    check(leaf, leaf, NULL, ESTC_PURPOSE_ANY, 1000000000,
          "certificate 'CN=x' is not valid before 2025-03-01T00:00:00Z (now: "
          "2001-09-09T01:46:40Z): this machine's clock may be wrong");
    /* Anchors and helpers have dates, too: then it is they who are named. */
    check(pki.root, pki.leaf, pki.ca, ESTC_PURPOSE_ANY, pki.now + 2 * 86400, "expired");
    check(pki.ca, pki.leaf, NULL, ESTC_PURPOSE_ANY, pki.now - 2 * 86400, "not valid before");
}

static void looks_at_the_purpose(void **state) {
    (void)state;
    static const struct {
        const char *eku;
        bool server, client;
    } cases[] = {
        {"serverAuth", true, false},
        {"clientAuth", false, true},
        {"serverAuth,clientAuth", true, true},
        {"codeSigning", false, false},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        _cleanup(x509_freep) X509 *leaf =
            support_cert(pki.key, &(struct support_cert_spec){.subject = "CN=x",
                                                              .issuer = pki.ca,
                                                              .issuer_key = pki.ca_key,
                                                              .eku = cases[i].eku});
        const char *refused = "'CN=x' is not meant for this use: reissue it with the right";
        check(pki.ca, leaf, NULL, ESTC_PURPOSE_ANY, pki.now, NULL);
        check(pki.ca, leaf, NULL, ESTC_PURPOSE_SERVER, pki.now, cases[i].server ? NULL : refused);
        check(pki.ca, leaf, NULL, ESTC_PURPOSE_CLIENT, pki.now, cases[i].client ? NULL : refused);
    }
}

static void only_a_ca_issues(void **state) {
    (void)state;
    _cleanup(pkey_freep) EVP_PKEY *key = support_key();
    _cleanup(x509_freep) X509 *below = issue(key, "CN=below", pki.leaf, pki.key, 0);
    struct estc_trust *trust = trust_of(pki.ca);
    STACK_OF(X509) *helpers = list_of(pki.leaf);
    struct estc_error err = {0};
    assert_int_equal(
        estc_trust_verify(trust, below, helpers, ESTC_PURPOSE_ANY, pki.now, NULL, &err),
        ESTC_E_UNTRUSTED);
    assert_non_null(strstr(err.text, "'CN="));
    sk_X509_free(helpers);
    estc_trust_free(trust);
}

static void refuses_a_changed_certificate(void **state) {
    (void)state;
    unsigned char *der = NULL;
    int len = i2d_X509(pki.leaf, &der);
    der[len - 1] ^= 1; /* the signature's last byte */
    const unsigned char *p = der;
    _cleanup(x509_freep) X509 *changed = d2i_X509(NULL, &p, len);
    assert_non_null(changed);
    check(pki.root, changed, pki.ca, ESTC_PURPOSE_ANY, pki.now,
          "'CN=leaf' has a signature that is not its issuer's");
    OPENSSL_free(der);
}

static void refuses_weak_keys_and_hashes(void **state) {
    (void)state;
    _cleanup(pkey_freep) EVP_PKEY *weak = EVP_RSA_gen(1024);
    _cleanup(x509_freep) X509 *leaf = issue(weak, "CN=weak", pki.ca, pki.ca_key, 0);
    check(pki.ca, leaf, NULL, ESTC_PURPOSE_ANY, pki.now, "'CN=weak' has a key that is too weak");
    _cleanup(x509_freep) X509 *weak_ca = issue(weak, "CN=weak ca", NULL, NULL, 1);
    _cleanup(x509_freep) X509 *below = issue(pki.key, "CN=below", weak_ca, weak, 0);
    check(weak_ca, below, NULL, ESTC_PURPOSE_ANY, pki.now, "'CN=weak ca' has a key that is too");
    _cleanup(x509_freep) X509 *sha1 = issue(pki.key, "CN=sha1", pki.ca, pki.ca_key, 0);
    assert_true(X509_sign(sha1, pki.ca_key, EVP_sha1()));
    check(pki.ca, sha1, NULL, ESTC_PURPOSE_ANY, pki.now,
          "'CN=sha1' is signed with a hash that is too weak");
}

/* RFC 7925 section 4.4.4: at least three certificates besides the anchor. */
static void t13_takes_long_chains_but_not_endless_ones(void **state) {
    (void)state;
    for (int depth = 3; depth <= 12; depth += 9) {
        STACK_OF(X509) *chain = sk_X509_new_null();
        X509 *issuer = pki.root;
        EVP_PKEY *issuer_key = pki.root_key, *keys[12] = {0};
        for (int i = 0; i < depth; i++) {
            char name[16];
            snprintf(name, sizeof(name), "CN=ca-%d", i);
            keys[i] = support_key();
            issuer = issue(keys[i], name, issuer, issuer_key, 1);
            issuer_key = keys[i];
            sk_X509_push(chain, issuer);
        }
        _cleanup(x509_freep) X509 *leaf = issue(pki.key, "CN=leaf", issuer, issuer_key, 0);
        struct estc_trust *trust = trust_of(pki.root);
        struct estc_error err = {0};
        int rc = estc_trust_verify(trust, leaf, chain, ESTC_PURPOSE_ANY, pki.now, NULL, &err);
        assert_int_equal(rc, depth == 3 ? 0 : ESTC_E_UNTRUSTED);
        if (rc)
            assert_non_null(strstr(err.text, "chain that is too long"));
        estc_trust_free(trust);
        sk_X509_pop_free(chain, X509_free);
        for (int i = 0; i < depth; i++)
            EVP_PKEY_free(keys[i]);
    }
}

static void holds_each_anchor_once(void **state) {
    (void)state;
    struct estc_trust *trust = trust_of(pki.root);
    struct estc_buf pem = {0};
    struct estc_error err = {0};
    assert_int_equal(estc_cert_to_pem(pki.root, &pem, NULL), 0);
    assert_int_equal(estc_cert_to_pem(pki.ca, &pem, NULL), 0);
    assert_int_equal(estc_trust_add_pem(trust, pem.data, pem.len, NULL), 0);
    assert_int_equal(estc_trust_add_pem(trust, pem.data, pem.len, NULL), 0);
    assert_int_equal(estc_trust_count(trust), 2);
    const STACK_OF(X509) *anchors = estc_trust_anchors(trust);
    assert_int_equal(X509_cmp(sk_X509_value(anchors, 0), pki.root), 0);
    assert_int_equal(X509_cmp(sk_X509_value(anchors, 1), pki.ca), 0);
    assert_int_equal(estc_trust_add_pem(trust, "x", 1, &err), ESTC_E_CREDENTIAL);
    assert_int_equal(estc_trust_count(trust), 2);
    assert_null(estc_trust_free(trust));
    assert_null(estc_trust_free(NULL));
    estc_buf_clear(&pem);
}

/* What a handshake does with the store. */
static int verify_in_store(struct estc_trust *trust, int64_t now, const char *host) {
    _cleanup(x509_store_freep) X509_STORE *store = estc_trust_store_new(trust, now, NULL);
    _cleanup(x509_store_ctx_freep) X509_STORE_CTX *ctx = X509_STORE_CTX_new();
    STACK_OF(X509) *helpers = list_of(pki.ca);
    assert_true(X509_STORE_CTX_init(ctx, store, pki.leaf, helpers));
    if (host)
        X509_VERIFY_PARAM_set1_host(X509_STORE_CTX_get0_param(ctx), host, 0);
    int rc = X509_verify_cert(ctx) == 1 ? X509_V_OK : X509_STORE_CTX_get_error(ctx);
    sk_X509_free(helpers);
    ERR_clear_error();
    return rc;
}

static void stores_for_handshakes_judge_alike(void **state) {
    (void)state;
    struct estc_trust *trust = trust_of(pki.root);
    assert_int_equal(verify_in_store(trust, 0, NULL), X509_V_OK);
    assert_int_equal(verify_in_store(trust, pki.now, NULL), X509_V_OK);
    assert_int_equal(verify_in_store(trust, 1000000000, NULL), X509_V_ERR_CERT_NOT_YET_VALID);
    assert_int_equal(verify_in_store(trust, pki.now, "gw.example"), X509_V_ERR_HOSTNAME_MISMATCH);
    estc_trust_free(trust);
    trust = trust_of(pki.ca);
    assert_int_equal(verify_in_store(trust, pki.now, NULL), X509_V_OK);
    estc_trust_free(trust);
}

static void words_the_failures_of_handshakes(void **state) {
    (void)state;
    static const char *const sans[] = {"DNS:a.example", "IP:192.0.2.1", NULL};
    _cleanup(x509_freep) X509 *named =
        support_cert(pki.key, &(struct support_cert_spec){.subject = "CN=named", .sans = sans});
    struct estc_error err = {0};
    assert_int_equal(estc_trust_error(X509_V_ERR_HOSTNAME_MISMATCH, named, 0, &err),
                     ESTC_E_UNTRUSTED);
    assert_non_null(strstr(err.text, "'CN=named' is for another name (DNS:a.example, "
                                     "IP:192.0.2.1): name the peer as"));
    estc_trust_error(X509_V_ERR_IP_ADDRESS_MISMATCH, pki.leaf, 0, &err);
    assert_non_null(strstr(err.text, "is for another address (no subjectAltName)"));
    estc_trust_error(X509_V_ERR_CERT_HAS_EXPIRED, NULL, 0, &err);
    assert_string_equal(err.text, "the peer's certificate expired: renew it, or check this "
                                  "machine's clock");
    /* Not in the table: OpenSSL's words. */
    assert_int_equal(estc_trust_error(X509_V_ERR_UNABLE_TO_GET_CRL, pki.leaf, 0, &err),
                     ESTC_E_UNTRUSTED);
    assert_string_equal(err.text, "certificate 'CN=leaf' fails: unable to get certificate CRL");
    assert_int_equal(estc_trust_error(X509_V_ERR_OUT_OF_MEM, pki.leaf, 0, &err), -ENOMEM);
    struct estc_error untouched = {0};
    assert_int_equal(estc_trust_error(X509_V_OK, pki.leaf, 0, &untouched), 0);
    assert_string_equal(untouched.text, "");
}

/* Each result OpenSSL knows has a text, bounded, with the name in it. */
static void every_result_has_words(void **state) {
    (void)state;
    for (int v = 1; v < 100; v++) {
        struct estc_error err = {0};
        int rc = estc_trust_error(v, pki.leaf, pki.now, &err);
        if (v == X509_V_ERR_OUT_OF_MEM)
            continue;
        assert_int_equal(rc, ESTC_E_UNTRUSTED);
        assert_non_null(strstr(err.text, "certificate 'CN=leaf' "));
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(follows_a_chain_to_an_anchor),
        cmocka_unit_test(a_floor_forgives_beginnings_alone),
        cmocka_unit_test(returns_the_chain),
        cmocka_unit_test(needs_a_way_to_an_anchor),
        cmocka_unit_test(says_when_dates_are_wrong),
        cmocka_unit_test(looks_at_the_purpose),
        cmocka_unit_test(only_a_ca_issues),
        cmocka_unit_test(refuses_a_changed_certificate),
        cmocka_unit_test(refuses_weak_keys_and_hashes),
        cmocka_unit_test(t13_takes_long_chains_but_not_endless_ones),
        cmocka_unit_test(holds_each_anchor_once),
        cmocka_unit_test(stores_for_handshakes_judge_alike),
        cmocka_unit_test(words_the_failures_of_handshakes),
        cmocka_unit_test(every_result_has_words),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
