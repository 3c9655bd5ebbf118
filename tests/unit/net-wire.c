/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Peers made of OpenSSL and bytes: CoAP messages by hand, a DTLS client with any parameters, a DTLS
 * server that plays a script.
 */
#include "net.h"

#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <openssl/err.h>

#include "base/clock.h"

/* CoAP */

void net_coap_begin(struct net_coap *m, unsigned type, unsigned code, uint16_t mid,
                    const void *token, size_t token_len) {
    m->data[0] = (unsigned char)(0x40 | type << 4 | token_len);
    m->data[1] = (unsigned char)code;
    m->data[2] = (unsigned char)(mid >> 8);
    m->data[3] = (unsigned char)mid;
    if (token_len > 0)
        memcpy(m->data + 4, token, token_len);
    m->len = 4 + token_len;
    m->last_option = 0;
}

static unsigned net_nibble(struct net_coap *m, size_t *at, unsigned n) {
    if (n < 13)
        return n;
    if (n < 269) {
        m->data[(*at)++] = (unsigned char)(n - 13);
        return 13;
    }
    m->data[(*at)++] = (unsigned char)((n - 269) >> 8);
    m->data[(*at)++] = (unsigned char)(n - 269);
    return 14;
}

void net_coap_option(struct net_coap *m, unsigned number, const void *value, size_t len) {
    size_t at = m->len + 1;
    unsigned delta = net_nibble(m, &at, number - m->last_option);
    unsigned length = net_nibble(m, &at, (unsigned)len);
    m->data[m->len] = (unsigned char)(delta << 4 | length);
    if (len > 0)
        memcpy(m->data + at, value, len);
    m->len = at + len;
    m->last_option = number;
}

void net_coap_uint(struct net_coap *m, unsigned number, uint32_t value) {
    unsigned char bytes[4];
    size_t len = value > 0xffffff ? 4 : value > 0xffff ? 3 : value > 0xff ? 2 : value ? 1 : 0;
    for (size_t i = 0; i < len; i++)
        bytes[i] = (unsigned char)(value >> 8 * (len - 1 - i));
    net_coap_option(m, number, bytes, len);
}

void net_coap_block(struct net_coap *m, unsigned number, uint32_t num, bool more, unsigned szx) {
    net_coap_uint(m, number, num << 4 | (more ? 8U : 0U) | szx);
}

void net_coap_path(struct net_coap *m, const char *path) {
    while (*path) {
        path += *path == '/';
        size_t len = strcspn(path, "/");
        net_coap_option(m, 11, path, len);
        path += len;
    }
}

void net_coap_payload(struct net_coap *m, const void *data, size_t len) {
    m->data[m->len++] = 0xff;
    memcpy(m->data + m->len, data, len);
    m->len += len;
}

static bool net_extend(const struct net_message *m, size_t *at, unsigned *n) {
    if (*n == 13 && *at + 1 <= m->len) {
        *n = m->data[*at] + 13U;
        *at += 1;
    } else if (*n == 14 && *at + 2 <= m->len) {
        *n = (unsigned)(m->data[*at] << 8 | m->data[*at + 1]) + 269U;
        *at += 2;
    }
    return *at <= m->len;
}

bool net_parse(struct net_message *m) {
    if (m->len < 4)
        return false;
    m->type = m->data[0] >> 4 & 3;
    m->token_len = m->data[0] & 15;
    m->code = m->data[1];
    m->mid = (uint16_t)(m->data[2] << 8 | m->data[3]);
    if (m->token_len > 8 || m->len < 4 + m->token_len)
        return false;
    memcpy(m->token, m->data + 4, m->token_len);
    m->options = 0;
    m->payload_at = 0;
    m->payload_len = 0;
    unsigned number = 0;
    for (size_t at = 4 + m->token_len; at < m->len;) {
        unsigned delta = m->data[at] >> 4, len = m->data[at] & 15;
        if (m->data[at++] == 0xff) {
            m->payload_at = at;
            m->payload_len = m->len - at;
            break;
        }
        if (!net_extend(m, &at, &delta) || !net_extend(m, &at, &len) || at + len > m->len ||
            m->options == 32)
            return false;
        number += delta;
        m->option[m->options].number = number;
        m->option[m->options].at = at;
        m->option[m->options++].len = len;
        at += len;
    }
    return true;
}

int64_t net_option(const struct net_message *m, unsigned number) {
    for (size_t i = 0; i < m->options; i++) {
        if (m->option[i].number != number)
            continue;
        int64_t n = 0;
        for (size_t k = 0; k < m->option[i].len && k < 4; k++)
            n = n << 8 | m->data[m->option[i].at + k];
        return n;
    }
    return -1;
}

/* OpenSSL's DTLS */

static void net_on_info(const SSL *ssl, int where, int ret) {
    int *alert = SSL_get_app_data(ssl);
    if ((where & SSL_CB_ALERT) && (where & SSL_CB_READ) && ret >> 8 == SSL3_AL_FATAL && alert)
        *alert = ret & 0xff;
}

static void net_use(SSL_CTX *ctx, const struct net_id *id) {
    if (id && SSL_CTX_use_cert_and_key(ctx, id->cert, id->key, id->chain, 1) != 1)
        abort();
}

/* Drives a handshake on a blocking socket, resending when nothing comes. */
static bool net_handshake(SSL *ssl, int seconds) {
    int64_t end = clock_boot_ms() + seconds * 1000;
    while (clock_boot_ms() < end) {
        int r = SSL_do_handshake(ssl);
        if (r == 1)
            return true;
        if (SSL_get_error(ssl, r) != SSL_ERROR_WANT_READ)
            return false;
        DTLSv1_handle_timeout(ssl);
    }
    return false;
}

static void net_set_timeout(SSL *ssl, int ms) {
    struct timeval tv = {.tv_sec = ms / 1000, .tv_usec = ms % 1000 * 1000};
    BIO_ctrl(SSL_get_rbio(ssl), BIO_CTRL_DGRAM_SET_RECV_TIMEOUT, 0, &tv);
}

SSL *net_connect(uint16_t port, const struct net_tls *how, int *alert) {
    SSL_CTX *ctx = SSL_CTX_new(DTLS_client_method());
    assert_non_null(ctx);
    net_use(ctx, how->id);
    if (how->version == DTLS1_VERSION)
        SSL_CTX_set_security_level(ctx, 0);
    assert_true(SSL_CTX_set_min_proto_version(ctx, how->version));
    assert_true(SSL_CTX_set_max_proto_version(ctx, how->version));
    SSL_CTX_set_options(ctx, (uint64_t)how->options);
    if (how->suites)
        assert_true(SSL_CTX_set_cipher_list(ctx, how->suites));
    char curves[64] = "";
    snprintf(curves, sizeof(curves), "%s", how->curves ? how->curves : "P-256:P-384");
    assert_true(SSL_CTX_set1_groups_list(ctx, curves));
    SSL_CTX_set_info_callback(ctx, net_on_info);
    SSL *ssl = SSL_new(ctx);
    SSL_CTX_free(ctx);
    int fd = net_upstream(port), none = -1;
    BIO *bio = BIO_new_dgram(fd, BIO_CLOSE);
    struct sockaddr_in6 peer = {.sin6_family = AF_INET6, .sin6_port = htons(port)};
    peer.sin6_addr = in6addr_loopback;
    BIO_ctrl(bio, BIO_CTRL_DGRAM_SET_CONNECTED, 0, &peer);
    SSL_set_bio(ssl, bio, bio);
    SSL_set_app_data(ssl, alert ? alert : &none);
    if (alert)
        *alert = -1;
    if (how->resume)
        SSL_set_session(ssl, how->resume);
    SSL_set_connect_state(ssl);
    net_set_timeout(ssl, 500);
    bool ok = net_handshake(ssl, 5);
    SSL_set_app_data(ssl, NULL);
    ERR_clear_error();
    if (ok)
        return ssl;
    SSL_free(ssl);
    return NULL;
}

void net_close(SSL *ssl) {
    if (ssl)
        SSL_shutdown(ssl);
    SSL_free(ssl);
}

void net_send(SSL *ssl, const struct net_coap *m) {
    SSL_write(ssl, m->data, (int)m->len);
}

bool net_receive(SSL *ssl, struct net_message *m, int ms) {
    net_set_timeout(ssl, ms);
    int n = SSL_read(ssl, m->data, sizeof(m->data));
    m->len = n > 0 ? (size_t)n : 0;
    return n > 0 && net_parse(m);
}

/* The scripted server */

static SSL *net_accept(SSL_CTX *ctx, int fd) {
    struct sockaddr_in6 peer;
    socklen_t len = sizeof(peer);
    unsigned char type;
    NET_CHECK(recvfrom(fd, &type, 1, MSG_PEEK, (struct sockaddr *)&peer, &len) >= 0);
    if (type != SSL3_RT_HANDSHAKE) { /* the last words of an earlier connection */
        recv(fd, &type, 1, 0);
        return NULL;
    }
    NET_CHECK(connect(fd, (struct sockaddr *)&peer, len) == 0);
    BIO *bio = BIO_new_dgram(fd, BIO_NOCLOSE);
    BIO_ctrl(bio, BIO_CTRL_DGRAM_SET_CONNECTED, 0, &peer);
    SSL *ssl = SSL_new(ctx);
    SSL_set_bio(ssl, bio, bio);
    SSL_set_accept_state(ssl);
    net_set_timeout(ssl, 500);
    if (net_handshake(ssl, 5))
        return ssl;
    SSL_free(ssl);
    struct sockaddr none = {.sa_family = AF_UNSPEC};
    NET_CHECK(connect(fd, &none, sizeof(none)) == 0);
    return NULL;
}

/* Serves one connection; a client that has gone frees the socket for the next. */
static void net_act_connection(const struct net_script *s, SSL *ssl, int fd, int stop) {
    unsigned n = 0;
    struct net_message m;
    struct pollfd fds[] = {{.fd = fd, .events = POLLIN}, {.fd = stop, .events = POLLIN}};
    while (!SSL_get_shutdown(ssl) && poll(fds, 2, -1) >= 0 && !fds[1].revents) {
        if (net_receive(ssl, &m, 100))
            s->step(ssl, &m, n++, s->arg);
    }
}

static int net_believe(int ok, X509_STORE_CTX *store) {
    (void)ok, (void)store;
    return 1;
}

static void net_act_run(int ready, int stop, void *arg) {
    const struct net_script *s = arg;
    SSL_CTX *ctx = SSL_CTX_new(DTLS_server_method());
    net_use(ctx, s->id);
    SSL_CTX_set_verify(ctx, s->refuse_resumption ? SSL_VERIFY_PEER : SSL_VERIFY_NONE,
                       s->refuse_resumption ? net_believe : NULL);
    if (s->refuse_resumption)
        SSL_CTX_set_options(ctx, SSL_OP_NO_TICKET);
    if (s->hello)
        SSL_CTX_set_client_hello_cb(ctx, s->hello, s->arg);
    NET_CHECK(!s->suites || SSL_CTX_set_cipher_list(ctx, s->suites));
    if (s->no_extended_master_secret)
        SSL_CTX_set_options(ctx, SSL_OP_NO_EXTENDED_MASTER_SECRET);
    int fd = net_socket(s->port);
    net_ready(ready);
    for (;;) {
        struct pollfd fds[] = {{.fd = fd, .events = POLLIN}, {.fd = stop, .events = POLLIN}};
        NET_CHECK(poll(fds, 2, -1) >= 0);
        if (fds[1].revents)
            break;
        SSL *ssl = net_accept(ctx, fd);
        if (!ssl)
            continue;
        net_act_connection(s, ssl, fd, stop);
        SSL_free(ssl);
        close(fd);
        fd = net_socket(s->port);
    }
    close(fd);
    SSL_CTX_free(ctx);
}

struct net_child net_act(struct net_script *script) {
    return net_start(net_act_run, script);
}
