/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * One identity as the manager sees it: its state and exit code row by row, how its record becomes a
 * plan, and its files. That N-04 holds: an expired birth certificate is no unfit one.
 */
#include "place.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <estc/cert.h>
#include <estc/key.h>

#include "base/cleanup_ossl.h"
#include "base/clock.h"
#include "base/text.h"
#include "common/exitcode.h"
#include "estcd/identity.h"

#define NOW INT64_C(1800000000)
#define ALIVE .have_facts = true, .facts = {.not_before = NOW - 10, .not_after = NOW + 10}
#define EXPIRED .have_facts = true, .facts = {.not_before = NOW - 10, .not_after = NOW}
#define FAILED(result) .attempts = {.failures = 2, .last_result = (result), .last_attempt = NOW - 1}
#define REFUSED(result) \
    .attempts = {.failures = 3, .last_result = (result), .last_attempt = NOW - 1}
#define PENDING \
    .attempts = {.last_result = ESTC_E_PENDING, .last_attempt = NOW - 1, .pending_until = NOW + 60}

static void state_and_exit_code(void **state) {
    (void)state;
    static const struct {
        struct identity identity;
        enum identity_state state;
        int code;
    } rows[] = {
        {{0}, IDENTITY_NEW, EXIT_WORKING},
        {{.working = true}, IDENTITY_WORKING, EXIT_WORKING},
        {{ALIVE}, IDENTITY_VALID, EXIT_DONE},
        {{ALIVE, .working = true}, IDENTITY_WORKING, EXIT_WORKING},
        {{ALIVE, .asked = true}, IDENTITY_VALID, EXIT_DONE},
        {{EXPIRED}, IDENTITY_EXPIRED, EXIT_FAILED},
        {{EXPIRED, .working = true}, IDENTITY_WORKING, EXIT_WORKING},
        {{EXPIRED, PENDING}, IDENTITY_EXPIRED, EXIT_WORKING},
        {{EXPIRED, FAILED(ESTC_E_TIMEOUT)}, IDENTITY_EXPIRED, EXIT_UNREACHABLE},
        {{EXPIRED, FAILED(ESTC_E_REJECTED)}, IDENTITY_EXPIRED, EXIT_REJECTED},
        {{EXPIRED, FAILED(ESTC_E_CREDENTIAL)}, IDENTITY_STUCK, EXIT_BAD_CONFIG},
        {{EXPIRED, REFUSED(ESTC_E_REJECTED)}, IDENTITY_STUCK, EXIT_REJECTED},
        {{REFUSED(ESTC_E_REJECTED)}, IDENTITY_STUCK, EXIT_REJECTED},
        {{REFUSED(ESTC_E_REJECTED), .working = true}, IDENTITY_WORKING, EXIT_WORKING},
        {{REFUSED(ESTC_E_REJECTED), .store_unfit = true}, IDENTITY_CONFIG, EXIT_BAD_CONFIG},
        {{EXPIRED, REFUSED(ESTC_E_UNTRUSTED)}, IDENTITY_EXPIRED, EXIT_FAILED},
        {{EXPIRED, REFUSED(ESTC_E_TIMEOUT)}, IDENTITY_EXPIRED, EXIT_UNREACHABLE},
        {{ALIVE, REFUSED(ESTC_E_REJECTED)}, IDENTITY_FAILING, EXIT_REJECTED},
        {{ALIVE, FAILED(ESTC_E_CREDENTIAL)}, IDENTITY_CONFIG, EXIT_BAD_CONFIG},
        {{PENDING}, IDENTITY_PENDING, EXIT_WORKING},
        {{ALIVE, PENDING}, IDENTITY_PENDING, EXIT_WORKING},
        {{FAILED(ESTC_E_REJECTED)}, IDENTITY_FAILING, EXIT_REJECTED},
        {{FAILED(ESTC_E_UNREACHABLE)}, IDENTITY_FAILING, EXIT_UNREACHABLE},
        {{FAILED(ESTC_E_TIMEOUT)}, IDENTITY_FAILING, EXIT_UNREACHABLE},
        {{FAILED(ESTC_E_CREDENTIAL)}, IDENTITY_CONFIG, EXIT_BAD_CONFIG},
        {{FAILED(ESTC_E_CONFIG)}, IDENTITY_FAILING, EXIT_BAD_CONFIG},
        {{FAILED(ESTC_E_UNTRUSTED)}, IDENTITY_FAILING, EXIT_FAILED},
        {{FAILED(ESTC_E_SERVER)}, IDENTITY_FAILING, EXIT_FAILED},
        {{FAILED(ESTC_E_MISMATCH)}, IDENTITY_FAILING, EXIT_FAILED},
        {{FAILED(-ENOSPC)}, IDENTITY_FAILING, EXIT_FAILED},
        {{ALIVE, FAILED(ESTC_E_UNREACHABLE)}, IDENTITY_FAILING, EXIT_UNREACHABLE},
        /* Paused: as it should be until a renewal would have to come. */
        {{.have_facts = true,
          .facts = {.not_before = NOW - 949, .not_after = NOW + 51},
          .attempts = {.paused_since = NOW - 5}},
         IDENTITY_PAUSED,
         EXIT_DONE},
        {{.have_facts = true,
          .facts = {.not_before = NOW - 950, .not_after = NOW + 50},
          .attempts = {.paused_since = NOW - 5}},
         IDENTITY_PAUSED,
         EXIT_FAILED},
        {{EXPIRED, .attempts = {.paused_since = 1, .failures = 1}}, IDENTITY_PAUSED, EXIT_FAILED},
        {{.attempts = {.paused_since = 1}}, IDENTITY_PAUSED, EXIT_FAILED},
        {{.working = true, .attempts = {.paused_since = 1}}, IDENTITY_WORKING, EXIT_WORKING},
        {{.store_unfit = true}, IDENTITY_CONFIG, EXIT_BAD_CONFIG},
        {{.store_unfit = true, .working = true}, IDENTITY_WORKING, EXIT_WORKING},
        /* A success puts an end to what was before, whatever the result says. */
        {{ALIVE, .attempts = {.last_attempt = NOW}}, IDENTITY_VALID, EXIT_DONE},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        enum identity_state seen = identity_state(&rows[i].identity, NOW);
        int code = identity_exit_code(&rows[i].identity, NOW);
        if (seen != rows[i].state || code != rows[i].code)
            fail_msg("row %zu: %s, exit %d", i, identity_state_names[seen], code);
    }
}

static void every_state_has_a_label_of_its_own(void **state) {
    (void)state;
    for (int i = 0; i < IDENTITY_STATE_MAX_; i++)
        for (int j = 0; j < i; j++)
            assert_string_not_equal(identity_state_names[i], identity_state_names[j]);
}

static void a_certificate_expires_with_its_last_second(void **state) {
    (void)state;
    const struct identity identity = {ALIVE};
    assert_int_equal(identity_state(&identity, NOW + 9), IDENTITY_VALID);
    assert_int_equal(identity_state(&identity, NOW + 10), IDENTITY_EXPIRED);
}

/* --- the plan --- */

static struct config_identity config = {
    .id = (char[]){"gw"},
    .renew_at = 500,
    .request_digest = (char[]){"D1"},
    .rest_digest = (char[]){"R1"},
};

static char fingerprint[] = "AA", digest[] = "D1", other_digest[] = "D2";
static char rest[] = "R1", other_rest[] = "R2", no_rest[] = "";

static struct identity with_certificate(void) {
    return (struct identity){
        .config = &config,
        .have_facts = true,
        .facts = {.not_before = NOW - 500,
                  .not_after = NOW + 500,
                  .sha256 = fingerprint,
                  .request_digest = digest,
                  .rest_digest = rest},
    };
}

static struct schedule_plan plan_of(const struct identity *identity) {
    struct schedule_plan plan;
    identity_plan(identity, "machine", NOW, &plan);
    return plan;
}

static void the_record_becomes_the_plan(void **state) {
    (void)state;
    struct identity identity = with_certificate();
    struct schedule_plan plan = plan_of(&identity);
    assert_int_equal(plan.action, SCHEDULE_RENEW);
    assert_in_range(plan.due, NOW, NOW + 50);
    identity.asked = true;
    assert_string_equal(plan_of(&identity).why, "asked for");
    identity.asked = false;
    identity.attempts =
        (struct store_attempts){.failures = 1, .last_attempt = NOW, .last_result = ESTC_E_TIMEOUT};
    assert_in_range(plan_of(&identity).due, NOW + 30, NOW + 36);
    identity.attempts.last_result = ESTC_E_CREDENTIAL;
    assert_int_equal(plan_of(&identity).action, SCHEDULE_REPAIR);
    identity.attempts = (struct store_attempts){.last_attempt = NOW, .pending_until = NOW + 100};
    assert_int_equal(plan_of(&identity).action, SCHEDULE_POLL);
    assert_int_equal(plan_of(&identity).due, NOW + 100);
}

static void another_request_means_another_enrolment(void **state) {
    (void)state;
    struct identity identity = with_certificate();
    identity.facts.request_digest = other_digest;
    identity.facts.rest_digest = other_rest;
    assert_int_equal(plan_of(&identity).action, SCHEDULE_ENROLL);
    assert_int_equal(plan_of(&identity).due, NOW);
    /* Facts that are not there ask for nothing. */
    struct identity none = {.config = &config};
    assert_string_equal(plan_of(&none).why, "no certificate yet");
}

/* A renewal can ask for other names, and for nothing else that an enrolment can. */
static void e09_other_names_mean_a_renewal(void **state) {
    (void)state;
    struct identity identity = with_certificate();
    assert_false(identity_wants_names_only(&config, &identity.facts));
    identity.facts.request_digest = other_digest;
    struct schedule_plan plan = plan_of(&identity);
    assert_int_equal(plan.action, SCHEDULE_RENEW);
    assert_int_equal(plan.due, NOW);
    assert_non_null(strstr(plan.why, "other names"));
    /* An earlier version has not written down what else was asked for. */
    identity.facts.rest_digest = no_rest;
    assert_int_equal(plan_of(&identity).action, SCHEDULE_ENROLL);
    identity.facts.rest_digest = rest;
    config.key_origin = CONFIG_ORIGIN_SERVER;
    assert_int_equal(plan_of(&identity).action, SCHEDULE_ENROLL);
    config.key_origin = CONFIG_ORIGIN_DEVICE;
    identity.facts.not_after = NOW;
    assert_int_equal(plan_of(&identity).action, SCHEDULE_ENROLL);
}

/* Before the first certificate the machine counts, afterwards the certificate. */
static void what_spreads_the_plan(void **state) {
    (void)state;
    struct identity identity = with_certificate();
    struct schedule_plan here, elsewhere;
    identity.facts.not_after = NOW + 100000;
    identity_plan(&identity, "machine 1", NOW, &here);
    identity_plan(&identity, "machine 2", NOW, &elsewhere);
    assert_int_equal(here.due, elsewhere.due);
    identity = (struct identity){.config = &config, FAILED(ESTC_E_TIMEOUT)};
    identity.attempts.failures = 8;
    identity_plan(&identity, "machine 1", NOW, &here);
    identity_plan(&identity, "machine 2", NOW, &elsewhere);
    assert_int_not_equal(here.due, elsewhere.due);
}

static void clearing_frees_all(void **state) {
    (void)state;
    struct identity identity = {
        .facts = {.subject = strdup("CN=a"), .sha256 = strdup("AA")},
        .attempts = {.last_error = strdup("x"), .last_action = strdup("renew")},
        .working = true,
    };
    identity_clear(&identity);
    assert_null(identity.facts.subject);
    assert_null(identity.attempts.last_error);
    assert_false(identity.working);
    identity_clear(&identity);
}

/* --- its files --- */

static char *write_pem(struct place *place, const char *name, const struct estc_buf *pem,
                       mode_t mode) {
    assert_int_equal(fs_write_atomic(place->fd, name, pem->data, pem->len, mode, NULL), 0);
    return text_format("%s/%s", place->path, name);
}

static void n04_its_files_are_looked_at(void **state) {
    struct place *place = *state;
    struct estc_error err = {0};
    _cleanup(pkey_freep) EVP_PKEY *key = support_key(), *ca_key = support_key();
    _cleanup(x509_freep) X509 *ca =
        support_cert(ca_key, &(struct support_cert_spec){.subject = "CN=CA", .ca = 1});
    _cleanup(x509_freep) X509 *birth = support_cert(
        key, &(struct support_cert_spec){.subject = "CN=device",
                                         .issuer = ca,
                                         .issuer_key = ca_key,
                                         .not_before = NOW / 2,
                                         .not_after = NOW / 2 + 1}); /* long expired (N-04) */
    _cleanup(estc_buf_clear) struct estc_buf key_pem = {0}, cert_pem = {0}, ca_pem = {0};
    assert_int_equal(estc_key_to_pem(key, &key_pem, NULL), 0);
    assert_int_equal(estc_cert_to_pem(birth, &cert_pem, NULL), 0);
    assert_int_equal(estc_cert_to_pem(ca, &ca_pem, NULL), 0);
    struct config_identity files = {
        .birth_key = write_pem(place, "birth.key", &key_pem, 0600),
        .birth_certificate = write_pem(place, "birth.pem", &cert_pem, 0644),
        .trust = write_pem(place, "trust.pem", &ca_pem, 0644),
    };
    if (identity_check_files(&files, &err))
        fail_msg("%s", err.text);
    static const char *const names[] = {"birth.key", "birth.pem", "trust.pem"};
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(renameat(place->fd, names[i], place->fd, "away"), 0);
        assert_int_equal(identity_check_files(&files, &err), ESTC_E_CREDENTIAL);
        assert_non_null(strstr(err.text, names[i]));
        assert_int_equal(renameat(place->fd, "away", place->fd, names[i]), 0);
    }
    assert_int_equal(fchmodat(place->fd, "birth.key", 0640, 0), 0);
    assert_int_equal(identity_check_files(&files, &err), ESTC_E_CREDENTIAL);
    assert_non_null(strstr(err.text, "chmod 600"));
    assert_int_equal(identity_check_files(&files, NULL), ESTC_E_CREDENTIAL);
    free(files.birth_key);
    free(files.birth_certificate);
    free(files.trust);
}

/* What is due while it is paused are two warnings; only what is asked for is done. */
static void a_pause_warns_and_does_nothing(void **state) {
    (void)state;
    static char id[] = "gw", own[] = "d", sha256[] = "ab";
    const struct config_identity paused = {.id = id, .renew_at = 500, .request_digest = own};
    struct identity identity = {
        .config = &paused,
        .have_facts = true,
        .facts = {.not_before = NOW,
                  .not_after = NOW + 1000,
                  .sha256 = sha256,
                  .request_digest = own},
        .attempts = {.paused_since = NOW, .failures = 3, .last_attempt = NOW},
    };
    const struct {
        int64_t now, warned_at, due;
    } rows[] = {
        {NOW + 1, 0, NOW + 950},
        {NOW + 949, 0, NOW + 950},
        {NOW + 950, NOW + 950, NOW + 1000},
        {NOW + 1001, NOW + 1001, CLOCK_LAST},
        {NOW + 5000, 0, NOW + 950}, /* after a start: at once */
    };
    struct schedule_plan plan;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        identity.warned_at = rows[i].warned_at;
        identity_plan(&identity, "m", rows[i].now, &plan);
        assert_int_equal(plan.due, rows[i].due);
        assert_non_null(strstr(plan.why, "paused"));
    }
    identity.asked = true;
    identity_plan(&identity, "m", NOW + 1, &plan);
    assert_int_equal(plan.due, NOW + 1);
    const struct identity none = {.config = &paused, .attempts = {.paused_since = NOW}};
    identity_plan(&none, "m", NOW + 1, &plan);
    assert_int_equal(plan.due, CLOCK_LAST);
}

static void renewal_is_needed_whatever_has_failed(void **state) {
    (void)state;
    static char id[] = "gw", own[] = "d", sha256[] = "ab";
    const struct config_identity asked = {.id = id, .renew_at = 500, .request_digest = own};
    const struct {
        int64_t begun, left, within; /* seconds ago; seconds to go; as it is asked */
        unsigned failures;
        bool needed;
        const char *why;
    } rows[] = {
        {100, 900, -1, 0, false, "renewal is due at "},
        {900, 100, -1, 0, true, "renewal is due at "},
        {900, 100, -1, 9, true, "renewal is due at "}, /* though the next try may be far away */
        {100, 900, 899, 0, false, "it ends at "},
        {100, 900, 900, 0, true, "it ends at "},
        {900, 100, 0, 0, false, "it ends at "}, /* who asks like this does not want to know */
        {900, 0, -1, 0, true, "it has expired at "},
        {900, -10, 0, 0, true, "it has expired at "},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        const struct identity identity = {
            .config = &asked,
            .have_facts = true,
            .facts = {.not_before = NOW - rows[i].begun,
                      .not_after = NOW + rows[i].left,
                      .sha256 = sha256,
                      .request_digest = own},
            .attempts = {.failures = rows[i].failures,
                         .last_attempt = NOW - (rows[i].failures > 0 ? 1 : rows[i].begun)},
        };
        _cleanup(freep) char *why = NULL;
        assert_int_equal(identity_needs_renewal(&identity, NOW, rows[i].within, &why),
                         rows[i].needed);
        assert_ptr_equal(strstr(why, rows[i].why), why);
    }
    _cleanup(freep) char *why = NULL;
    assert_true(identity_needs_renewal(&(struct identity){.config = &asked}, NOW, -1, &why));
    assert_string_equal(why, "there is no certificate yet");
}

/* Before the first certificate machines of one image differ by their birth certificates. */
static void copies_of_one_image_do_not_start_together(void **state) {
    (void)state;
    char id[] = "gw";
    const struct config_identity wanted = {.id = id, .renew_at = 660};
    char first[] = "AA", second[] = "BB";
    char *const births[] = {NULL, first, second};
    int64_t due[3];
    for (size_t i = 0; i < 3; i++) {
        const struct identity identity = {
            .config = &wanted, .birth = births[i], .started = NOW, .spread = 3600};
        struct schedule_plan plan;
        identity_plan(&identity, "the same machine id", NOW, &plan);
        assert_in_range(plan.due, NOW, NOW + 3600);
        due[i] = plan.due;
    }
    assert_int_not_equal(due[0], due[1]);
    assert_int_not_equal(due[1], due[2]);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(state_and_exit_code),
        cmocka_unit_test(copies_of_one_image_do_not_start_together),
        cmocka_unit_test(a_pause_warns_and_does_nothing),
        cmocka_unit_test(renewal_is_needed_whatever_has_failed),
        cmocka_unit_test(every_state_has_a_label_of_its_own),
        cmocka_unit_test(a_certificate_expires_with_its_last_second),
        cmocka_unit_test(the_record_becomes_the_plan),
        cmocka_unit_test(another_request_means_another_enrolment),
        cmocka_unit_test(e09_other_names_mean_a_renewal),
        cmocka_unit_test(what_spreads_the_plan),
        cmocka_unit_test(clearing_frees_all),
        PLACED(n04_its_files_are_looked_at),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
