/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A request that has to wait a little is kept whole, and put to the server once more when something
 * was decided or its time is over; the last time it is answered in any case. So a late answer is
 * found by the same way as an early one, and what is not kept is nothing but a later 5.03. How many
 * there can be is the listener's limit.
 */
#include "hold.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "common/journal.h"

struct held {
    struct held *next;
    struct estc_peer peer;
    struct estc_request request;
    int64_t deadline; /* CLOCK_BOOTTIME, ms */
    bool again;       /* something was decided since it was asked */
    /* what the two above point to */
    struct estc_binding binding;
    char *address, *path, *query;
    struct estc_buf payload;
};

struct hold {
    const struct estc_server *server;
    struct estc_listener *listener;
    sd_event_source *timer;
    sd_event_source *turn;     /* asks one of them again, and lets the loop go on */
    struct held *first, **end; /* in the order that they came */
};

static void held_free(struct held *h) {
    X509_free(h->peer.cert);
    free(h->address);
    free(h->path);
    free(h->query);
    estc_buf_clear(&h->payload);
    free(h);
}

CLEANUP_DEFINE(struct held *, held_freep, held_free);

/* --- the clock --- */

static void set_timer(struct hold *hold) {
    int64_t next = INT64_MAX;
    for (const struct held *h = hold->first; h; h = h->next)
        next = h->deadline < next ? h->deadline : next;
    int rc = 0;
    if (hold->first)
        rc = sd_event_source_set_time(hold->timer, (uint64_t)next * 1000);
    if (rc >= 0)
        rc =
            sd_event_source_set_enabled(hold->timer, hold->first ? SD_EVENT_ONESHOT : SD_EVENT_OFF);
    if (rc < 0)
        journal_error("cannot set a timer: %s", strerror(-rc));
}

/* --- answers --- */

/* True when the answer is given; it has to be without the ticket. */
static bool answer(struct hold *hold, struct held *h, bool last) {
    struct estc_response response = {0};
    struct estc_request request = h->request;
    if (last)
        request.ticket = 0;
    estc_server_answer(hold->server, &h->peer, &request, &response);
    if (response.later && !last) {
        estc_response_clear(&response);
        return false;
    }
    unsigned code = response.code;
    int rc = estc_listener_respond(hold->listener, h->request.ticket, &response);
    journal_debug("POST %s from %s: %u.%02u later%s", h->path, h->address, code / 100, code % 100,
                  rc == -ENOENT ? ", but the client has gone" : "");
    return true;
}

enum asking {
    ASK_OVER, /* whose time is over, alone */
    ASK_NEXT, /* and the others, until one that comes after an answer still has to wait */
};

static void go_through(struct hold *hold, enum asking asking) {
    int64_t now = clock_boot_ms();
    bool given = false;
    struct held **at = &hold->first;
    while (*at) {
        struct held *h = *at;
        bool over = h->deadline <= now, ask = over || asking != ASK_OVER;
        if (ask && answer(hold, h, over)) {
            *at = h->next;
            held_free(h);
            given = true;
        } else {
            at = &h->next;
            if (asking == ASK_NEXT && given)
                asking = ASK_OVER;
        }
    }
    hold->end = at;
    set_timer(hold);
}

static int on_timer(sd_event_source *source, uint64_t usec, void *arg) {
    (void)source;
    (void)usec;
    go_through(arg, ASK_OVER);
    return 0;
}

static void next_turn(struct hold *hold) {
    int rc = sd_event_source_set_enabled(hold->turn, SD_EVENT_ONESHOT);
    if (rc < 0)
        journal_error("cannot go on with what waits: %s", strerror(-rc));
}

/* One of them, so that a hundred signatures are not in the way of what comes meanwhile. */
static int on_turn(sd_event_source *source, void *arg) {
    (void)source;
    struct hold *hold = arg;
    struct held **at = &hold->first;
    while (*at && !(*at)->again)
        at = &(*at)->next;
    struct held *h = *at;
    if (!h)
        return 0;
    h->again = false;
    if (answer(hold, h, h->deadline <= clock_boot_ms())) {
        *at = h->next;
        if (!h->next)
            hold->end = at;
        held_free(h);
        set_timer(hold);
    }
    next_turn(hold);
    return 0;
}

void hold_ask_again(struct hold *hold) {
    for (struct held *h = hold->first; h; h = h->next)
        h->again = true;
    if (hold->first)
        next_turn(hold);
}

void hold_ask_next(struct hold *hold) {
    go_through(hold, ASK_NEXT);
}

/* --- keeping --- */

int hold_add(struct hold *hold, const struct estc_peer *peer, const struct estc_request *request,
             int64_t seconds) {
    _cleanup(held_freep) struct held *h = calloc(1, sizeof(*h));
    if (!h)
        return -ENOMEM;
    h->deadline = clock_boot_ms() + seconds * 1000;
    h->address = strdup(peer->address);
    h->path = strdup(request->path);
    h->query = request->query ? strdup(request->query) : NULL;
    h->request = *request;
    if (peer->binding)
        h->binding = *peer->binding;
    if (!h->address || !h->path || (request->query && !h->query) ||
        estc_buf_append(&h->payload, request->payload, request->payload_len))
        return -ENOMEM;
    h->request.path = h->path;
    h->request.query = h->query;
    h->request.payload = h->payload.data;
    X509_up_ref(peer->cert);
    h->peer = (struct estc_peer){
        .cert = peer->cert, .address = h->address, .binding = peer->binding ? &h->binding : NULL};
    struct held *last = TAKE(h);
    *hold->end = last;
    hold->end = &last->next;
    set_timer(hold);
    return 0;
}

/* --- life --- */

struct hold *hold_free(struct hold *hold) {
    if (!hold)
        return NULL;
    while (hold->first) {
        struct held *h = hold->first;
        hold->first = h->next;
        held_free(h);
    }
    sd_event_source_disable_unref(hold->timer);
    sd_event_source_disable_unref(hold->turn);
    free(hold);
    return NULL;
}

int hold_new(sd_event *event, const struct estc_server *server, struct estc_listener *listener,
             struct hold **out, struct estc_error *err) {
    struct hold *hold = calloc(1, sizeof(*hold));
    if (!hold)
        return estc_error_set(err, -ENOMEM, "out of memory");
    hold->end = &hold->first;
    hold->server = server;
    hold->listener = listener;
    int rc = sd_event_add_time(event, &hold->timer, CLOCK_BOOTTIME, 0, 0, on_timer, hold);
    if (rc >= 0)
        rc = sd_event_source_set_enabled(hold->timer, SD_EVENT_OFF);
    if (rc >= 0)
        rc = sd_event_add_defer(event, &hold->turn, on_turn, hold);
    if (rc >= 0)
        rc = sd_event_source_set_enabled(hold->turn, SD_EVENT_OFF);
    if (rc < 0) {
        hold_free(hold);
        return estc_error_set(err, rc, "cannot make a timer: %s", strerror(-rc));
    }
    *out = hold;
    return 0;
}
