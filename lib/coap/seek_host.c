/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The hosts of a search, and what they say:
 *
 *   asked -- answer, more to come --> asked for the next block -- last one --> done: found()
 *     +----- reset, nonsense, nobody there --> failed
 *
 * Datagrams come from anybody: those that lack our token are dropped, a host counts once, at most
 * SEEK_HOSTS of them count, and each body is bounded.
 */
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <string.h>

#include "coap/seek_internal.h"

#define SEEK_BODY_MAX 65536
#define SEEK_DATAGRAM_MAX 2048 /* a block of 1024 and its options, amply */
/* RFC 7252 section 4.8: ACK_TIMEOUT, MAX_RETRANSMIT. */
#define SEEK_REPEAT_MS 2000
#define SEEK_REPEATS 4

struct host *seek_add(struct seek *s, size_t socket, const struct sockaddr_storage *addr,
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
    struct host *h = s->options->host ? NULL : seek_add(s, socket, addr, len);
    if (h)
        h->due = SEEK_NEVER; /* it has been asked, with all others */
    return h;
}

static void host_send(struct seek *s, struct host *h, const struct datagram *d) {
    const struct seek_socket *to = &s->sockets[h->socket];
    const struct sockaddr *addr = s->options->host ? NULL : (const struct sockaddr *)&h->addr;
    if (sendto(to->fd, d->data, d->len, 0, addr, addr ? h->len : 0) < 0 && errno == ECONNREFUSED) {
        h->state = HOST_FAILED;
        s->failure = errno;
    }
}

static void host_ask(struct seek *s, struct host *h, int64_t now) {
    struct datagram out;
    struct block next = block_collector_next(&h->body);
    h->due = h->tries < SEEK_REPEATS ? now + ((int64_t)SEEK_REPEAT_MS << h->tries) : SEEK_NEVER;
    h->tries++;
    probe_question(DATAGRAM_CON, h->mid, s->token, h->body.more ? &next : NULL, &out);
    host_send(s, h, &out);
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

static void seek_hears(struct seek *s, size_t socket, const unsigned char *data, size_t len,
                       const struct sockaddr_storage *from, socklen_t from_len) {
    struct probe_answer answer;
    if (probe_read(data, len, s->token, &answer))
        return;
    struct host *h = NULL;
    if (answer.empty || answer.ours)
        h = host_from(s, socket, from, from_len);
    if (h && answer.empty && answer.mid == h->mid && h->state == HOST_ASKED) {
        h->due = SEEK_NEVER; /* the answer comes by itself */
        if (answer.type == DATAGRAM_RST) {
            h->state = HOST_FAILED;
            s->failure = ECONNREFUSED;
        }
    } else if (h && !answer.empty) {
        struct datagram ack;
        datagram_begin(&ack, DATAGRAM_ACK, 0, answer.mid, NULL, 0);
        if (answer.type == DATAGRAM_CON)
            host_send(s, h, &ack);
        host_hears(s, h, &answer);
    }
    estc_buf_clear(&answer.payload);
}

void seek_receive(struct seek *s, size_t socket) {
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

int64_t seek_ask(struct seek *s, int64_t now) {
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
