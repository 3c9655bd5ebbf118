/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The network between the machines: what leaves as a UDP datagram is counted, and gets lost where
 * the driver wants it so. Where it is not lost, the loopback of the real machine carries it.
 */
#include "preload.h"

#include <errno.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

static bool is_datagram(int fd) {
    int type = 0, domain = 0;
    socklen_t size = sizeof(type);
    if (getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &size) < 0 || type != SOCK_DGRAM)
        return false;
    size = sizeof(domain);
    return getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &size) == 0 &&
           (domain == AF_INET || domain == AF_INET6);
}

/* A handshake's first flight: a record of the type handshake with message number 0, ClientHello.
 * RFC 6347, 4.1 and 4.2.2. */
static bool is_hello(const unsigned char *data, size_t len) {
    return len > 19 && data[0] == 22 && data[13] == 1 && data[17] == 0 && data[18] == 0;
}

/* Even for the same numbers whatever runs besides, so that a bad day can be had again. */
static bool is_unlucky(uint64_t number, unsigned permille) {
    uint64_t h = (number + 1) * UINT64_C(0x9e3779b97f4a7c15);
    h ^= h >> 29;
    h *= UINT64_C(0xbf58476d1ce4e5b9);
    return (h >> 32) % 1000 < permille;
}

/* What becomes of a datagram: 1 it goes, 0 it seems to go, or -errno. */
static int fate(int fd, const void *data, size_t len, size_t total) {
    struct world *w = member_world();
    if (!w || !is_datagram(fd))
        return 1;
    struct machine *m = member_machine();
    __atomic_add_fetch(&m->datagrams, 1, __ATOMIC_RELAXED);
    __atomic_add_fetch(&m->octets, total, __ATOMIC_RELAXED);
    if (is_hello(data, len))
        __atomic_add_fetch(&m->hellos, 1, __ATOMIC_RELAXED);
    uint64_t number = w->sent++;
    if (w->link == LINK_UP && !is_unlucky(number, w->loss))
        return 1;
    w->lost++;
    return w->link == LINK_UNREACHABLE ? -ENETUNREACH : 0;
}

static ssize_t lost(int sentence, size_t total) {
    if (sentence == 0)
        return (ssize_t)total;
    errno = -sentence;
    return -1;
}

HELD ssize_t sendto(int fd, const void *data, size_t len, int flags, const struct sockaddr *to,
                    socklen_t to_len) {
    int sentence = fate(fd, data, len, len);
    return sentence == 1 ? syscall(SYS_sendto, fd, data, len, flags, to, to_len)
                         : lost(sentence, len);
}

HELD ssize_t send(int fd, const void *data, size_t len, int flags) {
    return sendto(fd, data, len, flags, NULL, 0);
}

HELD ssize_t sendmsg(int fd, const struct msghdr *message, int flags) {
    size_t total = 0;
    for (size_t i = 0; i < message->msg_iovlen; i++)
        total += message->msg_iov[i].iov_len;
    const struct iovec first = message->msg_iovlen ? message->msg_iov[0] : (struct iovec){0};
    int sentence = fate(fd, first.iov_base, first.iov_len, total);
    return sentence == 1 ? syscall(SYS_sendmsg, fd, message, flags) : lost(sentence, total);
}
