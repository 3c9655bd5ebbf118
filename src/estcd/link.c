/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Links and addresses that come up. The kernel tells much more than that: of a link each change of
 * anything, of an address each lifetime that a router renews. So the links that are up are known by
 * their numbers, and of an address counts only the moment of its making. Sends nothing and asks
 * nothing.
 */
#include "link.h"

#include <errno.h>
#include <net/if.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <linux/if_addr.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>

#include "base/cleanup.h"
#include "base/fs.h"

#define DATAGRAM_MAX 32768
#define DATAGRAMS_AT_ONCE 64

struct link_watch {
    int fd;
    sd_event_source *source;
    link_up_fn up;
    void *arg;
    struct link_known known;
};

/* --- what the kernel says --- */

static int *slot_of(struct link_known *known, int index) {
    for (size_t i = 0; i < LINK_KNOWN; i++)
        if (known->up[i] == index)
            return &known->up[i];
    return NULL;
}

static bool link_came_up(struct link_known *known, struct nlmsghdr *header) {
    const unsigned needed = IFF_UP | IFF_RUNNING;
    if (header->nlmsg_len < NLMSG_LENGTH(sizeof(struct ifinfomsg)))
        return false;
    const struct ifinfomsg *link = NLMSG_DATA(header);
    if (link->ifi_index <= 0 || (link->ifi_flags & IFF_LOOPBACK))
        return false;
    int *slot = slot_of(known, link->ifi_index);
    bool up = header->nlmsg_type == RTM_NEWLINK && (link->ifi_flags & needed) == needed;
    if (slot && !up)
        *slot = 0;
    if (slot || !up)
        return false;
    slot = slot_of(known, 0);
    if (slot)
        *slot = link->ifi_index;
    return slot != NULL;
}

/* The kernel marks the time when an address was made, and when it was last changed. */
static bool is_new(struct nlmsghdr *header) {
    struct ifaddrmsg *address = NLMSG_DATA(header);
    size_t left = IFA_PAYLOAD(header);
    unsigned flags = address->ifa_flags;
    bool fresh = true;
    for (struct rtattr *a = IFA_RTA(address); RTA_OK(a, left); a = RTA_NEXT(a, left)) {
        struct ifa_cacheinfo times;
        if (a->rta_type == IFA_FLAGS && RTA_PAYLOAD(a) >= sizeof(flags))
            memcpy(&flags, RTA_DATA(a), sizeof(flags));
        if (a->rta_type != IFA_CACHEINFO || RTA_PAYLOAD(a) < sizeof(times))
            continue;
        memcpy(&times, RTA_DATA(a), sizeof(times));
        fresh = times.cstamp == times.tstamp;
    }
    /* One that nobody else may have (RFC 4862 section 5.4) comes again when that is known. */
    return fresh && !(flags & (IFA_F_TENTATIVE | IFA_F_DADFAILED));
}

static bool address_came_up(struct nlmsghdr *header) {
    if (header->nlmsg_len < NLMSG_LENGTH(sizeof(struct ifaddrmsg)))
        return false;
    struct ifaddrmsg *address = NLMSG_DATA(header);
    return address->ifa_scope != RT_SCOPE_HOST && is_new(header);
}

bool link_is_news(struct link_known *known, void *data, size_t len) {
    bool news = false;
    struct nlmsghdr *header = data;
    for (unsigned left = (unsigned)len; NLMSG_OK(header, left); header = NLMSG_NEXT(header, left)) {
        if (header->nlmsg_type == RTM_NEWLINK || header->nlmsg_type == RTM_DELLINK)
            news = link_came_up(known, header) || news;
        else if (header->nlmsg_type == RTM_NEWADDR)
            news = address_came_up(header) || news;
    }
    return news;
}

/* --- listening --- */

static int on_message(sd_event_source *source, int fd, uint32_t revents, void *arg) {
    (void)source;
    (void)revents;
    struct link_watch *watch = arg;
    _Alignas(struct nlmsghdr) char data[DATAGRAM_MAX];
    bool news = false;
    for (int i = 0; i < DATAGRAMS_AT_ONCE; i++) {
        struct sockaddr_nl from = {0};
        socklen_t from_len = sizeof(from);
        ssize_t n =
            recvfrom(fd, data, sizeof(data), MSG_DONTWAIT, (struct sockaddr *)&from, &from_len);
        if (n < 0 && errno == ENOBUFS)
            news = true; /* some were lost: one of them may have been it */
        else if (n < 0 && errno != EINTR)
            break;
        else if (n > 0 && from_len == sizeof(from) && from.nl_pid == 0) /* the kernel itself */
            news = link_is_news(&watch->known, data, (size_t)n) || news;
    }
    if (news)
        watch->up(watch->arg);
    return 0;
}

struct link_watch *link_watch_free(struct link_watch *watch) {
    if (!watch)
        return NULL;
    sd_event_source_disable_unref(watch->source);
    fs_closep(&watch->fd);
    free(watch);
    return NULL;
}

CLEANUP_DEFINE(struct link_watch *, link_watch_freep, link_watch_free);

int link_watch_new(sd_event *event, link_up_fn up, void *arg, struct link_watch **out,
                   struct estc_error *err) {
    const struct sockaddr_nl groups = {.nl_family = AF_NETLINK,
                                       .nl_groups =
                                           RTMGRP_LINK | RTMGRP_IPV4_IFADDR | RTMGRP_IPV6_IFADDR};
    _cleanup(link_watch_freep) struct link_watch *watch = calloc(1, sizeof(*watch));
    if (!watch)
        return estc_error_set(err, -ENOMEM, "out of memory");
    *watch = (struct link_watch){.up = up, .arg = arg};
    watch->fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_ROUTE);
    if (watch->fd < 0 || bind(watch->fd, (const struct sockaddr *)&groups, sizeof(groups)) < 0)
        return estc_error_set(err, -errno,
                              "links that come up are not heard of: %m: allow AF_NETLINK, or rely "
                              "on the waits between attempts");
    int rc = sd_event_add_io(event, &watch->source, watch->fd, EPOLLIN, on_message, watch);
    if (rc < 0)
        return estc_error_set(err, rc, "cannot watch a socket: %s", strerror(-rc));
    *out = TAKE(watch);
    return 0;
}
