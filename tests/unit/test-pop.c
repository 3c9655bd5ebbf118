/* SPDX-License-Identifier: BSD-2-Clause */
/* A request that says which connection it was made for is believed on that connection only. */
#include "program.h"

#include <openssl/x509v3.h>

#include "base/cleanup_ossl.h"

static const struct estc_binding here = {.len = 12, .data = "\1\2\3\4\5\6\7\10\11\12\13\14"};
#define HERE "AQIDBAUGBwgJCgsM"      /* the same in base64 */
#define ELSEWHERE "AQIDBAUGBwgJCgsN" /* the last bit differs */

/* A request with so many challengePasswords of that type, signed. */
static void make_request(struct program *p, int type, const void *text, int len, int count) {
    _cleanup(x509_req_freep) X509_REQ *req = X509_REQ_new();
    X509_ATTRIBUTE *attribute = X509_ATTRIBUTE_new();
    assert_true(X509_REQ_set_pubkey(req, p->key) &&
                X509_REQ_set_subject_name(req, X509_get_subject_name(p->peer_cert)) &&
                X509_ATTRIBUTE_set1_object(attribute, OBJ_nid2obj(NID_pkcs9_challengePassword)));
    for (int i = 0; i < count; i++)
        assert_true(X509_ATTRIBUTE_set1_data(attribute, type, text, len));
    assert_true(X509_REQ_add1_attr(req, attribute) && X509_REQ_sign(req, p->key, EVP_sha256()));
    unsigned char *der = NULL;
    int der_len = i2d_X509_REQ(req, &der);
    assert_true(der_len > 0);
    estc_buf_clear(&p->csr);
    assert_int_equal(estc_buf_append(&p->csr, der, (size_t)der_len), 0);
    OPENSSL_free(der);
    X509_ATTRIBUTE_free(attribute);
}

static struct estc_response ask_with(struct program *p, int type, const void *text, int len) {
    make_request(p, type, text, len, 1);
    struct estc_request request = post_csr(p, "/.well-known/est/sen");
    p->enrolls = 0;
    return ask(p, &request);
}

static void p01_a_request_may_claim_nothing(void **state) {
    struct program *p = *state;
    struct estc_request request = post_csr(p, "/.well-known/est/sen");
    p->peer.binding = &here;
    X509_free(assert_certs(ask(p, &request), 204, 1));
    assert_int_equal(p->pop, ESTC_POP_NONE);
}

static void p05_every_string_is_read(void **state) {
    struct program *p = *state;
    static const struct {
        int type;
        const char *text;
        int len;
    } rows[] = {
#define WIDE "A\0Q\0I\0D\0B\0A\0U\0G\0B\0w\0g\0J\0C\0g\0s\0M" /* without the first NUL */
        {V_ASN1_PRINTABLESTRING, HERE, 16},
        {V_ASN1_UTF8STRING, HERE, 16},
        {V_ASN1_T61STRING, HERE, 16},
        {V_ASN1_BMPSTRING, "\0" WIDE, 32},
        {V_ASN1_UNIVERSALSTRING,
         "\0\0\0A\0\0\0Q\0\0\0I\0\0\0D\0\0\0B\0\0\0A\0\0\0U\0\0\0G"
         "\0\0\0B\0\0\0w\0\0\0g\0\0\0J\0\0\0C\0\0\0g\0\0\0s\0\0\0M",
         64},
#undef WIDE
    };
    p->peer.binding = &here;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        X509_free(assert_certs(ask_with(p, rows[i].type, rows[i].text, rows[i].len), 204, 1));
        assert_int_equal(p->pop, ESTC_POP_BOUND);
    }
}

static void p06_r06_another_binding_is_refused(void **state) {
    struct program *p = *state;
    static const char *const rows[] = {
        ELSEWHERE,
        "AQIDBAUGBwgJCgs=", /* a byte less */
        (HERE "DA=="),      /* a byte more */
        "AQIDBAUGBwgJCgsM\n",
        "AQIDBAUG\nBwgJCgsM",
        (" " HERE),
        "AQIDBAUGBwgJCgs",
        "AAAAAAAAAAAAAAAA",
        "a shared secret",
        "=",
        "==",
        "====",
        "AQIDBAUGBwgJCgsM====",
    };
    p->peer.binding = &here;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        assert_error(ask_with(p, V_ASN1_UTF8STRING, rows[i], (int)strlen(rows[i])), 403,
                     "POP linking failed: challengePassword is not the channel binding");
        assert_int_equal(p->enrolls, 0);
    }
    /* The longest that there may be, and more than that. */
    char text[600];
    memset(text, 'A', sizeof(text));
    assert_error(ask_with(p, V_ASN1_UTF8STRING, text, 252), 403, "POP linking failed");
    assert_error(ask_with(p, V_ASN1_UTF8STRING, text, 600), 403, "POP linking failed");
    assert_error(ask_with(p, V_ASN1_UTF8STRING, HERE "\0", 17), 403, "POP linking failed");
    assert_error(ask_with(p, V_ASN1_UTF8STRING, "", 0), 403, "POP linking failed");
    assert_int_equal(p->enrolls, 0);
}

static void p06_one_value_that_is_a_string(void **state) {
    struct program *p = *state;
    struct estc_request request;
    p->peer.binding = &here;
    static const int types[] = {V_ASN1_OCTET_STRING, V_ASN1_IA5STRING, V_ASN1_INTEGER};
    for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++)
        assert_error(ask_with(p, types[i], HERE, 16), 400, "challengePassword");
    static const int counts[] = {0, 2};
    for (size_t i = 0; i < 2; i++) {
        make_request(p, V_ASN1_PRINTABLESTRING, HERE, 16, counts[i]);
        request = post_csr(p, "/.well-known/est/sen");
        assert_error(ask(p, &request), 400, "challengePassword");
    }
    assert_int_equal(p->enrolls, 0);
}

static void p10_without_a_binding_nothing_is_proven(void **state) {
    struct program *p = *state;
    static const struct estc_binding none = {.len = 0};
    const struct estc_binding *const rows[] = {NULL, &none};
    for (size_t i = 0; i < 2; i++) {
        p->peer.binding = rows[i];
        assert_error(ask_with(p, V_ASN1_PRINTABLESTRING, HERE, 16), 403, "no channel binding");
    }
    assert_int_equal(p->enrolls, 0);
}

/* --- an RA's word --- */

static bool issued_here(void *arg, const struct estc_peer *peer) {
    struct program *p = arg;
    bool ours = X509_verify(peer->cert, X509_get0_pubkey(p->ca)) == 1;
    ERR_clear_error();
    return ours;
}

static void vouch(struct program *p, const char *usages, const X509 *issuer, EVP_PKEY *issuer_key,
                  bool expected) {
    static struct estc_server_ops ops;
    ops = program_ops;
    ops.issued = issued_here;
    p->server.ops = &ops;
    X509 *own = p->peer_cert;
    p->peer.cert = p->peer_cert =
        support_cert(p->key, &(struct support_cert_spec){.subject = "CN=ra",
                                                         .eku = usages,
                                                         .issuer = (X509 *)(uintptr_t)issuer,
                                                         .issuer_key = issuer_key});
    struct estc_response r = ask_with(p, V_ASN1_PRINTABLESTRING, ELSEWHERE, 16);
    if (expected) {
        X509_free(assert_certs(r, 204, 1));
        assert_int_equal(p->pop, ESTC_POP_VOUCHED);
    } else {
        assert_error(r, 403, "POP linking failed");
        assert_int_equal(p->enrolls, 0);
    }
    X509_free(p->peer_cert);
    p->peer.cert = p->peer_cert = own;
}

static void n05_p11_only_an_ra_of_the_est_ca_vouches(void **state) {
    struct program *p = *state;
    _cleanup(pkey_freep) EVP_PKEY *key = support_key();
    _cleanup(x509_freep) X509 *other =
        support_cert(key, &(struct support_cert_spec){.subject = "CN=other", .ca = 1});
    p->peer.binding = &here;
    vouch(p, "1.3.6.1.5.5.7.3.28", p->ca, p->ca_key, true);
    vouch(p, "clientAuth,1.3.6.1.5.5.7.3.28", p->ca, p->ca_key, true);
    vouch(p, "clientAuth", p->ca, p->ca_key, false);
    vouch(p, NULL, p->ca, p->ca_key, false);
    vouch(p, "1.3.6.1.5.5.7.3.28", other, key, false);
    p->peer.binding = NULL; /* what it checked was another connection's anyway */
    vouch(p, "1.3.6.1.5.5.7.3.28", p->ca, p->ca_key, true);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        SERVED(p01_a_request_may_claim_nothing),
        SERVED(p05_every_string_is_read),
        SERVED(p06_r06_another_binding_is_refused),
        SERVED(p06_one_value_that_is_a_string),
        SERVED(p10_without_a_binding_nothing_is_proven),
        SERVED(n05_p11_only_an_ra_of_the_est_ca_vouches),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
