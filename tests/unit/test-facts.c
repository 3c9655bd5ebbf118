/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Facts of a certificate: what is written is read back, whatever the certificate holds; and what
 * somebody else has written is taken only if every member is what it should be.
 */
#include "support.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup_ossl.h"
#include "base/text.h"
#include "ctl/json.h"
#include "estcd/facts.h"
#include "estcd/store_internal.h"

static X509 *a_cert(const char *subject, const char *const *sans) {
    _cleanup(pkey_freep) EVP_PKEY *key = support_key();
    const struct support_cert_spec spec = {
        .subject = subject, .sans = sans, .not_before = 1000, .not_after = 253402300799};
    return support_cert(key, &spec);
}

static char *dump(const struct facts *facts) {
    _cleanup(json_freep) json_t *json = facts_to_json(facts);
    assert_non_null(json);
    char *text = json_dumps(json, JSON_INDENT(1));
    assert_non_null(text);
    return text;
}

static void assert_same(const struct facts *a, const struct facts *b) {
    _cleanup(freep) char *as = dump(a), *bs = dump(b);
    assert_string_equal(as, bs);
}

static void what_is_written_is_read_back(void **state) {
    (void)state;
    static const char *const sans[] = {"DNS:gw.example", "IP:192.0.2.1", NULL};
    _cleanup(x509_freep) X509 *cert = a_cert("CN=gw \\\"one\\\",O=Example", sans);
    _cleanup(facts_clear) struct facts made = {0}, read = {0};
    assert_int_equal(facts_from_cert(cert, "D1", "R", 7, 5000, &made, NULL), 0);
    assert_int_equal(made.not_before, 1000);
    assert_int_equal(made.not_after, 253402300799);
    assert_int_equal(made.issued_at, 5000);
    assert_int_equal(made.generation, 7);
    assert_string_equal(made.request_digest, "D1");
    assert_string_equal(made.key_type, "p256");
    assert_string_equal(made.sans[1], "IP:192.0.2.1");
    assert_int_equal(strlen(made.sha256), 64);
    _cleanup(json_freep) json_t *json = facts_to_json(&made);
    assert_int_equal(facts_from_json(json, &read, NULL), 0);
    assert_same(&made, &read);
    assert_string_equal(read.subject, "CN=gw \\\"one\\\",O=Example");
}

static void without_names_there_is_an_empty_list(void **state) {
    (void)state;
    _cleanup(x509_freep) X509 *cert = a_cert("CN=x", NULL);
    _cleanup(facts_clear) struct facts made = {0}, read = {0};
    assert_int_equal(facts_from_cert(cert, "", "R", 1, -5, &made, NULL), 0);
    assert_int_equal(made.issued_at, 0);
    _cleanup(json_freep) json_t *json = facts_to_json(&made);
    assert_int_equal(json_array_size(json_object_get(json, "sans")), 0);
    assert_int_equal(facts_from_json(json, &read, NULL), 0);
    assert_int_equal(text_list_len(read.sans), 0);
}

/* A CA may put in what it likes; the manager must be able to read what the worker wrote of it. */
static void the_largest_certificate_stays_readable(void **state) {
    (void)state;
    char *sans[129] = {0};
    for (int i = 0; i < 128; i++) {
        sans[i] = malloc(1100);
        int at = snprintf(sans[i], 32, "URI:urn:x:%03d", i);
        memset(sans[i] + at, i % 2 ? '"' : '\\', 900);
        sans[i][at + 900] = '\0';
    }
    char subject[1200] = "CN=x";
    for (int i = 0; i < 16; i++)
        strcat(subject, ",OU=\\\"\\\"\\\"\\\"\\\"\\\"\\\"\\\"\\\"\\\"\\\"\\\"\\\"\\\"\\\"\\\"");
    _cleanup(x509_freep) X509 *cert = a_cert(subject, (const char *const *)sans);
    _cleanup(facts_clear) struct facts made = {0}, read = {0};
    assert_int_equal(facts_from_cert(cert, "D", "R", 1, 1, &made, NULL), 0);
    _cleanup(freep) char *text = dump(&made);
    assert_in_range(strlen(text), 4000, STORE_JSON_MAX);
    assert_string_equal(made.sans[text_list_len(made.sans) - 1], "...");
    _cleanup(json_freep) json_t *json = ctl_json_object(text, strlen(text));
    assert_int_equal(facts_from_json(json, &read, NULL), 0);
    assert_same(&made, &read);
    for (int i = 0; i < 128; i++)
        free(sans[i]);
}

static void many_short_names_are_cut_at_a_hundred(void **state) {
    (void)state;
    char *sans[121] = {0};
    for (int i = 0; i < 120; i++)
        sans[i] = text_format("DNS:a%d.example", i);
    _cleanup(x509_freep) X509 *cert = a_cert("CN=x", (const char *const *)sans);
    _cleanup(facts_clear) struct facts made = {0}, read = {0};
    assert_int_equal(facts_from_cert(cert, "D", "R", 1, 1, &made, NULL), 0);
    assert_int_equal(text_list_len(made.sans), 100);
    assert_string_equal(made.sans[98], "DNS:a98.example");
    assert_string_equal(made.sans[99], "...");
    _cleanup(json_freep) json_t *json = facts_to_json(&made);
    assert_int_equal(facts_from_json(json, &read, NULL), 0);
    for (int i = 0; i < 120; i++)
        free(sans[i]);
}

/* --- hostile ones --- */

static const char good[] =
    "{\"format\": 1, \"sans\": [\"DNS:a\"], \"subject\": \"CN=a\", \"issuer\": \"CN=b\","
    " \"serial\": \"01\", \"sha256\": \"AA\", \"key_type\": \"p256\", \"request_digest\": \"BB\","
    " \"not_before\": 1, \"not_after\": 2, \"issued_at\": 3, \"generation\": 4}";

/* Takes `member` out, or puts `value` (JSON) in its place. */
static int read_with(const char *member, const char *value, struct facts *out,
                     struct estc_error *err) {
    _cleanup(json_freep) json_t *json = json_loads(good, 0, NULL);
    assert_non_null(json);
    if (value) {
        json_t *v = json_loads(value, JSON_DECODE_ANY, NULL);
        assert_non_null(v);
        json_object_set_new(json, member, v);
    } else {
        json_object_del(json, member);
    }
    return facts_from_json(json, out, err);
}

static void each_member_is_needed(void **state) {
    (void)state;
    _cleanup(json_freep) json_t *json = json_loads(good, 0, NULL);
    _cleanup(facts_clear) struct facts facts = {0};
    assert_int_equal(facts_from_json(json, &facts, NULL), 0);
    const char *member;
    json_t *value;
    int n = 0;
    json_object_foreach(json, member, value) {
        struct estc_error err = {0};
        struct facts none = {0};
        assert_int_equal(read_with(member, NULL, &none, &err), ESTC_E_MALFORMED);
        assert_non_null(strstr(err.text, member));
        assert_int_equal(read_with(member, "null", &none, NULL), ESTC_E_MALFORMED);
        assert_int_equal(read_with(member, "{}", &none, NULL), ESTC_E_MALFORMED);
        assert_int_equal(read_with(member, "true", &none, NULL), ESTC_E_MALFORMED);
        assert_int_equal(read_with(member, "1.5", &none, NULL), ESTC_E_MALFORMED);
        assert_null(none.subject);
        assert_null(none.sans);
        n++;
    }
    assert_int_equal(n, 12);
}

/* What a version that knew nothing of it has written. */
static void the_digest_of_the_rest_may_be_absent(void **state) {
    (void)state;
    _cleanup(facts_clear) struct facts old = {0}, new = {0};
    struct facts none = {0};
    assert_int_equal(read_with("colour", NULL, &old, NULL), 0);
    assert_string_equal(old.rest_digest, "");
    assert_int_equal(read_with("rest_digest", "\"CC\"", &new, NULL), 0);
    assert_string_equal(new.rest_digest, "CC");
    assert_int_equal(read_with("rest_digest", "1", &none, NULL), ESTC_E_MALFORMED);
    assert_int_equal(read_with("rest_digest", "null", &none, NULL), ESTC_E_MALFORMED);
}

static void values_out_of_bounds_are_refused(void **state) {
    (void)state;
    static const struct {
        const char *member, *value;
        int rc;
    } rows[] = {
        {"format", "2", ESTC_E_MALFORMED},
        {"format", "0", ESTC_E_MALFORMED},
        {"format", "\"1\"", ESTC_E_MALFORMED},
        {"not_after", "253402300799", 0},
        {"not_after", "253402300800", ESTC_E_MALFORMED},
        {"not_after", "9223372036854775807", ESTC_E_MALFORMED},
        {"not_before", "-9223372036854775807", ESTC_E_MALFORMED},
        {"not_before", "-62135596800", 0},
        {"issued_at", "-1", ESTC_E_MALFORMED},
        {"generation", "0", ESTC_E_MALFORMED},
        {"generation", "9223372036854775807", ESTC_E_MALFORMED},
        {"sans", "\"DNS:a\"", ESTC_E_MALFORMED},
        {"sans", "[1]", ESTC_E_MALFORMED},
        {"sans", "[\"a\", null]", ESTC_E_MALFORMED},
        {"sans", "[]", 0},
        {"subject", "[\"CN=a\"]", ESTC_E_MALFORMED},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        _cleanup(facts_clear) struct facts facts = {0};
        int rc = read_with(rows[i].member, rows[i].value, &facts, NULL);
        if (rc != rows[i].rc)
            fail_msg("%s: %s: %d", rows[i].member, rows[i].value, rc);
    }
}

static void long_texts_and_lists_are_refused(void **state) {
    (void)state;
    char text[1100];
    memset(text, 'a', sizeof(text));
    for (int n = 1022; n <= 1028; n++) { /* with the quotes: 1020 to 1026 bytes */
        _cleanup(freep) char *value = text_format("\"%.*s\"", n - 2, text);
        _cleanup(facts_clear) struct facts facts = {0};
        assert_int_equal(read_with("issuer", value, &facts, NULL),
                         n - 2 <= 1024 ? 0 : ESTC_E_MALFORMED);
    }
    for (int n = 99; n <= 101; n++) {
        _cleanup(json_freep) json_t *list = json_array();
        for (int i = 0; i < n; i++)
            json_array_append_new(list, json_string("DNS:a"));
        char *value = json_dumps(list, 0);
        _cleanup(facts_clear) struct facts facts = {0};
        assert_int_equal(read_with("sans", value, &facts, NULL), n <= 100 ? 0 : ESTC_E_MALFORMED);
        free(value);
    }
}

static void what_is_shown_is_clean(void **state) {
    (void)state;
    _cleanup(facts_clear) struct facts facts = {0};
    assert_int_equal(read_with("subject", "\"CN=\\u001b[31m\\n\\u202eevil\"", &facts, NULL), 0);
    assert_string_equal(facts.subject, "CN=?[31m??evil");
}

static void not_an_object(void **state) {
    (void)state;
    struct facts facts = {0};
    assert_int_equal(facts_from_json(NULL, &facts, NULL), ESTC_E_MALFORMED);
    _cleanup(json_freep) json_t *list = json_array();
    assert_int_equal(facts_from_json(list, &facts, NULL), ESTC_E_MALFORMED);
}

/* Every single byte changed in several ways, and every truncation: refused or within bounds. */
static void mutations_never_break_it(void **state) {
    (void)state;
    unsigned accepted = 0;
    static const char replacements[] = "\0{}[]\",:-9x\x80";
    for (size_t at = 0; at < strlen(good); at++) {
        for (size_t r = 0; r < sizeof(replacements); r++) {
            char text[sizeof(good)];
            memcpy(text, good, sizeof(good));
            text[at] = replacements[r];
            _cleanup(json_freep) json_t *json = ctl_json_object(text, strlen(good));
            _cleanup(facts_clear) struct facts facts = {0};
            if (!json || facts_from_json(json, &facts, NULL))
                continue;
            accepted++;
            assert_true(facts.generation >= 1 && facts.issued_at >= 0);
            assert_true(facts.subject && facts.serial && strlen(facts.subject) <= 1024);
        }
        _cleanup(json_freep) json_t *cut = ctl_json_object(good, at);
        assert_null(cut);
    }
    assert_true(accepted > 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_written_is_read_back),
        cmocka_unit_test(without_names_there_is_an_empty_list),
        cmocka_unit_test(the_largest_certificate_stays_readable),
        cmocka_unit_test(many_short_names_are_cut_at_a_hundred),
        cmocka_unit_test(each_member_is_needed),
        cmocka_unit_test(the_digest_of_the_rest_may_be_absent),
        cmocka_unit_test(values_out_of_bounds_are_refused),
        cmocka_unit_test(long_texts_and_lists_are_refused),
        cmocka_unit_test(what_is_shown_is_clean),
        cmocka_unit_test(not_an_object),
        cmocka_unit_test(mutations_never_break_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
