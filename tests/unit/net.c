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

int net_socket(uint16_t port) {
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
    struct estc_trust *expired = s->expired_root ? net_trust(s->expired_root) : NULL;
    struct estc_listener_options o = {
        .address = s->address,
        .port = s->port,
        .credentials = net_credentials(s->id),
        .client_trust = trust,
        .expired_trust = expired,
        .max_body = s->max_body,
        .idle_timeout = s->idle_timeout,
        .mtu = s->mtu,
        .max_waiting = s->max_waiting,
        .answer = s->answer,
        .is_revoked = s->is_revoked,
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
        NET_CHECK(poll(fds, 2, s->tick ? 20 : -1) >= 0 || errno == EINTR);
        estc_listener_process(l);
        if (s->tick)
            s->tick(l, s->arg);
    }
    estc_listener_free(l);
    estc_trust_free(trust);
    estc_trust_free(expired);
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

int net_upstream(uint16_t port) {
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
