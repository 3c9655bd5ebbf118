/* SPDX-License-Identifier: BSD-2-Clause */
/* Clients that send bytes by hand to our listener, which runs in a child of the test program. */
#pragma once

#include "net.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))
#define OPT_IF_MATCH 1
#define OPT_ETAG 4
#define OPT_FORMAT 12
#define OPT_MAX_AGE 14
#define OPT_QUERY 15
#define OPT_ACCEPT 17
#define OPT_BLOCK2 23
#define OPT_BLOCK1 27
#define OPT_PROXY_URI 35
#define OPT_PROXY_SCHEME 39
#define OPT_SIZE1 60
#define OPT_REQUEST_TAG 292
#define MAX_BODY 2000

struct dial_pki {
    struct net_id root, server, client, other;
};
extern struct dial_pki dial_pki;

/* What the answer function saw, for both processes. */
struct dial_seen {
    atomic_uint calls;
    struct estc_request last;
    char path[300], subject[100], address[100];
    unsigned char body[4096];
};
extern struct dial_seen *dial_seen;

uint16_t dial_port(void);
/* A connection of somebody. */
SSL *dial(const struct net_id *id);
unsigned calls(void);

/* A request under construction, with a message id and a token of its own. */
struct net_coap request(unsigned code, const char *path);
/* The last id again. */
void request_repeat(void);
/* Sends it, and the acknowledgement that came. */
struct net_message exchange(SSL *ssl, const struct net_coap *m);
/* Sends one block of a body of 'a' + num. */
struct net_message block(SSL *ssl, const char *path, uint32_t num, bool more, unsigned szx,
                         size_t len, int format);

int dial_before_each(void **state);
int dial_set_up(void **state);
int dial_tear_down(void **state);
#define TEST(name) cmocka_unit_test_setup(name, dial_before_each)
