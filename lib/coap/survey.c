/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Sockets of our own, one question each. What comes back is looked at for its kind and nothing
 * else. Waits under the caller's deadline only.
 */
#include "coap/survey.h"

#include <errno.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <netdb.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <openssl/rand.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/fs.h"
#include "coap/session.h"
#include "coap/way.h"

#define IPV4_HEADERS 28
#define IPV6_HEADERS 48
#define AGAIN_MS 1000

static struct way way_of(const struct survey_way *way) {
    return (struct way){.source = way->source, .interface = way->interface};
}

int survey_resolve(const struct survey_way *way, const char *host, uint16_t port,
                   const struct estc_wait *wait, struct resolve_list *out, struct estc_error *err) {
    const struct way w = way_of(way);
    int rc = resolve_host(host, port, wait, out, err);
    return rc ? rc : way_filter(&w, host, out, err);
}

/* --- the route --- */

/* A socket that goes there the same way as the connection would. */
static int open_socket(const struct survey_way *way, const struct resolve_list *list, size_t at,
                       int *out, struct estc_error *err) {
    const struct way w = way_of(way);
    coap_address_t peer, local;
    coap_address_init(&peer);
    memcpy(&peer.addr, &list->at[at].addr, list->at[at].len);
    peer.size = list->at[at].len;
    int rc = way_find(&w, &peer, &local, err);
    if (rc)
        return rc;
    _cleanup(fs_closep) int fd =
        socket(peer.addr.sa.sa_family, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0 ||
        (way->interface && setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, way->interface,
                                      (socklen_t)strlen(way->interface)) < 0) ||
        (way->source && bind(fd, &local.addr.sa, local.size) < 0) ||
        connect(fd, &peer.addr.sa, peer.size) < 0)
        return estc_error_set(err, ESTC_E_UNREACHABLE, "no way there: %m");
    *out = fd;
    fd = -1;
    return 0;
}

/* The interface that has an address; "" when there is none. */
static void interface_of(const struct sockaddr_storage *local, char *name, size_t size) {
    struct ifaddrs *all = NULL;
    *name = '\0';
    if (getifaddrs(&all) < 0)
        return;
    for (const struct ifaddrs *i = all; i; i = i->ifa_next) {
        if (!i->ifa_addr || i->ifa_addr->sa_family != local->ss_family)
            continue;
        bool same =
            local->ss_family == AF_INET
                ? memcmp(&((const struct sockaddr_in *)(const void *)i->ifa_addr)->sin_addr,
                         &((const struct sockaddr_in *)local)->sin_addr, 4) == 0
                : memcmp(&((const struct sockaddr_in6 *)(const void *)i->ifa_addr)->sin6_addr,
                         &((const struct sockaddr_in6 *)local)->sin6_addr, 16) == 0;
        if (same)
            snprintf(name, size, "%s", i->ifa_name);
    }
    freeifaddrs(all);
}

int survey_route(const struct survey_way *way, const struct resolve_list *list, size_t at,
                 char text[SURVEY_TEXT_MAX], struct estc_error *err) {
    _cleanup(fs_closep) int fd = -1;
    int rc = open_socket(way, list, at, &fd, err);
    if (rc)
        return rc;
    struct sockaddr_storage local;
    socklen_t len = sizeof(local);
    if (getsockname(fd, (struct sockaddr *)&local, &len) < 0)
        return estc_error_set(err, -errno, "getsockname: %m");
    char host[INET6_ADDRSTRLEN + 20], name[IF_NAMESIZE];
    if (getnameinfo((const struct sockaddr *)&local, len, host, sizeof(host), NULL, 0,
                    NI_NUMERICHOST))
        snprintf(host, sizeof(host), "?");
    if (way->interface)
        snprintf(name, sizeof(name), "%s", way->interface);
    else
        interface_of(&local, name, sizeof(name));
    snprintf(text, SURVEY_TEXT_MAX, "%s%s%s", host, *name ? ", " : "", name);
    return 0;
}

/* --- packets of a size --- */

/* Record and handshake header, and all of a ClientHello but its padding (RFC 6347, RFC 5246); the
 * lengths are filled in. */
static const unsigned char hello_start[] = {
    22,   0xfe, 0xff, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, /* record; its length is the last two bytes */
    1,    0,    0,    0, 0, 0, 0, 0, 0, 0, 0, 0,    /* length at 14, fragment length at 22 */
    0xfe, 0xfd,                                     /* DTLS 1.2; then 32 random bytes */
};
static const unsigned char hello_end[] = {
    0, 0,                                 /* no session, no cookie */
    0, 4,  0xc0, 0xae, 0xc0, 0x2b,        /* ECDHE-ECDSA with AES128-CCM-8, AES128-GCM */
    1, 0,                                 /* no compression */
    0, 0,                                 /* length of the extensions */
    0, 10, 0,    4,    0,    2,    0, 23, /* P-256 */
    0, 11, 0,    2,    1,    0,           /* uncompressed points */
    0, 13, 0,    4,    0,    2,    4, 3,  /* ECDSA with SHA-256 */
    0, 23, 0,    0,                       /* extended master secret */
    0, 21, 0,    0,                       /* padding, and its length */
};
#define RANDOM_LEN 32
#define HELLO_LEN (sizeof(hello_start) + RANDOM_LEN + sizeof(hello_end))
#define EXTENSIONS_AT (sizeof(hello_start) + RANDOM_LEN + 10) /* of their length */

static void put16(unsigned char *at, size_t value) {
    at[0] = (unsigned char)(value >> 8);
    at[1] = (unsigned char)value;
}

/* A ClientHello of so many bytes, at least HELLO_LEN. */
static void hello_make(unsigned char *out, size_t len) {
    memset(out, 0, len);
    memcpy(out, hello_start, sizeof(hello_start));
    RAND_bytes(out + sizeof(hello_start), RANDOM_LEN);
    memcpy(out + sizeof(hello_start) + RANDOM_LEN, hello_end, sizeof(hello_end));
    put16(out + 11, len - 13);
    put16(out + 15, len - 25);
    put16(out + 23, len - 25);
    put16(out + EXTENSIONS_AT, len - EXTENSIONS_AT - 2);
    put16(out + HELLO_LEN - 2, len - HELLO_LEN);
}

/* Never in pieces, whatever is known of the way. */
static int forbid_fragments(int fd, int family) {
    const int probe = family == AF_INET ? IP_PMTUDISC_PROBE : IPV6_PMTUDISC_PROBE;
    return family == AF_INET
               ? setsockopt(fd, IPPROTO_IP, IP_MTU_DISCOVER, &probe, sizeof(probe))
               : setsockopt(fd, IPPROTO_IPV6, IPV6_MTU_DISCOVER, &probe, sizeof(probe));
}

/* What came is a record of DTLS: an answer, whatever it says. */
static bool is_answer(const unsigned char *data, ssize_t n) {
    return n >= 13 && (data[0] == 21 || data[0] == 22) && data[1] == 0xfe;
}

/* Waits for one until then. ESTC_E_TIMEOUT: there was none. */
static int wait_answer(int fd, int64_t until, struct estc_error *err) {
    unsigned char data[2048];
    for (;;) {
        int64_t left = until - clock_boot_ms();
        struct pollfd p = {.fd = fd, .events = POLLIN};
        if (left <= 0 || poll(&p, 1, (int)left) == 0)
            return ESTC_E_TIMEOUT;
        ssize_t n = recv(fd, data, sizeof(data), 0);
        if (is_answer(data, n))
            return 0;
        if (n < 0 && errno == ECONNREFUSED)
            return estc_error_set(err, ESTC_E_UNREACHABLE,
                                  "nothing listens there (ICMP: port unreachable); check that the "
                                  "server runs, and the port");
        if (n < 0 && errno != EAGAIN && errno != EINTR && errno != EMSGSIZE)
            return estc_error_set(err, ESTC_E_UNREACHABLE, "no way there: %m");
    }
}

int survey_size(const struct survey_way *way, const struct resolve_list *list, size_t at,
                size_t size, const struct estc_wait *wait, struct estc_error *err) {
    int family = list->at[at].addr.ss_family;
    size_t len = size - (family == AF_INET ? IPV4_HEADERS : IPV6_HEADERS);
    unsigned char hello[9000];
    _cleanup(fs_closep) int fd = -1;
    if (size < SURVEY_SIZE_MIN || len > sizeof(hello))
        return estc_error_set(err, -EINVAL, "no packet of %zu bytes can be asked about", size);
    int rc = open_socket(way, list, at, &fd, err);
    if (rc)
        return rc;
    if (forbid_fragments(fd, family) < 0)
        return estc_error_set(err, -errno, "packets cannot be kept whole: %m");
    do {
        hello_make(hello, len);
        if (send(fd, hello, len, MSG_NOSIGNAL) < 0 && errno == EMSGSIZE)
            return estc_error_set(err, -EMSGSIZE, "larger than what this machine's own link takes");
        int64_t until = clock_boot_ms() + AGAIN_MS;
        rc = wait_answer(fd, until < wait->deadline ? until : wait->deadline, err);
    } while (rc == ESTC_E_TIMEOUT && clock_boot_ms() < wait->deadline);
    return rc == ESTC_E_TIMEOUT ? estc_error_set(err, rc, "no answer") : rc;
}

/* --- a connection --- */

void survey_peer(const struct estc_transport *transport, struct survey_peer *out) {
    const struct session *s = (const struct session *)transport;
    SSL *ssl = s->state == SESSION_UP ? coap_session_get_tls(s->coap, NULL) : NULL;
    *out = (struct survey_peer){0};
    if (ssl)
        *out = (struct survey_peer){.version = SSL_get_version(ssl),
                                    .suite = SSL_get_cipher_name(ssl),
                                    .cert = SSL_get0_peer_certificate(ssl)};
}
