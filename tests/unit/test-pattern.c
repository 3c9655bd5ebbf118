/* SPDX-License-Identifier: BSD-2-Clause */
/* Patterns for names: what they grant, and above all what they do not. */
#include "support.h"

#include <arpa/inet.h>
#include <string.h>

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
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        if (pattern_matches(rows[i].pattern, rows[i].text, strlen(rows[i].text), *state) !=
            rows[i].matches)
            fail_msg("'%s' %s '%s'", rows[i].pattern,
                     rows[i].matches ? "does not match" : "matches", rows[i].text);
}

static void a_nul_matches_nothing(void **state) {
    assert_false(pattern_matches("gw-1", "gw-1\0.evil", 10, *state));
    assert_false(pattern_matches("*", "a\0b", 3, *state));
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
        cmocka_unit_test(a_nul_matches_nothing),
        cmocka_unit_test(addresses),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
