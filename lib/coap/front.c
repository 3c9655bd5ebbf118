/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Reads each datagram twice: once to see what it is, once to take it away or to have libcoap do so,
 * which takes one a call. Owns two secrets, the present and the last one, and nothing of any
 * client. The cookie is a MAC over the client's address and what it has asked for, so it is good
 * for one client, one ClientHello and two minutes at the most.
 */
#include "coap/front.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/rand.h>

#include "base/clock.h"
#include "coap/hello.h"
#include "coap/route.h"
#include "coap/socket.h"

#define FRONT_DATAGRAM_MAX 2048
#define FRONT_SECRET_LEN 32
#define FRONT_QUEUE 1048576 /* bytes that wait to be read */
#define FRONT_SECRET_MS 60000

struct front {
    coap_context_t *coap;
    SSL_CTX *ctx;
    int socket;
    front_admit_fn *admit;
    front_replace_fn *replace;
    void *arg;
    unsigned char secrets[2][FRONT_SECRET_LEN]; /* the present one first */
    int64_t changed;                            /* clock_boot_ms() */
    unsigned char passed[HELLO_COOKIE_LEN];     /* of the ClientHello that libcoap reads next */
    uint64_t asked;
};

/* Process-wide by OpenSSL's design: from an SSL_CTX to its front. */
static pthread_once_t front_slot_once = PTHREAD_ONCE_INIT;
static int front_slot = -1;

static void front_slot_make(void) {
    front_slot = SSL_CTX_get_ex_new_index(0, NULL, NULL, NULL, NULL);
}

static bool front_change_secret(struct front *f) {
    memcpy(f->secrets[1], f->secrets[0], FRONT_SECRET_LEN);
    f->changed = clock_boot_ms();
    return RAND_bytes(f->secrets[0], FRONT_SECRET_LEN) == 1;
}

/* --- cookies --- */

/* The port and the address, without what a kernel may fill in otherwise the next time. */
static size_t front_address(const struct route *route, unsigned char out[static 22]) {
    const struct sockaddr_in6 *v6 = (const void *)&route->to;
    const struct sockaddr_in *v4 = (const void *)&route->to;
    bool is_v6 = route->to.ss_family == AF_INET6;
    uint32_t scope = is_v6 ? v6->sin6_scope_id : 0;
    memset(out, 0, 22);
    memcpy(out, is_v6 ? &v6->sin6_port : &v4->sin_port, 2);
    memcpy(out + 2, &scope, 4);
    memcpy(out + 6, is_v6 ? (const void *)&v6->sin6_addr : &v4->sin_addr, is_v6 ? 16 : 4);
    return 22;
}

static bool front_cookie(const struct front *f, unsigned which, const struct route *route,
                         const struct hello *hello, unsigned char out[static HELLO_COOKIE_LEN]) {
    unsigned char text[22 + FRONT_DATAGRAM_MAX], mac[EVP_MAX_MD_SIZE];
    unsigned mac_len;
    size_t len = front_address(route, text);
    memcpy(text + len, hello->before, hello->before_len);
    len += hello->before_len;
    memcpy(text + len, hello->after, hello->after_len);
    len += hello->after_len;
    if (!HMAC(EVP_sha256(), f->secrets[which], FRONT_SECRET_LEN, text, len, mac, &mac_len))
        return false;
    memcpy(out, mac, HELLO_COOKIE_LEN);
    return true;
}

static bool front_is_good(const struct front *f, const struct route *route,
                          const struct hello *hello) {
    unsigned char cookie[HELLO_COOKIE_LEN];
    for (unsigned which = 0; which < 2; which++) {
        if (front_cookie(f, which, route, hello, cookie) &&
            CRYPTO_memcmp(cookie, hello->cookie, sizeof(cookie)) == 0)
            return true;
    }
    return false;
}

/* OpenSSL asks in the handshake of the message that was let through just before. */
static int front_on_verify(SSL *ssl, const unsigned char *cookie, unsigned len) {
    const struct front *f = SSL_CTX_get_ex_data(SSL_get_SSL_CTX(ssl), front_slot);
    return f && len == HELLO_COOKIE_LEN && CRYPTO_memcmp(cookie, f->passed, len) == 0;
}

/* What comes to libcoap without a cookie came while nobody looked, and comes again. */
static int front_on_generate(SSL *ssl, unsigned char *cookie, unsigned *len) {
    (void)ssl, (void)cookie, (void)len;
    return 0;
}

/* --- datagrams --- */

static enum front_turn front_take(const struct front *f) {
    unsigned char first;
    struct route route;
    route_receive(f->socket, &first, sizeof(first), 0, &route);
    return FRONT_TAKEN;
}

static void front_ask(struct front *f, const struct route *route, const struct hello *hello) {
    unsigned char cookie[HELLO_COOKIE_LEN], answer[HELLO_VERIFY_LEN];
    if (!front_cookie(f, 0, route, hello, cookie))
        return;
    hello_verify(hello, cookie, answer);
    f->asked++;
    route_send(f->socket, route, answer, sizeof(answer)); /* or the client asks again */
}

static coap_session_t *front_session(const struct front *f, const struct route *route) {
    coap_address_t remote;
    route_remote(route, &remote);
    return coap_session_get_by_peer(f->coap, &remote, (int)route->interface);
}

/* For a client that is there and begins a connection. False when there may be no more of them, or
 * when this is how its connection itself began: a copy that came late. */
static bool front_make_room(const struct front *f, const struct route *route,
                            const struct hello *hello) {
    coap_session_t *session = front_session(f, route);
    const SSL *ssl = session ? coap_session_get_tls(session, NULL) : NULL;
    unsigned char random[HELLO_RANDOM_LEN];
    bool begun = ssl && SSL_get_client_random(ssl, random, sizeof(random)) == sizeof(random);
    if (begun && memcmp(random, hello->random, sizeof(random)) == 0)
        return !SSL_is_init_finished(ssl);
    if (!f->admit(f->arg, route))
        return false;
    session = begun ? front_session(f, route) : NULL; /* it may have ended by that */
    if (session)
        f->replace(f->arg, session);
    return true;
}

static enum front_turn front_meet(struct front *f, const struct route *route,
                                  const struct hello *hello) {
    if (clock_boot_ms() - f->changed >= FRONT_SECRET_MS && !front_change_secret(f))
        return front_take(f);
    if (hello->cookie_len != HELLO_COOKIE_LEN || !front_is_good(f, route, hello)) {
        front_ask(f, route, hello);
        return front_take(f);
    }
    if (!front_make_room(f, route, hello))
        return front_take(f);
    memcpy(f->passed, hello->cookie, HELLO_COOKIE_LEN);
    return FRONT_PASS;
}

enum front_turn front_look(struct front *f) {
    unsigned char data[FRONT_DATAGRAM_MAX];
    struct route route;
    struct hello hello;
    ssize_t n = route_receive(f->socket, data, sizeof(data), MSG_PEEK, &route);
    if (n == -EAGAIN)
        return FRONT_EMPTY;
    if (n < 0) /* too long for us, or an error that libcoap has to see */
        return FRONT_PASS;
    switch (hello_read(data, (size_t)n, &hello)) {
    case HELLO_WHOLE:
        return front_meet(f, &route, &hello);
    case HELLO_BROKEN:
        return front_take(f);
    case HELLO_NONE:
        break;
    }
    return FRONT_PASS;
}

uint64_t front_asked(const struct front *f) {
    return f->asked;
}

/* --- life --- */

int front_new(coap_context_t *coap, SSL_CTX *ctx, const coap_address_t *local,
              front_admit_fn *admit, front_replace_fn *replace, void *arg, struct front **out,
              struct estc_error *err) {
    pthread_once(&front_slot_once, front_slot_make);
    _cleanup(front_freep) struct front *f = calloc(1, sizeof(*f));
    if (!f || front_slot < 0 || !SSL_CTX_set_ex_data(ctx, front_slot, f))
        return estc_error_set(err, -ENOMEM, "out of memory");
    f->coap = coap;
    f->ctx = ctx;
    f->admit = admit;
    f->replace = replace;
    f->arg = arg;
    f->socket = socket_find(local, NULL);
    if (f->socket < 0)
        return estc_error_set(err, -ENOENT, "the socket that libcoap listens on was not found");
    /* libcoap has set it, and with it whoever else does takes the port over without a word. */
    if (setsockopt(f->socket, SOL_SOCKET, SO_REUSEADDR, &(int){0}, sizeof(int)) < 0)
        return estc_error_set(err, -errno, "cannot keep the port for ourselves: %m");
    /* As far as the system lets us: many may come at once. */
    (void)setsockopt(f->socket, SOL_SOCKET, SO_RCVBUF, &(int){FRONT_QUEUE}, sizeof(int));
    if (!front_change_secret(f) || !front_change_secret(f))
        return estc_error_set(err, -EIO, "no random numbers: check the system's generator");
    SSL_CTX_set_cookie_generate_cb(ctx, front_on_generate);
    SSL_CTX_set_cookie_verify_cb(ctx, front_on_verify);
    *out = TAKE(f);
    return 0;
}

struct front *front_free(struct front *f) {
    if (!f)
        return NULL;
    SSL_CTX_set_ex_data(f->ctx, front_slot, NULL);
    OPENSSL_cleanse(f->secrets, sizeof(f->secrets));
    free(f);
    return NULL;
}
