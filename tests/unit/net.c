/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Peers for tests. What runs in a child reports by its exit status alone: NET_CHECK ends it
 * with 70. All sockets are on loopback, each server on a port of its own.
 */
#include "net.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <openssl/err.h>

#include "base/clock.h"

#define NET_CHECK(what)                                                \
    do {                                                               \
        if (!(what)) {                                                 \
            fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #what); \
            _exit(70);                                                 \
        }                                                              \
    } while (0)

/* Identities */

struct net_id net_issue(const struct net_id *issuer, enum estc_key_type type,
                        struct support_cert_spec spec) {
    struct net_id id = {0};
    assert_int_equal(estc_key_generate(type, &id.key, NULL), 0);
    spec.issuer = issuer ? issuer->cert : NULL;
    spec.issuer_key = issuer ? issuer->key : NULL;
    id.cert = support_cert(id.key, &spec);
    if (issuer && X509_NAME_cmp(X509_get_subject_name(issuer->cert),
                                X509_get_issuer_name(issuer->cert)) != 0) {
        id.chain = issuer->chain ? X509_chain_up_ref(issuer->chain) : sk_X509_new_null();
        X509_up_ref(issuer->cert);
        assert_true(sk_X509_unshift(id.chain, issuer->cert));
    }
    return id;
}

void net_id_clear(struct net_id *id) {
    EVP_PKEY_free(id->key);
    X509_free(id->cert);
    sk_X509_pop_free(id->chain, X509_free);
    *id = (struct net_id){0};
}

struct estc_credentials net_credentials(const struct net_id *id) {
    return (struct estc_credentials){.key = id->key, .cert = id->cert, .chain = id->chain};
}

struct estc_trust *net_trust(const struct net_id *root) {
    struct estc_trust *trust = NULL;
    if (estc_trust_new(&trust, NULL) || estc_trust_add(trust, root->cert, NULL))
        abort();
    return trust;
}

/* Processes */

static int net_socket(uint16_t port) {
    int fd = socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in6 addr = {.sin6_family = AF_INET6, .sin6_port = htons(port)};
    int off = 0;
    NET_CHECK(fd >= 0);
    NET_CHECK(setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof(off)) == 0);
    NET_CHECK(bind(fd, (struct sockaddr *)&addr, sizeof(addr)) == 0);
    return fd;
}

uint16_t net_port(void) {
    int fd = net_socket(0);
    struct sockaddr_in6 addr;
    socklen_t len = sizeof(addr);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&addr, &len), 0);
    close(fd);
    return ntohs(addr.sin6_port);
}

void net_ready(int ready) {
    NET_CHECK(write(ready, "r", 1) == 1);
}

struct net_child net_start(void (*run)(int ready, int stop, void *arg), void *arg) {
    int stop[2], ready[2];
    char byte;
    assert_int_equal(pipe(stop), 0);
    assert_int_equal(pipe(ready), 0);
    fflush(NULL);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        close(stop[1]);
        close(ready[0]);
        run(ready[1], stop[0], arg);
        exit(0);
    }
    close(stop[0]);
    close(ready[1]);
    if (read(ready[0], &byte, 1) != 1)
        fail_msg("a child did not start");
    close(ready[0]);
    return (struct net_child){.pid = pid, .stop = stop[1]};
}

void net_stop(struct net_child *child) {
    int status = 0;
    if (child->pid == 0)
        return;
    close(child->stop);
    assert_int_equal(waitpid(child->pid, &status, 0), child->pid);
    child->pid = 0;
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
        fail_msg("a child ended with status 0x%x", (unsigned)status);
}

void *net_shared(size_t size) {
    void *m = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    assert_ptr_not_equal(m, MAP_FAILED);
    return m;
}

void net_shared_free(void *memory, size_t size) {
    munmap(memory, size);
}

/* Our listener */

static void net_serve_run(int ready, int stop, void *arg) {
    const struct net_server *s = arg;
    struct estc_trust *trust = net_trust(s->client_root);
    struct estc_listener_options o = {
        .address = s->address,
        .port = s->port,
        .credentials = net_credentials(s->id),
        .client_trust = trust,
        .max_body = s->max_body,
        .idle_timeout = s->idle_timeout,
        .answer = s->answer,
        .arg = s->arg,
    };
    struct estc_listener *l = NULL;
    struct estc_error err = {0};
    if (estc_listener_new(&o, &l, &err)) {
        fprintf(stderr, "%s\n", err.text);
        _exit(70);
    }
    NET_CHECK(estc_listener_port(l) == s->port);
    net_ready(ready);
    struct pollfd fds[] = {{.fd = estc_listener_fd(l), .events = POLLIN},
                           {.fd = stop, .events = POLLIN}};
    while (!fds[1].revents) {
        estc_listener_prepare(l);
        NET_CHECK(poll(fds, 2, -1) >= 0 || errno == EINTR);
        estc_listener_process(l);
    }
    estc_listener_free(l);
    estc_trust_free(trust);
}

struct net_child net_serve(struct net_server *server) {
    return net_start(net_serve_run, server);
}

/* The proxy */

#define NET_PROXY_CLIENTS 16

struct net_proxy_client {
    struct sockaddr_in6 addr;
    int upstream;
};

static int net_upstream(uint16_t port) {
    int fd = socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in6 addr = {.sin6_family = AF_INET6, .sin6_port = htons(port)};
    addr.sin6_addr = in6addr_loopback;
    NET_CHECK(fd >= 0 && connect(fd, (struct sockaddr *)&addr, sizeof(addr)) == 0);
    return fd;
}

static void net_forward_run(int ready, int stop, void *arg) {
    const struct net_proxy *p = arg;
    struct net_proxy_client clients[NET_PROXY_CLIENTS];
    unsigned used = 0, up = 0, down = 0;
    int front = net_socket(p->port);
    net_ready(ready);
    for (;;) {
        struct pollfd fds[NET_PROXY_CLIENTS + 2] = {{.fd = stop, .events = POLLIN},
                                                    {.fd = front, .events = POLLIN}};
        for (unsigned i = 0; i < used; i++)
            fds[i + 2] = (struct pollfd){.fd = clients[i].upstream, .events = POLLIN};
        NET_CHECK(poll(fds, used + 2, -1) >= 0);
        if (fds[0].revents)
            break;
        unsigned char data[2048];
        if (fds[1].revents) {
            struct sockaddr_in6 from;
            socklen_t len = sizeof(from);
            ssize_t n = recvfrom(front, data, sizeof(data), 0, (struct sockaddr *)&from, &len);
            unsigned i = 0;
            while (i < used && memcmp(&clients[i].addr, &from, sizeof(from)) != 0)
                i++;
            if (i == used) {
                NET_CHECK(used < NET_PROXY_CLIENTS);
                clients[used++] = (struct net_proxy_client){from, net_upstream(p->server_port)};
            }
            for (unsigned k = n > 0 ? p->decide(up++, true, (size_t)n, p->arg) : 0; k > 0; k--)
                (void)!send(clients[i].upstream, data, (size_t)n, 0);
        }
        for (unsigned i = 0; i < used; i++) {
            if (!fds[i + 2].revents)
                continue;
            ssize_t n = recv(clients[i].upstream, data, sizeof(data), 0);
            for (unsigned k = n > 0 ? p->decide(down++, false, (size_t)n, p->arg) : 0; k > 0; k--)
                (void)!sendto(front, data, (size_t)n, 0, (struct sockaddr *)&clients[i].addr,
                              sizeof(clients[i].addr));
        }
    }
    for (unsigned i = 0; i < used; i++)
        close(clients[i].upstream);
    close(front);
}

struct net_child net_forward(struct net_proxy *proxy) {
    return net_start(net_forward_run, proxy);
}

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

static void net_act_run(int ready, int stop, void *arg) {
    const struct net_script *s = arg;
    SSL_CTX *ctx = SSL_CTX_new(DTLS_server_method());
    net_use(ctx, s->id);
    SSL_CTX_set_verify(ctx, SSL_VERIFY_NONE, NULL);
    NET_CHECK(!s->suites || SSL_CTX_set_cipher_list(ctx, s->suites));
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
