/* SPDX-License-Identifier: BSD-2-Clause */
/* Hears when a network link or an address comes up, by rtnetlink. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include <systemd/sd-event.h>

#include <estc/error.h>

/* So many links are told apart. */
#define LINK_KNOWN 64
struct link_known {
    int up[LINK_KNOWN]; /* interface indices; 0: free */
};

/*
 * Whether messages of the kernel (one datagram) say that something has come up: a link that was not
 * known to be, loopback left out, or a new address that may be used. Updates *known. What is cut
 * off or makes no sense is passed over. Only reads data. With LINK_KNOWN links up, another one is
 * no news.
 */
bool link_is_news(struct link_known *known, void *data, size_t len);

struct link_watch;
typedef void (*link_up_fn)(void *arg);

/* up() is called once for what came together. Negative errno where rtnetlink cannot be had. */
int link_watch_new(sd_event *event, link_up_fn up, void *arg, struct link_watch **out,
                   struct estc_error *err);
struct link_watch *link_watch_free(struct link_watch *watch);
