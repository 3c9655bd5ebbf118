/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Source address and interface of a client. libcoap takes a local address, but makes, connects and
 * uses its socket in one call and knows no interface. So the socket is found by its two ends
 * (socket.h) at the moment when the handshake begins and nothing has
 * been sent yet (handshake.h). Before that a socket of our own goes the same way: libcoap does not
 * say why a socket could not be connected, and a connected socket shows the right source address.
 * Owns nothing.
 */
#include "coap/way.h"

#include <errno.h>
#include <net/if.h>
#include <netdb.h>
#include <stdbool.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fs.h"
#include "coap/socket.h"

static bool way_is_link_local(const struct sockaddr_storage *addr) {
    return addr->ss_family == AF_INET6 &&
           IN6_IS_ADDR_LINKLOCAL(&((const struct sockaddr_in6 *)addr)->sin6_addr);
}

static int way_source(const struct way *way, coap_address_t *out, struct estc_error *err) {
    struct estc_wait none = {.cancel_fd = -1};
    struct resolve_list list;
    int r = resolve_host(way->source, 0, &none, &list, err);
    if (r)
        return r;
    coap_address_init(out);
    if (list.count == 0 || list.at[0].len > sizeof(out->addr))
        return estc_error_set(err, -EAFNOSUPPORT, "source address '%s' cannot be used",
                              way->source);
    memcpy(&out->addr, &list.at[0].addr, list.at[0].len);
    out->size = list.at[0].len;
    return 0;
}

int way_filter(const struct way *way, const char *host, struct resolve_list *list,
               struct estc_error *err) {
    coap_address_t source = {0};
    int r = way->source ? way_source(way, &source, err) : 0;
    if (r)
        return r;
    size_t left = 0;
    for (size_t i = 0; i < list->count; i++) {
        struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)&list->at[i].addr;
        if (way->source && source.addr.sa.sa_family != list->at[i].addr.ss_family)
            continue;
        if (way->interface && way_is_link_local(&list->at[i].addr) && v6->sin6_scope_id == 0)
            v6->sin6_scope_id = if_nametoindex(way->interface);
        list->at[left++] = list->at[i];
    }
    list->count = left;
    if (left == 0)
        return estc_error_set(err, ESTC_E_UNREACHABLE,
                              "'%s' has no address that can be reached from %s (IPv4 and IPv6 do "
                              "not mix): configure another source, or none",
                              host, way->source ? way->source : "here");
    return 0;
}

static int way_failed(const char *what, const char *which, const char *remedy,
                      struct estc_error *err) {
    return estc_error_set(err, ESTC_E_UNREACHABLE, "no way there: %s%s%s%s: %s; %s", what,
                          which ? " '" : "", which ? which : "", which ? "'" : "", strerror(errno),
                          remedy);
}

static int way_bind_device(int fd, const char *interface) {
    /* Without a privilege since Linux 5.7. */
    return setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, interface, (socklen_t)strlen(interface));
}

int way_find(const struct way *way, const coap_address_t *peer, coap_address_t *local,
             struct estc_error *err) {
    _cleanup(fs_closep) int fd = socket(peer->addr.sa.sa_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    coap_address_init(local);
    local->size = 0;
    if (fd < 0)
        return way_failed("socket", NULL, "check the network", err);
    if (way->interface && way_bind_device(fd, way->interface) < 0)
        return way_failed("interface", way->interface, "check its name, and that it is up", err);
    if (way->source) {
        coap_address_t source;
        int r = way_source(way, &source, err);
        if (r)
            return r;
        if (bind(fd, &source.addr.sa, source.size) < 0)
            return way_failed("source address", way->source,
                              "give this machine that address, or configure another", err);
    }
    if (connect(fd, &peer->addr.sa, peer->size) < 0)
        return way_failed("connect", NULL, "check network and routes", err);
    if (!way->interface && !way->source)
        return 0;
    local->size = sizeof(local->addr);
    if (getsockname(fd, &local->addr.sa, &local->size) < 0)
        return estc_error_set(err, -errno, "getsockname: %s", strerror(errno));
    coap_address_set_port(local, 0);
    return 0;
}

int way_take(const struct way *way, const coap_session_t *session) {
    if (!way->interface)
        return 0;
    int fd =
        socket_find(coap_session_get_addr_local(session), coap_session_get_addr_remote(session));
    if (fd < 0)
        return -EBADF;
    return way_bind_device(fd, way->interface) < 0 ? -errno : 0;
}
