/* SPDX-License-Identifier: BSD-2-Clause */
/* Datagrams to and from anybody, by sockets that have no sessions. */
#pragma once

#include <arpa/inet.h>
#include <stdbool.h>
#include <sys/socket.h>
#include <sys/types.h>

#include <coap3/coap.h>

/* Where a datagram goes, and which of our addresses it leaves from. All addresses have the form of
 * IPv6, IPv4 mapped into it, unless the kernel has no IPv6. */
struct route {
    struct sockaddr_storage to;
    socklen_t to_len;
    struct in6_addr from;
    unsigned interface; /* that the question came in on */
};

#define ROUTE_HOST_MAX (INET6_ADDRSTRLEN + sizeof("[]"))

/* Has the kernel tell of each datagram which of our addresses it came to. 0 or -errno. */
int route_ask(int socket, sa_family_t family);
/* A datagram of at most max bytes, and the way back; flags as for recvmsg(). -EAGAIN when there is
 * none, -EMSGSIZE for a longer one. */
ssize_t route_receive(int socket, unsigned char *data, size_t max, int flags, struct route *route);
/* 0 or -errno. */
int route_send(int socket, const struct route *route, const void *data, size_t len);

/* The far end as libcoap has it. */
void route_remote(const struct route *route, coap_address_t *out);

/* Whether it came to a group. */
bool route_is_multicast(const struct route *route);
/* Sets the address that an answer to a multicast leaves from: the kernel's choice. */
bool route_choose_source(struct route *route);
/* Our address as it stands in a URL, "192.0.2.1" or "[2001:db8::1]". */
bool route_host(const struct route *route, char out[static ROUTE_HOST_MAX]);
