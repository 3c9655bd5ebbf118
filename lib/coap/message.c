/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Reads and writes option lists of libcoap's PDUs. libcoap has checked the encoding and the lengths
 * of known options and refuses critical options that it does not know; what repeats and what means
 * nothing is judged here (RFC 7252 sections 5.4.1 and 5.4.5). Owns nothing.
 */
#include "coap/message.h"

#include <string.h>

#include <estc/error.h>
#include <estc/transport.h>

#include "base/cleanup.h"

#define MESSAGE_OPTION_CRITICAL 1U

unsigned message_code(coap_pdu_code_t wire) {
    return ((unsigned)wire >> 5) * 100 + ((unsigned)wire & 0x1f);
}

coap_pdu_code_t message_wire_code(unsigned code) {
    return (coap_pdu_code_t)(code / 100 << 5 | code % 100);
}

/* At most four bytes are an unsigned integer for us. */
static bool message_uint(const unsigned char *value, size_t len, uint32_t *out) {
    if (len > sizeof(*out))
        return false;
    uint32_t n = 0;
    for (size_t i = 0; i < len; i++)
        n = n << 8 | value[i];
    *out = n;
    return true;
}

static int message_read_format(const unsigned char *value, size_t len, int *out) {
    uint32_t n;
    if (len > 2 || !message_uint(value, len, &n))
        return ESTC_E_PROTOCOL;
    *out = (int)n;
    return 0;
}

static int message_read_block(const unsigned char *value, size_t len, bool *has,
                              struct block *out) {
    if (*has)
        return ESTC_E_PROTOCOL;
    *has = true;
    return block_decode(value, len, out) ? ESTC_E_MALFORMED : 0;
}

static void message_read_bytes(const unsigned char *value, size_t len, unsigned char *out,
                               size_t max, size_t *out_len) {
    if (len > max)
        return;
    memcpy(out, value, len);
    *out_len = len;
}

static int message_read_option(struct message *m, coap_option_num_t number,
                               const unsigned char *value, size_t len) {
    uint32_t n;
    switch (number) {
    case COAP_OPTION_BLOCK1:
        return message_read_block(value, len, &m->has_block1, &m->block1);
    case COAP_OPTION_BLOCK2:
        return message_read_block(value, len, &m->has_block2, &m->block2);
    case COAP_OPTION_ACCEPT:
        if (m->accept >= 0 || m->code >= 200)
            return ESTC_E_PROTOCOL;
        return message_read_format(value, len, &m->accept);
    case COAP_OPTION_CONTENT_FORMAT:
        if (m->content_format < 0)
            return message_read_format(value, len, &m->content_format);
        return 0;
    case COAP_OPTION_MAXAGE:
        if (m->max_age < 0 && message_uint(value, len, &n))
            m->max_age = n;
        return 0;
    case COAP_OPTION_SIZE1:
        if (m->size1 < 0 && message_uint(value, len, &n))
            m->size1 = n;
        return 0;
    case COAP_OPTION_ETAG:
        if (m->etag_len == 0)
            message_read_bytes(value, len, m->etag, sizeof(m->etag), &m->etag_len);
        return 0;
    case COAP_OPTION_RTAG:
        message_read_bytes(value, len, m->request_tag, sizeof(m->request_tag), &m->request_tag_len);
        return 0;
    default:
        /* Whatever tells a server where to look has no place in a response. */
        return m->code >= 200 && (number & MESSAGE_OPTION_CRITICAL) ? ESTC_E_PROTOCOL : 0;
    }
}

int message_read(const coap_pdu_t *pdu, struct message *out) {
    struct message m = {
        .code = message_code(coap_pdu_get_code(pdu)),
        .content_format = ESTC_FORMAT_NONE,
        .accept = ESTC_FORMAT_NONE,
        .max_age = -1,
        .size1 = -1,
    };
    coap_opt_iterator_t iter;
    coap_option_iterator_init(pdu, &iter, COAP_OPT_ALL);
    int r = 0;
    for (coap_opt_t *o = coap_option_next(&iter); o && !r; o = coap_option_next(&iter))
        r = message_read_option(&m, iter.number, coap_opt_value(o), coap_opt_length(o));
    if (r)
        return r;
    if (!coap_get_data(pdu, &m.payload_len, &m.payload))
        m.payload_len = 0;
    *out = m;
    return 0;
}

static bool message_text_ok(const unsigned char *value, size_t len) {
    return !memchr(value, 0, len);
}

static bool message_segment_ok(const unsigned char *value, size_t len) {
    bool dots = (len == 1 && value[0] == '.') || (len == 2 && value[0] == '.' && value[1] == '.');
    return len > 0 && !dots && !memchr(value, '/', len) && message_text_ok(value, len);
}

/* All options of one number, a separator before each: malloc'd. "" without any; NULL when one is
 * not ok, or when out of memory. */
static char *message_join(const coap_pdu_t *pdu, coap_option_num_t number, const char *separator,
                          bool (*ok)(const unsigned char *value, size_t len)) {
    struct estc_buf text = {0};
    coap_opt_iterator_t iter;
    coap_opt_filter_t filter;
    coap_option_filter_clear(&filter);
    coap_option_filter_set(&filter, number);
    coap_option_iterator_init(pdu, &iter, &filter);
    int r = estc_buf_append(&text, "", 0);
    for (coap_opt_t *o = coap_option_next(&iter); o && !r; o = coap_option_next(&iter)) {
        size_t len = coap_opt_length(o);
        if (!ok(coap_opt_value(o), len))
            r = ESTC_E_MALFORMED;
        else if ((r = estc_buf_append(&text, separator, 1)) == 0)
            r = estc_buf_append(&text, coap_opt_value(o), len);
    }
    if (r)
        estc_buf_clear(&text);
    return (char *)text.data;
}

char *message_query(const coap_pdu_t *pdu) {
    _cleanup(freep) char *joined = message_join(pdu, COAP_OPTION_URI_QUERY, "&", message_text_ok);
    const char *begin = joined ? joined + strspn(joined, "&") : "";
    return *begin ? strdup(begin) : NULL;
}

char *message_path(const coap_pdu_t *pdu) {
    _cleanup(freep) char *joined = message_join(pdu, COAP_OPTION_URI_PATH, "/", message_segment_ok);
    return joined ? strdup(*joined ? joined : "/") : NULL;
}

bool message_add_uint(coap_pdu_t *pdu, coap_option_num_t number, uint32_t value) {
    unsigned char bytes[sizeof(value)];
    unsigned len = coap_encode_var_safe(bytes, sizeof(bytes), value);
    return coap_add_option(pdu, number, len, bytes) > 0;
}

bool message_add_block(coap_pdu_t *pdu, coap_option_num_t number, const struct block *block) {
    unsigned char bytes[BLOCK_OPTION_MAX];
    return coap_add_option(pdu, number, block_encode(block, bytes), bytes) > 0;
}

/* One option for each part of a text between separators. */
static bool message_add_parts(coap_pdu_t *pdu, coap_option_num_t number, const char *text,
                              const char *separator) {
    for (const char *p = text; *p;) {
        p += *p == *separator;
        size_t len = strcspn(p, separator);
        if (len > 0 && coap_add_option(pdu, number, len, (const uint8_t *)p) == 0)
            return false;
        p += len;
    }
    return true;
}

bool message_add_path(coap_pdu_t *pdu, const char *path) {
    return message_add_parts(pdu, COAP_OPTION_URI_PATH, path, "/");
}

bool message_add_query(coap_pdu_t *pdu, const char *query) {
    return message_add_parts(pdu, COAP_OPTION_URI_QUERY, query, "&");
}
