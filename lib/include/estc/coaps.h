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

/* By which anchors a server was authenticated (RFC 7030 section 3.6). */
enum estc_voucher {
    ESTC_VOUCHER_NONE,     /* by none: not connected, or provisional */
    ESTC_VOUCHER_IMPLICIT, /* what the configuration names; the certificate has the host's name */
    ESTC_VOUCHER_EXPLICIT, /* what /crts brought; the name, or the CA's registration authority */
};

struct estc_coaps_options {
    const char *host; /* name or address; what the server's certificate must say */
    uint16_t port;    /* 0: 5684 */
    struct estc_credentials credentials;
    const struct estc_trust *trust; /* implicit anchors for the server's certificate, or NULL */
    /* Explicit ones, or NULL; they are announced to the server (RFC 6066 section 6). At least one
     * of the two sets is needed, and both must outlive us. */
    const struct estc_trust *explicit_trust;
    /* Whoever answers is taken for the server, for a GET of /crts and nothing else, whose answer
     * must then be confirmed in another way (RFC 7030 section 4.1.1). Needs no anchors. */
    bool provisional;
    bool allow_rsa_server; /* false: a server with an RSA certificate is refused */
    unsigned block_size;   /* 16, 32, ... 1024 bytes; 0: 1024 */
    size_t max_body;       /* largest answer taken, in bytes; 0: 65536 */
    /* The way there. With blocks of 64 bytes or less no datagram of an exchange that we send is
     * larger than 127 bytes (RFC 9148 section 4.6), whatever the MTU. */
    unsigned mtu;          /* largest IP packet that gets there, 256..9000; 0: 1280 */
    unsigned dtls_timeout; /* seconds until a handshake message is sent again, doubling up to 60
                              (RFC 7925 section 11): 1..60; 0: 1 */
    unsigned ack_timeout;  /* ACK_TIMEOUT of RFC 7252 section 4.8 in seconds: 2..60; 0: 2 */
    const char *source;    /* numeric local address to send from; NULL: what the routes say */
    const char *interface; /* name of the network interface to send through; NULL: the same */
    /* Test of dates: seconds since 1970, or estc_at_least() of them; 0: the system clock. */
    int64_t now;
};

/* Resolves and connects at the first use only. The options are copied. */
int estc_coaps_new(const struct estc_coaps_options *options, struct estc_transport **out,
                   struct estc_error *err);

/* How the server was authenticated on the connection that is up. */
enum estc_voucher estc_coaps_voucher(const struct estc_transport *transport);

/*
 * From now on these explicit anchors alone authenticate the server (RFC 7030 section 4.1.3). The
 * server that we are connected to is validated again (RFC 9148 section 9.1): when it does not pass,
 * the connection is closed, and the next request makes another, by the new anchors. `trust` must
 * outlive the transport. True if the connection stands.
 */
bool estc_coaps_set_explicit(struct estc_transport *transport, const struct estc_trust *trust);
