/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Our client and our listener, over real sockets: bodies of all sizes, trust that fails in every
 * way, networks that repeat and lose, waits that end.
 */
#include "net.h"

#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <estc/coaps.h>

#include "base/clock.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))
#define DAY 86400

static struct {
    struct net_id root, other_root, server, client;
    struct estc_trust *trust, *other_trust;
} pki;

struct seen {
    atomic_uint calls;
};
static struct seen *seen;

static unsigned char pattern_at(size_t i) {
    return (unsigned char)(i * 13 + i / 256);
}

/* POST returns what came, GET /N so many bytes. */
static void answer(void *arg, const struct estc_peer *peer, const struct estc_request *q,
                   struct estc_response *r) {
    (void)arg, (void)peer;
    atomic_fetch_add(&seen->calls, 1);
    r->code = q->method == ESTC_POST ? 204 : 205;
    r->content_format = q->accept;
    if (q->method == ESTC_POST)
        estc_buf_append(&r->payload, q->payload, q->payload_len);
    for (long i = 0; q->method == ESTC_GET && i < atol(q->path + 1); i++)
        estc_buf_append(&r->payload, &(unsigned char){pattern_at((size_t)i)}, 1);
}

static struct net_server server_for(const struct net_id *id) {
    return (struct net_server){
        .port = net_port(),
        .id = id,
        .client_root = &pki.root,
        .answer = answer,
    };
}

static struct estc_coaps_options options_for(uint16_t port) {
    return (struct estc_coaps_options){
        .host = "::1",
        .port = port,
        .credentials = net_credentials(&pki.client),
        .trust = pki.trust,
    };
}

static struct estc_transport *open_transport(const struct estc_coaps_options *o) {
    struct estc_transport *t = NULL;
    struct estc_error err = {0};
    if (estc_coaps_new(o, &t, &err))
        fail_msg("%s", err.text);
    return t;
}

static int connect_once(const struct estc_coaps_options *o, int ms, struct estc_error *err) {
    struct estc_transport *t = open_transport(o);
    struct estc_wait wait = estc_wait_in(ms);
    int r = t->ops->connect(t, &wait, err);
    if (!r)
        assert_int_equal(t->ops->connect(t, &wait, err), 0); /* again: nothing to do */
    estc_transport_free(t);
    return r;
}

/* GET of so many bytes, or POST of them, and the check that they came back. */
static void round_trip(struct estc_transport *t, enum estc_method method, size_t len) {
    char path[32];
    unsigned char *body = malloc(len + 1);
    for (size_t i = 0; i < len; i++)
        body[i] = pattern_at(i);
    snprintf(path, sizeof(path), "/%zu", len);
    struct estc_request q = {
        .method = method,
        .path = path,
        .content_format = method == ESTC_POST ? ESTC_FORMAT_PKCS10 : ESTC_FORMAT_NONE,
        .accept = ESTC_FORMAT_CERTS_ONLY,
        .payload = method == ESTC_POST ? body : NULL,
        .payload_len = method == ESTC_POST ? len : 0,
    };
    struct estc_wait wait = estc_wait_in(20000);
    struct estc_response r = {0};
    struct estc_error err = {0};
    if (t->ops->request(t, &q, &wait, &r, &err))
        fail_msg("%zu bytes: %s", len, err.text);
    assert_int_equal(r.code, method == ESTC_POST ? 204 : 205);
    assert_int_equal(r.content_format, ESTC_FORMAT_CERTS_ONLY);
    assert_int_equal(r.payload.len, len);
    if (len > 0)
        assert_memory_equal(r.payload.data, body, len);
    estc_response_clear(&r);
    free(body);
}

/* Bodies */

static void bodies_of_all_sizes_in_blocks_of_all_sizes(void **state) {
    (void)state;
    static const size_t lengths[] = {0,  1,   15,   16,   17,   63,   64,
                                     65, 511, 1023, 1024, 1025, 2048, 3333};
    struct net_server server = server_for(&pki.server);
    struct net_child child = net_serve(&server);
    for (unsigned size = 16; size <= 1024; size *= 2) {
        struct estc_coaps_options o = options_for(server.port);
        o.block_size = size;
        struct estc_transport *t = open_transport(&o);
        unsigned before = atomic_load(&seen->calls);
        for (size_t i = 0; i < COUNT(lengths); i++) {
            round_trip(t, ESTC_POST, lengths[i]);
            round_trip(t, ESTC_GET, lengths[i]);
        }
        round_trip(t, ESTC_GET, 16384);
        round_trip(t, ESTC_POST, 16384);
        assert_int_equal(atomic_load(&seen->calls) - before, 2 * COUNT(lengths) + 2);
        estc_transport_free(t);
    }
    net_stop(&child);
}

static void body_beyond_the_servers_limit(void **state) {
    (void)state;
    struct net_server server = server_for(&pki.server);
    struct net_child child = net_serve(&server);
    struct estc_coaps_options o = options_for(server.port);
    struct estc_transport *t = open_transport(&o);
    unsigned char *body = calloc(1, 40000);
    struct estc_request q = {.method = ESTC_POST,
                             .path = "/x",
                             .content_format = -1,
                             .accept = -1,
                             .payload = body,
                             .payload_len = 40000};
    struct estc_wait wait = estc_wait_in(5000);
    struct estc_response r = {0};
    unsigned before = atomic_load(&seen->calls);
    assert_int_equal(t->ops->request(t, &q, &wait, &r, NULL), 0);
    assert_int_equal(r.code, 413);
    assert_int_equal(atomic_load(&seen->calls), before);
    estc_response_clear(&r);
    round_trip(t, ESTC_POST, 10); /* the connection is as good as before */
    estc_transport_free(t);
    free(body);
    net_stop(&child);
}

/* Trust */

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
    struct net_id id = net_issue(&pki.root, row->type, row->server);
    struct net_server server = server_for(&id);
    struct net_child child = net_serve(&server);
    struct estc_coaps_options o = options_for(server.port);
    struct estc_error err = {0};
    o.host = row->host;
    o.allow_rsa_server = row->allow_rsa;
    o.now = row->now;
    o.trust = row->wrong_trust ? pki.other_trust : pki.trust;
    int r = connect_once(&o, 5000, &err);
    if (r != row->result || (r && !strstr(err.text, row->text)) ||
        (r && strncmp(err.text, "server ", 7) != 0))
        fail_msg("%s: %d '%s'", row->what, r, err.text);
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
    struct net_id one = net_issue(&pki.root, ESTC_KEY_P256, ca);
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
        {"RSA key", &pki.root, ESTC_KEY_RSA2048, plain, 0, ""},
        {"P-384 key", &pki.root, ESTC_KEY_P384, plain, 0, ""},
        {"fit for clients", &pki.root, 0, {.subject = "CN=c", .eku = "clientAuth"}, 0, ""},
        {"unknown issuer", &pki.other_root, 0, plain, ESTC_E_REJECTED,
         "refused us: alert 'unknown CA': it does not trust our certificate's issuer"},
        {"expired",
         &pki.root,
         0,
         {.subject = "CN=c", .not_before = now - 9 * DAY, .not_after = now - DAY},
         ESTC_E_REJECTED,
         "alert 'certificate expired'"},
        {"fit for servers only",
         &pki.root,
         0,
         {.subject = "CN=c", .eku = "serverAuth"},
         ESTC_E_REJECTED,
         "alert 'unsupported certificate'"},
    };
    struct net_server server = server_for(&pki.server);
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
        net_issue(&pki.root, 0, (struct support_cert_spec){.subject = "CN=one", .ca = 1});
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

/* Waits that end */

static int udp_silent(uint16_t *port) {
    int fd = socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in6 addr = {.sin6_family = AF_INET6, .sin6_addr = in6addr_loopback};
    socklen_t len = sizeof(addr);
    assert_int_equal(bind(fd, (struct sockaddr *)&addr, len), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&addr, &len), 0);
    *port = ntohs(addr.sin6_port);
    return fd;
}

static void deadline_with_a_silent_peer(void **state) {
    (void)state;
    uint16_t port;
    int fd = udp_silent(&port);
    struct estc_coaps_options o = options_for(port);
    struct estc_error err = {0};
    int64_t began = clock_boot_ms();
    assert_int_equal(connect_once(&o, 600, &err), ESTC_E_TIMEOUT);
    int64_t took = clock_boot_ms() - began;
    assert_true(took >= 600 && took < 1200);
    assert_non_null(strstr(err.text, "nothing that speaks DTLS answers there"));
    assert_int_equal(connect_once(&o, 0, &err), ESTC_E_TIMEOUT);
    assert_int_equal(connect_once(&o, -5000, &err), ESTC_E_TIMEOUT);
    close(fd);
}

/* A server of plain CoAP on the port. */
static void answer_in_the_clear(int ready, int stop, void *arg) {
    int fd = *(int *)arg;
    struct pollfd fds[] = {{.fd = fd, .events = POLLIN}, {.fd = stop, .events = POLLIN}};
    net_ready(ready);
    while (poll(fds, 2, -1) > 0 && !fds[1].revents) {
        static const unsigned char reset[] = {0x70, 0, 0xfe, 0xfd}, text[] = "\x60\x45\0\1\xffhi";
        unsigned char data[2048];
        struct sockaddr_in6 from;
        socklen_t len = sizeof(from);
        if (recvfrom(fd, data, sizeof(data), 0, (struct sockaddr *)&from, &len) > 0) {
            sendto(fd, reset, sizeof(reset), 0, (struct sockaddr *)&from, len);
            sendto(fd, text, sizeof(text) - 1, 0, (struct sockaddr *)&from, len);
        }
    }
}

static void t01_plain_coap_on_the_port(void **state) {
    (void)state;
    uint16_t port;
    int fd = udp_silent(&port);
    struct net_child child = net_start(answer_in_the_clear, &fd);
    struct estc_coaps_options o = options_for(port);
    struct estc_error err = {0};
    assert_int_equal(connect_once(&o, 1500, &err), ESTC_E_TIMEOUT);
    if (!strstr(err.text, "nothing that speaks DTLS answers there"))
        fail_msg("%s", err.text);
    net_stop(&child);
    close(fd);
}

static void closed_port(void **state) {
    (void)state;
    struct estc_coaps_options o = options_for(net_port());
    struct estc_error err = {0};
    int64_t began = clock_boot_ms();
    assert_int_equal(connect_once(&o, 8000, &err), ESTC_E_UNREACHABLE);
    int64_t took = clock_boot_ms() - began;
    assert_true(took >= 1500 && took < 5000); /* asked three times, and no longer */
    assert_non_null(strstr(err.text, "nothing listens there"));
}

/* The server starts while the client asks. */
static void refusal_is_not_final(void **state) {
    (void)state;
    struct net_server server = server_for(&pki.server);
    fflush(NULL);
    pid_t pid = fork();
    if (pid == 0) {
        struct estc_coaps_options o = options_for(server.port);
        struct estc_error err = {0};
        _exit(connect_once(&o, 8000, &err) == 0 ? 0 : 1);
    }
    usleep(300000);
    struct net_child child = net_serve(&server);
    int status = -1;
    waitpid(pid, &status, 0);
    assert_int_equal(status, 0);
    net_stop(&child);
}

static void cancel_descriptor(void **state) {
    (void)state;
    uint16_t port;
    int fd = udp_silent(&port);
    int cancel = eventfd(1, EFD_CLOEXEC);
    struct estc_coaps_options o = options_for(port);
    struct estc_transport *t = open_transport(&o);
    struct estc_wait wait = estc_wait_in(10000);
    struct estc_error err = {0};
    int64_t began = clock_boot_ms();
    wait.cancel_fd = cancel;
    assert_int_equal(t->ops->connect(t, &wait, &err), ESTC_E_CANCELLED);
    assert_true(clock_boot_ms() - began < 1000);
    estc_transport_free(t);
    close(cancel);
    close(fd);
}

static void names_that_cannot_be_looked_up(void **state) {
    (void)state;
    struct estc_coaps_options o = options_for(5684);
    struct estc_error err = {0};
    o.host = "no-such-host.invalid";
    int64_t began = clock_boot_ms();
    int r = connect_once(&o, 1000, &err);
    assert_true(r == ESTC_E_UNREACHABLE || r == ESTC_E_TIMEOUT);
    assert_non_null(strstr(err.text, "cannot look up 'no-such-host.invalid'"));
    assert_true(clock_boot_ms() - began < 2000);
}

/* Connections that break */

static void server_that_restarts(void **state) {
    (void)state;
    struct net_server server = server_for(&pki.server);
    struct net_child child = net_serve(&server);
    struct estc_coaps_options o = options_for(server.port);
    struct estc_transport *t = open_transport(&o);
    round_trip(t, ESTC_POST, 100);
    net_stop(&child); /* says goodbye */
    child = net_serve(&server);
    round_trip(t, ESTC_POST, 100);
    net_stop(&child);
    child = net_serve(&server);
    round_trip(t, ESTC_GET, 2000);
    /* Gone for good. */
    net_stop(&child);
    struct estc_request q = {.path = "/1", .content_format = -1, .accept = -1};
    struct estc_wait wait = estc_wait_in(5000);
    struct estc_response r = {0};
    struct estc_error err = {0};
    assert_int_equal(t->ops->request(t, &q, &wait, &r, &err), ESTC_E_UNREACHABLE);
    estc_transport_free(t);
}

static void second_listener_on_a_port(void **state) {
    (void)state;
    struct net_server server = server_for(&pki.server);
    struct net_child child = net_serve(&server);
    static const char *const addresses[] = {NULL, "::1", "0.0.0.0", "127.0.0.1"};
    for (size_t i = 0; i < COUNT(addresses); i++) {
        struct estc_listener_options o = {
            .address = addresses[i],
            .port = server.port,
            .credentials = net_credentials(&pki.server),
            .client_trust = pki.trust,
            .answer = answer,
        };
        struct estc_listener *l = NULL;
        struct estc_error err = {0};
        assert_int_equal(estc_listener_new(&o, &l, &err), -EADDRINUSE);
        char port[8];
        snprintf(port, sizeof(port), "%u", server.port);
        assert_non_null(strstr(err.text, port));
        assert_non_null(strstr(err.text, "another program uses it"));
    }
    net_stop(&child);
}

static void wrong_options(void **state) {
    (void)state;
    struct estc_coaps_options o = options_for(1);
    struct estc_transport *t = NULL;
    o.block_size = 100;
    assert_int_equal(estc_coaps_new(&o, &t, NULL), -EINVAL);
    o.block_size = 0;
    o.host = "";
    assert_int_equal(estc_coaps_new(&o, &t, NULL), -EINVAL);
    o = options_for(1);
    o.credentials.key = NULL;
    assert_int_equal(estc_coaps_new(&o, &t, NULL), -EINVAL);
    o = options_for(1);
    o.credentials.key = pki.server.key; /* not the certificate's */
    struct estc_error err = {0};
    assert_int_equal(connect_once(&o, 1000, &err), ESTC_E_CREDENTIAL);
    struct estc_listener_options lo = {.address = "localhost",
                                       .credentials = net_credentials(&pki.server),
                                       .client_trust = pki.trust,
                                       .answer = answer};
    struct estc_listener *l = NULL;
    assert_int_equal(estc_listener_new(&lo, &l, &err), -EINVAL);
    lo.address = "192.0.2.77";
    assert_int_equal(estc_listener_new(&lo, &l, &err), -EADDRNOTAVAIL);
}

/* Networks that repeat and lose */

static unsigned all_twice(unsigned n, bool to_server, size_t len, void *arg) {
    (void)n, (void)to_server, (void)len, (void)arg;
    return 2;
}

/* Small blocks and no retransmission of a whole flight: every sixth is lost on average. */
static unsigned every_third_lost(unsigned n, bool to_server, size_t len, void *arg) {
    (void)len, (void)arg;
    return to_server ? n % 3 != 1 : 1;
}

/* Once the handshake is done, the first answers are lost: the client has to repeat itself. */
static unsigned first_answers_lost(unsigned n, bool to_server, size_t len, void *arg) {
    atomic_uint *lost = arg;
    (void)n;
    if (to_server || len < 60 || len > 200 || atomic_load(lost) == 0)
        return 1;
    atomic_fetch_sub(lost, 1);
    return 0;
}

static void repeated_datagrams(void **state) {
    (void)state;
    struct net_server server = server_for(&pki.server);
    struct net_child child = net_serve(&server);
    struct net_proxy proxy = {net_port(), server.port, all_twice, NULL};
    struct net_child between = net_forward(&proxy);
    struct estc_coaps_options o = options_for(proxy.port);
    o.block_size = 64;
    struct estc_transport *t = open_transport(&o);
    unsigned before = atomic_load(&seen->calls);
    round_trip(t, ESTC_POST, 1000);
    round_trip(t, ESTC_GET, 1000);
    assert_int_equal(atomic_load(&seen->calls) - before, 2);
    estc_transport_free(t);
    net_stop(&between);
    net_stop(&child);
}

static void lost_datagrams(void **state) {
    (void)state;
    struct net_server server = server_for(&pki.server);
    struct net_child child = net_serve(&server);
    struct net_proxy proxy = {net_port(), server.port, every_third_lost, NULL};
    struct net_child between = net_forward(&proxy);
    struct estc_coaps_options o = options_for(proxy.port);
    struct estc_transport *t = open_transport(&o);
    unsigned before = atomic_load(&seen->calls);
    round_trip(t, ESTC_POST, 2000);
    assert_int_equal(atomic_load(&seen->calls) - before, 1);
    estc_transport_free(t);
    net_stop(&between);
    net_stop(&child);
}

/* The request arrived, its answer did not: the repeated request must not be carried out again. */
static void lost_answer(void **state) {
    (void)state;
    struct net_server server = server_for(&pki.server);
    struct net_child child = net_serve(&server);
    atomic_uint *lost = net_shared(sizeof(*lost));
    struct net_proxy proxy = {net_port(), server.port, first_answers_lost, lost};
    struct net_child between = net_forward(&proxy);
    struct estc_coaps_options o = options_for(proxy.port);
    struct estc_transport *t = open_transport(&o);
    struct estc_wait wait = estc_wait_in(5000);
    assert_int_equal(t->ops->connect(t, &wait, NULL), 0);
    atomic_store(lost, 1);
    unsigned before = atomic_load(&seen->calls);
    round_trip(t, ESTC_POST, 50);
    assert_int_equal(atomic_load(lost), 0);
    assert_int_equal(atomic_load(&seen->calls) - before, 1);
    estc_transport_free(t);
    net_stop(&between);
    net_stop(&child);
    net_shared_free(lost, sizeof(*lost));
}

static int set_up(void **state) {
    (void)state;
    static const char *const sans[] = {"IP:::1", "IP:127.0.0.1", "DNS:localhost", NULL};
    struct support_cert_spec spec = {.subject = "CN=root", .ca = 1};
    pki.root = net_issue(NULL, ESTC_KEY_P256, spec);
    spec.subject = "CN=other root";
    pki.other_root = net_issue(NULL, ESTC_KEY_P256, spec);
    spec = (struct support_cert_spec){.subject = "CN=server", .sans = sans};
    pki.server = net_issue(&pki.root, ESTC_KEY_P256, spec);
    spec = (struct support_cert_spec){.subject = "CN=client"};
    pki.client = net_issue(&pki.root, ESTC_KEY_P256, spec);
    pki.trust = net_trust(&pki.root);
    pki.other_trust = net_trust(&pki.other_root);
    seen = net_shared(sizeof(*seen));
    return 0;
}

static int tear_down(void **state) {
    (void)state;
    net_id_clear(&pki.client);
    net_id_clear(&pki.server);
    net_id_clear(&pki.other_root);
    net_id_clear(&pki.root);
    estc_trust_free(pki.trust);
    estc_trust_free(pki.other_trust);
    net_shared_free(seen, sizeof(*seen));
    return 0;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bodies_of_all_sizes_in_blocks_of_all_sizes),
        cmocka_unit_test(body_beyond_the_servers_limit),
        cmocka_unit_test(s04_s07_server_certificates),
        cmocka_unit_test(client_certificates),
        cmocka_unit_test(t13_server_with_two_intermediates),
        cmocka_unit_test(deadline_with_a_silent_peer),
        cmocka_unit_test(t01_plain_coap_on_the_port),
        cmocka_unit_test(closed_port),
        cmocka_unit_test(refusal_is_not_final),
        cmocka_unit_test(cancel_descriptor),
        cmocka_unit_test(names_that_cannot_be_looked_up),
        cmocka_unit_test(server_that_restarts),
        cmocka_unit_test(second_listener_on_a_port),
        cmocka_unit_test(wrong_options),
        cmocka_unit_test(repeated_datagrams),
        cmocka_unit_test(lost_datagrams),
        cmocka_unit_test(lost_answer),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
