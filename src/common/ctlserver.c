/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The control socket in an event loop: accepts, judges who connects, hands bytes to lib/ctl. Owns
 * the socket and all connections. Never blocks, and never lets readers take the last places from
 * those who may change.
 */
#include "common/ctlserver.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fs.h"
#include "base/log.h"
#include "common/ctlsocket.h"

#define CONNECTIONS_MAX 64
#define CONNECTIONS_RESERVED 8 /* of them, for those who may change */
#define ACCEPT_IN_A_ROW 16
#define ACCEPT_PAUSE_US (1000 * 1000)

struct connection {
    struct ctlserver *server;
    struct ctl_conn *conn;
    sd_event_source *source;
    struct connection *next;
};

struct ctlserver {
    sd_event *event;
    const struct ctl_service *service;
    void *arg;
    struct ctlsocket socket;
    bool has_change_group;
    gid_t change_group;
    sd_event_source *accept_source, *pause_source;
    struct connection *connections;
    unsigned n_connections;
};

static void connection_free(struct connection *c) {
    for (struct connection **at = &c->server->connections; *at; at = &(*at)->next) {
        if (*at != c)
            continue;
        *at = c->next;
        c->server->n_connections--;
        break;
    }
    sd_event_source_disable_unref(c->source);
    ctl_conn_free(c->conn);
    free(c);
}

CLEANUP_DEFINE(struct connection *, connection_freep, connection_free);

/* sd-event takes epoll's names for what lib/ctl calls by poll's. */
static uint32_t to_epoll(int events) {
    return (events & POLLIN ? EPOLLIN : 0) | (events & POLLOUT ? EPOLLOUT : 0);
}

static int to_poll(uint32_t revents) {
    return (revents & EPOLLIN ? POLLIN : 0) | (revents & EPOLLOUT ? POLLOUT : 0) |
           (revents & EPOLLHUP ? POLLHUP : 0) | (revents & EPOLLERR ? POLLERR : 0);
}

static void connection_arm(struct ctl_conn *conn, void *arg) {
    struct connection *c = arg;
    sd_event_source_set_io_events(c->source, to_epoll(ctl_conn_events(conn)));
}

static int on_connection(sd_event_source *source, int fd, uint32_t revents, void *arg) {
    (void)source;
    (void)fd;
    struct connection *c = arg;
    if (ctl_conn_process(c->conn, to_poll(revents)) < 0)
        connection_free(c);
    else
        connection_arm(c->conn, c);
    return 0;
}

/* Serves a peer that connected. fd is taken in any case. */
static int connection_new(struct ctlserver *server, int fd) {
    _cleanup(fs_closep) int owned = fd;
    bool may_change = ctlpeer_may_change(fd, server->has_change_group, server->change_group);
    if (server->n_connections >= CONNECTIONS_MAX - (may_change ? 0 : CONNECTIONS_RESERVED)) {
        log_warning("control: too many connections (%u); a new one was closed",
                    server->n_connections);
        return 0;
    }
    struct connection *c = calloc(1, sizeof(*c));
    if (!c)
        return -ENOMEM;
    c->server = server;
    c->next = server->connections;
    server->connections = c;
    server->n_connections++;
    _cleanup(connection_freep) struct connection *guard = c;
    struct ctl_conn_options options = {.service = server->service,
                                       .may_change = may_change,
                                       .is_owner = ctlpeer_is_owner(fd),
                                       .uid = ctlpeer_uid(fd),
                                       .arg = server->arg};
    int rc = ctl_conn_new(owned, &options, &c->conn);
    if (rc)
        return rc;
    owned = -1;
    rc = sd_event_add_io(server->event, &c->source, fd, to_epoll(ctl_conn_events(c->conn)),
                         on_connection, c);
    if (rc < 0)
        return rc;
    ctl_conn_set_wakeup(c->conn, connection_arm, c);
    guard = NULL;
    return 0;
}

static int on_pause_over(sd_event_source *source, uint64_t usec, void *arg) {
    (void)source;
    (void)usec;
    struct ctlserver *server = arg;
    return sd_event_source_set_enabled(server->accept_source, SD_EVENT_ON);
}

/* Out of descriptors or memory: who waits to be accepted keeps the socket readable, so looking
 * again at once would spin. */
static int accept_pause(struct ctlserver *server, int error) {
    log_warning("control: cannot accept a connection for now: %s", strerror(error));
    int rc = sd_event_source_set_enabled(server->accept_source, SD_EVENT_OFF);
    if (rc < 0)
        return rc;
    rc = sd_event_source_set_time_relative(server->pause_source, ACCEPT_PAUSE_US);
    return rc < 0 ? rc : sd_event_source_set_enabled(server->pause_source, SD_EVENT_ONESHOT);
}

static int on_accept(sd_event_source *source, int fd, uint32_t revents, void *arg) {
    (void)source;
    (void)revents;
    struct ctlserver *server = arg;
    for (unsigned n = 0; n < ACCEPT_IN_A_ROW; n++) {
        int peer = accept4(fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (peer < 0 && (errno == EAGAIN || errno == EINTR || errno == ECONNABORTED))
            return 0;
        if (peer < 0)
            return accept_pause(server, errno);
        int rc = connection_new(server, peer);
        if (rc)
            log_warning("control: a connection was closed: %s", strerror(-rc));
    }
    return 0;
}

static int server_watch(struct ctlserver *server) {
    int rc = sd_event_add_io(server->event, &server->accept_source, server->socket.fd, EPOLLIN,
                             on_accept, server);
    if (rc < 0)
        return rc;
    rc = sd_event_add_time_relative(server->event, &server->pause_source, CLOCK_MONOTONIC, 0, 0,
                                    on_pause_over, server);
    return rc < 0 ? rc : sd_event_source_set_enabled(server->pause_source, SD_EVENT_OFF);
}

CLEANUP_DEFINE(struct ctlserver *, ctlserver_freep, ctlserver_free);

int ctlserver_new(sd_event *event, const char *path, int listen_fd,
                  const struct ctl_service *service, void *arg, struct ctlserver **out,
                  struct estc_error *err) {
    _cleanup(ctlserver_freep) struct ctlserver *server = calloc(1, sizeof(*server));
    if (!server)
        return estc_error_set(err, -ENOMEM, "out of memory");
    server->event = sd_event_ref(event);
    server->service = service;
    server->arg = arg;
    server->socket.fd = -1;
    server->has_change_group =
        ctlpeer_find_group(service->change_group, &server->change_group) == 0;
    if (!server->has_change_group)
        log_notice("control: there is no group '%s': only root and the daemon's own user can "
                   "change anything",
                   service->change_group);
    int rc = listen_fd >= 0 ? ctlsocket_adopt(listen_fd, &server->socket, err)
                            : ctlsocket_open(path, service->read_group, &server->socket, err);
    if (rc)
        return rc;
    rc = server_watch(server);
    if (rc < 0)
        return estc_error_set(err, rc, "control socket: cannot watch it: %s", strerror(-rc));
    *out = TAKE(server);
    return 0;
}

struct ctlserver *ctlserver_free(struct ctlserver *server) {
    if (!server)
        return NULL;
    while (server->connections)
        connection_free(server->connections);
    sd_event_source_disable_unref(server->accept_source);
    sd_event_source_disable_unref(server->pause_source);
    ctlsocket_close(&server->socket);
    sd_event_unref(server->event);
    free(server);
    return NULL;
}
