/* SPDX-License-Identifier: BSD-2-Clause */
/* DER item by item, for structures that OpenSSL has no type for. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include <openssl/asn1.h>

#include <estc/buf.h>

/* Identifier octets, tags below 31. */
enum der_id {
    DER_BOOLEAN = 0x01,
    DER_INTEGER = 0x02,
    DER_BIT_STRING = 0x03,
    DER_OCTET_STRING = 0x04,
    DER_NULL = 0x05,
    DER_OID = 0x06,
    DER_SEQUENCE = 0x30,
    DER_SET = 0x31,
    DER_CONTEXT_0 = 0xa0, /* constructed */
    DER_CONTEXT_1 = 0xa1,
};

/* Bytes still to be read; borrowed. */
struct der {
    const unsigned char *at;
    size_t len;
};

struct der_item {
    unsigned id;      /* the identifier octet */
    struct der whole; /* header and content */
    struct der content;
};

/* Takes the next item off in. False at the end and for what is no item with a definite length that
 * lies inside in. */
bool der_next(struct der *in, struct der_item *out);

/* The same, when the next item has this identifier; otherwise in stays as it is. */
bool der_take(struct der *in, unsigned id, struct der_item *out);

/* The OID of an item with that identifier, to be freed; NULL for anything else. */
ASN1_OBJECT *der_oid(const struct der_item *item);

/* Significant bits of an INTEGER that is not negative; false for a broken or negative one. */
bool der_bits(const struct der_item *integer, size_t *bits);

/* A small INTEGER that is not negative. */
bool der_unsigned(const struct der_item *integer, unsigned *out);

/*
 * The other direction: content first, then der_end() puts the header before everything that was
 * written since the mark. A failure (out of memory) stays in rc and makes all that follows do
 * nothing.
 */
struct der_writer {
    struct estc_buf *out;
    int rc;
};

size_t der_mark(const struct der_writer *w);
void der_end(struct der_writer *w, size_t mark, unsigned id);
void der_put(struct der_writer *w, const void *data, size_t len);
void der_put_oid(struct der_writer *w, const ASN1_OBJECT *oid);
void der_put_unsigned(struct der_writer *w, unsigned value);
