/* SPDX-License-Identifier: BSD-2-Clause */
/* Names to addresses, under a deadline. */
#pragma once

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/socket.h>

#include <estc/error.h>
#include <estc/transport.h>

#define RESOLVE_MAX 8

struct resolve_list {
    size_t count;
    struct {
        struct sockaddr_storage addr;
        socklen_t len;
    } at[RESOLVE_MAX];
};

/* True for an IPv4 or IPv6 address ("fe80::1%eth0" included). */
bool resolve_is_address(const char *host);

/* UDP addresses of the host, in the order to try them. ESTC_E_UNREACHABLE, _TIMEOUT, _CANCELLED. */
int resolve_host(const char *host, uint16_t port, const struct estc_wait *wait,
                 struct resolve_list *out, struct estc_error *err);

#define RESOLVE_TEXT_MAX (INET6_ADDRSTRLEN + 32)
/* "192.0.2.1:5684", "[2001:db8::1]:5684"; text holds RESOLVE_TEXT_MAX bytes; returns text. */
const char *resolve_text(const struct sockaddr *addr, socklen_t len, char *text);
