/* SPDX-License-Identifier: BSD-2-Clause */
/* The listener, its certificates and the function that answers. */
#include "dial.h"

#include <stdio.h>
#include <string.h>

struct dial_pki dial_pki;
struct dial_seen *dial_seen;

/* POST: 2.04 and the body back. GET /size/N: N bytes. GET /nothing: fills nothing in. */
static void answer(void *arg, const struct estc_peer *peer, const struct estc_request *q,
                   struct estc_response *r) {
    (void)arg;
    atomic_fetch_add(&dial_seen->calls, 1);
    dial_seen->last = *q;
    snprintf(dial_seen->path, sizeof(dial_seen->path), "%s", q->path);
    snprintf(dial_seen->address, sizeof(dial_seen->address), "%s", peer->address);
    X509_NAME_oneline(X509_get_subject_name(peer->cert), dial_seen->subject,
                      sizeof(dial_seen->subject));
    if (q->payload_len > 0 && q->payload_len <= sizeof(dial_seen->body))
        memcpy(dial_seen->body, q->payload, q->payload_len);
    if (strcmp(q->path, "/nothing") == 0)
        return;
    unsigned size = 0;
    r->code = q->method == ESTC_POST ? 204 : 205;
    r->content_format = 42;
    r->max_age = strcmp(q->path, "/busy") == 0 ? 120 : -1;
    if (r->max_age >= 0)
        r->code = 503;
    if (q->method == ESTC_POST)
        estc_buf_append(&r->payload, q->payload, q->payload_len);
    else if (sscanf(q->path, "/size/%u", &size) == 1)
        for (unsigned i = 0; i < size; i++)
            estc_buf_append(&r->payload, &(unsigned char){(unsigned char)(i * 7 + i / 256)}, 1);
}

static struct net_server server;
static struct net_child child;
static uint16_t next_mid = 1;

SSL *dial(const struct net_id *id) {
    struct net_tls how = {.id = id, .version = DTLS1_2_VERSION};
    SSL *ssl = net_connect(server.port, &how, NULL);
    assert_non_null(ssl);
    return ssl;
}

struct net_coap request(unsigned code, const char *path) {
    struct net_coap m;
    uint16_t mid = next_mid++;
    net_coap_begin(&m, NET_CON, code, mid, &mid, 2);
    net_coap_path(&m, path);
    return m;
}

struct net_message exchange(SSL *ssl, const struct net_coap *m) {
    struct net_message a = {0};
    net_send(ssl, m);
    if (!net_receive(ssl, &a, 2000))
        fail_msg("no answer");
    assert_int_equal(a.type, NET_ACK);
    assert_int_equal(a.mid, m->data[2] << 8 | m->data[3]);
    return a;
}

struct net_message block(SSL *ssl, const char *path, uint32_t num, bool more, unsigned szx,
                         size_t len, int format) {
    struct net_coap m = request(2, path);
    unsigned char data[1024];
    memset(data, 'a' + (int)num, sizeof(data));
    if (format >= 0)
        net_coap_uint(&m, OPT_FORMAT, (uint32_t)format);
    net_coap_block(&m, OPT_BLOCK1, num, more, szx);
    if (len > 0)
        net_coap_payload(&m, data, len);
    return exchange(ssl, &m);
}

unsigned calls(void) {
    return atomic_load(&dial_seen->calls);
}

uint16_t dial_port(void) {
    return server.port;
}

void request_repeat(void) {
    next_mid--;
}

int dial_before_each(void **state) {
    (void)state;
    atomic_store(&dial_seen->calls, 0);
    return 0;
}

int dial_set_up(void **state) {
    (void)state;
    struct support_cert_spec spec = {.subject = "CN=root", .ca = 1};
    dial_pki.root = net_issue(NULL, ESTC_KEY_P256, spec);
    dial_pki.server = net_issue(&dial_pki.root, ESTC_KEY_P256,
                                (struct support_cert_spec){.subject = "CN=server"});
    dial_pki.client = net_issue(&dial_pki.root, ESTC_KEY_P256,
                                (struct support_cert_spec){.subject = "CN=client"});
    dial_pki.other =
        net_issue(&dial_pki.root, ESTC_KEY_P256, (struct support_cert_spec){.subject = "CN=other"});
    dial_seen = net_shared(sizeof(*dial_seen));
    server = (struct net_server){
        .port = net_port(),
        .id = &dial_pki.server,
        .client_root = &dial_pki.root,
        .max_body = MAX_BODY,
        .idle_timeout = 2,
        .answer = answer,
    };
    child = net_serve(&server);
    return 0;
}

int dial_tear_down(void **state) {
    (void)state;
    net_stop(&child);
    net_id_clear(&dial_pki.other);
    net_id_clear(&dial_pki.client);
    net_id_clear(&dial_pki.server);
    net_id_clear(&dial_pki.root);
    net_shared_free(dial_seen, sizeof(*dial_seen));
    return 0;
}
