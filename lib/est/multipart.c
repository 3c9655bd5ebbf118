/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * application/multipart-core, read head by head with libcbor's streaming decoder: that one neither
 * allocates nor recurses, and a length that goes beyond the bytes at hand is no length to it. What
 * may come next is decided here, so that no nesting ever arises. Owns nothing between calls.
 */
#include "est/multipart.h"

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>

#include <cbor.h>

#include "base/cleanup.h"

#define ITEMS (2 * (size_t)MULTIPART_PARTS)
#define FORMAT_MAX 65535 /* RFC 8710 section 4: uint .size 2 */

/* --- one head --- */

enum token_kind {
    TOKEN_OTHER, /* what has no place in this format */
    TOKEN_UINT,
    TOKEN_BYTES,
    TOKEN_BYTES_OPEN, /* of indefinite length: chunks follow, and a break */
    TOKEN_ARRAY,
    TOKEN_ARRAY_OPEN,
    TOKEN_NULL,
    TOKEN_BREAK,
};

struct token {
    enum token_kind kind;
    uint64_t value; /* of a number; of an array its count */
    const unsigned char *data;
    size_t len;
};

static void on_uint8(void *token, uint8_t value) {
    *(struct token *)token = (struct token){.kind = TOKEN_UINT, .value = value};
}

static void on_uint16(void *token, uint16_t value) {
    *(struct token *)token = (struct token){.kind = TOKEN_UINT, .value = value};
}

static void on_uint32(void *token, uint32_t value) {
    *(struct token *)token = (struct token){.kind = TOKEN_UINT, .value = value};
}

static void on_uint64(void *token, uint64_t value) {
    *(struct token *)token = (struct token){.kind = TOKEN_UINT, .value = value};
}

static void on_bytes(void *token, cbor_data data, size_t len) {
    *(struct token *)token = (struct token){.kind = TOKEN_BYTES, .data = data, .len = len};
}

static void on_bytes_open(void *token) {
    ((struct token *)token)->kind = TOKEN_BYTES_OPEN;
}

static void on_array(void *token, size_t count) {
    *(struct token *)token = (struct token){.kind = TOKEN_ARRAY, .value = count};
}

static void on_array_open(void *token) {
    ((struct token *)token)->kind = TOKEN_ARRAY_OPEN;
}

static void on_null(void *token) {
    ((struct token *)token)->kind = TOKEN_NULL;
}

static void on_break(void *token) {
    ((struct token *)token)->kind = TOKEN_BREAK;
}

struct reader {
    const unsigned char *at;
    size_t left;
    struct estc_error *err;
};

static int refuse(const struct reader *r, const char *why) {
    return estc_error_set(r->err, ESTC_E_MALFORMED, "multipart: %s", why);
}

static int next(struct reader *r, struct token *token) {
    struct cbor_callbacks callbacks = cbor_empty_callbacks; /* leaves TOKEN_OTHER as it is */
    callbacks.uint8 = on_uint8;
    callbacks.uint16 = on_uint16;
    callbacks.uint32 = on_uint32;
    callbacks.uint64 = on_uint64;
    callbacks.byte_string = on_bytes;
    callbacks.byte_string_start = on_bytes_open;
    callbacks.array_start = on_array;
    callbacks.indef_array_start = on_array_open;
    callbacks.null = on_null;
    callbacks.indef_break = on_break;
    *token = (struct token){.kind = TOKEN_OTHER};
    struct cbor_decoder_result result = cbor_stream_decode(r->at, r->left, &callbacks, token);
    if (result.status == CBOR_DECODER_NEDATA)
        return refuse(r, "it is cut short");
    if (result.status != CBOR_DECODER_FINISHED || result.read > r->left)
        return refuse(r, "it is no well-formed CBOR");
    r->at += result.read;
    r->left -= result.read;
    return 0;
}

/* --- what has to come --- */

static int append(const struct reader *r, struct estc_buf *to, const struct token *token) {
    int rc = estc_buf_append(to, token->data, token->len);
    return rc ? estc_error_set(r->err, rc, "out of memory") : 0;
}

static int read_format(struct reader *r, int *out) {
    struct token token;
    int rc = next(r, &token);
    if (rc)
        return rc;
    if (token.kind != TOKEN_UINT || token.value > FORMAT_MAX)
        return refuse(r, "a content format is no number up to 65535");
    *out = (int)token.value;
    return 0;
}

/* The chunks of a byte string of indefinite length are byte strings themselves, of definite length
 * (RFC 8949 section 3.2.3). */
static int read_chunks(struct reader *r, struct estc_buf *out) {
    for (;;) {
        struct token token;
        int rc = next(r, &token);
        if (rc || token.kind == TOKEN_BREAK)
            return rc;
        if (token.kind != TOKEN_BYTES)
            return refuse(r, "a byte string has a chunk that is none");
        rc = append(r, out, &token);
        if (rc)
            return rc;
    }
}

static int read_body(struct reader *r, struct estc_buf *out) {
    struct token token;
    int rc = next(r, &token);
    if (rc)
        return rc;
    if (token.kind == TOKEN_NULL)
        return refuse(r, "a part is absent (null)");
    if (token.kind == TOKEN_BYTES)
        return append(r, out, &token);
    return token.kind == TOKEN_BYTES_OPEN ? read_chunks(r, out)
                                          : refuse(r, "a part is no byte string");
}

/* *open: the array ends with a break, not by its count. */
static int read_opening(struct reader *r, bool *open) {
    struct token token;
    int rc = next(r, &token);
    if (rc)
        return rc;
    *open = token.kind == TOKEN_ARRAY_OPEN;
    if (!*open && token.kind != TOKEN_ARRAY)
        return refuse(r, "it is no array");
    if (!*open && token.value != ITEMS)
        return refuse(r, "it is not made of two parts");
    return 0;
}

static int read_end(struct reader *r, bool open) {
    struct token token;
    int rc = open ? next(r, &token) : 0;
    if (rc)
        return rc;
    if (open && token.kind != TOKEN_BREAK)
        return refuse(r, "it is not made of two parts");
    return r->left ? refuse(r, "bytes left over behind it") : 0;
}

void multipart_clear(struct multipart *m) {
    for (size_t i = 0; i < MULTIPART_PARTS; i++)
        estc_buf_clear(&m->part[i].body);
    *m = (struct multipart){0};
}

int multipart_decode(const void *cbor, size_t len, struct multipart *out, struct estc_error *err) {
    struct reader reader = {.at = cbor, .left = len, .err = err};
    _cleanup(multipart_clear) struct multipart m = {0};
    bool open;
    int rc = read_opening(&reader, &open);
    for (size_t i = 0; !rc && i < MULTIPART_PARTS; i++) {
        rc = read_format(&reader, &m.part[i].format);
        if (!rc)
            rc = read_body(&reader, &m.part[i].body);
    }
    if (!rc)
        rc = read_end(&reader, open);
    if (rc)
        return rc;
    *out = m;
    m = (struct multipart){0};
    return 0;
}

/* --- writing --- */

#define HEAD_MAX 9 /* the longest head of an item */

int multipart_encode(const struct multipart *m, struct estc_buf *out, struct estc_error *err) {
    _cleanup(estc_buf_clear) struct estc_buf cbor = {0};
    unsigned char head[2 * HEAD_MAX];
    int rc = estc_buf_append(&cbor, head, cbor_encode_array_start(ITEMS, head, sizeof(head)));
    for (size_t i = 0; !rc && i < MULTIPART_PARTS; i++) {
        const struct multipart_part *part = &m->part[i];
        size_t len = cbor_encode_uint((uint64_t)part->format, head, sizeof(head));
        len += cbor_encode_bytestring_start(part->body.len, head + len, sizeof(head) - len);
        rc = estc_buf_append(&cbor, head, len);
        if (!rc)
            rc = estc_buf_append(&cbor, part->body.data, part->body.len);
    }
    if (!rc)
        rc = estc_buf_append(out, cbor.data, cbor.len);
    return rc ? estc_error_set(err, rc, "out of memory") : 0;
}
