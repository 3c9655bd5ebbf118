/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Owns a coap_context and the policy of its DTLS. libcoap 4.3.1 would load PEM files by itself,
 * send the leaf certificate only, check no names and offer CBC suites; so we take hold of the one
 * SSL_CTX that it creates for DTLS while it does so, and configure it with handles before any
 * session. If a libcoap of the future makes its SSL_CTX in another way, dtls_new() fails, and a
 * unit test says so.
 *
 * DTLS 1.2 alone, ECDHE with AEAD, P-256 and P-384, SHA-256 or better, security level 2; no
 * renegotiation (RFC 7925 section 17), no tickets; what is resumed is decided by connect.c and
 * resume.c.
 */
#include "coap/dtls.h"

#include <errno.h>
#include <pthread.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <openssl/err.h>
#include <openssl/x509v3.h>

#include "base/cleanup_ossl.h"
#include "base/fs.h"
#include "coap/anchors.h"
#include "coap/coaplog.h"
#include "coap/endpoint.h"
#include "coap/resolve.h"

#define DTLS_SUITES_ECDSA                                          \
    "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES256-GCM-SHA384:" \
    "ECDHE-ECDSA-AES128-CCM:ECDHE-ECDSA-AES128-CCM8"
/* Small frames first look for the suite whose records are 8 bytes shorter. */
#define DTLS_SUITES_SMALL "ECDHE-ECDSA-AES128-CCM8:" DTLS_SUITES_ECDSA
#define DTLS_SUITES_RSA ":ECDHE-RSA-AES128-GCM-SHA256:ECDHE-RSA-AES256-GCM-SHA384"
/* RSA signatures stay: in chains above an ECDSA leaf, and for our own RSA certificate. */
#define DTLS_SIGALGS                          \
    "ECDSA+SHA256:ECDSA+SHA384:ECDSA+SHA512:" \
    "RSA-PSS+SHA256:RSA-PSS+SHA384:RSA-PSS+SHA512:RSA+SHA256:RSA+SHA384:RSA+SHA512"
#define DTLS_CURVES "P-256:P-384"
#define DTLS_SECURITY_LEVEL 2
/* TLS_ECDHE_ECDSA_WITH_AES_128_CCM_8, mandatory in RFC 9148 section 3. */
#define DTLS_CCM8_ID 0xc0ae
/* RFC 7925 section 4.4.4 asks for chains of three below the anchor. */
#define DTLS_DEPTH_MAX 8
/* Bytes of certificates that a peer may send before anything of it has been verified. */
#define DTLS_CERTIFICATES_MAX 32768
#define DTLS_TIMEOUT_DEFAULT 1
/* A packet of 1280 bytes holds it, which every IPv6 link carries (RFC 7252 section 4.6). */
#define DTLS_DATAGRAM_DEFAULT 1152
#define DTLS_BLOCK_SMALL 64

typedef int dtls_security_fn(const SSL *ssl, const SSL_CTX *ctx, int op, int bits, int nid,
                             void *other, void *ex);

struct dtls {
    coap_context_t *coap;
    SSL_CTX *ssl_ctx; /* coap's */
    char *sni;        /* NULL for an address and on a server */
    dtls_security_fn *security;
    struct verdict verdict;
    struct handshake handshake;
    struct way way;
    SSL_SESSION *resume; /* borrowed; NULL: a full handshake */
    struct judge judge;
};

coap_context_t *dtls_coap(const struct dtls *dtls) {
    return dtls->coap;
}

SSL_CTX *dtls_ssl_ctx(const struct dtls *dtls) {
    return dtls->ssl_ctx;
}

struct verdict *dtls_verdict(struct dtls *dtls) {
    return &dtls->verdict;
}

const struct handshake *dtls_handshake(const struct dtls *dtls) {
    return &dtls->handshake;
}

struct judge *dtls_judge(struct dtls *dtls) {
    return &dtls->judge;
}

/* Taking hold of the SSL_CTX */

/* OpenSSL tells of each new SSL_CTX in the process; this is where the current thread wants the next
 * one written, NULL at all other times. */
static _Thread_local SSL_CTX **dtls_capture;
static pthread_once_t dtls_hook_once = PTHREAD_ONCE_INIT;
static int dtls_hook = -1;

static void dtls_on_new_ctx(void *parent, void *ptr, CRYPTO_EX_DATA *ad, int idx, long argl,
                            void *argp) {
    (void)ptr, (void)ad, (void)idx, (void)argl, (void)argp;
    if (dtls_capture && !*dtls_capture)
        *dtls_capture = parent;
}

static void dtls_hook_make(void) {
    dtls_hook = SSL_CTX_get_ex_new_index(0, NULL, dtls_on_new_ctx, NULL, NULL);
}

/* libcoap makes the DTLS context first and the TLS one, which we never use, after it. */
static int dtls_open(struct dtls *dtls, struct estc_error *err) {
    pthread_once(&dtls_hook_once, dtls_hook_make);
    if (dtls_hook < 0)
        return estc_error_set(err, -ENOMEM, "out of memory");
    SSL_CTX *captured = NULL;
    dtls_capture = &captured;
    dtls->coap = coap_new_context(NULL);
    dtls_capture = NULL;
    if (!dtls->coap)
        return estc_error_set(err, -ENOMEM,
                              "libcoap could not make a context: out of memory or "
                              "of file descriptors");
    if (!captured || SSL_CTX_get_ssl_method(captured) != DTLS_method())
        return estc_error_set(err, -ENOTSUP,
                              "this libcoap (%s) does not make its DTLS context in the way that "
                              "this program was written for: use libcoap 4.3 with OpenSSL",
                              coap_package_version());
    dtls->ssl_ctx = captured;
    return 0;
}

/* Policy */

/* OpenSSL after 3.0 rates CCM8 at 64 bits and refuses it above level 0. Lowering the level would
 * let weak keys in as well, so exactly this suite is let through. */
static int dtls_on_security(const SSL *ssl, const SSL_CTX *ctx, int op, int bits, int nid,
                            void *other, void *ex) {
    const struct dtls *dtls = ex;
    if (op == SSL_SECOP_CIPHER_SUPPORTED || op == SSL_SECOP_CIPHER_SHARED ||
        op == SSL_SECOP_CIPHER_CHECK) {
        if (SSL_CIPHER_get_protocol_id(other) == DTLS_CCM8_ID)
            return 1;
    }
    return dtls->security(ssl, ctx, op, bits, nid, other, NULL);
}

static const char *dtls_suites(const struct dtls_config *config) {
    if (config->allow_rsa || !config->judge.host)
        return DTLS_SUITES_ECDSA DTLS_SUITES_RSA;
    bool small = config->block_size > 0 && config->block_size <= DTLS_BLOCK_SMALL;
    return small ? DTLS_SUITES_SMALL : DTLS_SUITES_ECDSA;
}

/* A server that heeds it sends no larger records, of certificates neither: a block and the options
 * around it have to fit. */
static bool dtls_set_fragments(SSL_CTX *ctx, const struct dtls_config *config) {
    if (!config->judge.host || config->block_size == 0 || config->block_size > 512)
        return true;
    return SSL_CTX_set_tlsext_max_fragment_length(ctx, config->block_size > 256
                                                           ? TLSEXT_max_fragment_length_1024
                                                           : TLSEXT_max_fragment_length_512) == 1;
}

static int dtls_set_policy(struct dtls *dtls, const struct dtls_config *config,
                           struct estc_error *err) {
    SSL_CTX *ctx = dtls->ssl_ctx;
    dtls->security = SSL_CTX_get_security_callback(ctx);
    SSL_CTX_set0_security_ex_data(ctx, dtls);
    SSL_CTX_set_security_callback(ctx, dtls_on_security);
    SSL_CTX_set_security_level(ctx, DTLS_SECURITY_LEVEL);
    SSL_CTX_set_options(ctx, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_TICKET | SSL_OP_NO_COMPRESSION |
                                 SSL_OP_NO_ENCRYPT_THEN_MAC);
    SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_mode(ctx, SSL_MODE_NO_AUTO_CHAIN);
    SSL_CTX_set_max_cert_list(ctx, DTLS_CERTIFICATES_MAX);
    /* Arrays, because OpenSSL's macros cast the const of a literal away. */
    char curves[] = DTLS_CURVES, sigalgs[] = DTLS_SIGALGS;
    /* Without one, a client that asks to resume is answered with a fatal alert. */
    static const unsigned char session_context[] = "est-coaps";
    bool ok = SSL_CTX_set_min_proto_version(ctx, DTLS1_2_VERSION) &&
              SSL_CTX_set_max_proto_version(ctx, DTLS1_2_VERSION) &&
              SSL_CTX_set_cipher_list(ctx, dtls_suites(config)) &&
              dtls_set_fragments(ctx, config) && SSL_CTX_set1_groups_list(ctx, curves) &&
              SSL_CTX_set1_sigalgs_list(ctx, sigalgs) &&
              SSL_CTX_set1_client_sigalgs_list(ctx, sigalgs) &&
              SSL_CTX_set_session_id_context(ctx, session_context, sizeof(session_context) - 1);
    if (!ok) {
        ERR_clear_error();
        return estc_error_set(err, -ENOTSUP,
                              "this OpenSSL (%s) lacks DTLS 1.2 with ECDHE-ECDSA-AES128-CCM8",
                              OpenSSL_version(OPENSSL_VERSION));
    }
    return 0;
}

static int dtls_set_credentials(struct dtls *dtls, const struct estc_credentials *c,
                                struct estc_error *err) {
    if (!c->cert || !c->key)
        return estc_error_set(err, -EINVAL, "a certificate and its key are needed for DTLS");
    ERR_clear_error();
    if (SSL_CTX_use_cert_and_key(dtls->ssl_ctx, c->cert, c->key, c->chain, 1) == 1 &&
        SSL_CTX_check_private_key(dtls->ssl_ctx) == 1)
        return 0;
    const char *reason = ERR_reason_error_string(ERR_peek_error());
    ERR_clear_error();
    return estc_error_set(err, ESTC_E_CREDENTIAL,
                          "our certificate, chain and key cannot be used together: %s",
                          reason ? reason : "unknown");
}

static int dtls_set_trust(struct dtls *dtls, const struct dtls_config *config,
                          struct estc_error *err) {
    dtls->judge = config->judge;
    if (!config->judge.provisional) {
        X509_STORE *store = judge_store_new(&dtls->judge, err);
        if (!store)
            return err && err->code ? err->code : -ENOMEM;
        SSL_CTX_set_cert_store(dtls->ssl_ctx, store);
    }
    X509_VERIFY_PARAM_set_depth(SSL_CTX_get0_param(dtls->ssl_ctx), DTLS_DEPTH_MAX);
    SSL_CTX_set_verify(dtls->ssl_ctx, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
    return 0;
}

/* The name to ask for, never an address (RFC 6066 section 3). */
static int dtls_set_sni(struct dtls *dtls, const char *host, struct estc_error *err) {
    if (resolve_is_address(host))
        return 0;
    size_t len = strlen(host);
    if (len > 1 && host[len - 1] == '.') /* of an absolute name */
        len--;
    dtls->sni = strndup(host, len);
    return dtls->sni ? 0 : estc_error_set(err, -ENOMEM, "out of memory");
}

/* Nothing of the handshake has been sent yet. */
static int dtls_on_begin(SSL *ssl, void *arg) {
    const struct dtls *dtls = arg;
    if (SSL_is_server(ssl))
        return 0;
    if (dtls->resume)
        SSL_set_session(ssl, dtls->resume);
    return way_take(&dtls->way, SSL_get_app_data(ssl));
}

static int dtls_set_watchers(struct dtls *dtls, const struct dtls_config *config) {
    dtls->way = config->way;
    dtls->resume = config->resume;
    dtls->handshake = (struct handshake){
        .first_s = config->timeout ? config->timeout : DTLS_TIMEOUT_DEFAULT,
        .datagram = config->datagram ? config->datagram : DTLS_DATAGRAM_DEFAULT,
        .begin = dtls_on_begin,
        .arg = dtls,
    };
    int r = verdict_watch(dtls->ssl_ctx, &dtls->verdict, &dtls->judge);
    return r ? r : handshake_watch(dtls->ssl_ctx, &dtls->handshake);
}

int dtls_new(const struct dtls_config *config, struct dtls **out, struct estc_error *err) {
    coaplog_install();
    _cleanup(dtls_freep) struct dtls *dtls = calloc(1, sizeof(*dtls));
    if (!dtls)
        return estc_error_set(err, -ENOMEM, "out of memory");
    verdict_init(&dtls->verdict);
    int r = dtls_open(dtls, err);
    if (!r)
        r = dtls_set_policy(dtls, config, err);
    if (!r)
        r = dtls_set_credentials(dtls, config->credentials, err);
    if (!r)
        r = dtls_set_trust(dtls, config, err);
    if (!r && config->judge.host)
        r = dtls_set_sni(dtls, config->judge.host, err);
    if (!r && config->judge.explicit_trust)
        r = anchors_announce(dtls->ssl_ctx, config->judge.explicit_trust, err);
    if (!r && dtls_set_watchers(dtls, config) < 0)
        r = estc_error_set(err, -ENOMEM, "out of memory");
    if (r)
        return r;
    *out = TAKE(dtls);
    return 0;
}

struct dtls *dtls_free(struct dtls *dtls) {
    if (!dtls)
        return NULL;
    handshake_end(&dtls->handshake);
    coap_free_context(dtls->coap);
    verdict_clear(&dtls->verdict);
    free(dtls->sni);
    free(dtls);
    return NULL;
}

/* Sessions */

/* All checks are in the SSL_CTX; what is here only keeps libcoap from loading or forgiving. */
static coap_dtls_pki_t dtls_pki(const struct dtls *dtls) {
    return (coap_dtls_pki_t){
        .version = COAP_DTLS_PKI_SETUP_VERSION,
        .verify_peer_cert = 1,
        .client_sni = dtls->sni,
        .pki_key.key_type = COAP_PKI_KEY_PEM,
    };
}

/* libcoap asks SSL_get_error() without having emptied the thread's error queue before, so an error
 * that somebody left there (a stranger's failed handshake, a certificate that did not parse) reads
 * as the end of a connection that only has to wait. One call takes one datagram off each socket, so
 * this is often enough. */
void dtls_process(struct dtls *dtls) {
    ERR_clear_error();
    coap_io_process(dtls->coap, COAP_IO_NO_WAIT);
    handshake_bury(&dtls->handshake);
}

unsigned dtls_prepare(struct dtls *dtls) {
    coap_tick_t now;
    coap_ticks(&now);
    ERR_clear_error();
    return coap_io_prepare_epoll(dtls->coap, now);
}

coap_mid_t dtls_send(coap_session_t *session, coap_pdu_t *pdu) {
    ERR_clear_error();
    return coap_send(session, pdu);
}

/* The first Finished message of the handshake: the client's, or the server's in a resumed one. */
size_t dtls_binding(const SSL *ssl, unsigned char out[static ESTC_BINDING_MAX]) {
    SSL *s = (SSL *)(uintptr_t)ssl; /* reading it needs no const in OpenSSL 3.0 */
    if (SSL_get_extms_support(s) != 1)
        return 0;
    bool ours = SSL_is_server(ssl) == (SSL_session_reused(ssl) == 1);
    return ours ? SSL_get_finished(ssl, out, ESTC_BINDING_MAX)
                : SSL_get_peer_finished(ssl, out, ESTC_BINDING_MAX);
}

coap_session_t *dtls_connect(struct dtls *dtls, const coap_address_t *peer,
                             const coap_address_t *local) {
    coap_dtls_pki_t pki = dtls_pki(dtls);
    ERR_clear_error();
    coap_session_t *session = coap_new_client_session_pki(
        dtls->coap, local->size > 0 ? local : NULL, peer, COAP_PROTO_DTLS, &pki);
    if (session)
        coap_session_set_max_retransmit(session, HANDSHAKE_RETRANSMISSIONS_ALL);
    return session;
}

int dtls_listen(struct dtls *dtls, const coap_address_t *local, struct estc_error *err) {
    int r = endpoint_check_free(local, err);
    if (r)
        return r;
    coap_dtls_pki_t pki = dtls_pki(dtls);
    if (!coap_context_set_pki(dtls->coap, &pki))
        return estc_error_set(err, -ENOMEM, "out of memory");
    /* libcoap's would try to load certificate files for each ClientHello. */
    SSL_CTX_set_client_hello_cb(dtls->ssl_ctx, NULL, NULL);
    if (!coap_new_endpoint(dtls->coap, local, COAP_PROTO_DTLS)) {
        char text[RESOLVE_TEXT_MAX];
        return estc_error_set(err, -EIO, "cannot listen on %s",
                              resolve_text(&local->addr.sa, local->size, text));
    }
    return 0;
}
