/* SPDX-License-Identifier: BSD-2-Clause */
/* What a server keeps of one client's connection, and how it answers there. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include <openssl/x509.h>

#include <estc/listener.h>
#include <estc/server.h>
#include <estc/transport.h>

#include "coap/block.h"
#include "coap/message.h"
#include "coap/reply.h"
#include "coap/transfer.h"

/* A request that was acknowledged and is answered later; beside the key, what the answer has to
 * fit. */
struct peer_waiting {
    uint64_t ticket; /* 0: none */
    struct transfer_key key;
    struct message options; /* its payload is not there */
    size_t room;
    bool confirmable; /* from here on the listener's */
    size_t token_len;
    unsigned char token[8];
};

struct peer {
    struct peer *prev, *next; /* the listener's list */
    coap_session_t *session;  /* libcoap's, which outlives us */
    X509 *cert;
    bool came_late; /* with a certificate that had expired and may have */
    char *address;
    int64_t heard;               /* the last request, CLOCK_BOOTTIME, milliseconds */
    struct estc_binding binding; /* len 0: none */
    struct replay replay;
    /* Bodies on their way up, and one answer on its way down, that to the last request. */
    struct transfers up;
    struct estc_response down;
    struct transfer_key down_key; /* path NULL: none */
    size_t down_etag_len;
    unsigned char down_etag[BLOCK_ETAG_MAX];
    struct peer_waiting waiting;
};

/* Takes the certificate over. NULL without memory. max_body bytes are a body at most, and the
 * budget, which must outlive it, those of all peers. */
struct peer *peer_new(X509 *cert, const char *address, size_t max_body,
                      struct transfer_budget *budget);
struct peer *peer_free(struct peer *peer);

/*
 * Answers a request that is not a repeated one. `path` is NULL for one that cannot be
 * (message_path), `room` the payload that fits a datagram. Calls answer at most once. When the
 * answer is left for later, the reply is an empty acknowledgement and peer->waiting.ticket is the
 * ticket, which is 0 when it must not be left.
 */
void peer_answer(struct peer *peer, const struct message *m, const char *path, size_t room,
                 uint64_t ticket, estc_answer_fn answer, void *arg, struct reply *reply);

/* The answer that was left for later is here: takes its payload over, and gives the first message
 * of it. */
void peer_resume(struct peer *peer, struct estc_response *response, struct reply *reply);
/* It will not come. */
void peer_forget(struct peer *peer);
