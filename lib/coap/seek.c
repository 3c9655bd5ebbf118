/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A search: the question goes out, whoever answers is asked for the rest of their answer if it has
 * more blocks, until the deadline. Straight down and blocking, in the process of whoever calls.
 *
 *   asked ── answer, more to come ──▶ asked for the next block ── last one ──▶ done: found()
 *     └──── reset, nonsense, nobody there ──▶ failed
 *
 * Datagrams come from anybody: those that lack our token are dropped, a host counts once, at most
 * SEEK_HOSTS of them count, and each body is bounded. Owns its sockets for the time of the call.
 */
#include <errno.h>
#include <net/if.h>
#include <netdb.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <unistd.h>

#include <estc/beacon.h>
#include <estc/seek.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/log.h"
#include "coap/coaplog.h"
#include "coap/probe.h"
#include "coap/resolve.h"

#define SEEK_HOSTS 64
#define SEEK_BODY_MAX 65536
#define SEEK_DATAGRAM_MAX 2048 /* a block of 1024 and its options, amply */
#define SEEK_NEVER INT64_MAX
/* RFC 7252 section 4.8: ACK_TIMEOUT, MAX_RETRANSMIT. */
#define SEEK_REPEAT_MS 2000
#define SEEK_REPEATS 4

enum host_state { HOST_ASKED, HOST_DONE, HOST_FAILED };

struct host {
    size_t socket; /* index of the one that it is reached by */
    struct sockaddr_storage addr;
    socklen_t len;
    enum host_state state;
    int64_t due; /* when to ask (again) */
    unsigned tries;
    uint16_t mid;
    unsigned code; /* of its answer's first block */
    int content_format;
    struct block_collector body;
};

struct seek_socket {
    int fd;
    struct sockaddr_storage to; /* a group, or the one host that it is connected to */
    socklen_t len;
};

struct seek {
    const struct estc_seek_options *options;
    uint16_t port;
    const struct estc_wait *wait;
    estc_seek_fn found;
    void *arg;
    struct estc_error *err;
    unsigned char token[PROBE_TOKEN_LEN];
    uint16_t mid;
    struct seek_socket sockets[RESOLVE_MAX];
    size_t n_sockets;
    struct host *hosts; /* SEEK_HOSTS of them */
    size_t n_hosts;
    int failure; /* errno of the last one that failed */
};

static void seek_clear(struct seek *s) {
    for (size_t i = 0; i < s->n_hosts; i++)
        block_collector_clear(&s->hosts[i].body);
    for (size_t i = 0; i < s->n_sockets; i++)
        close(s->sockets[i].fd);
    free(s->hosts);
}

/* --- hosts --- */

static struct host *host_add(struct seek *s, size_t socket, const struct sockaddr_storage *addr,
                             socklen_t len) {
    if (s->n_hosts == SEEK_HOSTS)
        return NULL;
    struct host *h = &s->hosts[s->n_hosts++];
    *h = (struct host){.socket = socket, .addr = *addr, .len = len, .mid = s->mid++};
    h->body = (struct block_collector){.max = SEEK_BODY_MAX, .szx = BLOCK_SZX_MAX};
    return h;
}

static bool same_address(const struct host *h, const struct sockaddr_storage *addr) {
    const struct sockaddr_in6 *a6 = (const void *)&h->addr, *b6 = (const void *)addr;
    const struct sockaddr_in *a4 = (const void *)&h->addr, *b4 = (const void *)addr;
    if (h->addr.ss_family != addr->ss_family)
        return false;
    if (addr->ss_family == AF_INET)
        return a4->sin_port == b4->sin_port && a4->sin_addr.s_addr == b4->sin_addr.s_addr;
    return a6->sin6_port == b6->sin6_port && a6->sin6_scope_id == b6->sin6_scope_id &&
           IN6_ARE_ADDR_EQUAL(&a6->sin6_addr, &b6->sin6_addr);
}

/* The one that a datagram came from. A multicast may bring new ones. */
static struct host *host_from(struct seek *s, size_t socket, const struct sockaddr_storage *addr,
                              socklen_t len) {
    for (size_t i = 0; i < s->n_hosts; i++)
        if (s->hosts[i].socket == socket && same_address(&s->hosts[i], addr))
            return &s->hosts[i];
    struct host *h = s->options->host ? NULL : host_add(s, socket, addr, len);
    if (h)
        h->due = SEEK_NEVER; /* it has been asked, with all others */
    return h;
}

static void host_send(struct seek *s, struct host *h, const unsigned char *data, size_t len) {
    const struct seek_socket *to = &s->sockets[h->socket];
    const struct sockaddr *addr = s->options->host ? NULL : (const struct sockaddr *)&h->addr;
    if (sendto(to->fd, data, len, 0, addr, addr ? h->len : 0) < 0 && errno == ECONNREFUSED) {
        h->state = HOST_FAILED;
        s->failure = errno;
    }
}

static void host_ask(struct seek *s, struct host *h, int64_t now) {
    unsigned char out[PROBE_MAX];
    struct block next = block_collector_next(&h->body);
    h->due = h->tries < SEEK_REPEATS ? now + ((int64_t)SEEK_REPEAT_MS << h->tries) : SEEK_NEVER;
    h->tries++;
    host_send(s, h, out,
              probe_question(PROBE_CON, h->mid, s->token, h->body.more ? &next : NULL, out));
}

static void host_done(struct seek *s, struct host *h) {
    char address[RESOLVE_TEXT_MAX], name[RESOLVE_TEXT_MAX];
    h->state = HOST_DONE;
    if (getnameinfo((const struct sockaddr *)&h->addr, h->len, name, sizeof(name), NULL, 0,
                    NI_NUMERICHOST))
        return;
    const struct estc_seek_answer answer = {
        .address = resolve_text((const struct sockaddr *)&h->addr, h->len, address),
        .host = name,
        .code = h->code,
        .content_format = h->content_format,
        .payload = h->body.body.data,
        .payload_len = h->body.body.len,
    };
    s->found(s->arg, &answer);
}

/* A block of its answer, or an error that ends it. */
static void host_hears(struct seek *s, struct host *h, const struct probe_answer *answer) {
    const struct message *m = &answer->message;
    const struct block *block = m->has_block2 && m->code == 205 ? &m->block2 : NULL;
    size_t begins = block ? (size_t)block->num * block_size(block->szx) : 0;
    if (h->state != HOST_ASKED || begins != h->body.body.len)
        return; /* once more what was heard already */
    if (begins == 0) {
        h->code = m->code;
        h->content_format = m->content_format;
    }
    int rc = m->code == h->code ? block_collector_add(&h->body, block, answer->payload.data,
                                                      answer->payload.len, m->etag, m->etag_len)
                                : ESTC_E_PROTOCOL;
    if (rc) {
        h->state = HOST_FAILED;
        s->failure = EPROTO;
    } else if (h->body.more) {
        h->mid = s->mid++;
        h->tries = 0;
        h->due = 0;
    } else {
        host_done(s, h);
    }
}

/* --- datagrams --- */

static void seek_hears(struct seek *s, size_t socket, const unsigned char *data, size_t len,
                       const struct sockaddr_storage *from, socklen_t from_len) {
    unsigned char out[PROBE_MAX];
    struct probe_answer answer;
    if (probe_read(data, len, s->token, &answer))
        return;
    struct host *h = NULL;
    if (answer.empty || answer.ours)
        h = host_from(s, socket, from, from_len);
    if (h && answer.empty && answer.mid == h->mid && h->state == HOST_ASKED) {
        h->due = SEEK_NEVER; /* the answer comes by itself */
        if (answer.type == PROBE_RST) {
            h->state = HOST_FAILED;
            s->failure = ECONNREFUSED;
        }
    } else if (h && !answer.empty) {
        if (answer.type == PROBE_CON)
            host_send(s, h, out, probe_ack(answer.mid, out));
        host_hears(s, h, &answer);
    }
    estc_buf_clear(&answer.payload);
}

static void seek_receive(struct seek *s, size_t socket) {
    unsigned char data[SEEK_DATAGRAM_MAX];
    struct sockaddr_storage from = {0};
    socklen_t from_len = sizeof(from);
    ssize_t n = recvfrom(s->sockets[socket].fd, data, sizeof(data), MSG_DONTWAIT | MSG_TRUNC,
                         (struct sockaddr *)&from, &from_len);
    if (n >= 0 && (size_t)n <= sizeof(data))
        seek_hears(s, socket, data, (size_t)n, &from, from_len);
    /* Asked alone, a host without such a port is told of by ICMP. */
    for (size_t i = 0; n < 0 && errno == ECONNREFUSED && i < s->n_hosts; i++)
        if (s->hosts[i].socket == socket && s->hosts[i].state == HOST_ASKED) {
            s->hosts[i].state = HOST_FAILED;
            s->failure = ECONNREFUSED;
        }
}

/* --- the search --- */

/* Asks who is due; returns when the next one is. */
static int64_t seek_ask(struct seek *s, int64_t now) {
    int64_t next = SEEK_NEVER;
    for (size_t i = 0; i < s->n_hosts; i++) {
        struct host *h = &s->hosts[i];
        if (h->state == HOST_ASKED && h->due <= now)
            host_ask(s, h, now);
        if (h->state == HOST_ASKED && h->due < next)
            next = h->due;
    }
    return next;
}

static bool seek_has(const struct seek *s, enum host_state state) {
    for (size_t i = 0; i < s->n_hosts; i++)
        if (s->hosts[i].state == state)
            return true;
    return false;
}

/* To everybody, once in the middle as well: multicast gets lost more easily than anything. */
static int seek_call(struct seek *s) {
    unsigned char out[PROBE_MAX];
    size_t len = probe_question(PROBE_NON, s->mid++, s->token, NULL, out);
    size_t sent = 0;
    for (size_t i = 0; i < s->n_sockets; i++) {
        const struct seek_socket *to = &s->sockets[i];
        if (sendto(to->fd, out, len, 0, (const struct sockaddr *)&to->to, to->len) >= 0)
            sent++;
        else
            s->failure = errno;
    }
    return sent > 0 ? 0
                    : estc_error_set(s->err, ESTC_E_UNREACHABLE, "cannot multicast on '%s': %s",
                                     s->options->interface, strerror(s->failure));
}

/* Until `until`, or something came. */
static int seek_wait(struct seek *s, int64_t until, int64_t now) {
    struct pollfd fds[RESOLVE_MAX + 1];
    int64_t left = until > now ? until - now : 0;
    for (size_t i = 0; i < s->n_sockets; i++)
        fds[i] = (struct pollfd){.fd = s->sockets[i].fd, .events = POLLIN};
    fds[s->n_sockets] = (struct pollfd){.fd = s->wait->cancel_fd, .events = POLLIN};
    int n = poll(fds, s->n_sockets + 1, left < INT32_MAX ? (int)left : INT32_MAX);
    if (n < 0 && errno != EINTR)
        return estc_error_set(s->err, -errno, "poll: %s", strerror(errno));
    if (n > 0 && fds[s->n_sockets].revents)
        return estc_error_set(s->err, ESTC_E_CANCELLED, "cancelled while looking for servers");
    for (size_t i = 0; n > 0 && i < s->n_sockets; i++)
        if (fds[i].revents)
            seek_receive(s, i);
    return 0;
}

static int seek_run(struct seek *s) {
    int64_t now = clock_boot_ms();
    int64_t again = s->options->host ? SEEK_NEVER : now + (s->wait->deadline - now) / 2;
    int rc = s->options->host ? 0 : seek_call(s);
    while (!rc && (now = clock_boot_ms()) < s->wait->deadline) {
        int64_t next = seek_ask(s, now);
        if (s->options->host && (seek_has(s, HOST_DONE) || !seek_has(s, HOST_ASKED)))
            break;
        if (again <= now) {
            again = SEEK_NEVER;
            seek_call(s);
        }
        next = again < next ? again : next;
        rc = seek_wait(s, next < s->wait->deadline ? next : s->wait->deadline, now);
    }
    return rc;
}

/* What becomes of a question to one host. */
static int seek_verdict(const struct seek *s) {
    const char *host = s->options->host;
    if (seek_has(s, HOST_DONE))
        return 0;
    if (seek_has(s, HOST_ASKED))
        return estc_error_set(s->err, ESTC_E_TIMEOUT,
                              "%s: no answer over plain CoAP, UDP port %u: discovery may be off "
                              "there, or a firewall is between",
                              host, (unsigned)s->port);
    if (s->failure == EPROTO)
        return estc_error_set(s->err, ESTC_E_PROTOCOL, "%s: its answer breaks the rules of CoAP",
                              host);
    return estc_error_set(
        s->err, ESTC_E_UNREACHABLE,
        "%s: nobody listens for plain CoAP on UDP port %u: discovery is off there", host,
        (unsigned)s->port);
}

/* --- sockets --- */

static int seek_error(const struct seek *s, const char *what) {
    return estc_error_set(s->err, -errno, "%s: %s", what, strerror(errno));
}

static int seek_open_hosts(struct seek *s) {
    struct resolve_list list;
    int rc = resolve_host(s->options->host, s->port, s->wait, &list, s->err);
    for (size_t i = 0; !rc && i < list.count; i++) {
        struct seek_socket *to = &s->sockets[s->n_sockets];
        to->fd = socket(list.at[i].addr.ss_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
        if (to->fd < 0) {
            s->failure = errno;
            continue; /* a kernel without IPv6 */
        }
        if (connect(to->fd, (const struct sockaddr *)&list.at[i].addr, list.at[i].len) < 0) {
            s->failure = errno;
            close(to->fd);
            continue;
        }
        host_add(s, s->n_sockets++, &list.at[i].addr, list.at[i].len);
    }
    if (!rc && s->n_hosts == 0)
        rc = estc_error_set(s->err, ESTC_E_UNREACHABLE, "%s: %s", s->options->host,
                            strerror(s->failure));
    return rc;
}

static int seek_open_group(struct seek *s, int family, const char *group, unsigned index) {
    struct seek_socket *to = &s->sockets[s->n_sockets];
    struct resolve_list list;
    int rc = resolve_host(group, s->port, s->wait, &list, s->err);
    if (rc)
        return rc;
    to->to = list.at[0].addr;
    to->len = list.at[0].len;
    to->fd = socket(family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (to->fd < 0)
        return errno == EAFNOSUPPORT ? 0 : seek_error(s, "socket");
    s->n_sockets++;
    if (family == AF_INET6) {
        ((struct sockaddr_in6 *)&to->to)->sin6_scope_id = index;
        return 0;
    }
    const struct ip_mreqn by = {.imr_ifindex = (int)index};
    return setsockopt(to->fd, IPPROTO_IP, IP_MULTICAST_IF, &by, sizeof(by)) < 0
               ? seek_error(s, "IP_MULTICAST_IF")
               : 0;
}

static int seek_open(struct seek *s) {
    if (s->options->host)
        return seek_open_hosts(s);
    unsigned index = if_nametoindex(s->options->interface);
    if (index == 0)
        return estc_error_set(s->err, -ENODEV, "there is no network interface '%s'",
                              s->options->interface);
    int rc = seek_open_group(s, AF_INET, ESTC_GROUP_V4, index);
    return rc ? rc : seek_open_group(s, AF_INET6, ESTC_GROUP_V6, index);
}

int estc_seek(const struct estc_seek_options *options, const struct estc_wait *wait,
              estc_seek_fn found, void *arg, struct estc_error *err) {
    _cleanup(seek_clear) struct seek s = {
        .options = options,
        .port = options->port ? options->port : ESTC_BEACON_PORT,
        .wait = wait,
        .found = found,
        .arg = arg,
        .err = err,
    };
    if (!options->host && !options->interface)
        return estc_error_set(err, -EINVAL, "a search needs a host or an interface");
    coaplog_install();
    s.hosts = calloc(SEEK_HOSTS, sizeof(*s.hosts));
    if (!s.hosts)
        return estc_error_set(err, -ENOMEM, "out of memory");
    if (getrandom(s.token, sizeof(s.token), 0) != sizeof(s.token) ||
        getrandom(&s.mid, sizeof(s.mid), 0) != sizeof(s.mid))
        return seek_error(&s, "getrandom");
    int rc = seek_open(&s);
    if (!rc)
        rc = seek_run(&s);
    return rc || !options->host ? rc : seek_verdict(&s);
}
