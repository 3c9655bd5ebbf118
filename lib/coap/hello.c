/* SPDX-License-Identifier: BSD-2-Clause */
/* Reads and writes what comes before any state: see hello.h. Every length is held against what is
 * there. */
#include "coap/hello.h"

#include <stdint.h>
#include <string.h>

#define HELLO_RECORD_HEADER 13
#define HELLO_MESSAGE_HEADER 12
#define HELLO_HANDSHAKE 22
#define HELLO_CLIENT 1
#define HELLO_VERIFY_REQUEST 3
#define HELLO_VERSION_MAJOR 0xfe
#define HELLO_SESSION_ID_MAX 32

/* Offsets in the header of a record and of a handshake message. */
enum { RECORD_VERSION = 1, RECORD_EPOCH = 3, RECORD_SEQUENCE = 5, RECORD_LENGTH = 11 };
enum { MESSAGE_LENGTH = 1, MESSAGE_FRAGMENT_AT = 6, MESSAGE_FRAGMENT_LENGTH = 9 };

static size_t hello_number(const unsigned char *p, size_t octets) {
    size_t n = 0;
    while (octets-- > 0)
        n = n << 8 | *p++;
    return n;
}

/* Steps over a field whose length stands before it in so many bytes. */
static bool hello_skip(const unsigned char **at, const unsigned char *end, size_t octets,
                       size_t most) {
    if ((size_t)(end - *at) < octets)
        return false;
    size_t len = hello_number(*at, octets);
    *at += octets;
    if (len > most || (size_t)(end - *at) < len)
        return false;
    *at += len;
    return true;
}

static bool hello_read_body(const unsigned char *body, size_t len, struct hello *out) {
    const unsigned char *at = body, *end = body + len;
    if (len < 2 + HELLO_RANDOM_LEN || body[0] != HELLO_VERSION_MAJOR)
        return false;
    out->random = body + 2;
    at += 2 + HELLO_RANDOM_LEN;
    if (!hello_skip(&at, end, 1, HELLO_SESSION_ID_MAX))
        return false;
    out->before = body;
    out->before_len = (size_t)(at - body);
    const unsigned char *cookie = at + 1;
    if (!hello_skip(&at, end, 1, UINT8_MAX))
        return false;
    out->cookie = cookie;
    out->cookie_len = (size_t)(at - cookie);
    out->after = at;
    if (!hello_skip(&at, end, 2, UINT16_MAX) || !hello_skip(&at, end, 1, UINT8_MAX))
        return false;
    out->after_len = (size_t)(at - out->after);
    return true;
}

enum hello_kind hello_read(const unsigned char *data, size_t len, struct hello *out) {
    if (len < HELLO_RECORD_HEADER + HELLO_MESSAGE_HEADER || data[0] != HELLO_HANDSHAKE ||
        hello_number(data + RECORD_EPOCH, 2) != 0)
        return HELLO_NONE;
    const unsigned char *message = data + HELLO_RECORD_HEADER;
    if (message[0] != HELLO_CLIENT)
        return HELLO_NONE;
    size_t record = hello_number(data + RECORD_LENGTH, 2);
    size_t body = hello_number(message + MESSAGE_LENGTH, 3);
    struct hello hello = {.record = data + RECORD_SEQUENCE};
    if (data[RECORD_VERSION] != HELLO_VERSION_MAJOR || record > len - HELLO_RECORD_HEADER ||
        body > record - HELLO_MESSAGE_HEADER || record < HELLO_MESSAGE_HEADER ||
        hello_number(message + MESSAGE_FRAGMENT_AT, 3) != 0 ||
        hello_number(message + MESSAGE_FRAGMENT_LENGTH, 3) != body ||
        !hello_read_body(message + HELLO_MESSAGE_HEADER, body, &hello))
        return HELLO_BROKEN;
    *out = hello;
    return HELLO_WHOLE;
}

/* All of the version 1.0, whatever is negotiated later (RFC 6347 section 4.2.1). */
void hello_verify(const struct hello *hello, const unsigned char cookie[static HELLO_COOKIE_LEN],
                  unsigned char out[static HELLO_VERIFY_LEN]) {
    static const unsigned char record[] = {HELLO_HANDSHAKE, 0xfe, 0xff, 0, 0};
    const size_t message = HELLO_VERIFY_LEN - HELLO_RECORD_HEADER;
    const size_t body = message - HELLO_MESSAGE_HEADER;
    memset(out, 0, HELLO_VERIFY_LEN);
    memcpy(out, record, sizeof(record));
    memcpy(out + RECORD_SEQUENCE, hello->record, RECORD_LENGTH - RECORD_SEQUENCE);
    out[RECORD_LENGTH + 1] = (unsigned char)message;
    out += HELLO_RECORD_HEADER;
    out[0] = HELLO_VERIFY_REQUEST;
    out[MESSAGE_LENGTH + 2] = out[MESSAGE_FRAGMENT_LENGTH + 2] = (unsigned char)body;
    out += HELLO_MESSAGE_HEADER;
    out[0] = HELLO_VERSION_MAJOR;
    out[1] = 0xff;
    out[2] = HELLO_COOKIE_LEN;
    memcpy(out + 3, cookie, HELLO_COOKIE_LEN);
}
