/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Retransmission and fragments of DTLS handshakes (RFC 6347 sections 4.1.1.1 and 4.2.4.1, RFC 7925
 * section 11). A flight that stays unanswered twice may have been too large for the way, so its
 * third repetition is cut into smaller fragments, and the fourth into the smallest that OpenSSL
 * makes. What has once been cut small stays small for the rest of the handshake. Decides nothing
 * else, and owns what goes with each SSL.
 *
 * The info callback is where one meets each SSL before its first message, because libcoap makes,
 * configures and starts it in one call; and then before each further message. The message callback
 * tells of the records that are put into a datagram, and whether anything was heard at all.
 */
#include "coap/handshake.h"

#include <errno.h>
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>

#include <openssl/bio.h>

#define HANDSHAKE_TIMEOUT_MAX_US 60000000U
#define HANDSHAKE_MICROSECONDS 1000000U
/* What IPv4 carries at least, and then the floor. */
static const size_t handshake_smaller[] = {548, HANDSHAKE_DATAGRAM_MIN};
#define HANDSHAKE_SILENCE_AT_SIZE 2
/* DTLS header, the nonce's explicit part, and the tag of CCM8 or of any other suite of ours. */
#define HANDSHAKE_RECORD 21
#define HANDSHAKE_NONCE 8
#define HANDSHAKE_TAG_CCM8 8
#define HANDSHAKE_TAG 16
#define HANDSHAKE_CCM8_ID 0xc0ae

/* What OpenSSL is told that a packet carries besides. It cuts nothing for packets below 256 bytes,
 * and handshake_fit() takes one from the smallest datagram. */
#define HANDSHAKE_OVERHEAD (256 - HANDSHAKE_DATAGRAM_MIN + 1)

/* Headers of a record and of a handshake message in it. */
#define HANDSHAKE_RECORD_HEADER 13
#define HANDSHAKE_MESSAGE_HEADER 12

/* One handshake. */
struct flight {
    const SSL *ssl;  /* whose it is */
    unsigned silent; /* how often the last flight has waited in vain */
    size_t datagram; /* smaller after silence */
    size_t pending;  /* bytes of a datagram that OpenSSL has not sent yet */
    int refused;     /* what begin returned */
};

/* Slots are process-wide by OpenSSL's design: numbers, set once. They lead from an SSL_CTX and from
 * a BIO to their struct handshake, and from an SSL to its struct flight, which it owns. */
static pthread_once_t handshake_slots_once = PTHREAD_ONCE_INIT;
static int handshake_slot = -1, handshake_flight_slot = -1, handshake_bio_slot = -1;

static void handshake_on_free(void *parent, void *flight, CRYPTO_EX_DATA *ad, int idx, long argl,
                              void *argp) {
    (void)parent, (void)ad, (void)idx, (void)argl, (void)argp;
    free(flight);
}

static void handshake_slots_make(void) {
    handshake_slot = SSL_CTX_get_ex_new_index(0, NULL, NULL, NULL, NULL);
    handshake_flight_slot = SSL_get_ex_new_index(0, NULL, NULL, NULL, handshake_on_free);
    handshake_bio_slot = BIO_get_ex_new_index(0, NULL, NULL, NULL, NULL);
}

static struct handshake *handshake_of(const SSL *ssl) {
    return SSL_CTX_get_ex_data(SSL_get_SSL_CTX(ssl), handshake_slot);
}

static struct flight *handshake_flight(const SSL *ssl) {
    return SSL_get_ex_data(ssl, handshake_flight_slot);
}

/* As a size of packets, because SSL_set_mtu() knows nothing of what else is in them and ends at 208
 * bytes. */
static void handshake_set_size(SSL *ssl, size_t datagram) {
    DTLS_set_link_mtu(ssl, (long)datagram + HANDSHAKE_OVERHEAD);
}

static void handshake_shrink(SSL *ssl, struct flight *f) {
    if (f->silent <= HANDSHAKE_SILENCE_AT_SIZE)
        return;
    size_t last = sizeof(handshake_smaller) / sizeof(handshake_smaller[0]) - 1;
    size_t step = f->silent - HANDSHAKE_SILENCE_AT_SIZE - 1;
    size_t size = handshake_smaller[step < last ? step : last];
    if (size >= f->datagram)
        return;
    f->datagram = size;
    handshake_set_size(ssl, size);
}

/* OpenSSL asks with 0 when a new flight is out, and with the last wait when that has passed. */
static unsigned handshake_on_timer(SSL *ssl, unsigned waited_us) {
    struct handshake *h = handshake_of(ssl);
    struct flight *f = handshake_flight(ssl);
    unsigned next = h->first_s * HANDSHAKE_MICROSECONDS;
    f->silent = waited_us > 0 ? f->silent + 1 : 0;
    if (waited_us > 0) {
        next = waited_us < HANDSHAKE_TIMEOUT_MAX_US / 2 ? waited_us * 2 : HANDSHAKE_TIMEOUT_MAX_US;
        handshake_shrink(ssl, f);
    }
    h->silent = f->silent;
    return next;
}

/* The last reference is gone: it becomes ours, or nobody's (true). */
static bool handshake_let_go(BIO *bio) {
    struct handshake *h = BIO_get_ex_data(bio, handshake_bio_slot);
    if (h->over)
        return true;
    BIO_up_ref(bio);
    BIO_set_next(bio, h->gone);
    h->gone = bio;
    return false;
}

void handshake_bury(struct handshake *h) {
    for (BIO *bio = h->gone, *next; bio; bio = next) {
        next = BIO_next(bio);
        BIO_set_next(bio, NULL);
        BIO_set_callback_ex(bio, NULL);
        BIO_free(bio);
    }
    h->gone = NULL;
}

void handshake_end(struct handshake *h) {
    handshake_bury(h);
    h->over = true;
}

/* Bytes of the tag of the suite in use; `none` as long as there is none. */
static size_t handshake_tag(const SSL *ssl, size_t none) {
    const SSL_CIPHER *suite = ssl ? SSL_get_current_cipher(ssl) : NULL;
    return !suite                                                   ? none
           : SSL_CIPHER_get_protocol_id(suite) == HANDSHAKE_CCM8_ID ? HANDSHAKE_TAG_CCM8
                                                                    : HANDSHAKE_TAG;
}

/* Whether a datagram has an encrypted record that is shorter than the explicit nonce and the tag of
 * the suite. OpenSSL (3.0.19) ends the connection for one, which anybody can send in the
 * peer's name, and is to drop it without a word (RFC 6347 section 4.1.2.7). */
static bool handshake_is_forged(const SSL *ssl, const unsigned char *data, size_t len) {
    size_t least = HANDSHAKE_NONCE + handshake_tag(ssl, HANDSHAKE_TAG_CCM8);
    while (len >= HANDSHAKE_RECORD_HEADER) {
        size_t record = (size_t)(data[11] << 8 | data[12]);
        bool encrypted = data[3] != 0 || data[4] != 0;
        if (encrypted && record < least)
            return true;
        if (record > len - HANDSHAKE_RECORD_HEADER)
            return false;
        data += HANDSHAKE_RECORD_HEADER + record;
        len -= HANDSHAKE_RECORD_HEADER + record;
    }
    return false;
}

static long handshake_on_read(BIO *bio, const char *data, long result, size_t *processed) {
    const struct flight *f = (void *)BIO_get_callback_arg(bio);
    if (result <= 0 || !processed || !f ||
        !handshake_is_forged(f->ssl, (const unsigned char *)data, *processed))
        return result;
    *processed = 0; /* as if nothing had come */
    BIO_set_retry_read(bio);
    return -1;
}

/* libcoap's BIO does not say what a datagram carries besides its payload; we do. And what becomes
 * of it is ours to say. */
static long handshake_on_bio(BIO *bio, int operation, const char *data, size_t len, int command,
                             long number, int result, size_t *processed) {
    (void)number;
    if (operation == (BIO_CB_CTRL | BIO_CB_RETURN) && command == BIO_CTRL_DGRAM_GET_MTU_OVERHEAD)
        return HANDSHAKE_OVERHEAD;
    if (operation == BIO_CB_FREE)
        return handshake_let_go(bio) ? result : 0;
    if (operation == (BIO_CB_READ | BIO_CB_RETURN))
        return handshake_on_read(bio, data, result, processed);
    if (operation != BIO_CB_WRITE)
        return result;
    struct flight *f = (void *)BIO_get_callback_arg(bio);
    if (!f || f->refused)
        return -1;
    f->pending -= len < f->pending ? len : f->pending;
    return result;
}

/* Counts what OpenSSL puts into a datagram: it tells of the header of each record. */
static void handshake_on_message(int write_p, int version, int type, const void *data, size_t len,
                                 SSL *ssl, void *arg) {
    (void)version;
    struct handshake *h = arg;
    struct flight *f = handshake_flight(ssl);
    const unsigned char *header = data;
    if (!write_p && (type == SSL3_RT_HANDSHAKE || type == SSL3_RT_ALERT))
        h->heard = true;
    if (write_p && type == SSL3_RT_HEADER && len == HANDSHAKE_RECORD_HEADER && f)
        f->pending += len + (size_t)(header[11] << 8 | header[12]);
}

/* OpenSSL fills a datagram to the last byte. That only one byte of a message follows its header is
 * allowed, but GnuTLS (3.7.9) takes a message that begins so for an empty one, and the handshake
 * fails. With a byte less of room the message begins in the next datagram. When a flight is sent
 * again, each message has a datagram of its own. */
static void handshake_fit(SSL *ssl, const struct flight *f) {
    bool single =
        f->pending + HANDSHAKE_RECORD_HEADER + HANDSHAKE_MESSAGE_HEADER + 1 == f->datagram;
    handshake_set_size(ssl, single ? f->datagram - 1 : f->datagram);
}

static void handshake_begin(SSL *ssl, struct handshake *h) {
    struct flight *f = handshake_flight(ssl);
    if (!f && (f = calloc(1, sizeof(*f))) && !SSL_set_ex_data(ssl, handshake_flight_slot, f)) {
        free(f);
        f = NULL;
    }
    BIO *bio = SSL_get_wbio(ssl);
    BIO_set_callback_arg(bio, (char *)f);
    if (BIO_set_ex_data(bio, handshake_bio_slot, h))
        BIO_set_callback_ex(bio, handshake_on_bio);
    h->silent = 0;
    h->heard = false;
    if (!f)
        return; /* nothing is sent then */
    *f = (struct flight){
        .ssl = ssl,
        .datagram = h->datagram,
        .refused = h->begin ? h->begin(ssl, h->arg) : 0,
    };
    DTLS_set_timer_cb(ssl, handshake_on_timer);
    handshake_set_size(ssl, f->datagram);
}

static void handshake_on_info(const SSL *ssl, int where, int ret) {
    struct handshake *h = handshake_of(ssl);
    const struct flight *f = handshake_flight(ssl);
    /* The callback's argument is const because most only look; the SSL is not. */
    if (where == SSL_CB_HANDSHAKE_START)
        handshake_begin((SSL *)(uintptr_t)ssl, h);
    else if ((where & SSL_CB_LOOP) && f)
        handshake_fit((SSL *)(uintptr_t)ssl, f); /* the next message comes */
    if (h->next_info)
        h->next_info(ssl, where, ret);
}

int handshake_watch(SSL_CTX *ctx, struct handshake *h) {
    pthread_once(&handshake_slots_once, handshake_slots_make);
    if (handshake_slot < 0 || handshake_flight_slot < 0 || handshake_bio_slot < 0 ||
        !SSL_CTX_set_ex_data(ctx, handshake_slot, h))
        return -ENOMEM;
    h->next_info = SSL_CTX_get_info_callback(ctx);
    SSL_CTX_set_info_callback(ctx, handshake_on_info);
    SSL_CTX_set_msg_callback(ctx, handshake_on_message);
    SSL_CTX_set_msg_callback_arg(ctx, h);
    return 0;
}

bool handshake_is_silent(const struct handshake *h) {
    return h->silent > HANDSHAKE_RETRANSMISSIONS;
}

size_t handshake_datagram(const SSL *ssl) {
    const struct flight *f = ssl ? handshake_flight(ssl) : NULL;
    return f ? f->datagram : 0;
}

size_t handshake_room(const SSL *ssl, size_t datagram) {
    size_t record = HANDSHAKE_RECORD + handshake_tag(ssl, HANDSHAKE_TAG);
    return datagram > record ? datagram - record : 0;
}
