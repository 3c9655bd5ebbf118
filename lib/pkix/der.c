/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Reads DER without recursion and without copies, and writes it from the inside out. Owns nothing;
 * every length is held against the bytes that are there before it is believed.
 */
#include "pkix/der.h"

#include <errno.h>
#include <limits.h>
#include <string.h>

#include <openssl/objects.h>

#include "pkix/ossl.h"

#define DER_HEADER_MAX 10

bool der_next(struct der *in, struct der_item *out) {
    if (in->len == 0 || in->len > LONG_MAX)
        return false;
    const unsigned char *content = in->at;
    long len = 0;
    int tag = 0, xclass = 0;
    int rc = ASN1_get_object(&content, &len, &tag, &xclass, (long)in->len);
    if (rc & 0x80 || rc & 0x01) { /* broken, or of indefinite length */
        ossl_forget();
        return false;
    }
    size_t whole = (size_t)(content - in->at) + (size_t)len;
    *out = (struct der_item){
        .id = in->at[0], .whole = {in->at, whole}, .content = {content, (size_t)len}};
    in->at += whole;
    in->len -= whole;
    return true;
}

bool der_take(struct der *in, unsigned id, struct der_item *out) {
    struct der rest = *in;
    struct der_item item;
    if (in->len == 0 || in->at[0] != id || !der_next(&rest, &item))
        return false;
    *in = rest;
    *out = item;
    return true;
}

ASN1_OBJECT *der_oid(const struct der_item *item) {
    if (item->id != DER_OID)
        return NULL;
    const unsigned char *p = item->whole.at;
    ASN1_OBJECT *oid = d2i_ASN1_OBJECT(NULL, &p, (long)item->whole.len);
    ossl_forget();
    return oid;
}

bool der_bits(const struct der_item *integer, size_t *bits) {
    struct der number = integer->content;
    if (integer->id != DER_INTEGER || number.len == 0 || number.at[0] & 0x80)
        return false;
    while (number.len > 0 && number.at[0] == 0) {
        number.at++;
        number.len--;
    }
    *bits = number.len * 8;
    for (unsigned top = number.len > 0 ? number.at[0] : 0x80; !(top & 0x80); top <<= 1)
        --*bits;
    return true;
}

bool der_unsigned(const struct der_item *integer, unsigned *out) {
    size_t bits = 0;
    if (!der_bits(integer, &bits) || bits > 31)
        return false;
    unsigned value = 0;
    for (size_t i = 0; i < integer->content.len; i++)
        value = value << 8 | integer->content.at[i];
    *out = value;
    return true;
}

size_t der_mark(const struct der_writer *w) {
    return w->out->len;
}

void der_put(struct der_writer *w, const void *data, size_t len) {
    if (!w->rc)
        w->rc = estc_buf_append(w->out, data, len);
}

void der_end(struct der_writer *w, size_t mark, unsigned id) {
    if (w->rc)
        return;
    size_t len = w->out->len - mark;
    unsigned char header[DER_HEADER_MAX] = {(unsigned char)id};
    size_t n = 2;
    if (len < 0x80) {
        header[1] = (unsigned char)len;
    } else {
        size_t bytes = 0;
        for (size_t left = len; left > 0; left >>= 8)
            bytes++;
        header[1] = (unsigned char)(0x80 | bytes);
        for (size_t i = 0; i < bytes; i++)
            header[n++] = (unsigned char)(len >> 8 * (bytes - 1 - i));
    }
    der_put(w, header, n); /* room for it */
    if (w->rc)
        return;
    memmove(w->out->data + mark + n, w->out->data + mark, len);
    memcpy(w->out->data + mark, header, n);
}

void der_put_oid(struct der_writer *w, const ASN1_OBJECT *oid) {
    size_t mark = der_mark(w);
    der_put(w, OBJ_get0_data(oid), OBJ_length(oid));
    der_end(w, mark, DER_OID);
}

void der_put_unsigned(struct der_writer *w, unsigned value) {
    unsigned char bytes[sizeof(value) + 1] = {0};
    size_t mark = der_mark(w), n = sizeof(bytes);
    do { /* one byte at least, and a first bit of 0 */
        bytes[--n] = (unsigned char)value;
        value >>= 8;
    } while (value > 0);
    if (bytes[n] & 0x80)
        n--;
    der_put(w, bytes + n, sizeof(bytes) - n);
    der_end(w, mark, DER_INTEGER);
}
