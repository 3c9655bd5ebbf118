/* SPDX-License-Identifier: BSD-2-Clause */
/* Enrolment and re-enrolment, as the answering side sees them. */
#include "program.h"

#include <errno.h>

#include <estc/cert.h>

#include "base/cleanup_ossl.h"

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

/* New names stand beside the old ones, which have to be there all the same; they are the program's
 * to allow. */
static void e11_new_names_do_not_replace_the_old_ones(void **state) {
    struct program *p = *state;
    static const char *const sans[] = {"DNS:new.example", NULL};
    _cleanup(x509_freep) X509 *foreign =
        support_cert(p->key, &(struct support_cert_spec){.subject = "CN=else", .sans = sans});
    const struct estc_csr_spec own = {
        .subject = "CN=new", .sans = sans, .renew = p->peer.cert, .rename = true};
    X509_free(assert_certs(ask_with_names(p, "/.well-known/est/sren", &own), 204, 1));
    const struct estc_csr_spec other = {
        .subject = "CN=new", .sans = sans, .renew = foreign, .rename = true};
    assert_error(ask_with_names(p, "/.well-known/est/sren", &other), 403, "ChangeSubjectName");
    assert_int_equal(p->enrolls, 1);
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

/* The request of RFC 9148 appendix A.2 would be enrolled, were it not for its challengePassword,
 * which is 37 letters and no channel binding of anything. */
static void p04_p06_the_example_of_rfc_9148_proves_nothing(void **state) {
    struct program *p = *state;
    estc_buf_clear(&p->csr);
    p->csr = support_vector("9148-A2-sen-request.p10.der");
    struct estc_request request = post_csr(p, "/.well-known/est/sen");
    p->peer.binding = &(struct estc_binding){.len = 12, .data = "no such data"};
    assert_error(ask(p, &request), 403, "POP linking failed");
    assert_int_equal(p->enrolls, 0);
}

/* The program asks for a moment, and is asked again. */
static void d01_d03_an_answer_is_left_for_later(void **state) {
    struct program *p = *state;
    struct estc_request request = post_csr(p, "/.well-known/est/sen");
    request.ticket = 7;
    p->rc = -EINPROGRESS;
    p->retry_after = 25;
    struct estc_response response = ask(p, &request);
    assert_true(p->may_wait);
    assert_true(response.later);
    assert_int_equal(response.max_age, 25);
    assert_int_equal(response.payload.len, 0);
    estc_response_clear(&response);
    assert_false(response.later);
    /* Where nothing can wait, that is no answer. */
    request.ticket = 0;
    response = ask(p, &request);
    assert_false(p->may_wait);
    assert_false(response.later);
    assert_error(response, 500, "internal error");
    /* Nor where nobody is asked. */
    struct estc_request crts = get_crts();
    crts.ticket = 7;
    assert_error(ask(p, &crts), 500, "internal error");
    p->rc = 0;
    X509_free(assert_certs(ask(p, &request), 204, 1));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        SERVED(e05_enrolment_answers_204_with_one_certificate),
        SERVED(r07_requests_that_cannot_be_read),
        SERVED(d03_waiting_is_told_in_seconds),
        SERVED(d01_d03_an_answer_is_left_for_later),
        SERVED(e11_reenrolment_keeps_its_names),
        SERVED(e11_new_names_do_not_replace_the_old_ones),
        SERVED(e08_no_san_there_means_no_san_here),
        SERVED(p04_p06_the_example_of_rfc_9148_proves_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
