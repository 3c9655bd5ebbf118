/* SPDX-License-Identifier: BSD-2-Clause */
/* Patterns for names: what they grant, and above all what they do not. */
#include "support.h"

#include <arpa/inet.h>
#include <string.h>

#include "base/cleanup_ossl.h"
#include "est-registrar/pattern.h"

static int setup(void **state) {
    EVP_PKEY *key = support_key();
    *state = support_cert(key, &(struct support_cert_spec){
                                   .subject = "CN=gw-1,OU=a,OU=b,O=Exa*mple,serialNumber=77"});
    EVP_PKEY_free(key);
    return *state ? 0 : -1;
}

static int teardown(void **state) {
    X509_free(*state);
    return 0;
}

static void text_patterns(void **state) {
    static const struct {
        const char *pattern, *text;
        bool matches;
    } rows[] = {
        {"gw-1", "gw-1", true},
        {"gw-1", "GW-1", true},
        {"gw-1", "gw-11", false},
        {"gw-1", "gw-", false},
        {"", "", false},
        {"*", "", false},
        {"*", "anything", true},
        {"*", "two.labels", false},
        {"*", "a@b", false},
        {"*", "a/b", false},
        {"*", "a:b", false},
        {"*.example", "a.example", true},
        {"*.example", ".example", false},
        {"*.example", "a.b.example", false},
        {"*.*.example", "a.b.example", true},
        {"a*c", "abc", true},
        {"a*c", "ac", false},
        {"a*c", "abcbc", true},
        {"a*b*c", "aXbYc", true},
        {"a*b*c", "abbc", false},
        {"**", "a", false},
        {"**", "ab", true},
        {"${CN}", "gw-1", true},
        {"${CN}-*", "gw-1-mqtt", true},
        {"${CN}-*", "gw-1-", false},
        {"${CN}-*", "gw-10-mqtt", false},
        {"${CN}-*", "gw-1", false},
        {"*.${CN}.local", "a.gw-1.local", true},
        {"${serialNumber}", "77", true},
        {"${O}", "Exa*mple", true}, /* a star in a value is a letter */
        {"${O}", "ExaXmple", false},
        {"${OU}", "a", false}, /* there are two of it */
        {"${L}", "x", false},  /* there is none */
        {"${L}", "", false},
        {"${nonsense}", "x", false},
        {"${CN", "gw-1", false},
        {"${}", "x", false},
        {"$CN", "$CN", true},
        {"${emailAddress}", "a@b", false}, /* not one of the list */
        {"${2.5.4.3}", "gw-1", false},
        {"${cn}", "gw-1", false},
        /* Whoever may have any one name does not get the certificate for all of them. */
        {"*.example", "*.example", false},
        {"gw-*", "gw-*", false},
        {"gw-*", "gw-a*", false},
        {"*.${CN}.local", "*.gw-1.local", false},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        if (pattern_matches(rows[i].pattern, rows[i].text, strlen(rows[i].text), *state) !=
            rows[i].matches)
            fail_msg("'%s' %s '%s'", rows[i].pattern,
                     rows[i].matches ? "does not match" : "matches", rows[i].text);
}

static void a_control_character_matches_nothing(void **state) {
    assert_false(pattern_matches("gw-1", "gw-1\0.evil", 10, *state));
    assert_false(pattern_matches("*", "a\0b", 3, *state));
    for (char c = 1; c < 127; c = c == 31 ? 127 : (char)(c + 1)) {
        const char text[] = {'a', c, 'b'};
        assert_false(pattern_matches("*", text, sizeof(text), *state));
        assert_false(pattern_matches("a*b", text, sizeof(text), *state));
    }
    assert_false(pattern_matches("*", "\x7f", 1, *state));
    assert_true(pattern_matches("*", "M\xc3\xbcnchen", 8, *state));
}

/* A birth certificate is the factory's, but its text comes into patterns: it stays text. */
static void what_a_birth_certificate_says_is_no_pattern(void **state) {
    (void)state;
    static const struct {
        const char *subject, *pattern, *text;
        bool matches;
    } rows[] = {
        {"CN=*", "${CN}", "anything", false},  {"CN=*", "${CN}", "*", true},
        {"CN=${O},O=x", "${CN}", "x", false},  {"CN=${O},O=x", "${CN}", "${O}", true},
        {"CN=a\\01b", "${CN}", "aXb", false}, /* PATTERN_STAR itself */
        {"CN=a\\01b", "${CN}", "a\1b", false}, {"OU=x", "${CN}", "", false},
    };
    _cleanup(pkey_freep) EVP_PKEY *key = support_key();
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        _cleanup(x509_freep) X509 *birth =
            support_cert(key, &(struct support_cert_spec){.subject = rows[i].subject});
        if (pattern_matches(rows[i].pattern, rows[i].text, strlen(rows[i].text), birth) !=
            rows[i].matches)
            fail_msg("'%s' of '%s' against '%s'", rows[i].pattern, rows[i].subject, rows[i].text);
    }
}

/* Empty values are legal ASN.1. */
static void an_empty_attribute_is_none(void **state) {
    (void)state;
    _cleanup(pkey_freep) EVP_PKEY *key = support_key();
    _cleanup(x509_freep) X509 *birth =
        support_cert(key, &(struct support_cert_spec){.subject = "O=x"});
    _cleanup(x509_name_freep) X509_NAME *name = X509_NAME_new();
    assert_true(X509_NAME_add_entry_by_NID(name, NID_commonName, V_ASN1_UTF8STRING,
                                           (const unsigned char *)"", 0, -1, 0));
    assert_true(X509_set_subject_name(birth, name));
    assert_false(pattern_matches("${CN}", "", 0, birth));
    assert_false(pattern_matches("${CN}-x", "-x", 2, birth));
}

/* The obvious way to say the same, for short texts: every pattern over a small alphabet. */
static bool matches_slowly(const char *pattern, const char *text) {
    if (!*pattern)
        return !*text;
    if (*pattern != '*')
        return *pattern == *text && matches_slowly(pattern + 1, text + 1);
    for (size_t n = 1; text[n - 1] && text[n - 1] != '.'; n++)
        if (matches_slowly(pattern + 1, text + n))
            return true;
    return false;
}

static void nth_word(unsigned n, const char *alphabet, char out[8]) {
    size_t letters = strlen(alphabet), len = 0;
    for (; n > 0; n = (n - 1) / (unsigned)letters)
        out[len++] = alphabet[(n - 1) % letters];
    out[len] = '\0';
}

static void matching_fast_is_matching_slowly(void **state) {
    for (unsigned p = 1; p < 1365; p++)
        for (unsigned t = 1; t < 364; t++) {
            char pattern[8], text[8];
            nth_word(p, "ab.*", pattern);
            nth_word(t, "ab.", text);
            if (pattern_matches(pattern, text, strlen(text), *state) !=
                matches_slowly(pattern, text))
                fail_msg("'%s' against '%s'", pattern, text);
        }
}

static void what_can_never_match_is_named(void **state) {
    (void)state;
    static const struct {
        const char *pattern, *says;
    } bad[] = {
        {"${", "without '}'"},
        {"a-${CN", "without '}'"},
        {"${CN}-${DEVICE}", "there is no '${DEVICE}'"},
        {"${cn}", "use one of CN, O"},
        {"${}", "there is no '${}'"},
        {"a\tb", "control character"},
    };
    struct estc_error err = {0};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        assert_int_equal(pattern_check(bad[i].pattern, &err), ESTC_E_CONFIG);
        if (!strstr(err.text, bad[i].says))
            fail_msg("'%s' does not say '%s'", err.text, bad[i].says);
    }
    static const char *const good[] = {"*",
                                       "gw-1",
                                       "${CN}-*.${O}",
                                       "${serialNumber}",
                                       "$CN",
                                       "}",
                                       "$",
                                       "${DC}${UID}${ST}${L}${C}"};
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
        assert_int_equal(pattern_check(good[i], &err), 0);
    static const char *const bad_ip[] = {"",
                                         "gw",
                                         "10.0.0.0/33",
                                         "10.0.0.0/",
                                         "10.0.0.0/-1",
                                         "10.0.0.0/8 ",
                                         "::/129",
                                         "10.0.0",
                                         "10.0.0.0/+8",
                                         "::1/0x10",
                                         "/8",
                                         "10.0.0.0/0000",
                                         "fe80::1%lo",
                                         "10.0.0.0/99999999999"};
    for (size_t i = 0; i < sizeof(bad_ip) / sizeof(bad_ip[0]); i++)
        assert_int_equal(pattern_check_ip(bad_ip[i], &err), ESTC_E_CONFIG);
    assert_int_equal(pattern_check_ip("10.0.0.0/8", &err), 0);
    assert_int_equal(pattern_check_ip("::/0", &err), 0);
    assert_int_equal(pattern_check_ip("2001:db8::1", &err), 0);
}

static void addresses(void **state) {
    (void)state;
    static const struct {
        const char *pattern, *address;
        bool matches;
    } rows[] = {
        {"192.0.2.1", "192.0.2.1", true},
        {"192.0.2.1", "192.0.2.2", false},
        {"10.0.0.0/8", "10.255.3.4", true},
        {"10.0.0.0/8", "11.0.0.1", false},
        {"10.0.0.0/9", "10.127.0.1", true},
        {"10.0.0.0/9", "10.128.0.1", false},
        {"0.0.0.0/0", "203.0.113.9", true},
        {"0.0.0.0/0", "2001:db8::1", false},
        {"2001:db8::/32", "2001:db8::1", true},
        {"2001:db8::/32", "2001:db9::1", false},
        {"::1", "::1", true},
        {"::/0", "192.0.2.1", false},
        {"10.0.0.0/33", "10.0.0.1", false},
        {"10.0.0.0/", "10.0.0.1", false},
        {"10.0.0.0/8x", "10.0.0.1", false},
        {"10.0.0.0/-1", "10.0.0.1", false},
        {"gw", "10.0.0.1", false},
        {"", "10.0.0.1", false},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        unsigned char address[16];
        size_t len = strchr(rows[i].address, ':') ? 16 : 4;
        assert_int_equal(inet_pton(len == 4 ? AF_INET : AF_INET6, rows[i].address, address), 1);
        if (pattern_matches_ip(rows[i].pattern, address, len) != rows[i].matches)
            fail_msg("%s against %s", rows[i].address, rows[i].pattern);
    }
    assert_false(
        pattern_matches_ip("10.0.0.0/8", (const unsigned char *)"\x0a\0\0\1\xff\0\0\0", 8));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(text_patterns),
        cmocka_unit_test(a_control_character_matches_nothing),
        cmocka_unit_test(what_a_birth_certificate_says_is_no_pattern),
        cmocka_unit_test(an_empty_attribute_is_none),
        cmocka_unit_test(matching_fast_is_matching_slowly),
        cmocka_unit_test(what_can_never_match_is_named),
        cmocka_unit_test(addresses),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
