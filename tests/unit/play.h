/* SPDX-License-Identifier: BSD-2-Clause */
/* Our client on the stage: a server plays a script, the client's result is compared with a row. */
#pragma once

#include "net.h"

#include <estc/coaps.h>
#include <estc/transport.h>

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))
#define OPT_URI_HOST 3
#define OPT_ETAG 4
#define OPT_OSCORE 9
#define OPT_URI_PATH 11
#define OPT_FORMAT 12
#define OPT_MAX_AGE 14
#define OPT_ACCEPT 17
#define OPT_BLOCK2 23
#define OPT_BLOCK1 27
#define OPT_SIZE2 28
#define OPT_SIZE1 60
#define CONTENT NET_CODE(2, 5)
#define CHANGED NET_CODE(2, 4)
#define CONTINUE NET_CODE(2, 31)

struct play_pki {
    struct net_id root, server, client;
    struct estc_trust *trust;
};
extern struct play_pki play_pki;

/* What the scripted server saw, for both processes. */
struct play_seen {
    atomic_uint requests, acks, resets;
    unsigned char body[4096];
    size_t body_len;
    struct net_message first, last;
};
extern struct play_seen *play_seen;

/* For scripts; they run in the server's process. */
#define SCRIPT(name) static void name(SSL *ssl, const struct net_message *q, unsigned n, void *arg)
#define UNUSED (void)ssl, (void)q, (void)n, (void)arg

unsigned char pattern_at(size_t i);
void fill(unsigned char *out, size_t len);
/* True for a request; counts what else comes. */
bool is_request(const struct net_message *q);
unsigned request_number(void);
void begin_ack(struct net_coap *m, const struct net_message *q, unsigned code);
void answer(SSL *ssl, const struct net_message *q, unsigned code, const char *text);
void empty_ack(SSL *ssl, const struct net_message *q);

struct scene {
    const char *name;
    void (*script)(SSL *ssl, const struct net_message *q, unsigned n, void *arg);
    size_t body;         /* > 0: a POST of so many bytes */
    unsigned block_size; /* 0: 1024 */
    unsigned times;      /* so many requests in a row; 0: 1 */
    int result;
    unsigned code;
    size_t pattern;    /* the answer is so much of the pattern... */
    const char *text;  /* ...or this, or part of the error */
    unsigned requests; /* messages that the server must have seen; 0: not checked */
};

struct estc_transport *play_transport(const char *host, uint16_t port, unsigned block_size);
void play(const struct scene *scene);
void play_named(const struct scene *scenes, size_t count, const char *name);

/* What main() returns: each scene is a test of its own name, followed by more tests. */
int play_run(const struct scene *scenes, size_t count, const struct CMUnitTest *more,
             size_t more_count);
