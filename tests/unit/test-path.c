/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Our client and our listener over paths that carry only so much, and out of the machine by the
 * address and interface that they were told. A proxy drops what is too large, both ways.
 */
#include "ends.h"

#include <errno.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <netdb.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "base/clock.h"

struct path {
    atomic_uint limit, largest, dropped;
};

static unsigned drop_larger(unsigned n, bool to_server, size_t len, void *arg) {
    struct path *path = arg;
    (void)n, (void)to_server;
    if (len > atomic_load(&path->limit)) {
        atomic_fetch_add(&path->dropped, 1);
        return 0;
    }
    if (len > atomic_load(&path->largest))
        atomic_store(&path->largest, (unsigned)len);
    return 1;
}

/* A client, a path and a server. */
struct line {
    struct path *path;
    struct net_server server;
    struct net_proxy proxy;
    struct net_child child, between;
    struct estc_coaps_options options;
    struct estc_transport *transport;
};

static void line_open(struct line *line, unsigned limit) {
    line->path = net_shared(sizeof(*line->path));
    atomic_store(&line->path->limit, limit);
    line->server = server_for(&ends_pki.server);
    line->proxy = (struct net_proxy){.port = net_port(), .decide = drop_larger, .arg = line->path};
    line->proxy.server_port = line->server.port;
    line->options = options_for(line->proxy.port);
}

static void line_start(struct line *line) {
    line->child = net_serve(&line->server);
    line->between = net_forward(&line->proxy);
    line->transport = open_transport(&line->options);
}

static void line_connect(struct line *line, int ms) {
    struct estc_wait wait = estc_wait_in(ms);
    struct estc_error err = {0};
    if (line->transport->ops->connect(line->transport, &wait, &err))
        fail_msg("%s", err.text);
}

static void line_close(struct line *line) {
    estc_transport_free(line->transport);
    net_stop(&line->between);
    net_stop(&line->child);
    net_shared_free(line->path, sizeof(*line->path));
}

static void bodies(struct line *line) {
    static const size_t lengths[] = {0, 1, 63, 64, 65, 128, 500, 1025, 3000};
    for (size_t i = 0; i < COUNT(lengths); i++) {
        round_trip(line->transport, ESTC_POST, lengths[i]);
        round_trip(line->transport, ESTC_GET, lengths[i]);
    }
}

/* Not a datagram is lost on a path whose MTU both ends know, and it is used well. */
static void m03_datagrams_fit_the_path(void **state) {
    (void)state;
    static const struct {
        unsigned mtu, limit, at_least;
    } rows[] = {{0, 1232, 1100}, {1280, 1232, 1100}, {576, 528, 300}, {256, 208, 150}};
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct line line = {0};
        line_open(&line, rows[i].limit);
        line.options.mtu = line.server.mtu = rows[i].mtu;
        line_start(&line);
        bodies(&line);
        assert_int_equal(atomic_load(&line.path->dropped), 0);
        assert_true(atomic_load(&line.path->largest) >= rows[i].at_least);
        line_close(&line);
    }
}

/* With 64-byte blocks and less all of an exchange fits a frame of IEEE 802.15.4. */
static void m03_small_blocks_fit_frames(void **state) {
    (void)state;
    for (unsigned size = 64; size >= 16; size /= 2) {
        struct line line = {0};
        line_open(&line, 208);
        line.options.block_size = size;
        line.options.mtu = line.server.mtu = 256;
        line_start(&line);
        line_connect(&line, 5000);
        atomic_store(&line.path->limit, 127);
        bodies(&line);
        assert_int_equal(atomic_load(&line.path->dropped), 0);
        line_close(&line);
    }
}

/* Nobody has told them: each flight is cut down once it has stayed without an answer. */
static void m04_silence_shrinks_handshakes(void **state) {
    (void)state;
    struct line line = {0};
    line_open(&line, 208);
    line_start(&line);
    line_connect(&line, 60000);
    assert_true(atomic_load(&line.path->dropped) > 3);
    /* And blocks heed what the handshake has learnt; it is the server's answer that is asked for in
     * small blocks. */
    unsigned before = atomic_load(&line.path->dropped);
    bodies(&line);
    assert_int_equal(atomic_load(&line.path->dropped), before);
    line_close(&line);
}

/* Where the first bytes of a handshake go, and when. */
static void hear(int ready, int stop, void *arg) {
    atomic_llong *when = arg;
    int fd = net_socket((uint16_t)atomic_load(&when[0]));
    net_ready(ready);
    struct pollfd fds[] = {{.fd = fd, .events = POLLIN}, {.fd = stop, .events = POLLIN}};
    for (int n = 1; poll(fds, 2, -1) > 0 && !fds[1].revents;) {
        unsigned char data[2048];
        NET_CHECK(recv(fd, data, sizeof(data), 0) > 0);
        if (n < 8)
            atomic_store(&when[n++], clock_boot_ms());
    }
    close(fd);
}

static void m04_waits_double_from_the_configured_start(void **state) {
    (void)state;
    static const struct {
        unsigned timeout;
        int ms, n;
        long long waits[3];
    } rows[] = {{0, 4500, 2, {1000, 2000, 0}},
                {1, 8000, 3, {1000, 2000, 4000}},
                {3, 4000, 1, {3000, 0, 0}}};
    for (size_t i = 0; i < COUNT(rows); i++) {
        atomic_llong *when = net_shared(8 * sizeof(*when));
        atomic_store(&when[0], net_port());
        struct net_child child = net_start(hear, when);
        struct estc_coaps_options o = options_for((uint16_t)atomic_load(&when[0]));
        struct estc_error err = {0};
        o.dtls_timeout = rows[i].timeout;
        assert_int_equal(connect_once(&o, rows[i].ms, &err), ESTC_E_TIMEOUT);
        for (int k = 0; k < rows[i].n; k++) {
            long long wait = atomic_load(&when[k + 2]) - atomic_load(&when[k + 1]);
            if (wait < rows[i].waits[k] - 50 || wait > rows[i].waits[k] + 500)
                fail_msg("row %zu: the %dth wait took %lld ms", i, k + 1, wait);
        }
        net_stop(&child);
        net_shared_free(when, 8 * sizeof(*when));
    }
}

/* The other ways out of the machine */

static char (*peer_seen)[100];

static void remember_peer(void *arg, const struct estc_peer *peer, const struct estc_request *q,
                          struct estc_response *r) {
    snprintf(*peer_seen, sizeof(*peer_seen), "%s", peer->address);
    ends_answer(arg, peer, q, r);
}

static void source_address_is_kept(void **state) {
    (void)state;
    peer_seen = net_shared(sizeof(*peer_seen));
    struct net_server server = server_for(&ends_pki.server);
    server.answer = remember_peer;
    struct net_child child = net_serve(&server);
    struct estc_coaps_options o = options_for(server.port);
    struct estc_error err = {0};
    o.host = "127.0.0.1";
    o.source = "127.0.0.77";
    struct estc_transport *t = open_transport(&o);
    round_trip(t, ESTC_GET, 10);
    assert_int_equal(strncmp(*peer_seen, "127.0.0.77:", 11), 0);
    estc_transport_free(t);
    o.source = "::1"; /* of the other kind */
    assert_int_equal(connect_once(&o, 2000, &err), ESTC_E_UNREACHABLE);
    assert_non_null(strstr(err.text, "no address that can be reached from ::1"));
    o.source = "192.0.2.77"; /* somebody else's */
    assert_int_equal(connect_once(&o, 2000, &err), ESTC_E_UNREACHABLE);
    assert_non_null(strstr(err.text, "source address '192.0.2.77'"));
    o.source = "localhost";
    struct estc_transport *none = NULL;
    assert_int_equal(estc_coaps_new(&o, &none, &err), -EINVAL);
    net_stop(&child);
    net_shared_free(peer_seen, sizeof(*peer_seen));
}

/* How many sockets of this process are tied to that interface. */
static int tied_to(const char *interface) {
    int n = 0;
    for (int fd = 0; fd < 256; fd++) {
        char name[IFNAMSIZ] = "";
        socklen_t len = sizeof(name);
        if (getsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, name, &len) == 0 &&
            strcmp(name, interface) == 0)
            n++;
    }
    return n;
}

static void interface_is_kept(void **state) {
    (void)state;
    struct net_server server = server_for(&ends_pki.server);
    struct net_child child = net_serve(&server);
    struct estc_coaps_options o = options_for(server.port);
    struct estc_error err = {0};
    for (int v4 = 0; v4 < 2; v4++) {
        o.host = v4 ? "127.0.0.1" : "::1";
        o.interface = "lo";
        struct estc_transport *t = open_transport(&o);
        round_trip(t, ESTC_POST, 2000);
        assert_int_equal(tied_to("lo"), 1);
        estc_transport_free(t);
        assert_int_equal(tied_to("lo"), 0);
    }
    o.interface = "no-such-link";
    assert_int_equal(connect_once(&o, 2000, &err), ESTC_E_UNREACHABLE);
    assert_non_null(strstr(err.text, "interface 'no-such-link': No such device"));
    o.interface = "a-name-that-is-too-long";
    struct estc_transport *none = NULL;
    assert_int_equal(estc_coaps_new(&o, &none, &err), -EINVAL);
    net_stop(&child);
}

/* A link-local address of this machine, its scope cut off; false without one. */
static bool link_local(char *host, char *interface) {
    struct ifaddrs *all = NULL;
    bool found = false;
    assert_int_equal(getifaddrs(&all), 0);
    for (const struct ifaddrs *a = all; a && !found; a = a->ifa_next) {
        if (!a->ifa_addr || a->ifa_addr->sa_family != AF_INET6 ||
            !IN6_IS_ADDR_LINKLOCAL(&((struct sockaddr_in6 *)a->ifa_addr)->sin6_addr))
            continue;
        assert_int_equal(getnameinfo(a->ifa_addr, sizeof(struct sockaddr_in6), host, NI_MAXHOST,
                                     NULL, 0, NI_NUMERICHOST),
                         0);
        host[strcspn(host, "%")] = 0;
        snprintf(interface, IFNAMSIZ, "%s", a->ifa_name);
        found = true;
    }
    freeifaddrs(all);
    return found;
}

/* The scope is no part of the name that the certificate has to carry. */
static void link_local_address_on_an_interface(void **state) {
    (void)state;
    char host[NI_MAXHOST + IFNAMSIZ + 1], interface[IFNAMSIZ], san[NI_MAXHOST + IFNAMSIZ + 8];
    if (!link_local(host, interface))
        skip();
    snprintf(san, sizeof(san), "IP:%s", host);
    const char *const sans[] = {san, NULL};
    struct net_id id = net_issue(&ends_pki.root, ESTC_KEY_P256,
                                 (struct support_cert_spec){.subject = "CN=near", .sans = sans});
    struct net_server server = server_for(&id);
    struct net_child child = net_serve(&server);
    struct estc_coaps_options o = options_for(server.port);
    o.host = host;
    o.interface = interface;
    struct estc_transport *t = open_transport(&o);
    round_trip(t, ESTC_POST, 2000);
    estc_transport_free(t);
    o.interface = NULL;
    strcat(strcat(host, "%"), interface);
    t = open_transport(&o);
    round_trip(t, ESTC_GET, 10);
    estc_transport_free(t);
    net_stop(&child);
    net_id_clear(&id);
}

/* A name server for one name: "several.test" is at ::1 and at 127.0.0.1, in this order. */
int __real_getaddrinfo(const char *host, const char *service, const struct addrinfo *hints,
                       struct addrinfo **list);
int __wrap_getaddrinfo(const char *host, const char *service, const struct addrinfo *hints,
                       struct addrinfo **list);
int __wrap_getaddrinfo(const char *host, const char *service, const struct addrinfo *hints,
                       struct addrinfo **list) {
    if (!host || strcmp(host, "several.test") != 0 || (hints->ai_flags & AI_NUMERICHOST))
        return __real_getaddrinfo(host, service, hints, list);
    int r = __real_getaddrinfo("::1", service, hints, list);
    return r ? r : __real_getaddrinfo("127.0.0.1", service, hints, &(*list)->ai_next);
}

/* The first address is a black hole, or nothing listens there: the second has its share of time. */
static void addresses_of_a_name_in_turn(void **state) {
    (void)state;
    static const char *const sans[] = {"DNS:several.test", NULL};
    struct net_id id = net_issue(&ends_pki.root, ESTC_KEY_P256,
                                 (struct support_cert_spec){.subject = "CN=named", .sans = sans});
    struct net_server server = server_for(&id);
    server.address = "127.0.0.1";
    struct net_child child = net_serve(&server);
    for (int black_hole = 0; black_hole < 2; black_hole++) {
        struct sockaddr_in6 hole = {.sin6_family = AF_INET6, .sin6_addr = in6addr_loopback};
        hole.sin6_port = htons(server.port);
        int fd = socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0);
        if (black_hole)
            assert_int_equal(bind(fd, (struct sockaddr *)&hole, sizeof(hole)), 0);
        struct estc_coaps_options o = options_for(server.port);
        struct estc_error err = {0};
        o.host = "several.test";
        int64_t began = clock_boot_ms();
        if (connect_once(&o, 4000, &err))
            fail_msg("%s", err.text);
        int64_t took = clock_boot_ms() - began;
        assert_true(black_hole ? took >= 1900 && took < 3500 : took < 1500);
        o.source = "::1"; /* leaves the first one alone */
        assert_int_not_equal(connect_once(&o, 500, &err), 0);
        assert_non_null(strstr(err.text, "several.test"));
        close(fd);
    }
    net_stop(&child);
    net_id_clear(&id);
}

static void numbers_out_of_range(void **state) {
    (void)state;
    static const struct {
        unsigned mtu, dtls_timeout, ack_timeout;
    } rows[] = {{255, 0, 0}, {9001, 0, 0}, {0, 61, 0}, {0, 0, 1}, {0, 0, 61}};
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct estc_coaps_options o = options_for(1);
        struct estc_transport *t = NULL;
        o.mtu = rows[i].mtu;
        o.dtls_timeout = rows[i].dtls_timeout;
        o.ack_timeout = rows[i].ack_timeout;
        assert_int_equal(estc_coaps_new(&o, &t, NULL), -EINVAL);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(m03_datagrams_fit_the_path),
        cmocka_unit_test(m03_small_blocks_fit_frames),
        cmocka_unit_test(m04_silence_shrinks_handshakes),
        cmocka_unit_test(m04_waits_double_from_the_configured_start),
        cmocka_unit_test(source_address_is_kept),
        cmocka_unit_test(interface_is_kept),
        cmocka_unit_test(link_local_address_on_an_interface),
        cmocka_unit_test(addresses_of_a_name_in_turn),
        cmocka_unit_test(numbers_out_of_range),
    };
    return cmocka_run_group_tests(tests, ends_set_up, ends_tear_down);
}
