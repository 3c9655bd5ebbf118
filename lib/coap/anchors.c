/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The extension trusted_ca_keys (RFC 6066 section 6), which RFC 7030 section 4.1.3 demands of a
 * client that has given up its implicit anchors: a server with several certificates learns which
 * one will do. OpenSSL does not know it, so it is put in by hand: the SHA-1 of each anchor, as the
 * RFC has it; an identifier, nothing depends on its strength. Whatever the server answers is passed
 * over.
 */
#include "coap/anchors.h"

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/err.h>
#include <openssl/sha.h>

#define EXTENSION_TRUSTED_CA_KEYS 3
#define ID_CERT_SHA1 3
#define ID_LEN (1 + SHA_DIGEST_LENGTH)
/* More would make a ClientHello of several datagrams. */
#define ANCHORS_MAX 8

/* uint16 length, then for each anchor its kind and its hash. */
static int add(SSL *ssl, unsigned type, unsigned context, const unsigned char **out, size_t *len,
               X509 *x, size_t chain_index, int *alert, void *arg) {
    (void)ssl, (void)type, (void)context, (void)x, (void)chain_index;
    const STACK_OF(X509) *anchors = estc_trust_anchors(arg);
    unsigned char *data = malloc(2 + ANCHORS_MAX * ID_LEN);
    *alert = SSL_AD_INTERNAL_ERROR;
    if (!data)
        return -1;
    size_t used = 2;
    for (int i = 0; i < sk_X509_num(anchors) && i < ANCHORS_MAX; i++) {
        data[used] = ID_CERT_SHA1;
        if (X509_digest(sk_X509_value(anchors, i), EVP_sha1(), data + used + 1, NULL) == 1)
            used += ID_LEN;
    }
    data[0] = (unsigned char)((used - 2) >> 8);
    data[1] = (unsigned char)((used - 2) & 0xff);
    *out = data;
    *len = used;
    return 1;
}

static void drop(SSL *ssl, unsigned type, unsigned context, const unsigned char *out, void *arg) {
    (void)ssl, (void)type, (void)context, (void)arg;
    free((void *)(uintptr_t)out);
}

static int parse(SSL *ssl, unsigned type, unsigned context, const unsigned char *in, size_t len,
                 X509 *x, size_t chain_index, int *alert, void *arg) {
    (void)ssl, (void)type, (void)context, (void)in, (void)len, (void)x, (void)chain_index;
    (void)alert, (void)arg;
    return 1;
}

int anchors_announce(SSL_CTX *ctx, const struct estc_trust *trust, struct estc_error *err) {
    void *arg = (void *)(uintptr_t)trust;
    if (SSL_CTX_add_custom_ext(ctx, EXTENSION_TRUSTED_CA_KEYS,
                               SSL_EXT_CLIENT_HELLO | SSL_EXT_TLS1_2_SERVER_HELLO, add, drop, arg,
                               parse, arg) == 1)
        return 0;
    ERR_clear_error();
    return estc_error_set(err, -ENOMEM, "cannot announce trust anchors in a handshake");
}
