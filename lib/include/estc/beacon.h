/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A plain CoAP socket that answers GET /.well-known/core and nothing else, for those who do not
 * know yet where EST is: without authentication, to single requests and to multicast (RFC 7252
 * section 8). What it says is a hint; EST itself is never served here (RFC 9148 section 3). Driven
 * by the caller's event loop: poll estc_beacon_fd() for reading, and call estc_beacon_process()
 * when it is readable.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include <estc/buf.h>
#include <estc/error.h>

#define ESTC_BEACON_PORT 5683
#define ESTC_GROUP_V4 "224.0.1.187" /* All CoAP Nodes, RFC 7252 section 12.8 */
#define ESTC_GROUP_V6 "ff02::fd"    /* the same, link-local */

struct estc_beacon;

/*
 * Appends links of content format 40. host is our address that the asker's answer comes from, as in
 * a URL ("192.0.2.1", "[2001:db8::1]"); query as in struct estc_request. Nothing appended: an empty
 * answer, or none to a multicast. 0, or anything else for 5.00.
 */
typedef int (*estc_beacon_fn)(void *arg, const char *host, const char *query,
                              struct estc_buf *links);

struct estc_beacon_options {
    const char *address; /* numeric; NULL: all of this machine */
    uint16_t port;       /* 0: 5683 */
    /* Names of interfaces, NULL-ended: the groups are joined there, and requests that come in
     * elsewhere are not answered. NULL: no multicast, and answers everywhere. */
    const char *const *interfaces;
    estc_beacon_fn links;
    void *arg;
};

/* -ENODEV for an interface that is not there or has no multicast; else as estc_listener_new(). */
int estc_beacon_new(const struct estc_beacon_options *options, struct estc_beacon **out,
                    struct estc_error *err);
struct estc_beacon *estc_beacon_free(struct estc_beacon *beacon); /* takes NULL, returns NULL */

int estc_beacon_fd(const struct estc_beacon *beacon);
void estc_beacon_process(struct estc_beacon *beacon);
