/* SPDX-License-Identifier: BSD-2-Clause */
/* /skg and /skc as the answering side sees them. */
#include "program.h"

#include <estc/cert.h>
#include <estc/key.h>
#include <estc/keypackage.h>

#include "base/cleanup_ossl.h"
#include "est/multipart.h"

static const unsigned char secret[16] = "0123456789abcde";

/* What the program below was asked, and what it made. */
static struct {
    int calls;
    enum estc_seal_kind wish;
    EVP_PKEY *key;
} seen;

static int generate(void *arg, const struct estc_peer *peer,
                    const struct estc_enroll_request *request, struct estc_generated *out,
                    int64_t *retry_after, struct estc_error *err) {
    struct program *p = arg;
    assert_ptr_equal(peer, &p->peer);
    seen.calls++;
    seen.wish = request->seal->kind;
    p->op = request->op;
    p->pop = request->pop;
    *retry_after = p->retry_after;
    if (p->rc)
        return estc_error_set(err, p->rc, "the program said so");
    if (p->nothing)
        return 0;
    EVP_PKEY_free(seen.key);
    seen.key = support_key();
    out->cert = support_cert(
        seen.key,
        &(struct support_cert_spec){.subject = "CN=gw", .issuer = p->ca, .issuer_key = p->ca_key});
    const struct estc_seal seal = {
        .secret = secret, .secret_len = 16, .id = request->seal->id.data, .id_len = 3};
    const struct estc_signer signer = {.cert = p->ca, .key = p->ca_key};
    return request->seal->kind == ESTC_SEAL_NONE
               ? estc_pkcs8_encode(seen.key, &out->key, err)
               : estc_keypackage_seal(seen.key, request->seal, &seal, &signer, &out->key, err);
}

static const struct estc_server_ops generating = {
    .cacerts = program_cacerts, .enroll = program_enroll, .generate = generate};

static int set_up(void **state) {
    int rc = program_setup(state);
    ((struct program *)*state)->server.ops = &generating;
    seen.calls = 0;
    return rc;
}

static int tear_down(void **state) {
    EVP_PKEY_free(seen.key);
    seen.key = NULL;
    return program_teardown(state);
}

/* The two parts of a success. */
static struct multipart parts_of(struct estc_response response) {
    struct multipart m = {0};
    assert_int_equal(response.code, 204);
    assert_int_equal(response.content_format, ESTC_FORMAT_MULTIPART);
    assert_int_equal(multipart_decode(response.payload.data, response.payload.len, &m, NULL), 0);
    estc_response_clear(&response);
    return m;
}

static X509 *cert_of(const struct multipart_part *part) {
    X509 *cert = NULL;
    if (part->format == ESTC_FORMAT_CERT) {
        assert_int_equal(estc_cert_decode(part->body.data, part->body.len, &cert, NULL), 0);
        return cert;
    }
    assert_int_equal(part->format, ESTC_FORMAT_CERTS_ONLY);
    STACK_OF(X509) *list = NULL;
    assert_int_equal(estc_certs_decode(part->body.data, part->body.len, &list, NULL), 0);
    assert_int_equal(sk_X509_num(list), 1);
    cert = sk_X509_shift(list);
    sk_X509_free(list);
    return cert;
}

static void f04_k02_k04_k09_key_and_certificate(void **state) {
    struct program *p = *state;
    static const struct {
        const char *path;
        enum estc_op op;
        int format;
    } cases[] = {{"/.well-known/est/skg", ESTC_OP_SKG, 281},
                 {"/.well-known/est/skc", ESTC_OP_SKC, 287}};
    for (size_t i = 0; i < 2; i++) {
        struct estc_request request = post_csr(p, cases[i].path);
        request.accept = i ? ESTC_FORMAT_MULTIPART : ESTC_FORMAT_NONE;
        _cleanup(multipart_clear) struct multipart m = parts_of(ask(p, &request));
        assert_int_equal(p->op, cases[i].op);
        assert_int_equal(seen.wish, ESTC_SEAL_NONE);
        assert_int_equal(m.part[0].format, 284);
        assert_int_equal(m.part[1].format, cases[i].format);
        _cleanup(pkey_freep) EVP_PKEY *key = NULL;
        assert_int_equal(estc_pkcs8_decode(m.part[0].body.data, m.part[0].body.len, &key, NULL), 0);
        assert_int_equal(EVP_PKEY_eq(key, seen.key), 1);
        _cleanup(x509_freep) X509 *cert = cert_of(&m.part[1]);
        assert_true(estc_cert_has_key(cert, key));
        assert_false(estc_cert_has_key(cert, p->key));
    }
    assert_int_equal(p->enrolls, 0);
}

static void k07_k13_sealed_when_asked_for(void **state) {
    struct program *p = *state;
    const struct estc_seal seal = {
        .secret = secret, .secret_len = 16, .id = (const unsigned char *)"kek", .id_len = 3};
    static const char *const paths[] = {"/.well-known/est/skg", "/.well-known/est/skc"};
    struct estc_trust *trust = NULL;
    assert_int_equal(estc_trust_new(&trust, NULL), 0);
    assert_int_equal(estc_trust_add(trust, p->ca, NULL), 0);
    for (size_t i = 0; i < 2; i++) {
        estc_buf_clear(&p->csr);
        assert_int_equal(estc_csr_build(p->key,
                                        &(struct estc_csr_spec){.subject = "CN=gw", .seal = &seal},
                                        &p->csr, NULL),
                         0);
        struct estc_request request = post_csr(p, paths[i]);
        _cleanup(multipart_clear) struct multipart m = parts_of(ask(p, &request));
        assert_int_equal(seen.wish, ESTC_SEAL_SECRET);
        assert_int_equal(m.part[0].format, 280);
        assert_int_equal(m.part[1].format, i ? 287 : 281);
        const struct estc_opener opener = {.seal = &seal, .trust = trust, .now = time(NULL)};
        _cleanup(pkey_freep) EVP_PKEY *key = NULL;
        assert_int_equal(
            estc_keypackage_open(m.part[0].body.data, m.part[0].body.len, &opener, &key, NULL), 0);
        assert_int_equal(EVP_PKEY_eq(key, seen.key), 1);
    }
    estc_trust_free(trust);
}

/* The signature may be broken and the key of any kind: they are not looked at. */
static void k03_key_and_signature_of_the_request_count_for_nothing(void **state) {
    struct program *p = *state;
    struct estc_request request = post_csr(p, "/.well-known/est/skg");
    p->csr.data[p->csr.len - 1] ^= 1;
    struct multipart broken = parts_of(ask(p, &request));
    multipart_clear(&broken);
    assert_error(ask(p, &(struct estc_request){.method = ESTC_POST,
                                               .path = "/.well-known/est/sen",
                                               .content_format = ESTC_FORMAT_PKCS10,
                                               .accept = ESTC_FORMAT_NONE,
                                               .payload = p->csr.data,
                                               .payload_len = p->csr.len}),
                 400, "signature");

    _cleanup(pkey_freep) EVP_PKEY *ed25519 = EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
    _cleanup(x509_req_freep) X509_REQ *csr = X509_REQ_new();
    assert_true(X509_REQ_set_pubkey(csr, ed25519) && X509_REQ_sign(csr, ed25519, NULL) > 0);
    unsigned char *der = NULL;
    int len = i2d_X509_REQ(csr, &der);
    request.payload = der;
    request.payload_len = (size_t)len;
    struct multipart foreign = parts_of(ask(p, &request));
    multipart_clear(&foreign);
    OPENSSL_free(der);
    assert_int_equal(seen.calls, 2);
}

/* The rest of the request is judged as anywhere else. */
static void k03_k12_requests_that_cannot_be_read(void **state) {
    struct program *p = *state;
    struct estc_request request = post_csr(p, "/.well-known/est/skg");
    for (size_t len = 0; len < p->csr.len; len++) {
        request.payload_len = len;
        assert_error(ask(p, &request), 400, "certification request");
    }
    static const char id_alone[] = "1.2.840.113549.1.9.16.2.37";
    _cleanup(x509_req_freep) X509_REQ *csr = X509_REQ_new();
    ASN1_OBJECT *oid = OBJ_txt2obj(id_alone, 1);
    assert_true(
        X509_REQ_set_pubkey(csr, p->key) &&
        X509_REQ_add1_attr_by_OBJ(csr, oid, V_ASN1_OCTET_STRING, (const unsigned char *)"kek", 3) &&
        X509_REQ_sign(csr, p->key, EVP_sha256()) > 0);
    ASN1_OBJECT_free(oid);
    unsigned char *der = NULL;
    int len = i2d_X509_REQ(csr, &der);
    request.payload = der;
    request.payload_len = (size_t)len;
    assert_error(ask(p, &request), 400, "SMIMECapabilities");
    OPENSSL_free(der);
    assert_int_equal(seen.calls, 0);
}

static void p06_a_binding_is_held_against_the_connection(void **state) {
    struct program *p = *state;
    estc_buf_clear(&p->csr);
    assert_int_equal(
        estc_csr_build(p->key,
                       &(struct estc_csr_spec){.subject = "CN=gw", .challenge = "AAAAAAAAAAAAAAAA"},
                       &p->csr, NULL),
        0);
    struct estc_request request = post_csr(p, "/.well-known/est/skg");
    assert_error(ask(p, &request), 403, "");
    assert_int_equal(seen.calls, 0);
}

static void f07_f08_formats(void **state) {
    struct program *p = *state;
    static const int accepts[] = {280, 281, 284, 286, 287, 0};
    for (size_t i = 0; i < sizeof(accepts) / sizeof(accepts[0]); i++) {
        struct estc_request request = post_csr(p, "/.well-known/est/skc");
        request.accept = accepts[i];
        assert_error(ask(p, &request), 406, "62");
    }
    struct estc_request request = post_csr(p, "/.well-known/est/skc");
    request.content_format = ESTC_FORMAT_MULTIPART;
    assert_error(ask(p, &request), 415, "286");
    request = post_csr(p, "/.well-known/est/skg");
    request.method = ESTC_GET;
    assert_error(ask(p, &request), 405, "POST");
    assert_int_equal(seen.calls, 0);
}

static void k11_d03_what_the_program_refuses(void **state) {
    struct program *p = *state;
    static const struct {
        int rc;
        unsigned code;
        const char *text;
    } cases[] = {
        {ESTC_E_REJECTED, 403, "the program said so"},
        {ESTC_E_NOT_FOUND, 404, "the program said so"},
        {ESTC_E_PENDING, 503, "the program said so"},
        {ESTC_E_CREDENTIAL, 500, "internal error"},
    };
    p->retry_after = 7;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct estc_request request = post_csr(p, "/.well-known/est/skg");
        p->rc = cases[i].rc;
        struct estc_response response = ask(p, &request);
        assert_true(response.max_age == (cases[i].code == 503 ? 7 : -1));
        assert_error(response, cases[i].code, cases[i].text);
    }
    p->rc = 0;
    p->nothing = true;
    struct estc_request request = post_csr(p, "/.well-known/est/skg");
    assert_error(ask(p, &request), 500, "internal error");
}

static void k01_a_program_that_makes_no_keys(void **state) {
    struct program *p = *state;
    p->server.ops = &program_ops;
    static const char *const paths[] = {"/.well-known/est/skg", "/.well-known/est/skc"};
    for (size_t i = 0; i < 2; i++) {
        struct estc_request request = post_csr(p, paths[i]);
        assert_error(ask(p, &request), 404, "no keys");
    }
}

#define GENERATED(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void) {
    const struct CMUnitTest tests[] = {
        GENERATED(f04_k02_k04_k09_key_and_certificate),
        GENERATED(k07_k13_sealed_when_asked_for),
        GENERATED(k03_key_and_signature_of_the_request_count_for_nothing),
        GENERATED(k03_k12_requests_that_cannot_be_read),
        GENERATED(p06_a_binding_is_held_against_the_connection),
        GENERATED(f07_f08_formats),
        GENERATED(k11_d03_what_the_program_refuses),
        GENERATED(k01_a_program_that_makes_no_keys),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
