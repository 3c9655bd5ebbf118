/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Datagrams that know which of our addresses they came to, so that the answer leaves from there.
 * Owns nothing.
 */
#include <errno.h>
#include <netinet/in.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/fs.h"
#include "coap/route.h"

static struct in6_addr mapped(struct in_addr v4) {
    struct in6_addr out = {.s6_addr = {[10] = 0xff, [11] = 0xff}};
    memcpy(&out.s6_addr[12], &v4, sizeof(v4));
    return out;
}

void route_remote(const struct route *route, coap_address_t *out) {
    coap_address_init(out);
    memcpy(&out->addr, &route->to, route->to_len);
    out->size = route->to_len;
}

bool route_is_multicast(const struct route *route) {
    const struct in6_addr *a = &route->from;
    return IN6_IS_ADDR_MULTICAST(a) ||
           (IN6_IS_ADDR_V4MAPPED(a) && a->s6_addr[12] >= 224 && a->s6_addr[12] < 240);
}

bool route_choose_source(struct route *route) {
    struct sockaddr_storage local;
    socklen_t len = sizeof(local);
    _cleanup(fs_closep) int fd = socket(route->to.ss_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || connect(fd, (const struct sockaddr *)&route->to, route->to_len) < 0 ||
        getsockname(fd, (struct sockaddr *)&local, &len) < 0)
        return false;
    route->from = local.ss_family == AF_INET ? mapped(((struct sockaddr_in *)&local)->sin_addr)
                                             : ((struct sockaddr_in6 *)&local)->sin6_addr;
    return true;
}

/* Without a zone, which would mean nothing to anybody else. */
bool route_host(const struct route *route, char out[static ROUTE_HOST_MAX]) {
    const struct in6_addr *a = &route->from;
    char text[INET6_ADDRSTRLEN];
    if (IN6_IS_ADDR_V4MAPPED(a))
        return inet_ntop(AF_INET, &a->s6_addr[12], out, ROUTE_HOST_MAX);
    if (!inet_ntop(AF_INET6, a, text, sizeof(text)))
        return false;
    snprintf(out, ROUTE_HOST_MAX, "[%s]", text);
    return true;
}

union control {
    struct cmsghdr align;
    unsigned char space[CMSG_SPACE(sizeof(struct in6_pktinfo))];
};

/* What the kernel says of a datagram's way here. */
static void read_route(struct msghdr *msg, struct route *route) {
    for (struct cmsghdr *c = CMSG_FIRSTHDR(msg); c; c = CMSG_NXTHDR(msg, c)) {
        if (c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_PKTINFO) {
            const struct in6_pktinfo *info = (const void *)CMSG_DATA(c);
            route->from = info->ipi6_addr;
            route->interface = info->ipi6_ifindex;
        } else if (c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_PKTINFO) {
            const struct in_pktinfo *info = (const void *)CMSG_DATA(c);
            route->from = mapped(info->ipi_addr);
            route->interface = (unsigned)info->ipi_ifindex;
        }
    }
}

int route_send(int socket, const struct route *route, const void *data, size_t len) {
    struct iovec bytes = {.iov_base = (void *)(uintptr_t)data, .iov_len = len};
    union control control = {0};
    struct msghdr msg = {
        .msg_name = (void *)(uintptr_t)&route->to,
        .msg_namelen = route->to_len,
        .msg_iov = &bytes,
        .msg_iovlen = 1,
        .msg_control = &control,
        .msg_controllen = sizeof(control.space),
    };
    struct cmsghdr *c = CMSG_FIRSTHDR(&msg);
    if (route->to.ss_family == AF_INET6) {
        struct in6_pktinfo info = {.ipi6_addr = route->from};
        *c = (struct cmsghdr){.cmsg_len = CMSG_LEN(sizeof(info)),
                              .cmsg_level = IPPROTO_IPV6,
                              .cmsg_type = IPV6_PKTINFO};
        memcpy(CMSG_DATA(c), &info, sizeof(info));
    } else {
        struct in_pktinfo info = {0};
        memcpy(&info.ipi_spec_dst, &route->from.s6_addr[12], sizeof(info.ipi_spec_dst));
        *c = (struct cmsghdr){
            .cmsg_len = CMSG_LEN(sizeof(info)), .cmsg_level = IPPROTO_IP, .cmsg_type = IP_PKTINFO};
        memcpy(CMSG_DATA(c), &info, sizeof(info));
        msg.msg_controllen = CMSG_SPACE(sizeof(info));
    }
    return sendmsg(socket, &msg, MSG_DONTWAIT) < 0 ? -errno : 0;
}

int route_ask(int socket, sa_family_t family) {
    static const int on = 1;
    int rc = family == AF_INET6
                 ? setsockopt(socket, IPPROTO_IPV6, IPV6_RECVPKTINFO, &on, sizeof(on))
                 : setsockopt(socket, IPPROTO_IP, IP_PKTINFO, &on, sizeof(on));
    return rc < 0 ? -errno : 0;
}

ssize_t route_receive(int socket, unsigned char *data, size_t max, int flags, struct route *route) {
    union control control;
    struct iovec bytes = {.iov_base = data, .iov_len = max};
    *route = (struct route){0};
    struct msghdr msg = {
        .msg_name = &route->to,
        .msg_namelen = sizeof(route->to),
        .msg_iov = &bytes,
        .msg_iovlen = 1,
        .msg_control = &control,
        .msg_controllen = sizeof(control.space),
    };
    ssize_t n = recvmsg(socket, &msg, flags | MSG_DONTWAIT);
    if (n < 0)
        return -errno;
    route->to_len = msg.msg_namelen;
    read_route(&msg, route);
    return msg.msg_flags & MSG_TRUNC ? -EMSGSIZE : n;
}
