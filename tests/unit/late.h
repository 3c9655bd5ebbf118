/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Clients of OpenSSL and bytes whose requests our listener leaves waiting. Its program answers all
 * that wait when answer_all() says so.
 */
#pragma once

#include "net.h"

#define OPT_BLOCK2 23
#define OPT_BLOCK1 27
#define POST 2
#define GET 1
#define CHANGED NET_CODE(2, 4)
#define BUSY NET_CODE(5, 3)
#define LATE_WAITING_MAX 3
/* Longer than a machine with other work ever holds a test up. */
#define LATE_IDLE_TIMEOUT 60

/* What both processes see. */
struct late_stage {
    atomic_uint calls; /* of the answer function */
    atomic_uint size;  /* > 0: the answers that are due are given, with a body of so many bytes */
    atomic_uint answered, gone;
    atomic_uint has_binding;
    atomic_uint mute; /* from now on nothing can be sent */
};
extern struct late_stage *late_stage;

SSL *late_dial(void);
struct net_coap late_request(unsigned type, unsigned code, const char *path);

struct net_message receive(SSL *ssl, int ms);
void assert_silence(SSL *ssl, int ms);
void assert_empty_ack(SSL *ssl, const struct net_coap *m);
/* A POST that is acknowledged and not answered. */
struct net_coap leave_waiting(SSL *ssl);
struct net_message take_answer(SSL *ssl, const struct net_coap *m, size_t size);
void acknowledge(SSL *ssl, const struct net_message *a);

void answer_all(unsigned size);
void wait_until_answered(unsigned answered, unsigned gone);
/* Another server, which has heard of nobody, and forgets who says nothing for so many seconds. */
void late_restart(unsigned idle_timeout);

int late_before_each(void **state);
int late_set_up(void **state);
int late_tear_down(void **state);
#define TEST(name) cmocka_unit_test_setup(name, late_before_each)
