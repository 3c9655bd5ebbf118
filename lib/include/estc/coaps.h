/* SPDX-License-Identifier: BSD-2-Clause */
/* The transport of RFC 9148: CoAP over DTLS 1.2, certificates on both ends. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <openssl/evp.h>
#include <openssl/x509.h>

#include <estc/error.h>
#include <estc/transport.h>
#include <estc/trust.h>

/* Who we are in a handshake. All three are borrowed by the functions that take them and kept by
 * reference count, so the caller may free its own at once. */
struct estc_credentials {
    EVP_PKEY *key;
    X509 *cert;
    STACK_OF(X509) * chain; /* intermediates, leaf's issuer first; may be NULL */
};

struct estc_coaps_options {
    const char *host; /* name or address; what the server's certificate must say */
    uint16_t port;    /* 0: 5684 */
    struct estc_credentials credentials;
    const struct estc_trust *trust; /* anchors for the server's certificate; must outlive us */
    bool allow_rsa_server;          /* false: a server with an RSA certificate is refused */
    unsigned block_size;            /* 16, 32, ... 1024 bytes; 0: 1024 */
    size_t max_body;                /* largest answer taken, in bytes; 0: 65536 */
    /* The way there. With blocks of 64 bytes or less no datagram of an exchange that we send is
     * larger than 127 bytes (RFC 9148 section 4.6), whatever the MTU. */
    unsigned mtu;          /* largest IP packet that gets there, 256..9000; 0: 1280 */
    unsigned dtls_timeout; /* seconds until a handshake message is sent again, doubling up to 60
                              (RFC 7925 section 11): 1..60; 0: 1 */
    unsigned ack_timeout;  /* ACK_TIMEOUT of RFC 7252 section 4.8 in seconds: 2..60; 0: 2 */
    const char *source;    /* numeric local address to send from; NULL: what the routes say */
    const char *interface; /* name of the network interface to send through; NULL: the same */
    /* Test of dates: seconds since 1970; 0: the system clock. */
    int64_t now;
};

/* Resolves and connects at the first use only. The options are copied. */
int estc_coaps_new(const struct estc_coaps_options *options, struct estc_transport **out,
                   struct estc_error *err);
