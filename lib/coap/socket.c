/* SPDX-License-Identifier: BSD-2-Clause */
/* Looks at all descriptors: no two UDP sockets of a process have the same ends. Owns nothing. */
#include "coap/socket.h"

#include <stdbool.h>
#include <sys/resource.h>
#include <sys/socket.h>

/* Descriptors to look at; a worker has a handful. */
#define SOCKET_DESCRIPTORS_MAX 65536

typedef int socket_name_fn(int, struct sockaddr *, socklen_t *);

static bool socket_end(int fd, socket_name_fn *name, coap_address_t *out) {
    coap_address_init(out);
    out->size = sizeof(out->addr);
    return name(fd, &out->addr.sa, &out->size) == 0;
}

static bool socket_is(int fd, const coap_address_t *local, const coap_address_t *peer) {
    coap_address_t here, there;
    if (!socket_end(fd, getsockname, &here) || !coap_address_equals(&here, local))
        return false;
    bool connected = socket_end(fd, getpeername, &there);
    return peer ? connected && coap_address_equals(&there, peer) : !connected;
}

int socket_find(const coap_address_t *local, const coap_address_t *peer) {
    struct rlimit limit = {.rlim_cur = SOCKET_DESCRIPTORS_MAX};
    getrlimit(RLIMIT_NOFILE, &limit);
    int end =
        limit.rlim_cur < SOCKET_DESCRIPTORS_MAX ? (int)limit.rlim_cur : SOCKET_DESCRIPTORS_MAX;
    for (int fd = 0; fd < end; fd++) {
        if (socket_is(fd, local, peer))
            return fd;
    }
    return -1;
}
