/* SPDX-License-Identifier: BSD-2-Clause */
/* Paths, methods, formats, and what the program's results become. */
#include "program.h"

#include <errno.h>

#include <estc/log.h>

#include "base/cleanup_ossl.h"

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

/* One wish; below a label there is none. */
static int some_csrattrs(void *arg, const struct estc_peer *peer, const char *label,
                         struct estc_buf *der, struct estc_error *err) {
    static const unsigned char wishes[] = {0x30, 0x0b, 6,    9, 0x2a, 0x86, 0x48,
                                           0x86, 0xf7, 0x0d, 1, 9,    7}; /* challengePassword */
    (void)arg, (void)peer, (void)err;
    return *label ? 0 : estc_buf_append(der, wishes, sizeof(wishes));
}

static void a02_f05_att_answers_205_and_285_or_404(void **state) {
    struct program *p = *state;
    struct estc_request request = get_crts();
    request.path = "/.well-known/est/att";
    assert_error(ask(p, &request), 404, "no attributes");
    struct estc_server_ops ops = *p->server.ops;
    ops.csrattrs = some_csrattrs;
    p->server.ops = &ops;
    static const int accepts[] = {ESTC_FORMAT_NONE, ESTC_FORMAT_CSRATTRS};
    for (size_t i = 0; i < 2; i++) {
        request.accept = accepts[i];
        struct estc_response response = ask(p, &request);
        assert_int_equal(response.code, 205);
        assert_int_equal(response.content_format, 285);
        assert_int_equal(response.payload.len, 13);
        estc_response_clear(&response);
    }
    request.path = "/.well-known/est/label/att";
    assert_error(ask(p, &request), 404, "no attributes");
    request.accept = ESTC_FORMAT_CERTS_ONLY;
    assert_error(ask(p, &request), 406, "285");
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
        {401, 401, "the program said so"},
        {500, 500, "the program said so"},
        {504, 504, "the program said so"},
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

int main(void) {
    const struct CMUnitTest tests[] = {
        SERVED(f02_crts_answers_205_and_281),
        SERVED(f06_pkix_cert_where_it_was_asked_for),
        SERVED(a02_f05_att_answers_205_and_285_or_404),
        SERVED(c13_one_certificate_is_not_part_of_two),
        SERVED(f07_wishes_that_cannot_be_met),
        SERVED(f08_request_formats),
        SERVED(methods_are_not_interchangeable),
        SERVED(u01_u03_paths),
        SERVED(n01_every_operation_wants_a_client_certificate),
        SERVED(failures_of_the_program),
        SERVED(internal_errors_are_logged_not_sent),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
