/* SPDX-License-Identifier: BSD-2-Clause */
/* Two sets of anchors: which of them lets a server pass for what, over real handshakes. */
#include "ends.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#include <openssl/sha.h>

#include "base/clock.h"

#define DAY 86400
#define RA "serverAuth,1.3.6.1.5.5.7.3.28"

static const char *const here[] = {"IP:::1", NULL};
static const char *const elsewhere[] = {"DNS:other.example", NULL};
static const char *const by_uri[] = {"URI:coaps://[::1]", NULL};

/* Connects, and says who vouched. */
static int try_server(const struct estc_coaps_options *o, enum estc_voucher *by,
                      struct estc_error *err) {
    struct estc_transport *t = open_transport(o);
    struct estc_wait wait = estc_wait_in(5000);
    assert_int_equal(estc_coaps_voucher(t), ESTC_VOUCHER_NONE);
    int r = t->ops->connect(t, &wait, err);
    *by = estc_coaps_voucher(t);
    estc_transport_free(t);
    return r;
}

static void s01_s02_s03_x02_which_anchors_vouch_for_what(void **state) {
    (void)state;
    struct estc_trust *const ours = ends_pki.trust, *const theirs = ends_pki.other_trust;
    const struct {
        const char *what;
        const char *const *sans;
        const char *eku;
        const struct estc_trust *implicit_trust, *explicit_trust;
        int result;
        enum estc_voucher by;
    } rows[] = {
        {"implicit, name", here, NULL, ours, NULL, 0, ESTC_VOUCHER_IMPLICIT},
        {"implicit, RA of another name", elsewhere, RA, ours, NULL, ESTC_E_UNTRUSTED, 0},
        {"implicit, RA of this name", here, RA, ours, NULL, 0, ESTC_VOUCHER_IMPLICIT},
        {"explicit, name", here, NULL, NULL, ours, 0, ESTC_VOUCHER_EXPLICIT},
        {"explicit, RA of another name", elsewhere, RA, NULL, ours, 0, ESTC_VOUCHER_EXPLICIT},
        {"explicit, RA without a name", NULL, RA, NULL, ours, 0, ESTC_VOUCHER_EXPLICIT},
        {"explicit, neither", elsewhere, "serverAuth", NULL, ours, ESTC_E_UNTRUSTED, 0},
        {"both, explicit vouches for an RA", elsewhere, RA, theirs, ours, 0, ESTC_VOUCHER_EXPLICIT},
        {"both, the RA is implicit's", elsewhere, RA, ours, theirs, ESTC_E_UNTRUSTED, 0},
        {"both, implicit vouches for a name", here, NULL, ours, theirs, 0, ESTC_VOUCHER_IMPLICIT},
        {"the same anchor twice is explicit", elsewhere, RA, ours, ours, 0, ESTC_VOUCHER_EXPLICIT},
        {"explicit of somebody else", here, NULL, NULL, theirs, ESTC_E_UNTRUSTED, 0},
        {"URI", by_uri, NULL, ours, NULL, ESTC_E_UNTRUSTED, 0}, /* of port 5684 */
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct net_id id =
            net_issue(&ends_pki.root, 0,
                      (struct support_cert_spec){
                          .subject = "CN=s", .sans = rows[i].sans, .eku = rows[i].eku});
        struct net_server server = server_for(&id);
        struct net_child child = net_serve(&server);
        struct estc_coaps_options o = options_for(server.port);
        struct estc_error err = {0};
        enum estc_voucher by;
        o.trust = rows[i].implicit_trust;
        o.explicit_trust = rows[i].explicit_trust;
        int r = try_server(&o, &by, &err);
        if (r != rows[i].result || by != rows[i].by)
            fail_msg("%s: %d by %d '%s'", rows[i].what, r, by, err.text);
        net_stop(&child);
        net_id_clear(&id);
    }
}

static int get(struct estc_transport *t, enum estc_method method, const char *path,
               struct estc_error *err) {
    struct estc_wait wait = estc_wait_in(5000);
    struct estc_response r = {0};
    const struct estc_request q = {.method = method,
                                   .path = path,
                                   .content_format = ESTC_FORMAT_NONE,
                                   .accept = ESTC_FORMAT_CERTS_ONLY};
    int rc = t->ops->request(t, &q, &wait, &r, err);
    estc_response_clear(&r);
    return rc;
}

static void s05_s06_provisional_connections_ask_for_crts_alone(void **state) {
    (void)state;
    struct net_id stranger = net_issue(NULL, 0, (struct support_cert_spec){.subject = "CN=who"});
    struct net_server server = server_for(&stranger);
    struct net_child child = net_serve(&server);
    struct estc_coaps_options o = options_for(server.port);
    struct estc_error err = {0};
    o.trust = NULL;
    o.provisional = true;
    struct estc_transport *t = open_transport(&o);
    atomic_store(ends_calls, 0);
    static const char *const others[] = {"/.well-known/est/sen", "/.well-known/est/att", "/crts/x",
                                         "crts", ""};
    for (size_t i = 0; i < COUNT(others); i++)
        assert_int_equal(get(t, ESTC_GET, others[i], &err), -EPERM);
    assert_int_equal(get(t, ESTC_POST, "/.well-known/est/crts", &err), -EPERM);
    assert_int_equal(atomic_load(ends_calls), 0);
    assert_int_equal(get(t, ESTC_GET, "/.well-known/est/crts", &err), 0);
    assert_int_equal(atomic_load(ends_calls), 1);
    assert_int_equal(estc_coaps_voucher(t), ESTC_VOUCHER_NONE);
    estc_transport_free(t);
    net_stop(&child);
    net_id_clear(&stranger);
}

static void x04_the_connection_is_judged_again(void **state) {
    (void)state;
    struct net_id id =
        net_issue(&ends_pki.root, 0, (struct support_cert_spec){.subject = "CN=s", .sans = here});
    struct net_server server = server_for(&id);
    struct net_child child = net_serve(&server);
    struct estc_coaps_options o = options_for(server.port);
    struct estc_error err = {0};
    struct estc_transport *t = open_transport(&o);
    assert_false(estc_coaps_set_explicit(t, ends_pki.trust)); /* nothing to judge yet */
    assert_int_equal(get(t, ESTC_GET, "/7", &err), 0);
    assert_int_equal(estc_coaps_voucher(t), ESTC_VOUCHER_EXPLICIT);
    assert_true(estc_coaps_set_explicit(t, ends_pki.trust));
    /* Anchors that do not vouch for it end the connection, and no other will stand. */
    assert_false(estc_coaps_set_explicit(t, ends_pki.other_trust));
    assert_int_equal(estc_coaps_voucher(t), ESTC_VOUCHER_NONE);
    assert_int_equal(get(t, ESTC_GET, "/7", &err), ESTC_E_UNTRUSTED);
    estc_transport_free(t);
    net_stop(&child);
    net_id_clear(&id);
}

/* The old key's certificate vouches for the old server after a change of keys, by the new root. */
static void x05_helpers_of_a_set_complete_a_chain(void **state) {
    (void)state;
    struct net_id fresh =
        net_issue(NULL, 0, (struct support_cert_spec){.subject = "CN=root", .ca = 1});
    X509 *old_with_new = support_cert(
        ends_pki.root.key,
        &(struct support_cert_spec){
            .subject = "CN=root", .ca = 1, .issuer = fresh.cert, .issuer_key = fresh.key});
    struct estc_trust *trust = net_trust(&fresh);
    struct net_server server = server_for(&ends_pki.server);
    struct net_child child = net_serve(&server);
    struct estc_coaps_options o = options_for(server.port);
    struct estc_error err = {0};
    enum estc_voucher by;
    o.trust = NULL;
    o.explicit_trust = trust;
    assert_int_equal(try_server(&o, &by, &err), ESTC_E_UNTRUSTED);
    assert_int_equal(estc_trust_add_helper(trust, old_with_new, NULL), 0);
    assert_int_equal(try_server(&o, &by, &err), 0);
    assert_int_equal(by, ESTC_VOUCHER_EXPLICIT);
    net_stop(&child);
    estc_trust_free(trust);
    X509_free(old_with_new);
    net_id_clear(&fresh);
}

/* What a client says first, to a socket that only listens. */
static size_t client_hello(const struct estc_trust *explicit_trust, unsigned char *out,
                           size_t size) {
    uint16_t port = net_port();
    int fd = net_socket(port);
    struct estc_coaps_options o = options_for(port);
    o.explicit_trust = explicit_trust;
    struct estc_error err = {0};
    struct estc_transport *t = open_transport(&o);
    struct estc_wait wait = estc_wait_in(300);
    assert_int_not_equal(t->ops->connect(t, &wait, &err), 0);
    estc_transport_free(t);
    ssize_t n = recv(fd, out, size, MSG_DONTWAIT);
    close(fd);
    assert_true(n > 0);
    return (size_t)n;
}

static void x03_explicit_anchors_are_announced(void **state) {
    (void)state;
    /* Extension 3, one authority: its kind, and the hash of its certificate. */
    unsigned char wanted[4 + 2 + 1 + SHA_DIGEST_LENGTH] = {0, 3, 0, 23, 0, 21, 3};
    unsigned char hello[2048];
    X509_digest(ends_pki.root.cert, EVP_sha1(), wanted + 7, NULL);
    size_t len = client_hello(ends_pki.trust, hello, sizeof(hello));
    assert_non_null(memmem(hello, len, wanted, sizeof(wanted)));
    len = client_hello(NULL, hello, sizeof(hello));
    assert_null(memmem(hello, len, wanted + 4, sizeof(wanted) - 4));
}

static void n04_expired_clients_of_a_named_ca(void **state) {
    (void)state;
    int64_t now = clock_real();
    struct support_cert_spec spec = {
        .subject = "CN=old", .not_before = now - 9 * DAY, .not_after = now - DAY};
    struct net_id old = net_issue(&ends_pki.root, 0, spec);
    spec.eku = "serverAuth";
    struct net_id unfit = net_issue(&ends_pki.root, 0, spec);
    struct support_cert_spec early = {
        .subject = "CN=early", .not_before = now + DAY, .not_after = now + 9 * DAY};
    struct net_id not_yet = net_issue(&ends_pki.root, 0, early);
    const struct {
        const char *what;
        const struct net_id *client, *tolerated;
        int result;
    } rows[] = {
        {"tolerated", &old, &ends_pki.root, 0},
        {"not tolerated", &old, NULL, ESTC_E_REJECTED},
        {"tolerated elsewhere", &old, &ends_pki.other_root, ESTC_E_REJECTED},
        {"not for clients", &unfit, &ends_pki.root, ESTC_E_REJECTED},
        {"not valid yet", &not_yet, &ends_pki.root, ESTC_E_REJECTED},
        {"valid", &ends_pki.client, &ends_pki.root, 0},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct net_server server = server_for(&ends_pki.server);
        server.expired_root = rows[i].tolerated;
        struct net_child child = net_serve(&server);
        struct estc_coaps_options o = options_for(server.port);
        struct estc_error err = {0};
        o.credentials = net_credentials(rows[i].client);
        struct estc_transport *t = open_transport(&o);
        int r = get(t, ESTC_GET, "/7", &err);
        if (r != rows[i].result)
            fail_msg("%s: %d '%s'", rows[i].what, r, err.text);
        estc_transport_free(t);
        net_stop(&child);
    }
    net_id_clear(&not_yet);
    net_id_clear(&unfit);
    net_id_clear(&old);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(s01_s02_s03_x02_which_anchors_vouch_for_what),
        cmocka_unit_test(s05_s06_provisional_connections_ask_for_crts_alone),
        cmocka_unit_test(x04_the_connection_is_judged_again),
        cmocka_unit_test(x05_helpers_of_a_set_complete_a_chain),
        cmocka_unit_test(x03_explicit_anchors_are_announced),
        cmocka_unit_test(n04_expired_clients_of_a_named_ca),
    };
    return cmocka_run_group_tests(tests, ends_set_up, ends_tear_down);
}
