/* SPDX-License-Identifier: BSD-2-Clause */
/* What of a /crts answer becomes an anchor, an intermediate, or nothing. */
#include "support.h"

#include <stdbool.h>
#include <string.h>
#include <time.h>

#include <openssl/err.h>

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

    /* A stranger's CA leads nowhere and is dropped, its root absent; the root would be an anchor.
     */
    _cleanup(x509_freep) X509 *lost = support_cert(
        int_key,
        &(struct support_cert_spec){
            .subject = "CN=lost", .ca = 1, .issuer = stranger.ca, .issuer_key = stranger.key});
    X509 *leading_nowhere[] = {root, inter, lost};
    s = accept_of(leading_nowhere, 3, NULL);
    assert_int_equal(s.rc, 0);
    assert_int_equal(s.anchors, 1);
    assert_int_equal(s.intermediates, 1);
    X509 *strange[] = {root, inter, stranger.ca};
    s = accept_of(strange, 3, NULL);
    assert_int_equal(s.anchors, 2);
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
static void x05_a_change_of_roots_is_taken_whole(void **state) {
    (void)state;
    _cleanup(pkey_freep) EVP_PKEY *old_key = support_key(), *new_key = support_key();
    struct support_cert_spec spec = {.subject = "CN=root", .ca = 1};
    _cleanup(x509_freep) X509 *owo = support_cert(old_key, &spec);
    _cleanup(x509_freep) X509 *nwn = support_cert(new_key, &spec);
    spec.issuer = owo;
    spec.issuer_key = old_key;
    _cleanup(x509_freep) X509 *nwo = support_cert(new_key, &spec);
    spec.issuer = nwn;
    spec.issuer_key = new_key;
    _cleanup(x509_freep) X509 *own = support_cert(old_key, &spec);
    X509 *certs[] = {owo, nwo, own, nwn};
    struct sorted s = accept_of(certs, 4, NULL);
    assert_int_equal(s.rc, 0);
    assert_int_equal(s.anchors, 2);
    assert_int_equal(s.intermediates, 2);
}

/* SHA-1 and 2014: RFC 7030's own example must not become anybody's trust. */
static void the_example_of_rfc_7030_is_too_old(void **state) {
    (void)state;
    struct estc_buf vector = support_vector("7030-A1-cacerts-response.p7.der");
    _cleanup(sk_x509_freep) STACK_OF(X509) *certs = NULL;
    assert_int_equal(estc_certs_decode(vector.data, vector.len, &certs, NULL), 0);
    X509 *list[4];
    for (int i = 0; i < 4; i++)
        list[i] = sk_X509_value(certs, i);
    struct sorted s = accept_of(list, 4, NULL);
    assert_int_equal(s.rc, ESTC_E_UNTRUSTED);
    assert_non_null(strstr(s.err.text, "expired 2014-"));
    estc_buf_clear(&vector);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(c08_cacerts_are_sorted),
        cmocka_unit_test(expired_roots_are_no_anchors),
        cmocka_unit_test(self_signed_leaves_are_no_anchors),
        cmocka_unit_test(x05_a_change_of_roots_is_taken_whole),
        cmocka_unit_test(the_example_of_rfc_7030_is_too_old),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
