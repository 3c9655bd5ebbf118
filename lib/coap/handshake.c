/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Retransmission and fragments of DTLS handshakes (RFC 6347 sections 4.1.1.1 and 4.2.4.1, RFC 7925
 * section 11). A flight that stays unanswered twice may have been too large for the way, so its
 * third repetition is cut into smaller fragments, and the fourth into the smallest that OpenSSL
 * makes. What has once been cut small stays small for the rest of the handshake. Decides nothing
 * else, and owns nothing.
 *
 * The info callback is where one meets each SSL before its first message: libcoap makes, configures
 * and starts it in one call.
 */
#include "coap/handshake.h"

#include <errno.h>
#include <pthread.h>
#include <stdint.h>

#include <openssl/bio.h>

#define HANDSHAKE_TIMEOUT_MAX_US 60000000U
#define HANDSHAKE_MICROSECONDS 1000000U
/* What IPv4 carries at least, and then the floor. */
static const size_t handshake_smaller[] = {548, HANDSHAKE_DATAGRAM_MIN};
#define HANDSHAKE_SILENCE_AT_SIZE 2
/* DTLS header, the nonce's explicit part, and the tag of CCM8 or of any other suite of ours. */
#define HANDSHAKE_RECORD 21
#define HANDSHAKE_TAG_CCM8 8
#define HANDSHAKE_TAG 16
#define HANDSHAKE_CCM8_ID 0xc0ae

/* Slots are process-wide by OpenSSL's design: numbers, set once. One leads from an SSL_CTX to its
 * struct handshake, the other holds an SSL's count of repetitions in the pointer itself. */
static pthread_once_t handshake_slots_once = PTHREAD_ONCE_INIT;
static int handshake_slot = -1, handshake_count_slot = -1;

static void handshake_slots_make(void) {
    handshake_slot = SSL_CTX_get_ex_new_index(0, NULL, NULL, NULL, NULL);
    handshake_count_slot = SSL_get_ex_new_index(0, NULL, NULL, NULL, NULL);
}

static struct handshake *handshake_of(const SSL *ssl) {
    return SSL_CTX_get_ex_data(SSL_get_SSL_CTX(ssl), handshake_slot);
}

static void handshake_shrink(SSL *ssl, struct handshake *h, unsigned silent) {
    if (silent <= HANDSHAKE_SILENCE_AT_SIZE)
        return;
    size_t last = sizeof(handshake_smaller) / sizeof(handshake_smaller[0]) - 1;
    size_t step = silent - HANDSHAKE_SILENCE_AT_SIZE - 1;
    size_t size = handshake_smaller[step < last ? step : last];
    if (size >= h->datagram_now)
        return;
    h->datagram_now = size;
    SSL_set_mtu(ssl, (long)size);
}

/* OpenSSL asks with 0 when a new flight is out, and with the last wait when that has passed. */
static unsigned handshake_on_timer(SSL *ssl, unsigned waited_us) {
    struct handshake *h = handshake_of(ssl);
    uintptr_t silent = 0;
    unsigned next = h->first_s * HANDSHAKE_MICROSECONDS;
    if (waited_us > 0) {
        silent = (uintptr_t)SSL_get_ex_data(ssl, handshake_count_slot) + 1;
        next = waited_us < HANDSHAKE_TIMEOUT_MAX_US / 2 ? waited_us * 2 : HANDSHAKE_TIMEOUT_MAX_US;
        handshake_shrink(ssl, h, (unsigned)silent);
    }
    h->silent = (unsigned)silent;
    SSL_set_ex_data(ssl, handshake_count_slot, (void *)silent);
    return next;
}

/* libcoap's BIO does not say what a datagram carries besides its payload, without which OpenSSL's
 * smallest fragment would be one of 256 bytes. */
static long handshake_on_bio(BIO *bio, int operation, const char *data, size_t len, int command,
                             long number, int result, size_t *processed) {
    (void)data, (void)len, (void)number, (void)processed;
    if (operation == (BIO_CB_CTRL | BIO_CB_RETURN) && command == BIO_CTRL_DGRAM_GET_MTU_OVERHEAD)
        return HANDSHAKE_HEADERS_IPV6;
    const struct handshake *h = (const void *)BIO_get_callback_arg(bio);
    return operation == BIO_CB_WRITE && h->refused ? -1 : result;
}

static void handshake_begin(SSL *ssl, struct handshake *h) {
    h->datagram_now = h->datagram;
    h->silent = 0;
    h->refused = h->begin ? h->begin(ssl, h->arg) : 0;
    BIO *bio = SSL_get_wbio(ssl);
    BIO_set_callback_arg(bio, (char *)h);
    BIO_set_callback_ex(bio, handshake_on_bio);
    DTLS_set_timer_cb(ssl, handshake_on_timer);
    SSL_set_mtu(ssl, (long)h->datagram);
}

static void handshake_on_info(const SSL *ssl, int where, int ret) {
    struct handshake *h = handshake_of(ssl);
    /* The callback's argument is const because most only look; the SSL is not. */
    if (where == SSL_CB_HANDSHAKE_START)
        handshake_begin((SSL *)(uintptr_t)ssl, h);
    if (h->next_info)
        h->next_info(ssl, where, ret);
}

int handshake_watch(SSL_CTX *ctx, struct handshake *h) {
    pthread_once(&handshake_slots_once, handshake_slots_make);
    if (handshake_slot < 0 || handshake_count_slot < 0 ||
        !SSL_CTX_set_ex_data(ctx, handshake_slot, h))
        return -ENOMEM;
    h->next_info = SSL_CTX_get_info_callback(ctx);
    SSL_CTX_set_info_callback(ctx, handshake_on_info);
    return 0;
}

bool handshake_is_silent(const struct handshake *h) {
    return h->silent > HANDSHAKE_RETRANSMISSIONS;
}

size_t handshake_room(const SSL *ssl, size_t datagram) {
    const SSL_CIPHER *suite = ssl ? SSL_get_current_cipher(ssl) : NULL;
    bool short_tag = suite && SSL_CIPHER_get_protocol_id(suite) == HANDSHAKE_CCM8_ID;
    size_t record = HANDSHAKE_RECORD + (short_tag ? HANDSHAKE_TAG_CCM8 : HANDSHAKE_TAG);
    return datagram > record ? datagram - record : 0;
}
