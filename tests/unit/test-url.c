/* SPDX-License-Identifier: BSD-2-Clause */
#include "support.h"

#include <stdlib.h>
#include <string.h>

#include <estc/url.h>

static void takes_what_is_legal(void **state) {
    (void)state;
    static const struct {
        const char *text, *host, *root;
        uint16_t port;
    } cases[] = {
        {"coaps://ca.example", "ca.example", "/.well-known/est", 5684},
        {"coaps://ca.example/", "ca.example", "/.well-known/est", 5684},
        {"COAPS://ca.example", "ca.example", "/.well-known/est", 5684},
        {"coaps://ca.example:1", "ca.example", "/.well-known/est", 1},
        {"coaps://ca.example:65535/est", "ca.example", "/est", 65535},
        {"coaps://ca_1.example/a/b/", "ca_1.example", "/a/b", 5684},
        {"coaps://localhost:05684", "localhost", "/.well-known/est", 5684},
        {"coaps://192.0.2.7:9999", "192.0.2.7", "/.well-known/est", 9999},
        {"coaps://[2001:db8::1]", "2001:db8::1", "/.well-known/est", 5684},
        {"coaps://[::1]:61616/e", "::1", "/e", 61616},
        {"coaps://[::ffff:192.0.2.1]", "::ffff:192.0.2.1", "/.well-known/est", 5684},
        {"coaps://[fe80::1%eth0]", "fe80::1%eth0", "/.well-known/est", 5684},
        {"coaps://[fe80::1%25eth0]:7/x", "fe80::1%eth0", "/x", 7},
        {"coaps://h/a;b=c:d@e", "h", "/a;b=c:d@e", 5684},
        {"coaps://4u.example", "4u.example", "/.well-known/est", 5684},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct estc_url url = {0};
        struct estc_error err = {0};
        if (estc_url_parse(cases[i].text, &url, &err))
            fail_msg("%s", err.text);
        assert_string_equal(url.host, cases[i].host);
        assert_string_equal(url.root, cases[i].root);
        assert_int_equal(url.port, cases[i].port);
        estc_url_clear(&url);
        assert_null(url.host);
    }
    estc_url_clear(NULL);
}

static void refuses_the_rest_with_a_reason(void **state) {
    (void)state;
    static const struct {
        const char *text, *reason;
    } cases[] = {
        {"", "coaps://"},
        {"ca.example", "coaps://"},
        {"coap://ca.example", "coaps://"},
        {"https://ca.example", "coaps://"},
        {"coaps:/ca.example", "coaps://"},
        {"coaps://", "empty"},
        {"coaps://:5684", "empty"},
        {"coaps:///est", "empty"},
        {"coaps://user@ca.example", "user name"},
        {"coaps://ca.example?x", "query"},
        {"coaps://ca.example/e?x", "query"},
        {"coaps://ca.example#x", "query"},
        {"coaps://ca.example/e#x", "query"},
        {"coaps://ca.example:0", "port"},
        {"coaps://ca.example:65536", "port"},
        {"coaps://ca.example:", "port"},
        {"coaps://ca.example:-1", "port"},
        {"coaps://ca.example:+1", "port"},
        {"coaps://ca.example:1x", "port"},
        {"coaps://ca.example:999999999999999999999", "port"},
        {"coaps://ca example", "character"},
        {"coaps://c\xc3\xa4.example", "character"},
        {"coaps://ca%2eexample", "character"},
        {"coaps://*.example", "character"},
        {"coaps://a..b", "empty"},
        {"coaps://.a", "empty"},
        {"coaps://a.", "empty"},
        {"coaps://-a.example", "hyphen"},
        {"coaps://a-.example", "hyphen"},
        {"coaps://256.0.0.1", "IPv4"},
        {"coaps://1.2.3", "IPv4"},
        {"coaps://12345", "IPv4"},
        {"coaps://::1", "empty"},
        {"coaps://[::1", "bracket"},
        {"coaps://[]", "IPv6"},
        {"coaps://[192.0.2.1]", "IPv6"},
        {"coaps://[::1]x", "between"},
        {"coaps://[::1]]", "between"},
        {"coaps://[fe80::1%]", "IPv6"},
        {"coaps://[fe80::1%a b]", "IPv6"},
        {"coaps://[fe80::1%an-interface-name-too-long]", "IPv6"},
        {"coaps://[1::2::3]", "IPv6"},
        {"coaps://h/a//b", "empty part"},
        {"coaps://h//", "empty part"},
        {"coaps://h/./b", "'.'"},
        {"coaps://h/a/..", "'..'"},
        {"coaps://h/a b", "character"},
        {"coaps://h/a%20b", "percent"},
        {"coaps://h/\x01", "character"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct estc_url url = {0};
        struct estc_error err = {0};
        if (estc_url_parse(cases[i].text, &url, &err) != ESTC_E_CONFIG)
            fail_msg("taken: %s", cases[i].text);
        if (!strstr(err.text, cases[i].reason))
            fail_msg("%s: '%s' is not in: %s", cases[i].text, cases[i].reason, err.text);
        assert_null(url.host);
        assert_null(url.root);
    }
}

static void refuses_what_is_too_long(void **state) {
    (void)state;
    static const struct {
        const char *before;
        size_t fill;
        int rc;
    } cases[] = {
        {"coaps://", 63, 0},
        {"coaps://", 64, ESTC_E_CONFIG},
        {"coaps://", 300, ESTC_E_CONFIG},
        {"coaps://h/", 255, 0},
        {"coaps://h/", 256, ESTC_E_CONFIG},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char text[512];
        size_t len = strlen(cases[i].before);
        memcpy(text, cases[i].before, len);
        memset(text + len, 'a', cases[i].fill);
        text[len + cases[i].fill] = '\0';
        struct estc_url url = {0};
        assert_int_equal(estc_url_parse(text, &url, NULL), cases[i].rc);
        estc_url_clear(&url);
    }
}

/* No byte anywhere may crash it, nor leave half a result. */
static void survives_mutation(void **state) {
    (void)state;
    static const char *const seeds[] = {"coaps://user@ca.example:5684/a/b?c#d",
                                        "coaps://[fe80::1%25eth0]:5684/est"};
    for (size_t s = 0; s < 2; s++) {
        size_t len = strlen(seeds[s]);
        for (size_t at = 0; at < len; at++)
            for (int byte = 0; byte < 256; byte++) {
                char text[64];
                strcpy(text, seeds[s]);
                text[at] = (char)byte; /* 0 truncates */
                struct estc_url url = {0};
                int rc = estc_url_parse(text, &url, NULL);
                assert_true(rc == 0 || rc == ESTC_E_CONFIG);
                assert_int_equal(rc == 0, url.host && url.root && url.port);
                estc_url_clear(&url);
            }
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(takes_what_is_legal),
        cmocka_unit_test(refuses_the_rest_with_a_reason),
        cmocka_unit_test(refuses_what_is_too_long),
        cmocka_unit_test(survives_mutation),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
