/* SPDX-License-Identifier: BSD-2-Clause */
/* coaps URLs of EST servers (RFC 7252 section 6.2, RFC 9148 section 4.1). */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include <estc/error.h>

#define ESTC_DEFAULT_PORT 5684
#define ESTC_DEFAULT_ROOT "/.well-known/est"

struct estc_url {
    char *host;    /* name or address, without brackets; "fe80::1%eth0" keeps its scope */
    uint16_t port; /* 5684 when the URL names none */
    char *root; /* begins with "/", has no "/" at the end; ESTC_DEFAULT_ROOT when there is none */
    bool has_root; /* the URL names the root */
};

/* ESTC_E_CONFIG for anything but coaps://HOST[:PORT][/PATH]: another scheme, user info, a query, a
 * fragment, "." or ".." in the path, an empty host, a port of 0 or over 65535. */
int estc_url_parse(const char *text, struct estc_url *out, struct estc_error *err);
void estc_url_clear(struct estc_url *url);
