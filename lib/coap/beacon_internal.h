/* SPDX-License-Identifier: BSD-2-Clause */
/* What the files of the beacon share; nobody else includes this. */
#pragma once

#include <arpa/inet.h>
#include <stdbool.h>
#include <sys/socket.h>

#include <estc/beacon.h>

#include "coap/datagram.h"
#include "coap/message.h"
#include "coap/ration.h"
#include "coap/reply.h"

/* Where a datagram goes, and which of our addresses it leaves from. All addresses have the form of
 * IPv6, IPv4 mapped into it, unless the kernel has no IPv6. */
struct way {
    struct sockaddr_storage to;
    socklen_t to_len;
    struct in6_addr from;
    unsigned interface; /* that the question came in on */
};

#define WAY_HOST_MAX (INET6_ADDRSTRLEN + sizeof("[]"))

/* Has the kernel tell of each datagram which of our addresses it came to. 0 or -errno. */
int way_ask(int socket, sa_family_t family);
/* A datagram of at most max bytes, and the way back. -EAGAIN when there is none, -EMSGSIZE for a
 * longer one. */
ssize_t way_receive(int socket, unsigned char *data, size_t max, struct way *way);
void way_send(int socket, const struct way *way, const struct datagram *d);

/* Whether it came to a group. */
bool way_is_multicast(const struct way *way);
/* Sets the address that an answer to a multicast leaves from: the kernel's choice. */
bool way_choose_source(struct way *way);
/* Our address as it stands in a URL, "192.0.2.1" or "[2001:db8::1]". */
bool way_host(const struct way *way, char out[static WAY_HOST_MAX]);

/* What is known of a question besides its bytes. */
struct beacon_question {
    const coap_pdu_t *pdu; /* a request */
    bool multicast;
    const char *host; /* ours, as it stands in a URL */
};

/* What a beacon answers from. */
struct beacon_answers {
    estc_beacon_fn links;
    void *arg;
    struct ration ration; /* of answers with a body */
};

/* Code 0 in *reply, which has to be cleared: no answer at all. */
void beacon_answer(struct beacon_answers *from, const struct beacon_question *question,
                   struct reply *reply);
