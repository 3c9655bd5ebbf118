/* SPDX-License-Identifier: BSD-2-Clause */
/* What of a /crts answer becomes an anchor, an intermediate, or nothing. */
#include "support.h"

#include <stdbool.h>
#include <string.h>
#include <time.h>

#include <openssl/err.h>

#include <estc/cert.h>
#include <estc/certs.h>
#include <estc/client.h>

#include "base/cleanup_ossl.h"

/* A CA that nobody here has to do with. */
static struct {
    EVP_PKEY *key;
    X509 *ca;
} stranger;

static int setup(void **state) {
    (void)state;
    stranger.key = support_key();
    stranger.ca =
        support_cert(stranger.key, &(struct support_cert_spec){.subject = "CN=stranger", .ca = 1});
    return 0;
}

static int teardown(void **state) {
    (void)state;
    EVP_PKEY_free(stranger.key);
    X509_free(stranger.ca);
    return 0;
}

/* Sorts what a server of this test's making would send. */
struct sorted {
    int rc, anchors, intermediates;
    struct estc_error err;
    bool has_ca_anchor;
};

static struct sorted accept_of(X509 *const *certs, size_t count, X509 *configured_anchor) {
    struct estc_trust *configured = NULL, *anchors = NULL;
    STACK_OF(X509) *received = sk_X509_new_null(), *rest = NULL;
    struct sorted s = {0};
    for (size_t i = 0; i < count; i++)
        sk_X509_push(received, certs[i]);
    assert_int_equal(estc_trust_new(&configured, NULL), 0);
    if (configured_anchor)
        assert_int_equal(estc_trust_add(configured, configured_anchor, NULL), 0);
    s.rc = estc_cacerts_accept(received, configured, time(NULL), &anchors, &rest, &s.err);
    assert_int_equal(s.rc == 0, anchors && rest);
    if (anchors) {
        s.anchors = (int)estc_trust_count(anchors);
        s.has_ca_anchor = X509_cmp(sk_X509_value(estc_trust_anchors(anchors), 0),
                                   configured_anchor ? configured_anchor : certs[0]) == 0;
    }
    s.intermediates = rest ? sk_X509_num(rest) : -1;
    sk_X509_free(received);
    sk_X509_pop_free(rest, X509_free);
    estc_trust_free(anchors);
    estc_trust_free(configured);
    assert_int_equal(ERR_peek_error(), 0);
    return s;
}

static void c08_cacerts_are_sorted(void **state) {
    (void)state;
    _cleanup(pkey_freep) EVP_PKEY *root_key = support_key(), *int_key = support_key();
    _cleanup(x509_freep) X509 *root =
        support_cert(root_key, &(struct support_cert_spec){.subject = "CN=root", .ca = 1});
    _cleanup(x509_freep) X509 *inter = support_cert(
        int_key, &(struct support_cert_spec){
                     .subject = "CN=int", .ca = 1, .issuer = root, .issuer_key = root_key});
    _cleanup(x509_freep) X509 *sub = support_cert(
        stranger.key, &(struct support_cert_spec){
                          .subject = "CN=sub", .ca = 1, .issuer = inter, .issuer_key = int_key});
    _cleanup(x509_freep) X509 *leaf = support_cert(
        stranger.key,
        &(struct support_cert_spec){.subject = "CN=leaf", .issuer = root, .issuer_key = root_key});

    X509 *all[] = {root, sub, inter, leaf, root};
    struct sorted s = accept_of(all, 5, NULL);
    assert_int_equal(s.rc, 0);
    assert_int_equal(s.anchors, 1);
    assert_int_equal(s.intermediates, 2); /* the leaf is nobody's issuer */
    assert_true(s.has_ca_anchor);

    /* A stranger's CA leads nowhere and is dropped. */
    _cleanup(x509_freep) X509 *lost = support_cert(
        int_key,
        &(struct support_cert_spec){
            .subject = "CN=lost", .ca = 1, .issuer = stranger.ca, .issuer_key = stranger.key});
    X509 *leading_nowhere[] = {root, inter, lost};
    s = accept_of(leading_nowhere, 3, NULL);
    assert_int_equal(s.rc, 0);
    assert_int_equal(s.anchors, 1);
    assert_int_equal(s.intermediates, 1);
    /* A stranger's root is nobody's anchor, wherever it stands: it does not lead to the newest. */
    _cleanup(x509_freep) X509 *older = support_cert(
        stranger.key, &(struct support_cert_spec){
                          .subject = "CN=older", .ca = 1, .not_after = time(NULL) + 3600});
    X509 *strange[] = {root, inter, older};
    s = accept_of(strange, 3, NULL);
    assert_int_equal(s.anchors, 1);
    assert_true(s.has_ca_anchor);
    assert_int_equal(s.intermediates, 1);

    /* No root in it: only what leads to the configured anchor. */
    X509 *rootless[] = {sub, inter};
    s = accept_of(rootless, 2, root);
    assert_int_equal(s.rc, 0);
    assert_int_equal(s.anchors, 1);
    assert_int_equal(s.intermediates, 2);
    assert_true(s.has_ca_anchor);
    s = accept_of(rootless, 2, inter); /* itself configured */
    assert_int_equal(s.rc, 0);
    assert_int_equal(s.intermediates, 1);
    s = accept_of(rootless, 2, stranger.ca);
    assert_int_equal(s.rc, ESTC_E_UNTRUSTED);
    assert_non_null(strstr(s.err.text, "/crts: no CA certificate of the answer can be trusted"));
    s = accept_of(rootless, 2, NULL);
    assert_int_equal(s.rc, ESTC_E_UNTRUSTED);

    X509 *no_ca[] = {leaf};
    s = accept_of(no_ca, 1, root);
    assert_int_equal(s.rc, ESTC_E_UNTRUSTED);
    assert_non_null(strstr(s.err.text, "none of its certificates is a CA's"));
}

static void expired_roots_are_no_anchors(void **state) {
    (void)state;
    _cleanup(pkey_freep) EVP_PKEY *key = support_key();
    _cleanup(x509_freep) X509 *old = support_cert(
        key, &(struct support_cert_spec){
                 .subject = "CN=old", .ca = 1, .not_before = 1500000000, .not_after = 1600000000});
    X509 *certs[] = {old};
    struct sorted s = accept_of(certs, 1, stranger.ca);
    assert_int_equal(s.rc, ESTC_E_UNTRUSTED);
    assert_non_null(strstr(s.err.text, "'CN=old' expired"));
    X509 *both[] = {stranger.ca, old};
    s = accept_of(both, 2, NULL);
    assert_int_equal(s.rc, 0);
    assert_int_equal(s.anchors, 1);
    assert_true(s.has_ca_anchor);
}

static void self_signed_leaves_are_no_anchors(void **state) {
    (void)state;
    _cleanup(pkey_freep) EVP_PKEY *key = support_key();
    _cleanup(x509_freep) X509 *alone =
        support_cert(key, &(struct support_cert_spec){.subject = "CN=alone"});
    X509 *certs[] = {alone};
    struct sorted s = accept_of(certs, 1, stranger.ca);
    assert_int_equal(s.rc, ESTC_E_UNTRUSTED);
    X509 *both[] = {alone, stranger.ca};
    s = accept_of(both, 2, NULL);
    assert_int_equal(s.rc, 0);
    assert_int_equal(s.anchors, 1);
    assert_int_equal(s.intermediates, 0);
}

/* RFC 4210 section 4.4: old and new root, and each signed by the other. */
struct rollover {
    EVP_PKEY *old_key, *new_key;
    X509 *owo, *nwn, *nwo, *own;
};

static struct rollover roll(void) {
    struct rollover r = {.old_key = support_key(), .new_key = support_key()};
    int64_t now = time(NULL);
    struct support_cert_spec spec = {.subject = "CN=root", .ca = 1, .not_after = now + 86400};
    r.owo = support_cert(r.old_key, &spec);
    spec.not_after = now + 2 * 86400;
    r.nwn = support_cert(r.new_key, &spec);
    spec.not_after = now + 86400;
    spec.issuer = r.owo;
    spec.issuer_key = r.old_key;
    r.nwo = support_cert(r.new_key, &spec);
    spec.issuer = r.nwn;
    spec.issuer_key = r.new_key;
    r.own = support_cert(r.old_key, &spec);
    return r;
}

static void rollover_clear(struct rollover *r) {
    X509_free(r->owo);
    X509_free(r->nwn);
    X509_free(r->nwo);
    X509_free(r->own);
    EVP_PKEY_free(r->old_key);
    EVP_PKEY_free(r->new_key);
}

static void c03_c06_c08_x05_a_change_of_roots(void **state) {
    (void)state;
    _cleanup(rollover_clear) struct rollover r = roll();
    /* In every order. */
    X509 *const orders[][4] = {{r.owo, r.nwo, r.own, r.nwn},
                               {r.nwn, r.own, r.nwo, r.owo},
                               {r.own, r.nwn, r.owo, r.nwo},
                               {r.nwo, r.owo, r.nwn, r.own}};
    for (size_t i = 0; i < 4; i++) {
        struct sorted s = accept_of(orders[i], 4, r.nwn);
        assert_int_equal(s.rc, 0);
        assert_int_equal(s.anchors, 1);
        assert_true(s.has_ca_anchor); /* NewWithNew */
        assert_int_equal(s.intermediates, 2);
    }
    /* Without a way from the new key to the old one the old root is out. */
    X509 *no_way[] = {r.owo, r.nwo, r.nwn};
    struct sorted s = accept_of(no_way, 3, r.nwn);
    assert_true(s.has_ca_anchor);
    assert_int_equal(s.anchors, 1);
    assert_int_equal(s.intermediates, 0);
}

static void x05_both_keys_certificates_stay_good(void **state) {
    (void)state;
    _cleanup(rollover_clear) struct rollover r = roll();
    struct support_cert_spec spec = {
        .subject = "CN=leaf", .issuer = r.owo, .issuer_key = r.old_key};
    _cleanup(pkey_freep) EVP_PKEY *key = support_key();
    _cleanup(x509_freep) X509 *by_old = support_cert(key, &spec);
    spec.issuer = r.nwn;
    spec.issuer_key = r.new_key;
    _cleanup(x509_freep) X509 *by_new = support_cert(key, &spec);
    STACK_OF(X509) *received = sk_X509_new_null(), *rest = NULL;
    X509 *all[] = {r.owo, r.nwo, r.own, r.nwn};
    for (size_t i = 0; i < 4; i++)
        sk_X509_push(received, all[i]);
    struct estc_trust *anchors = NULL, *held = NULL;
    struct estc_error err = {0};
    int64_t now = time(NULL);
    assert_int_equal(estc_cacerts_accept(received, NULL, now, &anchors, &rest, &err), 0);
    assert_int_equal(sk_X509_num(estc_trust_helpers(anchors)), 2);
    X509 *const leaves[] = {by_old, by_new};
    for (size_t i = 0; i < 2; i++)
        if (estc_trust_verify(anchors, leaves[i], NULL, ESTC_PURPOSE_ANY, now, NULL, &err))
            fail_msg("%zu: %s", i, err.text);
    /* Whoever was away and holds the old root gets to the new key by NewWithOld, and only by it. */
    assert_int_equal(estc_trust_new(&held, NULL), 0);
    assert_int_equal(estc_trust_add(held, r.owo, NULL), 0);
    assert_int_equal(estc_trust_verify(held, by_new, NULL, ESTC_PURPOSE_ANY, now, NULL, &err),
                     ESTC_E_UNTRUSTED);
    sk_X509_set(received, 0, r.nwo);
    assert_int_equal(estc_trust_verify(held, by_new, received, ESTC_PURPOSE_ANY, now, NULL, &err),
                     0);
    sk_X509_free(received);
    sk_X509_pop_free(rest, X509_free);
    estc_trust_free(anchors);
    estc_trust_free(held);
}

/* Both mistakes of RFC 7030's own example, made with certificates that are otherwise good. */
static void x05_no_way_through_what_is_no_ca_or_another_name(void **state) {
    (void)state;
    _cleanup(rollover_clear) struct rollover r = roll();
    struct support_cert_spec spec = {
        .subject = "CN=root", .issuer = r.nwn, .issuer_key = r.new_key};
    _cleanup(x509_freep) X509 *no_ca = support_cert(r.old_key, &spec);
    spec.subject = "CN=another root";
    spec.ca = 1;
    _cleanup(x509_freep) X509 *no_name = support_cert(r.old_key, &spec);
    spec =
        (struct support_cert_spec){.subject = "CN=leaf", .issuer = r.owo, .issuer_key = r.old_key};
    _cleanup(pkey_freep) EVP_PKEY *key = support_key();
    _cleanup(x509_freep) X509 *leaf = support_cert(key, &spec);
    X509 *const helpers[] = {no_ca, no_name};
    for (size_t i = 0; i < 2; i++) {
        STACK_OF(X509) *received = sk_X509_new_null(), *rest = NULL;
        struct estc_trust *anchors = NULL;
        sk_X509_push(received, r.nwn);
        sk_X509_push(received, helpers[i]);
        assert_int_equal(estc_cacerts_accept(received, NULL, time(NULL), &anchors, &rest, NULL), 0);
        assert_int_equal(sk_X509_num(rest), i); /* another name is a CA of its own */
        assert_int_equal(
            estc_trust_verify(anchors, leaf, received, ESTC_PURPOSE_ANY, time(NULL), NULL, NULL),
            ESTC_E_UNTRUSTED);
        sk_X509_free(received);
        sk_X509_pop_free(rest, X509_free);
        estc_trust_free(anchors);
    }
}

static void x05_the_example_of_rfc_7030(void **state) {
    (void)state;
    struct estc_buf vector = support_vector("7030-A1-cacerts-response.p7.der");
    _cleanup(sk_x509_freep) STACK_OF(X509) *certs = NULL;
    assert_int_equal(estc_certs_decode(vector.data, vector.len, &certs, NULL), 0);
    X509 *list[4];
    for (int i = 0; i < 4; i++)
        list[i] = sk_X509_value(certs, i);
    /* SHA-1 and 2014: it must not become anybody's trust today. */
    struct sorted s = accept_of(list, 4, NULL);
    assert_int_equal(s.rc, ESTC_E_UNTRUSTED);
    assert_non_null(strstr(s.err.text, "expired 2014-"));
    /* While it was new: a root, and nothing else, since the certificates between the keys are no
     * CA's and all four names differ. */
    struct estc_trust *anchors = NULL;
    STACK_OF(X509) *rest = NULL;
    struct estc_error err = {0};
    struct estc_cert_facts facts = {0};
    assert_int_equal(estc_cert_facts_get(list[0], &facts, NULL), 0);
    int64_t then = facts.not_before + 86400;
    estc_cert_facts_clear(&facts);
    if (estc_cacerts_accept(certs, NULL, then, &anchors, &rest, &err))
        fail_msg("%s", err.text);
    assert_int_equal(estc_trust_count(anchors), 1);
    assert_int_equal(sk_X509_num(rest), 0);
    sk_X509_pop_free(rest, X509_free);
    estc_trust_free(anchors);
    estc_buf_clear(&vector);
}

static struct estc_fingerprint fingerprint_of(const X509 *cert) {
    struct estc_fingerprint fp = {.digest = EVP_sha256()};
    assert_true(X509_digest(cert, EVP_sha256(), fp.hash, NULL));
    return fp;
}

static void c07_s05_a_fingerprint_confirms_a_root_and_nothing_else(void **state) {
    (void)state;
    _cleanup(rollover_clear) struct rollover r = roll();
    _cleanup(x509_freep) X509 *old = support_cert(
        r.old_key,
        &(struct support_cert_spec){
            .subject = "CN=old", .ca = 1, .not_before = 1500000000, .not_after = 1600000000});
    STACK_OF(X509) *received = sk_X509_new_null();
    X509 *all[] = {r.nwn, r.own, old};
    for (size_t i = 0; i < 3; i++)
        sk_X509_push(received, all[i]);
    const struct {
        const X509 *confirmed;
        int result;
        const char *text;
    } rows[] = {
        {r.nwn, 0, ""},
        {r.owo, ESTC_E_UNTRUSTED, "none of the server's 3 CA certificates"},
        {r.own, ESTC_E_UNTRUSTED, "is no root"},
        {old, ESTC_E_UNTRUSTED, "expired"},
    };
    for (size_t i = 0; i < 4; i++) {
        struct estc_fingerprint fp = fingerprint_of(rows[i].confirmed);
        struct estc_trust *anchor = NULL;
        struct estc_error err = {0};
        assert_int_equal(estc_cacerts_confirm(received, &fp, time(NULL), &anchor, &err),
                         rows[i].result);
        assert_non_null(strstr(err.text, rows[i].text));
        assert_int_equal(anchor != NULL, rows[i].result == 0);
        if (anchor) {
            assert_int_equal(estc_trust_count(anchor), 1);
            assert_int_equal(X509_cmp(sk_X509_value(estc_trust_anchors(anchor), 0), r.nwn), 0);
            assert_int_equal(sk_X509_num(estc_trust_helpers(anchor)), 0);
        }
        estc_trust_free(anchor);
    }
    sk_X509_free(received);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(c08_cacerts_are_sorted),
        cmocka_unit_test(expired_roots_are_no_anchors),
        cmocka_unit_test(self_signed_leaves_are_no_anchors),
        cmocka_unit_test(c03_c06_c08_x05_a_change_of_roots),
        cmocka_unit_test(x05_both_keys_certificates_stay_good),
        cmocka_unit_test(x05_no_way_through_what_is_no_ca_or_another_name),
        cmocka_unit_test(x05_the_example_of_rfc_7030),
        cmocka_unit_test(c07_s05_a_fingerprint_confirms_a_root_and_nothing_else),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
