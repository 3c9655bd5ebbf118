/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * getaddrinfo() blocks for as long as the resolver likes, up to a minute with dead name servers,
 * and cannot be told to stop. So a name is looked up in a thread of its own that does nothing else,
 * while the caller waits for it, for its deadline and for its cancel descriptor; a caller that
 * gives up leaves the thread behind, and the last of the two frees what they share. Addresses are
 * recognised without a thread. A sandbox has to allow clone() for threads if it wants names.
 */
#include "coap/resolve.h"

#include <errno.h>
#include <netdb.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"

struct lookup {
    atomic_int users;
    int done; /* eventfd: becomes readable when result and list are there */
    int result;
    int system_errno;
    struct addrinfo *list;
    char service[sizeof("65535")];
    char host[];
};

static const struct addrinfo resolve_hints = {
    .ai_family = AF_UNSPEC,
    .ai_socktype = SOCK_DGRAM,
    .ai_protocol = IPPROTO_UDP,
};

static struct lookup *lookup_new(const char *host, uint16_t port) {
    size_t len = strlen(host) + 1;
    struct lookup *l = calloc(1, sizeof(*l) + len);
    if (!l)
        return NULL;
    l->done = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (l->done < 0) {
        free(l);
        return NULL;
    }
    atomic_init(&l->users, 1);
    memcpy(l->host, host, len);
    snprintf(l->service, sizeof(l->service), "%u", (unsigned)port);
    return l;
}

static void lookup_release(struct lookup *l) {
    if (atomic_fetch_sub(&l->users, 1) > 1)
        return;
    if (l->list)
        freeaddrinfo(l->list);
    close(l->done);
    free(l);
}

CLEANUP_DEFINE(struct lookup *, lookup_releasep, lookup_release);

static void lookup_run(struct lookup *l, int flags) {
    struct addrinfo hints = resolve_hints;
    hints.ai_flags = flags | AI_NUMERICSERV;
    l->result = getaddrinfo(l->host, l->service, &hints, &l->list);
    l->system_errno = errno;
}

static void *lookup_thread(void *arg) {
    struct lookup *l = arg;
    lookup_run(l, 0);
    eventfd_write(l->done, 1);
    lookup_release(l);
    return NULL;
}

static int lookup_start(struct lookup *l) {
    /* The thread must not take signals that the program's main thread waits for. */
    sigset_t all, before;
    sigfillset(&all);
    pthread_attr_t attr;
    pthread_t thread;
    int r = pthread_attr_init(&attr);
    if (r)
        return -r;
    pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    atomic_fetch_add(&l->users, 1);
    r = pthread_create(&thread, &attr, lookup_thread, l);
    if (r)
        atomic_fetch_sub(&l->users, 1);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    pthread_attr_destroy(&attr);
    return -r;
}

/* Waits for the thread. */
static int lookup_wait(struct lookup *l, const struct estc_wait *wait, struct estc_error *err) {
    struct pollfd fds[] = {{.fd = l->done, .events = POLLIN},
                           {.fd = wait->cancel_fd, .events = POLLIN}};
    for (;;) {
        int64_t left = wait->deadline - clock_boot_ms();
        if (left <= 0)
            return estc_error_set(err, ESTC_E_TIMEOUT,
                                  "cannot look up '%s': no answer from the name servers in time; "
                                  "check DNS, or configure an address",
                                  l->host);
        int n = poll(fds, 2, left < INT32_MAX ? (int)left : INT32_MAX);
        if (n < 0 && errno != EINTR)
            return estc_error_set(err, -errno, "poll: %s", strerror(errno));
        if (n > 0 && fds[1].revents)
            return estc_error_set(err, ESTC_E_CANCELLED, "cancelled while looking up '%s'",
                                  l->host);
        if (n > 0 && fds[0].revents)
            return 0;
    }
}

static int lookup_failed(const struct lookup *l, struct estc_error *err) {
    const char *why = l->result == EAI_SYSTEM ? strerror(l->system_errno) : gai_strerror(l->result);
    if (l->result == EAI_MEMORY)
        return estc_error_set(err, -ENOMEM, "out of memory");
    return estc_error_set(err, ESTC_E_UNREACHABLE,
                          "cannot look up '%s': %s; check the name and DNS", l->host, why);
}

static void lookup_copy(const struct lookup *l, struct resolve_list *out) {
    *out = (struct resolve_list){0};
    for (const struct addrinfo *a = l->list; a && out->count < RESOLVE_MAX; a = a->ai_next) {
        if (a->ai_addrlen > sizeof(out->at[0].addr))
            continue;
        memcpy(&out->at[out->count].addr, a->ai_addr, a->ai_addrlen);
        out->at[out->count++].len = a->ai_addrlen;
    }
}

int resolve_host(const char *host, uint16_t port, const struct estc_wait *wait,
                 struct resolve_list *out, struct estc_error *err) {
    _cleanup(lookup_releasep) struct lookup *l = lookup_new(host, port);
    if (!l)
        return estc_error_set(err, -errno, "cannot look up '%s': %s", host, strerror(errno));
    lookup_run(l, AI_NUMERICHOST);
    if (l->result == EAI_NONAME) {
        int r = lookup_start(l);
        if (r < 0)
            return estc_error_set(err, r, "cannot look up '%s': no thread for it: %s", host,
                                  strerror(-r));
        r = lookup_wait(l, wait, err);
        if (r)
            return r;
    }
    if (l->result)
        return lookup_failed(l, err);
    lookup_copy(l, out);
    return 0;
}

bool resolve_is_address(const char *host) {
    struct addrinfo hints = resolve_hints;
    hints.ai_flags = AI_NUMERICHOST;
    struct addrinfo *list = NULL;
    if (getaddrinfo(host, NULL, &hints, &list))
        return false;
    freeaddrinfo(list);
    return true;
}

const char *resolve_text(const struct sockaddr *addr, socklen_t len, char *text) {
    char host[INET6_ADDRSTRLEN + 20], service[8];
    if (getnameinfo(addr, len, host, sizeof(host), service, sizeof(service),
                    NI_NUMERICHOST | NI_NUMERICSERV))
        return strcpy(text, "?");
    /* A socket for both families shows IPv4 as "::ffff:192.0.2.1". */
    static const char mapped[] = "::ffff:";
    const char *v4 = strncmp(host, mapped, sizeof(mapped) - 1) == 0 && strchr(host, '.')
                         ? host + sizeof(mapped) - 1
                         : host;
    snprintf(text, RESOLVE_TEXT_MAX, strchr(v4, ':') ? "[%s]:%s" : "%s:%s", v4, service);
    return text;
}
