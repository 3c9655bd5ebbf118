/* SPDX-License-Identifier: BSD-2-Clause */
/* Who trusts whom: certificates that are right, and wrong in every way. */
#include "ends.h"

#include <string.h>

#include "base/clock.h"

#define DAY 86400

struct trust_row {
    const char *what;
    struct support_cert_spec server;
    enum estc_key_type type;
    const char *host;
    bool allow_rsa, wrong_trust;
    int64_t now;
    int result;
    const char *text;
};

static void check_trust_row(const struct trust_row *row) {
    struct net_id id = net_issue(&ends_pki.root, row->type, row->server);
    struct net_server server = server_for(&id);
    struct net_child child = net_serve(&server);
    struct estc_coaps_options o = options_for(server.port);
    struct estc_error err = {0};
    o.host = row->host;
    o.allow_rsa_server = row->allow_rsa;
    o.now = row->now;
    o.trust = row->wrong_trust ? ends_pki.other_trust : ends_pki.trust;
    int r = connect_once(&o, 5000, &err);
    if (r != row->result || (r && !strstr(err.text, row->text)) ||
        (r && strncmp(err.text, "server ", 7) != 0))
        fail_msg("%s: %d '%s'", row->what, r, err.text);
    if (row->wrong_trust) /* the code is the same for those who want no text */
        assert_int_equal(connect_once(&o, 5000, NULL), row->result);
    net_stop(&child);
    net_id_clear(&id);
}

static void s04_s07_server_certificates(void **state) {
    (void)state;
    static const char *const ip6[] = {"IP:::1", NULL}, *const ip4[] = {"IP:127.0.0.1", NULL};
    static const char *const name[] = {"DNS:localhost", NULL};
    static const char *const foreign[] = {"DNS:est.example", "IP:192.0.2.1", NULL};
    int64_t now = clock_real();
    const struct trust_row rows[] = {
        {"address", {.subject = "CN=s", .sans = ip6}, 0, "::1", .text = ""},
        {"IPv4 address", {.subject = "CN=s", .sans = ip4}, 0, "127.0.0.1", .text = ""},
        {"name", {.subject = "CN=s", .sans = name}, 0, "localhost", .text = ""},
        {"name in capitals", {.subject = "CN=s", .sans = name}, 0, "LOCALHOST", .text = ""},
        {"P-384 key", {.subject = "CN=s", .sans = ip6}, ESTC_KEY_P384, "::1", .text = ""},
        {"fit for servers",
         {.subject = "CN=s", .sans = ip6, .eku = "serverAuth"},
         0,
         "::1",
         .text = ""},
        {"wrong name",
         {.subject = "CN=localhost", .sans = foreign},
         0,
         "localhost",
         .result = ESTC_E_UNTRUSTED,
         .text = "certificate 'CN=localhost' is for DNS:est.example, IP:192.0.2.1, not for "
                 "'localhost'"},
        {"common name only",
         {.subject = "CN=localhost"},
         0,
         "localhost",
         .result = ESTC_E_UNTRUSTED,
         .text = "no subjectAltName"},
        {"wrong address",
         {.subject = "CN=s", .sans = ip4},
         0,
         "::1",
         .result = ESTC_E_UNTRUSTED,
         .text = "is for IP:127.0.0.1, not for '::1'"},
        {"name for an address",
         {.subject = "CN=s", .sans = name},
         0,
         "::1",
         .result = ESTC_E_UNTRUSTED,
         .text = "not for '::1'"},
        {"expired",
         {.subject = "CN=s", .sans = ip6, .not_before = now - 9 * DAY, .not_after = now - DAY},
         0,
         "::1",
         .result = ESTC_E_UNTRUSTED,
         .text = "expired"},
        {"not yet valid",
         {.subject = "CN=s", .sans = ip6, .not_before = now + DAY, .not_after = now + 2 * DAY},
         0,
         "::1",
         .result = ESTC_E_UNTRUSTED,
         .text = "clock"},
        {"expired by another clock",
         {.subject = "CN=s", .sans = ip6},
         0,
         "::1",
         .now = now + 400 * DAY,
         .result = ESTC_E_UNTRUSTED,
         .text = "expired"},
        {"valid by another clock",
         {.subject = "CN=s", .sans = ip6, .not_before = now - 9 * DAY, .not_after = now - DAY},
         0,
         "::1",
         .now = now - 1800,
         .result = ESTC_E_UNTRUSTED,
         .text = "expired"},
        {"unknown CA",
         {.subject = "CN=s", .sans = ip6},
         0,
         "::1",
         .wrong_trust = true,
         .result = ESTC_E_UNTRUSTED,
         .text = "CN=s"},
        {"fit for clients only",
         {.subject = "CN=s", .sans = ip6, .eku = "clientAuth"},
         0,
         "::1",
         .result = ESTC_E_UNTRUSTED,
         .text = "CN=s"},
        {"RSA refused",
         {.subject = "CN=s", .sans = ip6},
         ESTC_KEY_RSA2048,
         "::1",
         .result = ESTC_E_REJECTED,
         .text = "RSA certificate has to be allowed"},
        {"RSA allowed",
         {.subject = "CN=s", .sans = ip6},
         ESTC_KEY_RSA2048,
         "::1",
         .allow_rsa = true,
         .text = ""},
        {"ECDSA with RSA allowed",
         {.subject = "CN=s", .sans = ip6},
         0,
         "::1",
         .allow_rsa = true,
         .text = ""},
    };
    for (size_t i = 0; i < COUNT(rows); i++)
        check_trust_row(&rows[i]);
}

static void client_certificates(void **state) {
    (void)state;
    int64_t now = clock_real();
    struct support_cert_spec plain = {.subject = "CN=c"}, ca = {.subject = "CN=one", .ca = 1};
    struct net_id one = net_issue(&ends_pki.root, ESTC_KEY_P256, ca);
    ca.subject = "CN=two";
    struct net_id two = net_issue(&one, ESTC_KEY_P384, ca);
    const struct {
        const char *what;
        const struct net_id *issuer;
        enum estc_key_type type;
        struct support_cert_spec spec;
        int result;
        const char *text;
    } rows[] = {
        {"T-13 two intermediates", &two, ESTC_KEY_P256, plain, 0, ""},
        {"RSA key", &ends_pki.root, ESTC_KEY_RSA2048, plain, 0, ""},
        {"P-384 key", &ends_pki.root, ESTC_KEY_P384, plain, 0, ""},
        {"fit for clients", &ends_pki.root, 0, {.subject = "CN=c", .eku = "clientAuth"}, 0, ""},
        {"unknown issuer", &ends_pki.other_root, 0, plain, ESTC_E_REJECTED,
         "refused us: alert 'unknown CA': it does not trust our certificate's issuer"},
        {"expired",
         &ends_pki.root,
         0,
         {.subject = "CN=c", .not_before = now - 9 * DAY, .not_after = now - DAY},
         ESTC_E_REJECTED,
         "alert 'certificate expired'"},
        {"fit for servers only",
         &ends_pki.root,
         0,
         {.subject = "CN=c", .eku = "serverAuth"},
         ESTC_E_REJECTED,
         "alert 'unsupported certificate'"},
    };
    struct net_server server = server_for(&ends_pki.server);
    struct net_child child = net_serve(&server);
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct net_id id = net_issue(rows[i].issuer, rows[i].type, rows[i].spec);
        struct estc_coaps_options o = options_for(server.port);
        struct estc_error err = {0};
        o.credentials = net_credentials(&id);
        int r = connect_once(&o, 5000, &err);
        if (r != rows[i].result || (r && !strstr(err.text, rows[i].text)))
            fail_msg("%s: %d '%s'", rows[i].what, r, err.text);
        net_id_clear(&id);
    }
    net_stop(&child);
    net_id_clear(&two);
    net_id_clear(&one);
}

static void t13_server_with_two_intermediates(void **state) {
    (void)state;
    static const char *const sans[] = {"IP:::1", NULL};
    struct net_id one =
        net_issue(&ends_pki.root, 0, (struct support_cert_spec){.subject = "CN=one", .ca = 1});
    struct net_id two =
        net_issue(&one, 0, (struct support_cert_spec){.subject = "CN=two", .ca = 1});
    struct net_id leaf =
        net_issue(&two, 0, (struct support_cert_spec){.subject = "CN=s", .sans = sans});
    struct net_server server = server_for(&leaf);
    struct net_child child = net_serve(&server);
    struct estc_coaps_options o = options_for(server.port);
    struct estc_error err = {0};
    if (connect_once(&o, 5000, &err))
        fail_msg("%s", err.text);
    /* An intermediate as the only anchor will do. */
    struct estc_trust *anchor = net_trust(&one);
    o.trust = anchor;
    if (connect_once(&o, 5000, &err))
        fail_msg("%s", err.text);
    estc_trust_free(anchor);
    net_stop(&child);
    net_id_clear(&leaf);
    net_id_clear(&two);
    net_id_clear(&one);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(s04_s07_server_certificates),
        cmocka_unit_test(client_certificates),
        cmocka_unit_test(t13_server_with_two_intermediates),
    };
    return cmocka_run_group_tests(tests, ends_set_up, ends_tear_down);
}
