/* SPDX-License-Identifier: BSD-2-Clause */
/* The answering side, asked as a transport would, with a small program behind it that really signs.
 */
#include "support.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/err.h>

#include <estc/cert.h>
#include <estc/certs.h>
#include <estc/csr.h>
#include <estc/log.h>
#include <estc/server.h>

#include "base/cleanup_ossl.h"

/* A program: issues what is asked, or fails as it is told. */
struct program {
    EVP_PKEY *ca_key, *key;
    X509 *ca, *peer_cert;
    struct estc_peer peer;
    struct estc_server server;
    struct estc_buf csr; /* with the names of peer_cert */
    /* its part */
    int rc;
    bool nothing; /* succeed without an output */
    bool whole_chain;
    int64_t retry_after;
    int cacerts, enrolls;
    char label[64];
    enum estc_op op;
};

static int program_cacerts(void *arg, const struct estc_peer *peer, const char *label,
                           STACK_OF(X509) * *out, struct estc_error *err) {
    struct program *p = arg;
    p->cacerts++;
    snprintf(p->label, sizeof(p->label), "%s", label);
    assert_ptr_equal(peer, &p->peer);
    if (p->rc)
        return estc_error_set(err, p->rc, "the program said so");
    *out = sk_X509_new_null();
    for (int i = 0; !p->nothing && i < 1 + p->whole_chain; i++)
        assert_true(X509_up_ref(p->ca) && sk_X509_push(*out, p->ca));
    return 0;
}

static int program_enroll(void *arg, const struct estc_peer *peer,
                          const struct estc_enroll_request *request, X509 **issued,
                          int64_t *retry_after, struct estc_error *err) {
    struct program *p = arg;
    p->enrolls++;
    p->op = request->op;
    snprintf(p->label, sizeof(p->label), "%s", request->label);
    assert_ptr_equal(peer, &p->peer);
    assert_int_equal(request->der_len, p->csr.len);
    *retry_after = p->retry_after;
    if (p->rc)
        return estc_error_set(err, p->rc, "the program said so");
    if (!p->nothing)
        *issued = support_cert(X509_REQ_get0_pubkey(request->csr),
                               &(struct support_cert_spec){
                                   .subject = "CN=gw", .issuer = p->ca, .issuer_key = p->ca_key});
    return 0;
}

static const struct estc_server_ops program_ops = {program_cacerts, program_enroll};

static int setup(void **state) {
    static const char *const sans[] = {"DNS:gw.example", NULL};
    struct program *p = calloc(1, sizeof(*p));
    p->ca_key = support_key();
    p->key = support_key();
    p->ca = support_cert(p->ca_key, &(struct support_cert_spec){.subject = "CN=ca", .ca = 1});
    p->peer_cert = support_cert(p->key, &(struct support_cert_spec){.subject = "CN=gw,O=x",
                                                                    .sans = sans,
                                                                    .issuer = p->ca,
                                                                    .issuer_key = p->ca_key});
    p->peer = (struct estc_peer){.cert = p->peer_cert, .address = "[2001:db8::1]:40000"};
    p->server = (struct estc_server){.ops = &program_ops, .arg = p};
    *state = p;
    return estc_csr_build(p->key, &(struct estc_csr_spec){.renew = p->peer_cert}, &p->csr, NULL);
}

static int teardown(void **state) {
    struct program *p = *state;
    EVP_PKEY_free(p->ca_key);
    EVP_PKEY_free(p->key);
    X509_free(p->ca);
    X509_free(p->peer_cert);
    estc_buf_clear(&p->csr);
    free(p);
    return 0;
}

static struct estc_response ask(const struct program *p, const struct estc_request *request) {
    struct estc_response response = {0};
    estc_server_answer(&p->server, &p->peer, request, &response);
    assert_int_equal(ERR_peek_error(), 0);
    return response;
}

static struct estc_request get_crts(void) {
    return (struct estc_request){.method = ESTC_GET,
                                 .path = "/.well-known/est/crts",
                                 .content_format = ESTC_FORMAT_NONE,
                                 .accept = ESTC_FORMAT_NONE};
}

static struct estc_request post_csr(const struct program *p, const char *path) {
    return (struct estc_request){.method = ESTC_POST,
                                 .path = path,
                                 .content_format = ESTC_FORMAT_PKCS10,
                                 .accept = ESTC_FORMAT_NONE,
                                 .payload = p->csr.data,
                                 .payload_len = p->csr.len};
}

/* An error, with a diagnostic that is one: text without a content format. */
static void assert_error(struct estc_response response, unsigned code, const char *text) {
    if (response.code != code || !response.payload.data ||
        !strstr((char *)response.payload.data, text))
        fail_msg("%u with '%s', expected %u with '%s'", response.code,
                 response.payload.data ? (char *)response.payload.data : "", code, text);
    assert_int_equal(response.content_format, ESTC_FORMAT_NONE);
    estc_response_clear(&response);
}

/* A success whose certs-only holds count certificates, the first of which is returned. */
static X509 *assert_certs(struct estc_response response, unsigned code, int count) {
    STACK_OF(X509) *list = NULL;
    assert_int_equal(response.code, code);
    assert_int_equal(response.content_format, ESTC_FORMAT_CERTS_ONLY);
    assert_true(response.max_age == -1);
    assert_int_equal(estc_certs_decode(response.payload.data, response.payload.len, &list, NULL),
                     0);
    assert_int_equal(sk_X509_num(list), count);
    X509 *first = sk_X509_shift(list);
    sk_X509_pop_free(list, X509_free);
    estc_response_clear(&response);
    return first;
}

static void f02_crts_answers_205_and_281(void **state) {
    struct program *p = *state;
    struct estc_request request = get_crts();
    static const int accepts[] = {ESTC_FORMAT_NONE, ESTC_FORMAT_CERTS_ONLY};
    p->whole_chain = true;
    for (size_t i = 0; i < 2; i++) {
        request.accept = accepts[i];
        X509 *first = assert_certs(ask(p, &request), 205, 2);
        assert_int_equal(X509_cmp(first, p->ca), 0);
        X509_free(first);
    }
    assert_int_equal(p->cacerts, 2);
    assert_string_equal(p->label, "");
}

static void e05_enrolment_answers_204_with_one_certificate(void **state) {
    struct program *p = *state;
    static const char *const paths[] = {"/.well-known/est/sen", "/.well-known/est/sren"};
    for (size_t i = 0; i < 2; i++) {
        struct estc_request request = post_csr(p, paths[i]);
        X509 *issued = assert_certs(ask(p, &request), 204, 1);
        assert_true(estc_cert_has_key(issued, p->key));
        assert_int_equal(p->op, i ? ESTC_OP_SREN : ESTC_OP_SEN);
        X509_free(issued);
    }
    assert_int_equal(p->enrolls, 2);
}

static void f06_pkix_cert_where_it_was_asked_for(void **state) {
    struct program *p = *state;
    struct estc_request requests[] = {get_crts(), post_csr(p, "/.well-known/est/sen")};
    for (size_t i = 0; i < 2; i++) {
        requests[i].accept = ESTC_FORMAT_CERT;
        struct estc_response response = ask(p, &requests[i]);
        assert_int_equal(response.code, i ? 204 : 205);
        assert_int_equal(response.content_format, ESTC_FORMAT_CERT);
        const unsigned char *at = response.payload.data;
        _cleanup(x509_freep) X509 *cert = d2i_X509(NULL, &at, (long)response.payload.len);
        assert_non_null(cert);
        assert_ptr_equal(at, response.payload.data + response.payload.len);
        estc_response_clear(&response);
    }
}

static void c13_one_certificate_is_not_part_of_two(void **state) {
    struct program *p = *state;
    struct estc_request request = get_crts();
    request.accept = ESTC_FORMAT_CERT;
    p->whole_chain = true;
    assert_error(ask(p, &request), 406, "281");
}

static void f07_wishes_that_cannot_be_met(void **state) {
    struct program *p = *state;
    static const int accepts[] = {0, 40, 62, 280, 284, 285, 286, 65535};
    for (size_t i = 0; i < sizeof(accepts) / sizeof(accepts[0]); i++) {
        struct estc_request request = get_crts();
        request.accept = accepts[i];
        assert_error(ask(p, &request), 406, "281");
        request = post_csr(p, "/.well-known/est/sen");
        request.accept = accepts[i];
        assert_error(ask(p, &request), 406, "281");
    }
    assert_int_equal(p->cacerts + p->enrolls, 0); /* nothing issued for nobody */
}

static void f08_request_formats(void **state) {
    struct program *p = *state;
    struct estc_request request = post_csr(p, "/.well-known/est/sen");
    static const int formats[] = {0, 42, 281, 287, 65535};
    for (size_t i = 0; i < sizeof(formats) / sizeof(formats[0]); i++) {
        request.content_format = formats[i];
        assert_error(ask(p, &request), 415, "286");
    }
    assert_int_equal(p->enrolls, 0);
    request.content_format = ESTC_FORMAT_NONE; /* read as PKCS#10 */
    X509_free(assert_certs(ask(p, &request), 204, 1));
}

static void methods_are_not_interchangeable(void **state) {
    struct program *p = *state;
    struct estc_request request = post_csr(p, "/.well-known/est/crts");
    assert_error(ask(p, &request), 405, "GET");
    request = get_crts();
    request.path = "/.well-known/est/sren";
    assert_error(ask(p, &request), 405, "POST");
    assert_int_equal(p->cacerts + p->enrolls, 0);
}

static void u01_u03_paths(void **state) {
    struct program *p = *state;
    static const struct {
        const char *root, *path, *label; /* no label: 4.04 */
    } cases[] = {
        {NULL, "/.well-known/est/crts", ""},
        {NULL, "/.well-known/est/plant-7/crts", "plant-7"},
        {"/est", "/.well-known/est/crts", ""},
        {"/est", "/est/crts", ""},
        {"/est", "/est/a/crts", "a"},
        {"/.well-known", "/.well-known/crts", ""},
        {"/.well-known", "/.well-known/est/crts", ""}, /* the default root, not a label "est" */
        {"/.well-known", "/.well-known/x/crts", "x"},
        {NULL, "/est/crts", NULL},
        {NULL, "/.well-known/est", NULL},
        {NULL, "/.well-known/est/", NULL},
        {NULL, "/.well-known/est/crts/", NULL},
        {NULL, "/.well-known/est//crts", NULL},
        {NULL, "/.well-known/est/a/b/crts", NULL},
        {NULL, "/.well-known/est/cacerts", NULL},
        {NULL, "/.well-known/est/fullcmc", NULL},
        {NULL, "/.well-known/est/sen/crts", NULL},
        {NULL, "/.well-known/est/csrattrs/crts", NULL},
        {NULL, "/.well-known/est/../crts", NULL},
        {NULL, "/.well-known/estcrts", NULL},
        {NULL, "/.well-known/est/CRTS", NULL},
        {NULL, "/.well-known/est/a\nb/crts", NULL},
        {NULL, "/.well-known/core", NULL},
        {NULL, "/", NULL},
        {NULL, "", NULL},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct estc_request request = get_crts();
        p->server.root = cases[i].root;
        request.path = cases[i].path;
        if (!cases[i].label) {
            assert_error(ask(p, &request), 404, "no such resource");
            continue;
        }
        X509_free(assert_certs(ask(p, &request), 205, 1));
        assert_string_equal(p->label, cases[i].label);
    }
    struct estc_request request = post_csr(p, "/.well-known/est/plant-7/sen");
    X509_free(assert_certs(ask(p, &request), 204, 1));
    assert_string_equal(p->label, "plant-7");
}

static void n01_every_operation_wants_a_client_certificate(void **state) {
    struct program *p = *state;
    struct estc_request requests[] = {get_crts(), post_csr(p, "/.well-known/est/sen")};
    p->peer.cert = NULL;
    for (size_t i = 0; i < 2; i++)
        assert_error(ask(p, &requests[i]), 401, "client certificate");
    assert_int_equal(p->cacerts + p->enrolls, 0);
}

static void r07_requests_that_cannot_be_read(void **state) {
    struct program *p = *state;
    struct estc_request request = post_csr(p, "/.well-known/est/sen");
    p->csr.data[p->csr.len - 1] ^= 1;
    assert_error(ask(p, &request), 400, "signature");
    p->csr.data[p->csr.len - 1] ^= 1;
    request.payload = (const unsigned char *)"garbage";
    request.payload_len = 7;
    assert_error(ask(p, &request), 400, "PKCS#10");
    request.payload = NULL;
    request.payload_len = 0;
    assert_error(ask(p, &request), 400, "empty");
    request = post_csr(p, "/.well-known/est/sen");
    for (size_t len = 0; len < p->csr.len; len++) {
        request.payload_len = len;
        assert_error(ask(p, &request), 400, "certification request");
    }
    assert_int_equal(p->enrolls, 0);
}

/* What the program's results become; the text goes out, but for internal errors. */
static void failures_of_the_program(void **state) {
    struct program *p = *state;
    static const struct {
        int rc;
        unsigned code;
        const char *text;
    } cases[] = {
        {ESTC_E_NOT_FOUND, 404, "the program said so"},
        {ESTC_E_REJECTED, 403, "the program said so"},
        {ESTC_E_MALFORMED, 400, "the program said so"},
        {ESTC_E_PENDING, 503, "the program said so"},
        {ESTC_E_TIMEOUT, 503, "the program said so"},
        {ESTC_E_SERVER, 500, "internal error"},
        {ESTC_E_CREDENTIAL, 500, "internal error"},
        {-EIO, 500, "internal error"},
        {-ENOMEM, 500, "internal error"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct estc_request requests[] = {get_crts(), post_csr(p, "/.well-known/est/sen")};
        p->rc = cases[i].rc;
        for (size_t j = 0; j < 2; j++) {
            struct estc_response response = ask(p, &requests[j]);
            assert_int_equal(response.max_age >= 0, cases[i].code == 503);
            assert_error(response, cases[i].code, cases[i].text);
        }
    }
}

static void remember(enum estc_log_level level, const char *text, void *arg) {
    (void)level;
    snprintf(arg, 512, "%s", text);
}

static void internal_errors_are_logged_not_sent(void **state) {
    struct program *p = *state;
    char logged[512] = "";
    struct estc_request request = post_csr(p, "/.well-known/est/sen");
    estc_log_set_handler(remember, logged);
    p->rc = -EIO;
    assert_error(ask(p, &request), 500, "internal error");
    estc_log_set_handler(NULL, NULL);
    assert_string_equal(logged, "sen for [2001:db8::1]:40000 failed: the program said so");
    p->rc = 0;
    p->nothing = true; /* a program that breaks its own word */
    assert_error(ask(p, &request), 500, "internal error");
    request = get_crts();
    assert_error(ask(p, &request), 500, "internal error");
}

static void d03_waiting_is_told_in_seconds(void **state) {
    struct program *p = *state;
    static const struct {
        int64_t retry_after, max_age;
    } cases[] = {{1, 1}, {3600, 3600}, {0, 60}, {-5, 60}, {INT64_MAX, 4294967295}};
    p->rc = ESTC_E_PENDING;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct estc_request request = post_csr(p, "/.well-known/est/sren");
        p->retry_after = cases[i].retry_after;
        struct estc_response response = ask(p, &request);
        assert_true(response.max_age == cases[i].max_age);
        assert_error(response, 503, "the program said so");
    }
}

/* A request with names of its own, sent by p's peer to path. */
static struct estc_response ask_with_names(struct program *p, const char *path,
                                           const struct estc_csr_spec *spec) {
    estc_buf_clear(&p->csr);
    assert_int_equal(estc_csr_build(p->key, spec, &p->csr, NULL), 0);
    struct estc_request request = post_csr(p, path);
    return ask(p, &request);
}

static void e11_reenrolment_keeps_its_names(void **state) {
    struct program *p = *state;
    static const char *const same[] = {"DNS:gw.example", NULL};
    static const char *const other[] = {"DNS:other.example", NULL};
    static const char *const more[] = {"DNS:gw.example", "DNS:other.example", NULL};
    static const struct {
        const char *subject;
        const char *const *sans;
        const char *refusal;
    } cases[] = {
        {"CN=gw,O=x", same, NULL},
        {"CN=other,O=x", same, "subject is not that"},
        {"CN=GW,O=X", same, "subject is not that"}, /* DER, not what a person takes for the same */
        {"CN=gw", same, "subject is not that"},
        {"O=x,CN=gw", same, "subject is not that"},
        {"", same, "subject is not that"},
        {"CN=gw,O=x", NULL, "subjectAltName is not that"},
        {"CN=gw,O=x", other, "subjectAltName is not that"},
        {"CN=gw,O=x", more, "subjectAltName is not that"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        const struct estc_csr_spec spec = {.subject = cases[i].subject, .sans = cases[i].sans};
        struct estc_response response = ask_with_names(p, "/.well-known/est/sren", &spec);
        if (cases[i].refusal)
            assert_error(response, 403, cases[i].refusal);
        else
            X509_free(assert_certs(response, 204, 1));
        /* /sen does not mind: names are then the program's to allow. */
        X509_free(assert_certs(ask_with_names(p, "/.well-known/est/sen", &spec), 204, 1));
    }
    assert_int_equal(p->enrolls, 1 + sizeof(cases) / sizeof(cases[0]));
}

static void e08_no_san_there_means_no_san_here(void **state) {
    struct program *p = *state;
    static const char *const sans[] = {"DNS:gw.example", NULL};
    _cleanup(x509_freep) X509 *bare =
        support_cert(p->key, &(struct support_cert_spec){.subject = "CN=gw"});
    p->peer.cert = bare;
    const struct estc_csr_spec with = {.subject = "CN=gw", .sans = sans};
    assert_error(ask_with_names(p, "/.well-known/est/sren", &with), 403, "subjectAltName");
    const struct estc_csr_spec without = {.subject = "CN=gw"};
    X509_free(assert_certs(ask_with_names(p, "/.well-known/est/sren", &without), 204, 1));
}

/* RFC 9148's examples go through a server of ours: /sen of A.2, from any authenticated peer. */
static void the_example_of_rfc_9148_is_enrolled(void **state) {
    struct program *p = *state;
    estc_buf_clear(&p->csr);
    p->csr = support_vector("9148-A2-sen-request.p10.der");
    struct estc_request request = post_csr(p, "/.well-known/est/sen");
    X509_free(assert_certs(ask(p, &request), 204, 1));
    request.path = "/.well-known/est/sren"; /* but it is not this peer's identity */
    assert_error(ask(p, &request), 403, "subject");
}

#define SERVED(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void) {
    const struct CMUnitTest tests[] = {
        SERVED(f02_crts_answers_205_and_281),
        SERVED(e05_enrolment_answers_204_with_one_certificate),
        SERVED(f06_pkix_cert_where_it_was_asked_for),
        SERVED(c13_one_certificate_is_not_part_of_two),
        SERVED(f07_wishes_that_cannot_be_met),
        SERVED(f08_request_formats),
        SERVED(methods_are_not_interchangeable),
        SERVED(u01_u03_paths),
        SERVED(n01_every_operation_wants_a_client_certificate),
        SERVED(r07_requests_that_cannot_be_read),
        SERVED(failures_of_the_program),
        SERVED(internal_errors_are_logged_not_sent),
        SERVED(d03_waiting_is_told_in_seconds),
        SERVED(e11_reenrolment_keeps_its_names),
        SERVED(e08_no_san_there_means_no_san_here),
        SERVED(the_example_of_rfc_9148_is_enrolled),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
