/* SPDX-License-Identifier: BSD-2-Clause */
/* Response codes and content formats, as the client judges them. */
#include "canned.h"

static void f10_absent_format_is_the_one_asked_for(void **state) {
    (void)state;
    struct canned c = canned(204, ESTC_FORMAT_NONE, enrolment.answer.data, enrolment.answer.len);
    X509 *issued = NULL;
    int64_t retry_after;
    assert_int_equal(enroll(&c, ESTC_OP_SEN, &issued, &retry_after, NULL), 0);
    X509_free(issued);
}

static void f10_another_format_is_never_decoded(void **state) {
    (void)state;
    static const int formats[] = {0, 40, 62, 280, 284, 286, 287, 65535};
    for (size_t i = 0; i < sizeof(formats) / sizeof(formats[0]); i++) {
        struct canned c = canned(204, formats[i], enrolment.answer.data, enrolment.answer.len);
        assert_enroll_fails(&c, ESTC_E_PROTOCOL, "content format");
    }
}

static void r01_one_code_is_success(void **state) {
    (void)state;
    static const unsigned codes[] = {0, 1, 100, 200, 201, 202, 203, 205, 231, 300, 600, 731};
    for (size_t i = 0; i < sizeof(codes) / sizeof(codes[0]); i++) {
        struct canned c = canned(codes[i], 281, enrolment.answer.data, enrolment.answer.len);
        assert_enroll_fails(&c, ESTC_E_PROTOCOL, "/sen: ");
    }
    struct canned c = canned(204, ESTC_FORMAT_NONE, enrolment.answer.data, enrolment.answer.len);
    struct estc_client *client = client_of(&c, NULL, NULL);
    struct estc_wait wait = estc_wait_in(1000);
    STACK_OF(X509) *certs = NULL;
    struct estc_error err = {0};
    assert_int_equal(estc_client_cacerts(client, &wait, &certs, &err), ESTC_E_PROTOCOL);
    assert_string_equal(err.text, "/crts: the server answered 2.04, not 2.05");
    estc_client_free(client);
}

static void f11_refusals_carry_the_diagnostic(void **state) {
    (void)state;
    static const struct {
        unsigned code;
        int format;
        const char *payload;
        int rc;
        const char *text;
    } cases[] = {
        {403, -1, "not in the list", ESTC_E_REJECTED, "refused with 4.03 Forbidden: not in the l"},
        {403, -1, "", ESTC_E_REJECTED, "refused with 4.03 Forbidden"},
        {400, -1, "bad\r\n\033[2Jrequest", ESTC_E_REJECTED, "4.00 Bad Request: bad???[2Jrequest"},
        {401, -1, "\xff\xfe", ESTC_E_REJECTED, "4.01 Unauthorized: ??"},
        {404, 281, "0\x82", ESTC_E_REJECTED, "refused with 4.04 Not Found"},
        {413, -1, "", ESTC_E_REJECTED, "4.13 Request Entity Too Large"},
        {415, -1, "", ESTC_E_REJECTED, "4.15 Unsupported Content-Format"},
        {429, -1, "", ESTC_E_REJECTED, "4.29 Too Many Requests"},
        {430, -1, "", ESTC_E_REJECTED, "4.30 (unknown code)"},
        {500, -1, "oops", ESTC_E_SERVER, "failed with 5.00 Internal Server Error: oops"},
        {501, -1, "", ESTC_E_SERVER, "5.01 Not Implemented"},
        {502, -1, "", ESTC_E_SERVER, "5.02 Bad Gateway"},
        {504, -1, "", ESTC_E_SERVER, "5.04 Gateway Timeout"},
        {531, -1, "", ESTC_E_SERVER, "5.31 (unknown code)"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct canned c =
            canned(cases[i].code, cases[i].format, cases[i].payload, strlen(cases[i].payload));
        assert_enroll_fails(&c, cases[i].rc, cases[i].text);
    }
    /* A payload with a content format is no text. */
    struct canned c = canned(404, 0, "secret", 6);
    X509 *issued = NULL;
    int64_t retry_after;
    struct estc_error err = {0};
    assert_int_equal(enroll(&c, ESTC_OP_SEN, &issued, &retry_after, &err), ESTC_E_REJECTED);
    assert_null(strstr(err.text, "secret"));
}

static void long_diagnostics_are_cut(void **state) {
    (void)state;
    static char big[60000];
    memset(big, 'd', sizeof(big));
    struct canned c = canned(403, ESTC_FORMAT_NONE, big, sizeof(big));
    assert_enroll_fails(&c, ESTC_E_REJECTED, "ddd...");
}

static void d04_unavailable_means_ask_again(void **state) {
    (void)state;
    static const struct {
        int64_t max_age, retry_after;
    } cases[] = {{-1, 60}, {0, 1}, {1, 1}, {3600, 3600}, {4294967295, 4294967295}};
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct canned c = canned(503, ESTC_FORMAT_NONE, "by hand", 7);
        c.max_age = cases[i].max_age;
        X509 *issued = NULL;
        int64_t retry_after = 0;
        struct estc_error err = {0};
        assert_int_equal(enroll(&c, ESTC_OP_SREN, &issued, &retry_after, &err), ESTC_E_PENDING);
        assert_true(retry_after == cases[i].retry_after);
        assert_non_null(strstr(err.text, "by hand"));
        assert_null(issued);
    }
    /* There is nothing to wait for behind /crts. */
    struct canned c = canned(503, ESTC_FORMAT_NONE, NULL, 0);
    c.max_age = 10;
    struct estc_client *client = client_of(&c, NULL, NULL);
    struct estc_wait wait = estc_wait_in(1000);
    STACK_OF(X509) *certs = NULL;
    assert_int_equal(estc_client_cacerts(client, &wait, &certs, NULL), ESTC_E_SERVER);
    estc_client_free(client);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(f10_absent_format_is_the_one_asked_for),
        cmocka_unit_test(f10_another_format_is_never_decoded),
        cmocka_unit_test(r01_one_code_is_success),
        cmocka_unit_test(f11_refusals_carry_the_diagnostic),
        cmocka_unit_test(long_diagnostics_are_cut),
        cmocka_unit_test(d04_unavailable_means_ask_again),
    };
    return cmocka_run_group_tests(tests, canned_setup, canned_teardown);
}
