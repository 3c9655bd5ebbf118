/* SPDX-License-Identifier: BSD-2-Clause */
/* Runs scenes: one child that plays the server, one transport, one comparison. */
#include "play.h"

#include <stdlib.h>
#include <string.h>

#define SCENE_MS 700

struct play_pki play_pki;
struct play_seen *play_seen;

unsigned char pattern_at(size_t i) {
    return (unsigned char)(i * 37 + i / 256);
}

void fill(unsigned char *out, size_t len) {
    for (size_t i = 0; i < len; i++)
        out[i] = pattern_at(i);
}

void begin_ack(struct net_coap *m, const struct net_message *q, unsigned code) {
    net_coap_begin(m, NET_ACK, code, q->mid, q->token, q->token_len);
}

void answer(SSL *ssl, const struct net_message *q, unsigned code, const char *text) {
    struct net_coap m;
    begin_ack(&m, q, code);
    if (text[0])
        net_coap_payload(&m, text, strlen(text));
    net_send(ssl, &m);
}

void empty_ack(SSL *ssl, const struct net_message *q) {
    struct net_coap m;
    net_coap_begin(&m, NET_ACK, 0, q->mid, NULL, 0);
    net_send(ssl, &m);
}

bool is_request(const struct net_message *q) {
    if (q->type == NET_ACK)
        atomic_fetch_add(&play_seen->acks, 1);
    if (q->type == NET_RST)
        atomic_fetch_add(&play_seen->resets, 1);
    if (q->type != NET_CON || q->code == 0)
        return false;
    if (atomic_fetch_add(&play_seen->requests, 1) == 0)
        play_seen->first = *q;
    play_seen->last = *q;
    return true;
}

unsigned request_number(void) {
    return atomic_load(&play_seen->requests);
}

static void check_answer(const struct scene *s, const struct estc_response *r) {
    unsigned char want[4096];
    if (r->code != s->code)
        fail_msg("%s: code %u, not %u", s->name, r->code, s->code);
    if (s->text) {
        assert_int_equal(r->payload.len, strlen(s->text));
        if (r->payload.len > 0)
            assert_memory_equal(r->payload.data, s->text, r->payload.len);
        return;
    }
    fill(want, s->pattern);
    if (r->payload.len != s->pattern)
        fail_msg("%s: %zu bytes, not %zu", s->name, r->payload.len, s->pattern);
    assert_memory_equal(r->payload.data, want, s->pattern);
}

struct estc_transport *play_transport(const char *host, uint16_t port, unsigned block_size) {
    struct estc_coaps_options o = {
        .host = host,
        .port = port,
        .credentials = net_credentials(&play_pki.client),
        .trust = play_pki.trust,
        .block_size = block_size,
        .max_body = 5000,
    };
    struct estc_transport *t = NULL;
    assert_int_equal(estc_coaps_new(&o, &t, NULL), 0);
    return t;
}

void play(const struct scene *s) {
    struct net_script script = {.port = net_port(), .id = &play_pki.server, .step = s->script};
    struct net_child child = net_act(&script);
    memset(play_seen, 0, sizeof(*play_seen));
    unsigned char body[4096];
    fill(body, s->body);
    struct estc_transport *t = play_transport("::1", script.port, s->block_size);
    struct estc_request q = {
        .method = s->body ? ESTC_POST : ESTC_GET,
        .path = "/.well-known/est/crts",
        .content_format = s->body ? ESTC_FORMAT_PKCS10 : ESTC_FORMAT_NONE,
        .accept = ESTC_FORMAT_CERTS_ONLY,
        .payload = body,
        .payload_len = s->body,
    };
    for (unsigned i = 0; i < (s->times ? s->times : 1); i++) {
        struct estc_wait wait = estc_wait_in(s->result == ESTC_E_TIMEOUT ? SCENE_MS : 8000);
        struct estc_response response = {.code = 999};
        struct estc_error err = {0};
        int r = t->ops->request(t, &q, &wait, &response, &err);
        if (r != s->result)
            fail_msg("%s: %d (%s), not %d", s->name, r, err.text, s->result);
        if (r == 0) {
            check_answer(s, &response);
            estc_response_clear(&response);
        } else {
            assert_int_equal(response.code, 999); /* outputs on success only */
            assert_int_equal(err.code, r);
            if (!strstr(err.text, s->text) || strncmp(err.text, "server [::1]:", 13) != 0)
                fail_msg("%s: '%s'", s->name, err.text);
        }
    }
    estc_transport_free(t);
    net_stop(&child);
    if (s->requests && atomic_load(&play_seen->requests) != s->requests)
        fail_msg("%s: %u messages, not %u", s->name, atomic_load(&play_seen->requests),
                 s->requests);
}

void play_named(const struct scene *scenes, size_t count, const char *name) {
    for (size_t i = 0; i < count; i++) {
        if (strcmp(scenes[i].name, name) == 0) {
            play(&scenes[i]);
            return;
        }
    }
    fail_msg("no scene '%s'", name);
}

static int set_up(void **state) {
    (void)state;
    static const char *const sans[] = {"IP:::1", "DNS:localhost", NULL};
    play_pki.root =
        net_issue(NULL, ESTC_KEY_P256, (struct support_cert_spec){.subject = "CN=root", .ca = 1});
    play_pki.server = net_issue(&play_pki.root, ESTC_KEY_P256,
                                (struct support_cert_spec){.subject = "CN=server", .sans = sans});
    play_pki.client = net_issue(&play_pki.root, ESTC_KEY_P256,
                                (struct support_cert_spec){.subject = "CN=client"});
    play_pki.trust = net_trust(&play_pki.root);
    play_seen = net_shared(sizeof(*play_seen));
    return 0;
}

static int tear_down(void **state) {
    (void)state;
    net_id_clear(&play_pki.client);
    net_id_clear(&play_pki.server);
    net_id_clear(&play_pki.root);
    estc_trust_free(play_pki.trust);
    net_shared_free(play_seen, sizeof(*play_seen));
    return 0;
}

static void one_scene(void **state) {
    play(*state);
}

int play_run(const struct scene *scenes, size_t count, const struct CMUnitTest *more,
             size_t more_count) {
    struct CMUnitTest *tests = calloc(count + more_count, sizeof(*tests));
    if (!tests)
        return 1;
    for (size_t i = 0; i < count; i++)
        tests[i] = (struct CMUnitTest){.name = scenes[i].name,
                                       .test_func = one_scene,
                                       .initial_state = (void *)(uintptr_t)&scenes[i]};
    memcpy(tests + count, more, more_count * sizeof(*more));
    int failed = _cmocka_run_group_tests("scenes", tests, count + more_count, set_up, tear_down);
    free(tests);
    return failed;
}
