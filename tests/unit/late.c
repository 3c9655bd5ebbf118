/* SPDX-License-Identifier: BSD-2-Clause */
/* The stage of tests of late answers. The listener runs in a child and answers when it is told. */
#include "late.h"

#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>

#include <openssl/err.h>

#define LATE_TICKETS 16

struct late_stage *late_stage;

static struct net_id root, server_id, client_id;
static struct net_server server;
static struct net_child child;

/* --- the server --- */

static uint64_t tickets[LATE_TICKETS];
static unsigned n_tickets;

/* GET /now: 2.05 at once. POST: later if it may be, else 5.03. */
static void answer(void *arg, const struct estc_peer *peer, const struct estc_request *q,
                   struct estc_response *r) {
    (void)arg;
    atomic_fetch_add(&late_stage->calls, 1);
    atomic_store(&late_stage->has_binding, peer->binding != NULL);
    if (q->method == ESTC_GET) {
        r->code = 205;
        return;
    }
    r->code = 503;
    if (q->ticket && n_tickets < LATE_TICKETS) {
        tickets[n_tickets++] = q->ticket;
        r->later = true;
    } else {
        r->later = q->ticket == 0; /* without a ticket this means nothing */
    }
}

/* Nothing goes out any more, and there is an error of somebody else's in OpenSSL's queue. */
static void fall_silent(void) {
    for (int fd = 0; fd < 256; fd++) {
        struct sockaddr_in6 addr = {0};
        socklen_t len = sizeof(addr);
        if (getsockname(fd, (struct sockaddr *)&addr, &len) == 0 && addr.sin6_family == AF_INET6 &&
            ntohs(addr.sin6_port) == server.port)
            shutdown(fd, SHUT_WR);
    }
    ERR_raise(ERR_LIB_USER, ERR_R_INTERNAL_ERROR);
}

static void tick(struct estc_listener *l, void *arg) {
    (void)arg;
    unsigned size = atomic_load(&late_stage->size);
    if (size == 0)
        return;
    if (atomic_load(&late_stage->mute))
        fall_silent();
    for (unsigned i = 0; i < n_tickets; i++) {
        struct estc_response r = {.code = 204, .content_format = 281, .max_age = -1};
        for (unsigned k = 0; k < size; k++)
            NET_CHECK(!estc_buf_append(&r.payload, &(unsigned char){(unsigned char)(k * 7)}, 1));
        int rc = estc_listener_respond(l, tickets[i], &r);
        NET_CHECK(rc == 0 || rc == -ENOENT);
        NET_CHECK(!r.payload.data);
        atomic_fetch_add(rc ? &late_stage->gone : &late_stage->answered, 1);
        struct estc_response again = {.code = 204};
        NET_CHECK(estc_listener_respond(l, tickets[i], &again) == -ENOENT); /* once only */
    }
    struct estc_response none = {.code = 204};
    NET_CHECK(estc_listener_respond(l, 0, &none) == -ENOENT);
    n_tickets = 0;
    atomic_store(&late_stage->size, 0);
}

/* --- the client --- */

static uint16_t next_mid = 100;

SSL *late_dial(void) {
    struct net_tls how = {.id = &client_id, .version = DTLS1_2_VERSION};
    SSL *ssl = net_connect(server.port, &how, NULL);
    assert_non_null(ssl);
    return ssl;
}

struct net_coap late_request(unsigned type, unsigned code, const char *path) {
    struct net_coap m;
    uint16_t mid = next_mid++;
    net_coap_begin(&m, type, code, mid, &mid, 2);
    net_coap_path(&m, path);
    return m;
}

static uint16_t mid_of(const struct net_coap *m) {
    return (uint16_t)(m->data[2] << 8 | m->data[3]);
}

struct net_message receive(SSL *ssl, int ms) {
    struct net_message a = {0};
    if (!net_receive(ssl, &a, ms))
        fail_msg("nothing came");
    return a;
}

void assert_silence(SSL *ssl, int ms) {
    struct net_message a = {0};
    if (net_receive(ssl, &a, ms))
        fail_msg("%u.%02u of type %u came", a.code >> 5, a.code & 31, a.type);
}

void assert_empty_ack(SSL *ssl, const struct net_coap *m) {
    struct net_message a = receive(ssl, 2000);
    assert_int_equal(a.type, NET_ACK);
    assert_int_equal(a.code, 0);
    assert_int_equal(a.mid, mid_of(m));
    assert_int_equal(a.token_len, 0);
    assert_int_equal(a.payload_len, 0);
}

struct net_coap leave_waiting(SSL *ssl) {
    struct net_coap m = late_request(NET_CON, POST, "/wait");
    net_send(ssl, &m);
    assert_empty_ack(ssl, &m);
    return m;
}

struct net_message take_answer(SSL *ssl, const struct net_coap *m, size_t size) {
    struct net_message a = receive(ssl, 2000);
    assert_int_equal(a.type, NET_CON);
    assert_int_equal(a.code, CHANGED);
    assert_int_equal(a.token_len, 2);
    assert_memory_equal(a.token, m->data + 4, 2); /* the token says whose it is */
    assert_int_equal(a.payload_len, size);
    return a;
}

void acknowledge(SSL *ssl, const struct net_message *a) {
    struct net_coap ack;
    net_coap_begin(&ack, NET_ACK, 0, a->mid, NULL, 0);
    net_send(ssl, &ack);
}

void answer_all(unsigned size) {
    atomic_store(&late_stage->size, size);
}

void wait_until_answered(unsigned answered, unsigned gone) {
    for (int i = 0; i < 100 && atomic_load(&late_stage->size); i++)
        poll(NULL, 0, 20);
    assert_int_equal(atomic_load(&late_stage->answered), answered);
    assert_int_equal(atomic_load(&late_stage->gone), gone);
}

/* --- before and after --- */

void late_restart(unsigned idle_timeout) {
    net_stop(&child);
    server.idle_timeout = idle_timeout;
    child = net_serve(&server);
}

int late_before_each(void **state) {
    (void)state;
    for (int i = 0; i < 250 && atomic_load(&late_stage->size); i++) /* the last test's */
        poll(NULL, 0, 20);
    atomic_uint *const all[] = {&late_stage->calls, &late_stage->answered, &late_stage->gone,
                                &late_stage->mute};
    for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
        atomic_store(all[i], 0);
    return 0;
}

int late_set_up(void **state) {
    (void)state;
    root = net_issue(NULL, ESTC_KEY_P256, (struct support_cert_spec){.subject = "CN=r", .ca = 1});
    server_id = net_issue(&root, ESTC_KEY_P256, (struct support_cert_spec){.subject = "CN=server"});
    client_id = net_issue(&root, ESTC_KEY_P256, (struct support_cert_spec){.subject = "CN=client"});
    late_stage = net_shared(sizeof(*late_stage));
    server = (struct net_server){.port = net_port(),
                                 .id = &server_id,
                                 .client_root = &root,
                                 .max_body = 4096,
                                 .idle_timeout = LATE_IDLE_TIMEOUT,
                                 .max_waiting = LATE_WAITING_MAX,
                                 .answer = answer,
                                 .tick = tick};
    child = net_serve(&server);
    return 0;
}

int late_tear_down(void **state) {
    (void)state;
    net_stop(&child);
    net_id_clear(&client_id);
    net_id_clear(&server_id);
    net_id_clear(&root);
    net_shared_free(late_stage, sizeof(*late_stage));
    return 0;
}
