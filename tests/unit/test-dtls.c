/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * That libcoap's SSL_CTX is really ours, and what it allows: the policy read back from OpenSSL, and
 * then tried by OpenSSL's own client against our listener.
 */
#include "net.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/err.h>
#include <openssl/rsa.h>
#include <openssl/x509v3.h>

#include "coap/dtls.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

static struct {
    struct net_id root, server, client, rsa_server;
    struct estc_trust *trust;
    struct estc_credentials credentials;
} pki;

static struct dtls *make(const char *host, bool allow_rsa) {
    struct dtls_config config = {
        .credentials = &pki.credentials,
        .judge = {.implicit_trust = pki.trust, .host = host},
        .allow_rsa = allow_rsa,
    };
    struct dtls *d = NULL;
    struct estc_error err = {0};
    if (dtls_new(&config, &d, &err))
        fail_msg("%s", err.text);
    return d;
}

/* The capture */

static void context_is_the_one_that_sessions_use(void **state) {
    (void)state;
    struct dtls *d = make("::1", false);
    assert_ptr_equal(SSL_CTX_get_ssl_method(dtls_ssl_ctx(d)), DTLS_method());
    coap_address_t peer;
    coap_address_init(&peer);
    peer.addr.sin6.sin6_family = AF_INET6;
    peer.addr.sin6.sin6_addr = in6addr_loopback;
    peer.addr.sin6.sin6_port = htons(net_port());
    peer.size = sizeof(peer.addr.sin6);
    coap_session_t *s = dtls_connect(d, &peer, &(coap_address_t){0});
    assert_non_null(s);
    SSL *ssl = coap_session_get_tls(s, NULL);
    assert_non_null(ssl);
    assert_ptr_equal(SSL_get_SSL_CTX(ssl), dtls_ssl_ctx(d));
    assert_ptr_equal(SSL_get_certificate(ssl), pki.client.cert);
    coap_session_release(s);
    dtls_free(d);
}

static void capture_touches_no_other_context(void **state) {
    (void)state;
    SSL_CTX *before = SSL_CTX_new(TLS_method());
    struct dtls *a = make("a.example", false);
    SSL_CTX *between = SSL_CTX_new(DTLS_method());
    struct dtls *b = make(NULL, false);
    assert_ptr_not_equal(dtls_ssl_ctx(a), dtls_ssl_ctx(b));
    assert_ptr_not_equal(dtls_ssl_ctx(a), before);
    assert_ptr_not_equal(dtls_ssl_ctx(b), between);
    assert_null(SSL_CTX_get0_certificate(before));
    assert_null(SSL_CTX_get0_certificate(between));
    dtls_free(b);
    dtls_free(a);
    SSL_CTX_free(between);
    SSL_CTX_free(before);
}

/* Policy, read back */

static void t02_t05_suites(void **state) {
    (void)state;
    static const char ecdsa[] = "ECDHE-ECDSA-AES128-GCM-SHA256 ECDHE-ECDSA-AES256-GCM-SHA384 "
                                "ECDHE-ECDSA-AES128-CCM ECDHE-ECDSA-AES128-CCM8 ";
    static const char both[] = "ECDHE-ECDSA-AES128-GCM-SHA256 ECDHE-ECDSA-AES256-GCM-SHA384 "
                               "ECDHE-ECDSA-AES128-CCM ECDHE-ECDSA-AES128-CCM8 "
                               "ECDHE-RSA-AES128-GCM-SHA256 ECDHE-RSA-AES256-GCM-SHA384 ";
    static const struct {
        const char *host;
        bool rsa;
        const char *suites;
    } rows[] = {{"a.example", false, ecdsa}, {"a.example", true, both}, {NULL, false, both}};
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct dtls *d = make(rows[i].host, rows[i].rsa);
        SSL *ssl = SSL_new(dtls_ssl_ctx(d));
        STACK_OF(SSL_CIPHER) *list = SSL_get1_supported_ciphers(ssl);
        char text[1024] = "";
        for (int k = 0; k < sk_SSL_CIPHER_num(list); k++) {
            strcat(text, SSL_CIPHER_get_name(sk_SSL_CIPHER_value(list, k)));
            strcat(text, " ");
        }
        assert_string_equal(text, rows[i].suites);
        sk_SSL_CIPHER_free(list);
        SSL_free(ssl);
        dtls_free(d);
    }
}

static void versions_levels_options(void **state) {
    (void)state;
    for (int server = 0; server < 2; server++) {
        struct dtls *d = make(server ? NULL : "a.example", false);
        SSL_CTX *ctx = dtls_ssl_ctx(d);
        assert_int_equal(SSL_CTX_get_min_proto_version(ctx), DTLS1_2_VERSION);
        assert_int_equal(SSL_CTX_get_max_proto_version(ctx), DTLS1_2_VERSION);
        assert_int_equal(SSL_CTX_get_security_level(ctx), 2);
        uint64_t want = SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_TICKET | SSL_OP_NO_COMPRESSION;
        assert_true((SSL_CTX_get_options(ctx) & want) == want);
        assert_int_equal(SSL_CTX_get_session_cache_mode(ctx), SSL_SESS_CACHE_OFF);
        assert_int_equal(SSL_CTX_get_verify_mode(ctx),
                         SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT);
        dtls_free(d);
    }
}

/* An address is never asked for by SNI (RFC 6066 section 3), a name without its last dot is. */
static void t12_names_to_ask_for(void **state) {
    (void)state;
    static const struct {
        const char *host, *sni;
    } rows[] = {
        {"est.example", "est.example"},
        {"est.example.", "est.example"},
        {"192.0.2.1", NULL},
        {"2001:db8::1", NULL},
        {"fe80::1%lo", NULL},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct dtls *d = make(rows[i].host, false);
        coap_address_t peer;
        coap_address_init(&peer);
        peer.addr.sin6.sin6_family = AF_INET6;
        peer.addr.sin6.sin6_addr = in6addr_loopback;
        peer.addr.sin6.sin6_port = htons(net_port());
        peer.size = sizeof(peer.addr.sin6);
        const coap_address_t local = {0};
        coap_session_t *s = dtls_connect(d, &peer, &local);
        assert_non_null(s);
        const char *sni =
            SSL_get_servername(coap_session_get_tls(s, NULL), TLSEXT_NAMETYPE_host_name);
        assert_int_equal(sni != NULL, rows[i].sni != NULL);
        if (sni)
            assert_string_equal(sni, rows[i].sni);
        coap_session_release(s);
        dtls_free(d);
    }
}

/* Credentials that do not fit */

static void refuse(const struct estc_credentials *c, int result, const char *text) {
    struct dtls_config config = {.credentials = c, .judge = {.implicit_trust = pki.trust}};
    struct dtls *d = NULL;
    struct estc_error err = {0};
    assert_int_equal(dtls_new(&config, &d, &err), result);
    assert_null(d);
    if (!strstr(err.text, text))
        fail_msg("'%s'", err.text);
}

static void unfit_credentials(void **state) {
    (void)state;
    struct estc_credentials c = net_credentials(&pki.client);
    c.key = pki.server.key;
    refuse(&c, ESTC_E_CREDENTIAL, "cannot be used together");
    c.key = NULL;
    refuse(&c, -EINVAL, "certificate and its key");
    /* Too weak for level 2, which letting CCM8 through must not have lowered. */
    struct net_id weak = {.key = EVP_RSA_gen(1024)};
    weak.cert = support_cert(weak.key, &(struct support_cert_spec){.subject = "CN=weak"});
    c = net_credentials(&weak);
    refuse(&c, ESTC_E_CREDENTIAL, "ee key too small");
    net_id_clear(&weak);
}

/* Policy, tried */

static void hello(void *arg, const struct estc_peer *peer, const struct estc_request *request,
                  struct estc_response *response) {
    (void)arg, (void)peer, (void)request;
    response->code = 205;
}

static struct net_child serve(uint16_t *port, const struct net_id *id) {
    *port = net_port();
    struct net_server server = {.port = *port, .id = id, .client_root = &pki.root, .answer = hello};
    return net_serve(&server);
}

static void handshakes(void **state) {
    (void)state;
    static const struct {
        const char *what, *suites, *curves;
        int version;
        bool no_certificate;
        int alert; /* -1: it succeeds */
    } rows[] = {
        {"T-02", "ECDHE-ECDSA-AES128-CCM8", NULL, DTLS1_2_VERSION, false, -1},
        {"GCM", "ECDHE-ECDSA-AES128-GCM-SHA256", NULL, DTLS1_2_VERSION, false, -1},
        {"OpenSSL's default", NULL, "X25519:P-256:P-521", DTLS1_2_VERSION, false, -1},
        {"P-384 exchange", NULL, "P-384:P-256", DTLS1_2_VERSION, false, -1},
        {"T-03", NULL, "P-256", DTLS1_2_VERSION, false, -1},
        {"T-05 CBC", "ECDHE-ECDSA-AES128-SHA256", NULL, DTLS1_2_VERSION, false, 40},
        {"no forward secrecy", "AES128-GCM-SHA256", NULL, DTLS1_2_VERSION, false, 40},
        {"anonymous", "ADH-AES128-GCM-SHA256:@SECLEVEL=0", NULL, DTLS1_2_VERSION, false, 40},
        {"RSA only", "ECDHE-RSA-AES128-GCM-SHA256", NULL, DTLS1_2_VERSION, false, 40},
        {"other curves only", NULL, "X25519:P-521", DTLS1_2_VERSION, false, 40},
        {"N-01 no certificate", NULL, NULL, DTLS1_2_VERSION, true, 40},
        {"T-05 DTLS 1.0", "ALL:@SECLEVEL=0", NULL, DTLS1_VERSION, false, 70},
    };
    uint16_t port;
    struct net_child child = serve(&port, &pki.server);
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct net_tls how = {
            .id = rows[i].no_certificate ? NULL : &pki.client,
            .suites = rows[i].suites,
            .curves = rows[i].curves,
            .version = rows[i].version,
        };
        int alert;
        SSL *ssl = net_connect(port, &how, &alert);
        if ((ssl != NULL) != (rows[i].alert < 0) || alert != rows[i].alert)
            fail_msg("%s: connected %d, alert %d", rows[i].what, ssl != NULL, alert);
        net_close(ssl);
    }
    net_stop(&child);
}

static void server_with_rsa(void **state) {
    (void)state;
    uint16_t port;
    struct net_child child = serve(&port, &pki.rsa_server);
    struct net_tls how = {.id = &pki.client, .version = DTLS1_2_VERSION};
    SSL *ssl = net_connect(port, &how, NULL);
    assert_non_null(ssl);
    assert_string_equal(SSL_get_cipher_name(ssl), "ECDHE-RSA-AES256-GCM-SHA384");
    net_close(ssl);
    how.suites = "ECDHE-RSA-AES128-SHA256";
    assert_null(net_connect(port, &how, NULL));
    net_stop(&child);
}

static void t07_t08_connection(void **state) {
    (void)state;
    uint16_t port;
    struct net_child child = serve(&port, &pki.server);
    struct net_tls how = {.id = &pki.client, .version = DTLS1_2_VERSION};
    SSL *ssl = net_connect(port, &how, NULL);
    assert_non_null(ssl);
    assert_int_equal(SSL_get_extms_support(ssl), 1);
    assert_false(SSL_SESSION_has_ticket(SSL_get0_session(ssl)));

    /* Renegotiation is answered with no_renegotiation or with silence, never with a handshake. */
    assert_true(SSL_renegotiate(ssl));
    for (int i = 0; i < 3; i++)
        assert_int_not_equal(SSL_do_handshake(ssl), 1);
    ERR_clear_error();
    SSL_free(ssl);
    net_stop(&child);
}

/* Full chains go out: whoever has the root alone can verify them (RFC 7925 section 4.4.4). */
static void t13_chain_is_sent(void **state) {
    (void)state;
    struct support_cert_spec ca = {.subject = "CN=one", .ca = 1};
    struct net_id one = net_issue(&pki.root, ESTC_KEY_P256, ca);
    ca.subject = "CN=two";
    struct net_id two = net_issue(&one, ESTC_KEY_P384, ca);
    struct net_id leaf =
        net_issue(&two, ESTC_KEY_P256, (struct support_cert_spec){.subject = "CN=leaf"});
    uint16_t port;
    struct net_child child = serve(&port, &leaf);
    struct net_tls how = {.id = &leaf, .version = DTLS1_2_VERSION};
    SSL *ssl = net_connect(port, &how, NULL);
    assert_non_null(ssl);
    /* Leaf and two intermediates, not the root. */
    assert_int_equal(sk_X509_num(SSL_get_peer_cert_chain(ssl)), 3);
    net_close(ssl);
    net_stop(&child);
    net_id_clear(&leaf);
    net_id_clear(&two);
    net_id_clear(&one);
}

static int set_up(void **state) {
    (void)state;
    static const char *const sans[] = {"IP:::1", NULL};
    struct support_cert_spec spec = {.subject = "CN=root", .ca = 1};
    pki.root = net_issue(NULL, ESTC_KEY_P256, spec);
    spec = (struct support_cert_spec){.subject = "CN=server", .sans = sans};
    pki.server = net_issue(&pki.root, ESTC_KEY_P256, spec);
    pki.rsa_server = net_issue(&pki.root, ESTC_KEY_RSA2048, spec);
    spec = (struct support_cert_spec){.subject = "CN=client"};
    pki.client = net_issue(&pki.root, ESTC_KEY_P256, spec);
    pki.trust = net_trust(&pki.root);
    pki.credentials = net_credentials(&pki.client);
    return 0;
}

static int tear_down(void **state) {
    (void)state;
    net_id_clear(&pki.client);
    net_id_clear(&pki.rsa_server);
    net_id_clear(&pki.server);
    net_id_clear(&pki.root);
    estc_trust_free(pki.trust);
    return 0;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(context_is_the_one_that_sessions_use),
        cmocka_unit_test(capture_touches_no_other_context),
        cmocka_unit_test(t02_t05_suites),
        cmocka_unit_test(versions_levels_options),
        cmocka_unit_test(t12_names_to_ask_for),
        cmocka_unit_test(unfit_credentials),
        cmocka_unit_test(handshakes),
        cmocka_unit_test(server_with_rsa),
        cmocka_unit_test(t07_t08_connection),
        cmocka_unit_test(t13_chain_is_sent),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
