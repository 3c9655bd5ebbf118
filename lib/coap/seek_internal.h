/* SPDX-License-Identifier: BSD-2-Clause */
/* What the files of the search share; nobody else includes this. */
#pragma once

#include <sys/socket.h>

#include <estc/seek.h>

#include "coap/block.h"
#include "coap/probe.h"
#include "coap/resolve.h"

#define SEEK_NEVER INT64_MAX
#define SEEK_HOSTS 64

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

/* One more to ask; NULL when there are enough. */
struct host *seek_add(struct seek *s, size_t socket, const struct sockaddr_storage *addr,
                      socklen_t len);
/* Asks who is due; returns when the next one is. */
int64_t seek_ask(struct seek *s, int64_t now);
/* Reads one datagram off a socket, and calls found() for an answer that is complete with it. */
void seek_receive(struct seek *s, size_t socket);
