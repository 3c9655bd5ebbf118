/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Certificates of one device over time: what counts as the same request, how a line of renewals
 * goes on, and what ends it. Real CA, real ledger.
 */
#include "site.h"
#include "trouble.h"

#include <sqlite3.h>

#include <estc/cert.h>

#include "base/clock.h"

/* Asks; NULL and the error's text when it is refused with that code. */
static X509 *ask(struct site *s, X509 *cert, enum estc_op op, EVP_PKEY *key, const char *subject,
                 const char *const *sans, int expected, const char *says) {
    _cleanup(x509_req_freep) X509_REQ *csr = site_request(key, subject, sans);
    struct estc_error err = {0};
    X509 *issued = NULL;
    int rc = site_ask(s, cert, op, "", csr, &issued, &err);
    if (rc != expected || (says && !strstr(err.text, says)))
        fail_msg("%s: %d '%s'", subject, rc, err.text);
    return issued;
}

static X509 *enroll(struct site *s, EVP_PKEY *key, const char *subject, const char *const *sans) {
    return ask(s, s->device.cert, ESTC_OP_SEN, key, subject, sans, 0, NULL);
}

static X509 *renew(struct site *s, X509 *cert, EVP_PKEY *key, const char *subject) {
    return ask(s, cert, ESTC_OP_SREN, key, subject, NULL, 0, NULL);
}

/* Runs SQL on the ledger from outside; the first value of the last row, or 0. */
static int64_t sql(const struct site *s, const char *text) {
    char path[PATH_MAX + 32];
    sqlite3 *db = NULL;
    sqlite3_stmt *statement = NULL;
    snprintf(path, sizeof(path), "%s/ledger.sqlite", s->dir);
    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    sqlite3_busy_timeout(db, 5000);
    assert_int_equal(sqlite3_prepare_v2(db, text, -1, &statement, NULL), SQLITE_OK);
    int64_t value = sqlite3_step(statement) == SQLITE_ROW ? sqlite3_column_int64(statement, 0) : 0;
    assert_int_equal(sqlite3_finalize(statement), SQLITE_OK);
    sqlite3_close(db);
    return value;
}

static int64_t rows(const struct site *s) {
    return sql(s, "SELECT count(*) FROM certificates");
}

#define SANS(...)           \
    (const char *const[]) { \
        __VA_ARGS__, NULL   \
    }

static void other_names_are_another_request(void **state) {
    struct site *s = *state;
    _cleanup(pkey_freep) EVP_PKEY *key = support_key();
    _cleanup(x509_freep) X509 *plain = enroll(s, key, "CN=gateway-1", NULL);
    _cleanup(x509_freep) X509 *named = enroll(s, key, "CN=gateway-1", SANS("DNS:gateway-1"));
    _cleanup(x509_freep) X509 *upper = enroll(s, key, "CN=GATEWAY-1", NULL);
    assert_int_not_equal(X509_cmp(plain, named), 0);
    assert_int_not_equal(X509_cmp(plain, upper), 0);
    assert_true(X509_get_ext_by_NID(named, NID_subject_alt_name, -1) >= 0);
    assert_int_equal(rows(s), 3);
    _cleanup(x509_freep) X509 *again = enroll(s, key, "CN=gateway-1", SANS("DNS:gateway-1"));
    assert_int_equal(X509_cmp(named, again), 0);
    assert_int_equal(rows(s), 3);
}

static void a_repetition_that_comes_late_is_none(void **state) {
    struct site *s = *state;
    _cleanup(pkey_freep) EVP_PKEY *key = support_key();
    _cleanup(x509_freep) X509 *first = enroll(s, key, "CN=gateway-1", NULL);
    sql(s, "UPDATE certificates SET issued_at = issued_at - 86000");
    _cleanup(x509_freep) X509 *same = enroll(s, key, "CN=gateway-1", NULL);
    assert_int_equal(X509_cmp(first, same), 0);
    sql(s, "UPDATE certificates SET issued_at = issued_at - 1000");
    _cleanup(x509_freep) X509 *other = enroll(s, key, "CN=gateway-1", NULL);
    assert_int_not_equal(X509_cmp(first, other), 0);
}

static void d06_a_renewal_that_is_repeated_is_the_same(void **state) {
    struct site *s = *state;
    _cleanup(pkey_freep) EVP_PKEY *key = support_key(), *next = support_key();
    _cleanup(x509_freep) X509 *first = enroll(s, key, "CN=gateway-1", NULL);
    _cleanup(x509_freep) X509 *renewed = renew(s, first, next, "CN=gateway-1");
    site_close(s);
    site_open(s);
    _cleanup(x509_freep) X509 *again = renew(s, first, next, "CN=gateway-1");
    assert_int_equal(X509_cmp(renewed, again), 0);
    assert_int_equal(rows(s), 2);
    /* The first was shown, the second was not yet. */
    assert_int_equal(sql(s, "SELECT count(*) FROM certificates WHERE collected_at > 0"), 1);
    /* Once the new one renews itself, it has arrived: asking with the old one is a new request. */
    X509_free(renew(s, renewed, key, "CN=gateway-1"));
    _cleanup(x509_freep) X509 *late = renew(s, first, next, "CN=gateway-1");
    assert_int_not_equal(X509_cmp(renewed, late), 0);
    assert_int_equal(rows(s), 4);
    /* All of one line, whose beginning is the birth certificate. */
    assert_int_equal(sql(s, "SELECT count(DISTINCT holder) FROM certificates"), 1);
    _cleanup(estc_cert_facts_clear) struct estc_cert_facts birth = {0};
    char query[256];
    assert_int_equal(estc_cert_facts_get(s->device.cert, &birth, NULL), 0);
    snprintf(query, sizeof(query), "SELECT count(*) FROM certificates WHERE holder = '%s'",
             birth.sha256);
    assert_int_equal(sql(s, query), 4);
}

static void a_revoked_certificate_renews_nothing(void **state) {
    struct site *s = *state;
    _cleanup(pkey_freep) EVP_PKEY *key = support_key(), *next = support_key();
    _cleanup(x509_freep) X509 *first = enroll(s, key, "CN=gateway-1", NULL);
    sql(s, "UPDATE certificates SET revoked_at = 1");
    ask(s, first, ESTC_OP_SREN, next, "CN=gateway-1", NULL, ESTC_E_REJECTED,
        "the client certificate is revoked");
    assert_int_equal(rows(s), 1);
    /* A revoked certificate is not sent again either; the device itself may begin anew. */
    _cleanup(x509_freep) X509 *anew = enroll(s, key, "CN=gateway-1", NULL);
    assert_int_not_equal(X509_cmp(first, anew), 0);
}

static void an_expired_or_foreign_certificate_renews_nothing(void **state) {
    struct site *s = *state;
    _cleanup(pkey_freep) EVP_PKEY *key = support_key();
    char cert[PATH_MAX + 32], path[PATH_MAX + 32];
    snprintf(cert, sizeof(cert), "%s/ca/issuing.pem", s->dir);
    snprintf(path, sizeof(path), "%s/ca/issuing.key", s->dir);
    _cleanup(pem_credentials_clear) struct estc_credentials ca = {0};
    assert_int_equal(pem_read_credentials(cert, path, &ca, NULL), 0);
    _cleanup(x509_freep) X509 *expired =
        support_cert(key, &(struct support_cert_spec){.subject = "CN=gateway-1",
                                                      .issuer = ca.cert,
                                                      .issuer_key = ca.key,
                                                      .not_after = clock_real() - 5});
    ask(s, expired, ESTC_OP_SREN, key, "CN=gateway-1", NULL, ESTC_E_REJECTED, "issued here");
    /* The issuer's name is not enough. */
    _cleanup(pkey_freep) EVP_PKEY *liar = support_key();
    _cleanup(x509_freep) X509 *forged =
        support_cert(key, &(struct support_cert_spec){
                              .subject = "CN=gateway-1", .issuer = ca.cert, .issuer_key = liar});
    ask(s, forged, ESTC_OP_SREN, key, "CN=gateway-1", NULL, ESTC_E_REJECTED, "issued here");
    /* Genuine, but unknown: a ledger that was lost, or a key that somebody else used. */
    _cleanup(x509_freep) X509 *unknown =
        support_cert(key, &(struct support_cert_spec){
                              .subject = "CN=gateway-1", .issuer = ca.cert, .issuer_key = ca.key});
    ask(s, unknown, ESTC_OP_SREN, key, "CN=gateway-1", NULL, ESTC_E_REJECTED, "not in the ledger");
    assert_int_equal(rows(s), 0);
}

static void names_without_a_subject_have_a_holder_too(void **state) {
    struct site *s = *state;
    _cleanup(pkey_freep) EVP_PKEY *key = support_key(), *other = support_key();
    site_change(s, "dns = [ \"${CN}\",", "dns = [ \"shared-*\",");
    X509_free(enroll(s, key, "", SANS("DNS:shared-a", "DNS:shared-b")));
    ask(s, s->other.cert, ESTC_OP_SEN, other, "", SANS("DNS:SHARED-B", "DNS:shared-a"),
        ESTC_E_REJECTED, "the name 'DNS:SHARED-B' belongs to another device until ");
    /* When it has run out, or was revoked, it is free. */
    sql(s, "UPDATE certificates SET not_after = 1");
    X509_free(ask(s, s->other.cert, ESTC_OP_SEN, other, "", SANS("DNS:shared-b", "DNS:shared-a"), 0,
                  NULL));
    ask(s, s->device.cert, ESTC_OP_SEN, other, "", SANS("DNS:shared-a", "DNS:shared-b"),
        ESTC_E_REJECTED, "belongs to another device");
}

static void a_subject_is_taken_whatever_stands_beside_it(void **state) {
    struct site *s = *state;
    _cleanup(pkey_freep) EVP_PKEY *key = support_key(), *other = support_key();
    site_change(s, "\"${CN}-*\"", "\"shared\"");
    X509_free(enroll(s, key, "CN=shared", NULL));
    ask(s, s->other.cert, ESTC_OP_SEN, other, "CN=shared", SANS("DNS:gateway-2"), ESTC_E_REJECTED,
        "the name 'CN=shared' belongs to another device until ");
}

/* --- the ledger cannot be written --- */

static int ask_on_a_full_disk(const struct place *place) {
    static char block[4096];
    struct site s = {.place = (struct place *)(uintptr_t)place};
    struct estc_error err = {0};
    int fd = mount_small(place, "size=2m");
    if (fd < 0)
        return SKIPPED;
    snprintf(s.dir, sizeof(s.dir), "%s/m/site", place->path);
    const char *const devices[] = {"gateway-1", NULL};
    const struct init_options options = {.dir = s.dir, .devices = devices, .lifetime = "90d"};
    CHECK(init_site(&options, &err) == 0);
    site_credentials(&s, "gateway-1", &s.device);
    site_open(&s);
    EVP_PKEY *key = support_key();
    X509_REQ *csr = site_request(key, "CN=gateway-1", NULL);
    int ballast = openat(fd, "ballast", O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    for (size_t n = sizeof(block); n > 0; n /= 2)
        while (write(ballast, block, n) > 0)
            ;
    close(ballast);
    /* What SQLite has set aside holds a row or two; then there is nothing left. */
    const struct estc_peer peer = {.cert = s.device.cert, .address = "[::1]:1"};
    int rc = 0, issued_before = 0;
    for (; rc == 0 && issued_before < 50; issued_before++) {
        X509 *issued = NULL;
        int64_t retry_after = 0;
        EVP_PKEY *fresh = support_key();
        X509_REQ *more = site_request(fresh, "CN=gateway-1", NULL);
        const struct estc_enroll_request request = {.op = ESTC_OP_SEN, .label = "", .csr = more};
        rc = registrar_server_ops(s.registrar)
                 ->enroll(s.registrar, &peer, &request, &issued, &retry_after, &err);
        CHECK(rc == 0 || (!issued && retry_after == 30));
        X509_free(issued);
        X509_REQ_free(more);
        EVP_PKEY_free(fresh);
    }
    CHECK(rc == ESTC_E_TIMEOUT);
    CHECK(strcmp(err.text, "the CA cannot record anything now") == 0);
    CHECK(rows(&s) == issued_before - 1);
    /* The CA's certificates are still served, and with room it goes on. */
    STACK_OF(X509) *cacerts = NULL;
    CHECK(registrar_server_ops(s.registrar)->cacerts(s.registrar, &peer, "", &cacerts, &err) == 0);
    sk_X509_pop_free(cacerts, X509_free);
    CHECK(unlinkat(fd, "ballast", 0) == 0);
    X509 *issued = NULL;
    CHECK(site_ask(&s, s.device.cert, ESTC_OP_SEN, "", csr, &issued, &err) == 0);
    CHECK(rows(&s) == issued_before);
    X509_free(issued);
    X509_REQ_free(csr);
    EVP_PKEY_free(key);
    site_close(&s);
    pem_credentials_clear(&s.device);
    close(fd);
    return 0;
}

static void on_a_full_disk_nothing_is_issued(void **state) {
    const struct site *s = *state;
    expect_done(in_child(ask_on_a_full_disk, s->place), "mounting a file system");
}

/* A renewal cannot be judged without the ledger, and its failure is nobody's fault out there. */
static void without_the_ledger_nobody_is_refused_for_good(void **state) {
    struct site *s = *state;
    _cleanup(pkey_freep) EVP_PKEY *key = support_key();
    _cleanup(x509_freep) X509 *first = enroll(s, key, "CN=gateway-1", NULL);
    sql(s, "ALTER TABLE certificates RENAME TO elsewhere");
    ask(s, first, ESTC_OP_SREN, key, "CN=gateway-1", NULL, ESTC_E_TIMEOUT, "cannot record");
    ask(s, s->device.cert, ESTC_OP_SEN, key, "CN=gateway-1", NULL, ESTC_E_TIMEOUT, "cannot record");
    ask(s, s->device.cert, ESTC_OP_SEN, key, "CN=bank", NULL, ESTC_E_REJECTED, "no pattern");
    sql(s, "ALTER TABLE elsewhere RENAME TO certificates");
    X509_free(renew(s, first, key, "CN=gateway-1"));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        SITED(other_names_are_another_request),
        SITED(a_repetition_that_comes_late_is_none),
        SITED(d06_a_renewal_that_is_repeated_is_the_same),
        SITED(a_revoked_certificate_renews_nothing),
        SITED(an_expired_or_foreign_certificate_renews_nothing),
        SITED(names_without_a_subject_have_a_holder_too),
        SITED(a_subject_is_taken_whatever_stands_beside_it),
        SITED(on_a_full_disk_nothing_is_issued),
        SITED(without_the_ledger_nobody_is_refused_for_good),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
