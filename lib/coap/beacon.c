/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The socket for strangers. It is not libcoap's: that keeps a session for each address that ever
 * asked, whoever wrote it there, and resets what it cannot read even where it came by multicast,
 * which RFC 7252 section 8.1 forbids. Here nothing is kept of an asker but an answer to a
 * multicast, until its time has come:
 *
 *   datagram -> where from, where to -> request? -> beacon_answer() -> send | wait a random while
 *
 * Owns the socket, a timer, and the epoll descriptor in front of both.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/log.h"
#include "coap/beacon_internal.h"
#include "coap/coaplog.h"
#include "coap/datagram.h"
#include "coap/endpoint.h"
#include "coap/resolve.h"

#define BEACON_INTERFACES_MAX 16
#define BEACON_WAITING_MAX 32
#define BEACON_BATCH 32          /* datagrams for each turn of the caller's loop */
#define BEACON_LEISURE_MS 5000   /* DEFAULT_LEISURE, RFC 7252 section 8.2 */
#define BEACON_QUESTION_MAX 1280 /* bytes; longer ones are no questions */
#define BEACON_RESPONSE 64       /* codes from here on are responses */

struct waiting {
    int64_t due;
    struct route route;
    struct datagram datagram;
};

struct estc_beacon {
    int epoll, socket, timer;
    unsigned interfaces[BEACON_INTERFACES_MAX]; /* where to answer; none: everywhere */
    size_t n_interfaces;
    struct beacon_answers answers;
    uint16_t mid; /* of our NON messages */
    struct waiting *waiting[BEACON_WAITING_MAX];
    size_t n_waiting;
};

CLEANUP_DEFINE(struct estc_beacon *, beacon_freep, estc_beacon_free);

static bool is_heard(const struct estc_beacon *b, unsigned interface) {
    for (size_t i = 0; i < b->n_interfaces; i++)
        if (b->interfaces[i] == interface)
            return true;
    return b->n_interfaces == 0;
}

static void write_reply(const struct reply *r, enum datagram_type type, uint16_t mid,
                        coap_bin_const_t token, struct datagram *out) {
    unsigned char block[BLOCK_OPTION_MAX];
    datagram_begin(out, type, r->code, mid, token.s, token.length);
    if (r->content_format >= 0)
        datagram_uint(out, COAP_OPTION_CONTENT_FORMAT, (uint32_t)r->content_format);
    if (r->max_age >= 0)
        datagram_uint(out, COAP_OPTION_MAXAGE, (uint32_t)r->max_age);
    if (r->has_block2)
        datagram_option(out, COAP_OPTION_BLOCK2, block, block_encode(&r->block2, block));
    datagram_payload(out, r->payload.data, r->payload.len);
}

/* --- answers that wait --- */

static void set_timer(const struct estc_beacon *b) {
    struct itimerspec when = {0};
    int64_t first = INT64_MAX;
    for (size_t i = 0; i < b->n_waiting; i++)
        if (b->waiting[i]->due < first)
            first = b->waiting[i]->due;
    if (b->n_waiting > 0)
        when.it_value =
            (struct timespec){.tv_sec = first / 1000, .tv_nsec = first % 1000 * 1000000};
    (void)timerfd_settime(b->timer, TFD_TIMER_ABSTIME, &when, NULL);
}

/* RFC 7252 section 8.2: not all who hear it at the same time. Beyond so many the question gets
 * lost, as multicast does. */
static void send_later(struct estc_beacon *b, const struct route *route, const struct datagram *d) {
    uint32_t random = 0;
    struct waiting *w = b->n_waiting < BEACON_WAITING_MAX ? malloc(sizeof(*w)) : NULL;
    if (!w)
        return;
    if (getrandom(&random, sizeof(random), GRND_NONBLOCK) < 0)
        random = 0; /* very early in the life of a machine: at once, then */
    *w = (struct waiting){
        .due = clock_boot_ms() + random % BEACON_LEISURE_MS, .route = *route, .datagram = *d};
    b->waiting[b->n_waiting++] = w;
    set_timer(b);
}

static void send_datagram(const struct estc_beacon *b, const struct route *route,
                          const struct datagram *d) {
    int rc = d->failed ? -EMSGSIZE : route_send(b->socket, route, d->data, d->len);
    if (rc)
        log_debug("discovery: an answer was not sent: %s", strerror(-rc));
}

static void send_due(struct estc_beacon *b) {
    int64_t now = clock_boot_ms();
    size_t kept = 0;
    for (size_t i = 0; i < b->n_waiting; i++) {
        struct waiting *w = b->waiting[i];
        if (w->due > now) {
            b->waiting[kept++] = w;
            continue;
        }
        send_datagram(b, &w->route, &w->datagram);
        free(w);
    }
    if (kept < b->n_waiting) {
        b->n_waiting = kept;
        set_timer(b);
    }
}

/* --- questions --- */

static void hear_request(struct estc_beacon *b, const coap_pdu_t *pdu, struct route *route,
                         bool multicast) {
    char host[ROUTE_HOST_MAX], from[RESOLVE_TEXT_MAX];
    struct datagram out;
    struct reply reply;
    bool con = coap_pdu_get_type(pdu) == COAP_MESSAGE_CON;
    if ((multicast && !route_choose_source(route)) || !route_host(route, host))
        return;
    const struct beacon_question question = {.pdu = pdu, .multicast = multicast, .host = host};
    beacon_answer(&b->answers, &question, &reply);
    if (reply.code != 0) {
        write_reply(&reply, con ? DATAGRAM_ACK : DATAGRAM_NON,
                    con ? (uint16_t)coap_pdu_get_mid(pdu) : b->mid++, coap_pdu_get_token(pdu),
                    &out);
        log_debug("discovery: %s is answered %u.%02u",
                  resolve_text((const struct sockaddr *)&route->to, route->to_len, from),
                  reply.code / 100, reply.code % 100);
        if (multicast)
            send_later(b, route, &out);
        else
            send_datagram(b, route, &out);
    }
    reply_clear(&reply);
}

/* RFC 7252 section 4.2: what is confirmable and no request of ours to answer is reset, unless it
 * came by multicast; nobody else gets a word. */
static void hear(struct estc_beacon *b, const unsigned char *data, size_t len,
                 struct route *route) {
    bool multicast = route_is_multicast(route);
    bool con = len >= 4 && data[0] >> 6 == 1 && (data[0] >> 4 & 3) == DATAGRAM_CON;
    _cleanup(coap_pdu_freep) coap_pdu_t *pdu = datagram_read(data, len);
    unsigned code = pdu ? (unsigned)coap_pdu_get_code(pdu) : 0;
    bool request = code > 0 && code < BEACON_RESPONSE && coap_pdu_get_type(pdu) < COAP_MESSAGE_ACK;
    if (!is_heard(b, route->interface) || (multicast && con))
        return;
    if (request) {
        hear_request(b, pdu, route, multicast);
    } else if (con) {
        struct datagram reset;
        datagram_begin(&reset, DATAGRAM_RST, 0, (uint16_t)(data[2] << 8 | data[3]), NULL, 0);
        send_datagram(b, route, &reset);
    }
}

void estc_beacon_process(struct estc_beacon *beacon) {
    unsigned char data[BEACON_QUESTION_MAX];
    struct route route;
    uint64_t expired;
    for (unsigned i = 0; i < BEACON_BATCH; i++) {
        ssize_t n = route_receive(beacon->socket, data, sizeof(data), 0, &route);
        if (n == -EAGAIN)
            break;
        if (n >= 0)
            hear(beacon, data, (size_t)n, &route);
    }
    (void)!read(beacon->timer, &expired, sizeof(expired));
    send_due(beacon);
}

int estc_beacon_fd(const struct estc_beacon *beacon) {
    return beacon->epoll;
}

/* --- setting up --- */

static int join(struct estc_beacon *b, sa_family_t family, const char *name,
                struct estc_error *err) {
    unsigned index = if_nametoindex(name);
    if (index == 0)
        return estc_error_set(err, -ENODEV, "discovery: there is no network interface '%s'", name);
    if (b->n_interfaces == BEACON_INTERFACES_MAX)
        return estc_error_set(err, -E2BIG, "discovery: more than %d interfaces",
                              BEACON_INTERFACES_MAX);
    b->interfaces[b->n_interfaces++] = index;
    struct ip_mreqn v4 = {.imr_ifindex = (int)index};
    struct ipv6_mreq v6 = {.ipv6mr_interface = index};
    inet_pton(AF_INET, ESTC_GROUP_V4, &v4.imr_multiaddr);
    inet_pton(AF_INET6, ESTC_GROUP_V6, &v6.ipv6mr_multiaddr);
    /* One of them may not be there: an interface without IPv4, a kernel without IPv6. */
    bool has4 = setsockopt(b->socket, IPPROTO_IP, IP_ADD_MEMBERSHIP, &v4, sizeof(v4)) == 0;
    bool has6 = family == AF_INET6 &&
                setsockopt(b->socket, IPPROTO_IPV6, IPV6_JOIN_GROUP, &v6, sizeof(v6)) == 0;
    if (!has4 && !has6)
        return estc_error_set(err, -ENODEV, "discovery: cannot join multicast groups on '%s': %s",
                              name, strerror(errno));
    log_info("discovery: listening for multicast on %s%s", name,
             has4 && has6 ? ""
             : has4       ? ", IPv4 only"
                          : ", IPv6 only");
    return 0;
}

static int open_socket(struct estc_beacon *b, const coap_address_t *address,
                       struct estc_error *err) {
    static const int off = 0;
    char text[RESOLVE_TEXT_MAX];
    const struct sockaddr *addr = &address->addr.sa;
    int rc = endpoint_check_free(address, err);
    if (rc)
        return rc;
    b->socket = socket(addr->sa_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (b->socket < 0 ||
        (addr->sa_family == AF_INET6 &&
         setsockopt(b->socket, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof(off)) < 0) ||
        bind(b->socket, addr, address->size) < 0 || route_ask(b->socket, addr->sa_family) < 0)
        return estc_error_set(err, -errno, "cannot listen on %s: %s",
                              resolve_text(addr, address->size, text), strerror(errno));
    return 0;
}

/* One descriptor in front of socket and timer. */
static int open_loop(struct estc_beacon *b, struct estc_error *err) {
    struct epoll_event event = {.events = EPOLLIN};
    b->timer = timerfd_create(CLOCK_BOOTTIME, TFD_CLOEXEC | TFD_NONBLOCK);
    b->epoll = epoll_create1(EPOLL_CLOEXEC);
    if (b->timer < 0 || b->epoll < 0 || epoll_ctl(b->epoll, EPOLL_CTL_ADD, b->socket, &event) < 0 ||
        epoll_ctl(b->epoll, EPOLL_CTL_ADD, b->timer, &event) < 0)
        return estc_error_set(err, -errno, "discovery: epoll: %s", strerror(errno));
    return 0;
}

int estc_beacon_new(const struct estc_beacon_options *options, struct estc_beacon **out,
                    struct estc_error *err) {
    coap_address_t address;
    uint16_t port = options->port ? options->port : ESTC_BEACON_PORT;
    coaplog_install();
    _cleanup(beacon_freep) struct estc_beacon *b = calloc(1, sizeof(*b));
    if (!b)
        return estc_error_set(err, -ENOMEM, "out of memory");
    b->epoll = b->socket = b->timer = -1;
    b->answers.links = options->links;
    b->answers.arg = options->arg;
    int rc = endpoint_address(options->address, port, &address, err);
    if (!rc)
        rc = open_socket(b, &address, err);
    if (!rc)
        rc = open_loop(b, err);
    for (const char *const *name = options->interfaces; !rc && name && *name; name++)
        rc = join(b, address.addr.sa.sa_family, *name, err);
    if (!rc && getrandom(&b->mid, sizeof(b->mid), GRND_NONBLOCK) < 0)
        rc = estc_error_set(err, -errno, "discovery: getrandom: %s", strerror(errno));
    if (rc)
        return rc;
    *out = TAKE(b);
    return 0;
}

struct estc_beacon *estc_beacon_free(struct estc_beacon *beacon) {
    if (!beacon)
        return NULL;
    for (size_t i = 0; i < beacon->n_waiting; i++)
        free(beacon->waiting[i]);
    const int fds[] = {beacon->epoll, beacon->timer, beacon->socket};
    for (size_t i = 0; i < sizeof(fds) / sizeof(fds[0]); i++)
        if (fds[i] >= 0)
            close(fds[i]);
    free(beacon);
    return NULL;
}
