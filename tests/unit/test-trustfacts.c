/* SPDX-License-Identifier: BSD-2-Clause */
/* What a worker tells the manager of the trust anchors: read back as written, or refused. */
#include "support.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup_ossl.h"
#include "ctl/json.h"
#include "estcd/trustfacts.h"

static void make(int n, struct trust_facts *out) {
    struct estc_trust *trust = NULL;
    assert_int_equal(estc_trust_new(&trust, NULL), 0);
    for (int i = 0; i < n; i++) {
        _cleanup(pkey_freep) EVP_PKEY *key = support_key();
        char subject[32];
        snprintf(subject, sizeof(subject), "CN=root %d", i);
        _cleanup(x509_freep) X509 *cert = support_cert(
            key,
            &(struct support_cert_spec){.subject = subject, .ca = 1, .not_after = 2000000000 - i});
        assert_int_equal(estc_trust_add(trust, cert, NULL), 0);
    }
    assert_int_equal(
        trust_facts_make(trust, TRUST_FROM_FINGERPRINT, "coaps://est.example", "D1", out, NULL), 0);
    out->generation = 3;
    out->received_at = 1700000000;
    estc_trust_free(trust);
}

static void c09_c12_what_is_written_is_read_back(void **state) {
    (void)state;
    for (int n = 1; n <= TRUST_ANCHORS_SHOWN + 2; n++) {
        _cleanup(trust_facts_clear) struct trust_facts made = {0}, read = {0};
        make(n, &made);
        assert_int_equal(made.until, 2000000000 - n + 1); /* of all, shown or not */
        _cleanup(json_freep) json_t *json = trust_facts_to_json(&made);
        struct estc_error err = {0};
        if (trust_facts_from_json(json, &read, &err))
            fail_msg("%s", err.text);
        _cleanup(json_freep) json_t *again = trust_facts_to_json(&read);
        assert_true(json_equal(json, again));
        assert_int_equal(read.n_anchors, n < TRUST_ANCHORS_SHOWN ? n : TRUST_ANCHORS_SHOWN);
        assert_string_equal(read.anchors[0].subject, "CN=root 0");
        assert_int_equal(strlen(read.anchors[0].sha256), 64);
    }
}

static void refuse(json_t *json, const char *what) {
    struct trust_facts out = {0};
    struct estc_error err = {0};
    if (trust_facts_from_json(json, &out, &err) != ESTC_E_MALFORMED)
        fail_msg("taken: %s", what);
    assert_null(out.origin);
}

static void each_member_is_needed_and_judged(void **state) {
    (void)state;
    _cleanup(trust_facts_clear) struct trust_facts made = {0};
    make(1, &made);
    _cleanup(json_freep) json_t *json = trust_facts_to_json(&made);
    static const char *const members[] = {"format", "generation", "received_at", "until",
                                          "origin", "url",        "configured",  "anchors"};
    assert_int_equal(json_object_size(json), sizeof(members) / sizeof(members[0]));
    char *const too_long = calloc(1, 2000);
    memset(too_long, 'a', 1999);
    for (size_t m = 0; m < sizeof(members) / sizeof(members[0]); m++) {
        const char *name = members[m];
        json_t *value = json_incref(json_object_get(json, name));
        json_t *const wrong[] = {json_null(),
                                 json_real(1.5),
                                 json_integer(-300000000000),
                                 json_integer(300000000000),
                                 json_string(too_long),
                                 json_object(),
                                 json_pack("[{}]"),
                                 json_pack("[{}, {}, {}, {}, {}]")};
        for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
            json_object_set_new(json, name, wrong[i]);
            refuse(json, name);
        }
        json_object_del(json, name);
        refuse(json, name);
        json_object_set_new(json, name, value);
    }
    free(too_long);
    _cleanup(trust_facts_clear) struct trust_facts read = {0};
    assert_int_equal(trust_facts_from_json(json, &read, NULL), 0);
    refuse(NULL, "nothing");
}

static void mutations_never_break_it(void **state) {
    (void)state;
    _cleanup(trust_facts_clear) struct trust_facts made = {0};
    make(2, &made);
    _cleanup(json_freep) json_t *json = trust_facts_to_json(&made);
    _cleanup(freep) char *text = json_dumps(json, JSON_COMPACT);
    size_t len = strlen(text);
    for (size_t at = 0; at < len; at++)
        for (int bit = 0; bit < 7; bit++) {
            text[at] ^= (char)(1 << bit);
            _cleanup(json_freep) json_t *changed = ctl_json_object(text, len);
            struct trust_facts out = {0};
            if (!trust_facts_from_json(changed, &out, NULL))
                trust_facts_clear(&out);
            text[at] ^= (char)(1 << bit);
        }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(c09_c12_what_is_written_is_read_back),
        cmocka_unit_test(each_member_is_needed_and_judged),
        cmocka_unit_test(mutations_never_break_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
