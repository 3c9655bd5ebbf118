/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A search: the question goes out, and whoever answers is asked for the rest, until the deadline.
 * Straight down and blocking, in the process of whoever calls. Owns its sockets for the time of the
 * call; what becomes of each host is decided in seek_host.c.
 */
#include <errno.h>
#include <net/if.h>
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
#include "coap/seek_internal.h"

static void seek_clear(struct seek *s) {
    for (size_t i = 0; i < s->n_hosts; i++)
        block_collector_clear(&s->hosts[i].body);
    for (size_t i = 0; i < s->n_sockets; i++)
        close(s->sockets[i].fd);
    free(s->hosts);
}

/* --- the search --- */

static bool seek_has(const struct seek *s, enum host_state state) {
    for (size_t i = 0; i < s->n_hosts; i++)
        if (s->hosts[i].state == state)
            return true;
    return false;
}

/* To everybody, once in the middle as well: multicast gets lost more easily than anything. */
static int seek_call(struct seek *s) {
    struct datagram out;
    size_t sent = 0;
    probe_question(DATAGRAM_NON, s->mid++, s->token, NULL, &out);
    for (size_t i = 0; i < s->n_sockets; i++) {
        const struct seek_socket *to = &s->sockets[i];
        if (sendto(to->fd, out.data, out.len, 0, (const struct sockaddr *)&to->to, to->len) >= 0)
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
        seek_add(s, s->n_sockets++, &list.at[i].addr, list.at[i].len);
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
