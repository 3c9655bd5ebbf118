/* SPDX-License-Identifier: BSD-2-Clause */
/* The registrar's decisions where it makes the keys as well: what a repeated request ends, what an
 * approval is good for, and what is a renewal. */
#include "site.h"

#include <poll.h>

#include <estc/cert.h>

#include "est-registrar/registrar_internal.h"

/* Asks /skg with that key in the request; *issued is NULL unless 0 is returned. */
static int make(struct site *s, X509 *cert, EVP_PKEY *key, X509 **issued, struct estc_error *err) {
    _cleanup(x509_req_freep) X509_REQ *csr = site_request(key, "CN=gateway-1", NULL);
    _cleanup(estc_generated_clear) struct estc_generated made = {0};
    const struct estc_seal_wish none = {0};
    const struct estc_peer peer = {.cert = cert, .address = "[::1]:1"};
    const struct estc_enroll_request in = {.op = ESTC_OP_SKG,
                                           .label = "",
                                           .csr = csr,
                                           .der = (const unsigned char *)"a request",
                                           .der_len = 9,
                                           .seal = &none};
    int64_t retry_after = 0;
    int rc = registrar_server_ops(s->registrar)
                 ->generate(s->registrar, &peer, &in, &made, &retry_after, err);
    *issued = TAKE(made.cert);
    return rc;
}

static X509 *made(struct site *s, X509 *cert, EVP_PKEY *key) {
    struct estc_error err = {0};
    X509 *issued = NULL;
    if (make(s, cert, key, &issued, &err))
        fail_msg("%s", err.text);
    return issued;
}

static void show(struct site *s, X509 *cert) {
    const struct estc_peer peer = {.cert = cert, .address = "[::1]:1"};
    _cleanup(sk_x509_freep) STACK_OF(X509) *cacerts = NULL;
    assert_int_equal(
        registrar_server_ops(s->registrar)->cacerts(s->registrar, &peer, "", &cacerts, NULL), 0);
}

/* One approval is good for one key that arrives, however many are lost, and how long it takes. */
static void d06_k17_an_approval_outlasts_lost_keys(void **state) {
    struct site *s = *state;
    struct estc_error err = {0};
    site_change(s, "name = \"devices\";", "name = \"devices\"; approval = \"manual\";");
    site_change(s, "port = 5684;", "port = 5684; server_keys = true;");
    _cleanup(pkey_freep) EVP_PKEY *key = support_key();
    X509 *device = s->device.cert, *none = NULL;
    assert_int_equal(make(s, device, key, &none, &err), ESTC_E_PENDING);
    struct ledger *ledger = s->registrar->ledger;
    assert_int_equal(ledger->ops->decide_request(ledger, 1, LEDGER_APPROVED, "", 1, NULL), 0);
    _cleanup(x509_freep) X509 *first = made(s, device, key), *second = made(s, device, key);
    site_sql(s, "UPDATE certificates SET issued_at = issued_at - 10 * 86400");
    _cleanup(x509_freep) X509 *third = made(s, device, key);
    assert_int_not_equal(X509_cmp(first, second), 0);
    assert_int_not_equal(X509_cmp(second, third), 0);
    show(s, third); /* it has arrived */
    assert_int_equal(make(s, device, key, &none, &err), ESTC_E_PENDING);
    assert_string_equal(err.text, "waits for approval as request 2");
}

static void k17_what_is_superseded_is_revoked(void **state) {
    struct site *s = *state;
    struct estc_error err = {0};
    site_change(s, "port = 5684;", "port = 5684; server_keys = true;");
    _cleanup(pkey_freep) EVP_PKEY *key = support_key();
    X509 *device = s->device.cert, *none = NULL;
    _cleanup(x509_freep) X509 *first = made(s, device, key);
    assert_false(registrar_is_revoked(s->registrar, first));
    _cleanup(x509_freep) X509 *second = made(s, device, key);
    assert_int_equal(registrar_is_revoked(s->registrar, first), 1);
    assert_false(registrar_is_revoked(s->registrar, second));
    assert_false(registrar_is_revoked(s->registrar, device)); /* of another CA: in no ledger */
    assert_int_equal(make(s, first, key, &none, &err), ESTC_E_REJECTED);
    assert_string_equal(err.text, "the client certificate is revoked");
    /* Once it was used, there is nothing to supersede: the next one stands beside it. */
    show(s, second);
    _cleanup(x509_freep) X509 *third = made(s, device, key);
    assert_false(registrar_is_revoked(s->registrar, second));
    site_sql(s, "DROP TABLE certificates"); /* nobody knows any more */
    assert_true(registrar_is_revoked(s->registrar, third) < 0);
    assert_true(registrar_is_revoked(s->registrar, device) < 0);
}

/* A certificate of ours is renewed, with the names that it has. */
static void r06_renewals_keep_names_that_are_no_longer_demanded(void **state) {
    struct site *s = *state;
    struct estc_error err = {0};
    site_change(s, "port = 5684;", "port = 5684; server_keys = true;");
    _cleanup(pkey_freep) EVP_PKEY *key = support_key();
    X509 *none = NULL;
    _cleanup(x509_freep) X509 *first = made(s, s->device.cert, key);
    site_change(s, "name = \"devices\";",
                "name = \"devices\"; attributes = { subject = [ \"O=Late\" ]; demand = true; };");
    _cleanup(x509_freep) X509 *renewed = made(s, first, key);
    assert_int_equal(X509_NAME_cmp(X509_get_subject_name(first), X509_get_subject_name(renewed)),
                     0);
    _cleanup(pkey_freep) EVP_PKEY *other = support_key();
    assert_int_equal(make(s, s->device.cert, other, &none, &err), ESTC_E_REJECTED);
    assert_non_null(strstr(err.text, "in the subject, O"));
}

/* A key that takes its time is made beside the loop, and for whoever comes first. */
static void k17_a_key_that_takes_long_is_there_later(void **state) {
    struct site *s = *state;
    struct estc_error err = {0};
    site_change(s, "port = 5684;", "port = 5684; server_keys = true;");
    _cleanup(pkey_freep) EVP_PKEY *key = EVP_RSA_gen(2048);
    X509 *none = NULL;
    for (int i = 0; i < 2; i++) { /* one at a time, each asked for anew */
        assert_int_equal(make(s, s->device.cert, key, &none, &err), ESTC_E_PENDING);
        assert_string_equal(err.text, "the key is being made (rsa2048)");
        struct pollfd ready = {.fd = registrar_fd(s->registrar), .events = POLLIN};
        assert_int_equal(poll(&ready, 1, 60000), 1);
        registrar_seen(s->registrar);
        assert_int_equal(poll(&ready, 1, 0), 0);
        _cleanup(x509_freep) X509 *cert = made(s, s->device.cert, key);
        enum estc_key_type type;
        assert_int_equal(estc_key_type_of(X509_get0_pubkey(cert), &type), 0);
        assert_int_equal(type, ESTC_KEY_RSA2048);
        assert_false(estc_cert_has_key(cert, key));
    }
    assert_int_equal(make(s, s->device.cert, key, &none, &err), ESTC_E_PENDING); /* and end */
}

int main(void) {
    const struct CMUnitTest tests[] = {
        SITED(k17_a_key_that_takes_long_is_there_later),
        SITED(d06_k17_an_approval_outlasts_lost_keys),
        SITED(k17_what_is_superseded_is_revoked),
        SITED(r06_renewals_keep_names_that_are_no_longer_demanded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
