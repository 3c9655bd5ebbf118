/* SPDX-License-Identifier: BSD-2-Clause */
/* The registrar's decisions where somebody has to approve: real CA, real ledger. */
#include "site.h"

#include <errno.h>

#include <estc/cert.h>

#include "est-registrar/control.h"
#include "est-registrar/registrar_internal.h"

static const struct ledger_ops *ops_of(const struct site *s) {
    return s->registrar->ledger->ops;
}

/* A request of that key, asked with all that a server would say of it. */
static int ask(struct site *s, X509 *cert, enum estc_op op, EVP_PKEY *key, bool may_wait,
               enum estc_pop pop, X509 **issued, int64_t *retry_after, struct estc_error *err) {
    _cleanup(x509_req_freep) X509_REQ *csr = site_request(key, "CN=gateway-1", NULL);
    unsigned char *der = NULL;
    int len = i2d_X509_REQ(csr, &der);
    const struct estc_peer peer = {.cert = cert, .address = "[::1]:1"};
    const struct estc_enroll_request in = {.op = op,
                                           .label = "",
                                           .csr = csr,
                                           .der = der,
                                           .der_len = (size_t)len,
                                           .pop = pop,
                                           .may_wait = may_wait};
    int rc = registrar_server_ops(s->registrar)
                 ->enroll(s->registrar, &peer, &in, issued, retry_after, err);
    OPENSSL_free(der);
    return rc;
}

static int ask_plainly(struct site *s, EVP_PKEY *key, X509 **issued) {
    int64_t retry_after = 0;
    struct estc_error err = {0};
    return ask(s, s->device.cert, ESTC_OP_SEN, key, false, ESTC_POP_NONE, issued, &retry_after,
               &err);
}

static void decide(struct site *s, int64_t id, enum ledger_state state) {
    assert_int_equal(ops_of(s)->decide_request(s->registrar->ledger, id, state, "", 1, NULL), 0);
}

/* The first rule with these settings as well. */
static void rule_with(struct site *s, const char *settings) {
    char text[256];
    snprintf(text, sizeof(text), "name = \"devices\"; %s", settings);
    site_change(s, "name = \"devices\";", text);
}

static void d03_d06_asked_once_answered_once(void **state) {
    struct site *s = *state;
    rule_with(s, "approval = \"manual\"; retry_after = \"7m\";");
    _cleanup(pkey_freep) EVP_PKEY *key = support_key();
    X509 *issued = NULL;
    int64_t retry_after = 0;
    struct estc_error err = {0};
    for (int i = 0; i < 3; i++) {
        assert_int_equal(ask(s, s->device.cert, ESTC_OP_SEN, key, false, ESTC_POP_NONE, &issued,
                             &retry_after, &err),
                         ESTC_E_PENDING);
        assert_int_equal(retry_after, 420);
        assert_string_equal(err.text, "waits for approval as request 1");
        site_close(s);
        site_open(s);
    }
    decide(s, 1, LEDGER_APPROVED);
    _cleanup(x509_freep) X509 *first = NULL, *second = NULL;
    assert_int_equal(ask_plainly(s, key, &first), 0);
    assert_int_equal(ask_plainly(s, key, &second), 0);
    assert_int_equal(X509_cmp(first, second), 0);
}

/* Asked for every day, it is remembered for longer than what nobody asks for. */
static void d06_a_rejection_stays_as_long_as_the_device_asks(void **state) {
    struct site *s = *state;
    rule_with(s, "approval = \"manual\";");
    _cleanup(pkey_freep) EVP_PKEY *key = support_key(), *other = support_key();
    X509 *none = NULL;
    assert_int_equal(ask_plainly(s, key, &none), ESTC_E_PENDING);
    decide(s, 1, LEDGER_REJECTED);
    for (int i = 0; i < 2; i++) {
        site_sql(s, "UPDATE requests SET last_at = last_at - 80 * 86400,"
                    " asked_at = asked_at - 80 * 86400");
        assert_int_equal(ask_plainly(s, key, &none), ESTC_E_REJECTED);
    }
    assert_int_equal(ask_plainly(s, other, &none), ESTC_E_PENDING); /* tidies up */
    assert_int_equal(ask_plainly(s, key, &none), ESTC_E_REJECTED);
}

/* Long after repeat_window, too, as long as nobody has used it; then it is a new wish. */
static void d06_an_approved_certificate_is_kept(void **state) {
    struct site *s = *state;
    rule_with(s, "approval = \"manual\";");
    _cleanup(pkey_freep) EVP_PKEY *key = support_key();
    X509 *none = NULL;
    assert_int_equal(ask_plainly(s, key, &none), ESTC_E_PENDING);
    decide(s, 1, LEDGER_APPROVED);
    _cleanup(x509_freep) X509 *first = NULL, *later = NULL;
    assert_int_equal(ask_plainly(s, key, &first), 0);
    site_sql(s, "UPDATE certificates SET issued_at = issued_at - 10 * 86400");
    assert_int_equal(ask_plainly(s, key, &later), 0);
    assert_int_equal(X509_cmp(first, later), 0);
    const struct estc_peer peer = {.cert = first, .address = "[::1]:1"};
    _cleanup(sk_x509_freep) STACK_OF(X509) *cacerts = NULL;
    assert_int_equal(
        registrar_server_ops(s->registrar)->cacerts(s->registrar, &peer, "", &cacerts, NULL), 0);
    assert_int_equal(ask_plainly(s, key, &none), ESTC_E_PENDING); /* request 2 */
    decide(s, 2, LEDGER_REJECTED);
    assert_int_equal(ask_plainly(s, key, &none), ESTC_E_REJECTED);
}

static void d01_it_waits_with_an_open_connection_where_it_may(void **state) {
    struct site *s = *state;
    rule_with(s, "approval = \"manual\"; hold = \"9s\";");
    _cleanup(pkey_freep) EVP_PKEY *key = support_key();
    X509 *issued = NULL;
    int64_t retry_after = 0;
    struct estc_error err = {0};
    assert_int_equal(
        ask(s, s->device.cert, ESTC_OP_SEN, key, true, ESTC_POP_NONE, &issued, &retry_after, &err),
        -EINPROGRESS);
    assert_int_equal(retry_after, 9);
    assert_int_equal(
        ask(s, s->device.cert, ESTC_OP_SEN, key, false, ESTC_POP_NONE, &issued, &retry_after, &err),
        ESTC_E_PENDING);
    assert_int_equal(retry_after, 60);
}

static void renewals_wait_only_where_all_do(void **state) {
    struct site *s = *state;
    static const struct {
        const char *from, *to;
        int rc;
    } rows[] = {
        {"name = \"devices\";", "name = \"devices\"; approval = \"manual\";", 0},
        {"\"manual\"", "\"always\"", ESTC_E_PENDING},
    };
    _cleanup(pkey_freep) EVP_PKEY *key = support_key();
    _cleanup(x509_freep) X509 *mine = NULL;
    assert_int_equal(ask_plainly(s, key, &mine), 0);
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        _cleanup(pkey_freep) EVP_PKEY *fresh = support_key();
        _cleanup(x509_freep) X509 *renewed = NULL;
        int64_t retry_after;
        struct estc_error err = {0};
        site_change(s, rows[i].from, rows[i].to);
        assert_int_equal(
            ask(s, mine, ESTC_OP_SREN, fresh, false, ESTC_POP_NONE, &renewed, &retry_after, &err),
            rows[i].rc);
    }
}

/* A rule that asks nobody any more issues what was pending, and it is settled. */
static void a_rule_may_change_its_mind(void **state) {
    struct site *s = *state;
    rule_with(s, "approval = \"manual\";");
    _cleanup(pkey_freep) EVP_PKEY *key = support_key();
    _cleanup(x509_freep) X509 *issued = NULL;
    assert_int_equal(ask_plainly(s, key, &issued), ESTC_E_PENDING);
    site_change(s, "\"manual\"", "\"automatic\"");
    assert_int_equal(ask_plainly(s, key, &issued), 0);
    _cleanup(ledger_pending_clear) struct ledger_pending found = {0};
    assert_int_equal(ops_of(s)->get_request(s->registrar->ledger, 1, &found, NULL), 0);
    assert_int_equal(found.state, LEDGER_APPROVED);
    assert_string_not_equal(found.certificate, "");
}

static void p07_a_rule_may_demand_a_binding(void **state) {
    struct site *s = *state;
    rule_with(s, "pop = \"required\";");
    _cleanup(pkey_freep) EVP_PKEY *key = support_key();
    _cleanup(x509_freep) X509 *issued = NULL;
    int64_t retry_after;
    struct estc_error err = {0};
    X509 *device = s->device.cert;
    assert_int_equal(
        ask(s, device, ESTC_OP_SEN, key, false, ESTC_POP_NONE, &issued, &retry_after, &err),
        ESTC_E_REJECTED);
    assert_non_null(strstr(err.text, "POP linking is required by rule 'devices'"));
    assert_int_equal(
        ask(s, device, ESTC_OP_SEN, key, false, ESTC_POP_BOUND, &issued, &retry_after, &err), 0);
    _cleanup(x509_freep) X509 *renewed = NULL;
    assert_int_equal(
        ask(s, issued, ESTC_OP_SREN, key, false, ESTC_POP_NONE, &renewed, &retry_after, &err),
        ESTC_E_REJECTED);
    assert_int_equal(
        ask(s, issued, ESTC_OP_SREN, key, false, ESTC_POP_VOUCHED, &renewed, &retry_after, &err),
        0);
}

/* What cannot be written down is not promised. */
static void without_a_ledger_nobody_waits(void **state) {
    struct site *s = *state;
    rule_with(s, "approval = \"manual\";");
    site_sql(s, "DROP TABLE requests");
    _cleanup(pkey_freep) EVP_PKEY *key = support_key();
    X509 *issued = NULL;
    assert_int_equal(ask_plainly(s, key, &issued), ESTC_E_TIMEOUT);
}

static void the_interface_describes_itself(void **state) {
    (void)state;
    char *text = ctl_interface_text(&registrar_interface);
    assert_non_null(strstr(text, "interface org.estcd.registrar"));
    assert_non_null(strstr(text, "method Approve(id: int) -> (request: Request)"));
    free(text);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        SITED(d03_d06_asked_once_answered_once),
        SITED(d06_a_rejection_stays_as_long_as_the_device_asks),
        SITED(d06_an_approved_certificate_is_kept),
        SITED(d01_it_waits_with_an_open_connection_where_it_may),
        SITED(renewals_wait_only_where_all_do),
        SITED(a_rule_may_change_its_mind),
        SITED(p07_a_rule_may_demand_a_binding),
        SITED(without_a_ledger_nobody_waits),
        cmocka_unit_test(the_interface_describes_itself),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
