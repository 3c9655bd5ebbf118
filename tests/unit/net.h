/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Both ends of a DTLS connection for tests, on loopback: our listener in a child process, a
 * datagram proxy that misbehaves, and peers made of OpenSSL and bytes that say what no decent peer
 * would.
 */
#pragma once

#include "support.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <sys/types.h>
#include <unistd.h>

#include <openssl/ssl.h>

#include <estc/key.h>
#include <estc/listener.h>
#include <estc/trust.h>

/* For what runs in a child process, where cmocka's assertions do not work. */
#define NET_CHECK(what)                                                \
    do {                                                               \
        if (!(what)) {                                                 \
            fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #what); \
            _exit(70);                                                 \
        }                                                              \
    } while (0)

/* Somebody with a key. */
struct net_id {
    EVP_PKEY *key;
    X509 *cert;
    STACK_OF(X509) * chain; /* intermediates below a self-signed root; may be NULL */
};

/* issuer NULL: self-signed. spec.issuer and issuer_key are filled in. */
struct net_id net_issue(const struct net_id *issuer, enum estc_key_type type,
                        struct support_cert_spec spec);
void net_id_clear(struct net_id *id);
struct estc_credentials net_credentials(const struct net_id *id);
struct estc_trust *net_trust(const struct net_id *root);

/* A UDP port that is free on all addresses. */
uint16_t net_port(void);

/* A socket bound to that port of all addresses; one connected to it on loopback. */
int net_socket(uint16_t port);
int net_upstream(uint16_t port);

/* A child process that runs until told to stop; its exit status must be 0, sanitizers included. */
struct net_child {
    pid_t pid;
    int stop; /* closing it is the order to stop */
};
/* In the child: say that it is ready. Do not use cmocka's assertions there. */
void net_ready(int ready);
struct net_child net_start(void (*run)(int ready, int stop, void *arg), void *arg);
void net_stop(struct net_child *child);

/* Memory that parent and children share. */
void *net_shared(size_t size);
void net_shared_free(void *memory, size_t size);

struct net_server {
    const char *address; /* NULL: [::] */
    uint16_t port;
    const struct net_id *id, *client_root;
    const struct net_id *expired_root; /* whose clients may have expired, or NULL */
    size_t max_body;
    unsigned idle_timeout, max_waiting, mtu;
    estc_answer_fn answer;
    int (*is_revoked)(void *arg, X509 *cert);
    void *arg;
    void (*tick)(struct estc_listener *l, void *arg); /* 50 times a second; NULL: never */
};
struct net_child net_serve(struct net_server *server);

/* Forwards datagrams; decide returns how often the n-th one of its direction is sent on. */
struct net_proxy {
    uint16_t port, server_port;
    unsigned (*decide)(unsigned n, bool to_server, size_t len, void *arg);
    void *arg;
};
struct net_child net_forward(struct net_proxy *proxy);

/* CoAP by hand */
#define NET_CON 0
#define NET_NON 1
#define NET_ACK 2
#define NET_RST 3
#define NET_CODE(c, d) ((c) << 5 | (d))

struct net_coap {
    unsigned char data[2048];
    size_t len;
    unsigned last_option;
};
void net_coap_begin(struct net_coap *m, unsigned type, unsigned code, uint16_t mid,
                    const void *token, size_t token_len);
void net_coap_option(struct net_coap *m, unsigned number, const void *value, size_t len);
void net_coap_uint(struct net_coap *m, unsigned number, uint32_t value);
void net_coap_block(struct net_coap *m, unsigned number, uint32_t num, bool more, unsigned szx);
void net_coap_path(struct net_coap *m, const char *path);
void net_coap_payload(struct net_coap *m, const void *data, size_t len);

/* Offsets into data, so that it can be copied. */
struct net_message {
    unsigned type, code;
    uint16_t mid;
    unsigned char token[8];
    size_t token_len;
    size_t options;
    struct {
        unsigned number;
        size_t at, len;
    } option[32];
    size_t payload_at, payload_len;
    unsigned char data[2048];
    size_t len;
};
bool net_parse(struct net_message *m); /* of data and len */
/* The first option of that number as an integer; -1: absent. */
int64_t net_option(const struct net_message *m, unsigned number);

/* OpenSSL's own DTLS client. NULL when the handshake failed; alert (may be NULL) is then the fatal
 * alert received, or -1. */
struct net_tls {
    const struct net_id *id; /* NULL: without a certificate */
    const char *suites;      /* NULL: OpenSSL's default */
    const char *curves;
    int version; /* DTLS1_2_VERSION */
    long options;
    SSL_SESSION *resume;
};
SSL *net_connect(uint16_t port, const struct net_tls *how, int *alert);
void net_close(SSL *ssl);
void net_send(SSL *ssl, const struct net_coap *m);
/* False after so many milliseconds of silence. */
bool net_receive(SSL *ssl, struct net_message *m, int ms);

/* OpenSSL's own DTLS server, one connection after the other; script is called for each message. */
struct net_script {
    uint16_t port;
    const struct net_id *id;
    const char *suites;
    bool no_extended_master_secret;
    /* It asks for a certificate and has no session id context: OpenSSL answers whoever wants to
     * resume with a fatal alert. */
    bool refuse_resumption;
    int (*hello)(SSL *ssl, int *alert, void *arg); /* sees each ClientHello; may be NULL */
    void (*step)(SSL *ssl, const struct net_message *request, unsigned n, void *arg);
    void *arg;
};
struct net_child net_act(struct net_script *script);
