/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Writes a CsrAttrs for clients of today (RFC 8951 section 4, in the clear form of RFC 9908 section
 * 3.2) and for those that know templates (section 3.4). Owns nothing.
 */
#include "pkix/csrattrs.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/objects.h>

#include "base/cleanup.h"
#include "pkix/ossl.h"

#define PLACEHOLDER_BITS_MAX 16384

static void put_dotted(struct der_writer *w, const char *dotted) {
    ASN1_OBJECT *oid = OBJ_txt2obj(dotted, 1);
    if (!oid)
        w->rc = -ENOMEM;
    else
        der_put_oid(w, oid);
    ASN1_OBJECT_free(oid);
}

static void put_nid(struct der_writer *w, int nid) {
    der_put_oid(w, OBJ_nid2obj(nid));
}

static void put_string(struct der_writer *w, const ASN1_STRING *string) {
    size_t mark = der_mark(w);
    der_put(w, ASN1_STRING_get0_data(string), (size_t)ASN1_STRING_length(string));
    der_end(w, mark, (unsigned)ASN1_STRING_type(string));
}

/* --- extensions --- */

static bool is_any_open(const struct estc_csrattrs *attrs) {
    for (size_t i = 0; i < attrs->extension_count; i++)
        if (estc_extension_wish_is_open(&attrs->extensions[i]))
            return true;
    return false;
}

static size_t closed_count(const struct estc_csrattrs *attrs) {
    size_t n = 0;
    for (size_t i = 0; i < attrs->extension_count; i++)
        if (!estc_extension_wish_is_open(&attrs->extensions[i]))
            n++;
    return n;
}

/* One attribute with one list in it (RFC 9908 sections 3.2 and 3.4). The kind for open extensions
 * is for them alone. */
static void put_extensions(struct der_writer *w, const struct estc_csrattrs *attrs,
                           bool open_allowed) {
    bool open = open_allowed && is_any_open(attrs);
    if (!open && closed_count(attrs) == 0)
        return;
    size_t attribute = der_mark(w);
    if (open)
        put_dotted(w, CSRATTRS_EXTENSIONS_OID);
    else
        put_nid(w, NID_ext_req);
    size_t list = der_mark(w);
    for (size_t i = 0; i < attrs->extension_count; i++) {
        const struct estc_extension_wish *wish = &attrs->extensions[i];
        if (!open && estc_extension_wish_is_open(wish))
            continue;
        size_t mark = der_mark(w);
        der_put_oid(w, wish->oid);
        if (wish->critical) /* DEFAULT FALSE */
            der_put(w, "\x01\x01\xff", 3);
        if (wish->value)
            put_string(w, wish->value);
        der_end(w, mark, DER_SEQUENCE);
    }
    der_end(w, list, DER_SEQUENCE);
    der_end(w, list, DER_SET);
    der_end(w, attribute, DER_SEQUENCE);
}

/* --- plain --- */

static void put_plain_names(struct der_writer *w, const struct estc_csrattrs *attrs) {
    for (size_t i = 0; i < attrs->name_count; i++) {
        size_t mark = der_mark(w);
        der_put_oid(w, attrs->names[i].type);
        if (!attrs->names[i].value)
            continue;
        size_t set = der_mark(w);
        put_string(w, attrs->names[i].value);
        der_end(w, set, DER_SET);
        der_end(w, mark, DER_SEQUENCE);
    }
}

static void put_plain_key(struct der_writer *w, const struct estc_key_wish *key) {
    if (!key->algorithm)
        return;
    size_t mark = der_mark(w);
    der_put_oid(w, key->algorithm);
    size_t set = der_mark(w);
    if (key->curve)
        der_put_oid(w, key->curve);
    else if (key->bits)
        der_put_unsigned(w, key->bits);
    der_end(w, set, DER_SET);
    der_end(w, mark, DER_SEQUENCE);
}

static void put_plain(struct der_writer *w, const struct estc_csrattrs *attrs) {
    if (attrs->challenge)
        put_nid(w, NID_pkcs9_challengePassword);
    put_plain_names(w, attrs);
    put_plain_key(w, &attrs->key);
    put_extensions(w, attrs, false);
    if (attrs->signature)
        der_put_oid(w, attrs->signature);
}

/* --- the template --- */

/* The order of a SET's members in DER: that of their encodings. */
static int by_bytes(const void *left, const void *right) {
    const struct estc_buf *a = left, *b = right;
    int order = memcmp(a->data, b->data, a->len < b->len ? a->len : b->len);
    return order ? order : (a->len > b->len) - (a->len < b->len);
}

static void put_rdn(struct der_writer *w, const struct estc_name_wish *wishes, size_t n) {
    struct estc_buf parts[ESTC_CSRATTRS_MAX] = {0};
    for (size_t i = 0; i < n; i++) {
        struct der_writer part = {.out = &parts[i], .rc = w->rc};
        size_t mark = der_mark(&part);
        der_put_oid(&part, wishes[i].type);
        if (wishes[i].value)
            put_string(&part, wishes[i].value);
        der_end(&part, mark, DER_SEQUENCE);
        w->rc = part.rc;
    }
    if (!w->rc)
        qsort(parts, n, sizeof(parts[0]), by_bytes);
    size_t set = der_mark(w);
    for (size_t i = 0; i < n; i++) {
        der_put(w, parts[i].data, parts[i].len);
        estc_buf_clear(&parts[i]);
    }
    der_end(w, set, DER_SET);
}

static void put_subject(struct der_writer *w, const struct estc_csrattrs *attrs) {
    if (attrs->name_count == 0)
        return;
    size_t mark = der_mark(w);
    for (size_t i = 0; i < attrs->name_count;) {
        size_t n = 1;
        while (i + n < attrs->name_count && attrs->names[i + n].joined)
            n++;
        put_rdn(w, attrs->names + i, n);
        i += n;
    }
    der_end(w, mark, DER_SEQUENCE);
}

/* An RSA key that is none, of the right size: 2^(bits-1) + 1 and 65537. */
static void put_placeholder(struct der_writer *w, unsigned bits) {
    unsigned char modulus[PLACEHOLDER_BITS_MAX / 8 + 1] = {0};
    size_t len = (bits + 7) / 8;
    if (len > PLACEHOLDER_BITS_MAX / 8) {
        w->rc = -EINVAL;
        return;
    }
    modulus[1] = (unsigned char)(1u << (bits - 1) % 8);
    modulus[len] |= 1;
    size_t string = der_mark(w);
    der_put(w, "\0", 1); /* unused bits */
    size_t key = der_mark(w), number = key;
    bool sign = modulus[1] & 0x80;
    der_put(w, modulus + !sign, len + sign);
    der_end(w, number, DER_INTEGER);
    der_put_unsigned(w, 65537);
    der_end(w, key, DER_SEQUENCE);
    der_end(w, string, DER_BIT_STRING);
}

static void put_key(struct der_writer *w, const struct estc_key_wish *key) {
    if (!key->algorithm)
        return;
    size_t mark = der_mark(w);
    der_put_oid(w, key->algorithm);
    if (key->curve)
        der_put_oid(w, key->curve);
    else if (OBJ_obj2nid(key->algorithm) == NID_rsaEncryption)
        der_put(w, "\x05\x00", 2); /* RFC 3279 section 2.3.1 */
    der_end(w, mark, DER_SEQUENCE);
    if (key->bits)
        put_placeholder(w, key->bits);
    der_end(w, mark, DER_CONTEXT_0);
}

static void put_template(struct der_writer *w, const struct estc_csrattrs *attrs) {
    size_t attribute = der_mark(w);
    put_dotted(w, CSRATTRS_TEMPLATE_OID);
    size_t info = der_mark(w);
    der_put_unsigned(w, 0); /* version */
    put_subject(w, attrs);
    put_key(w, &attrs->key);
    size_t list = der_mark(w);
    if (attrs->challenge) {
        size_t mark = der_mark(w);
        put_nid(w, NID_pkcs9_challengePassword);
        der_put(w, "\x31\x00", 2); /* to be filled in */
        der_end(w, mark, DER_SEQUENCE);
    }
    put_extensions(w, attrs, true);
    der_end(w, list, DER_CONTEXT_1); /* there even when empty */
    der_end(w, info, DER_SEQUENCE);
    der_end(w, info, DER_SET);
    der_end(w, attribute, DER_SEQUENCE);
}

/* --- the whole --- */

bool estc_csrattrs_any(const struct estc_csrattrs *attrs) {
    return attrs->challenge || attrs->signature || attrs->key.algorithm || attrs->name_count > 0 ||
           attrs->extension_count > 0;
}

int estc_csrattrs_encode(const struct estc_csrattrs *attrs, enum estc_csrattrs_form form,
                         struct estc_buf *out, struct estc_error *err) {
    _cleanup(estc_buf_clear) struct estc_buf body = {0};
    struct der_writer w = {.out = &body};
    size_t mark = der_mark(&w);
    if (form != ESTC_CSRATTRS_TEMPLATE)
        put_plain(&w, attrs);
    if (form != ESTC_CSRATTRS_PLAIN && estc_csrattrs_any(attrs))
        put_template(&w, attrs);
    der_end(&w, mark, DER_SEQUENCE);
    ossl_forget();
    if (!w.rc)
        w.rc = estc_buf_append(out, body.data, body.len);
    return w.rc ? estc_error_set(err, w.rc,
                                 "cannot encode CSR attributes: out of memory or a key "
                                 "of more than %d bits",
                                 PLACEHOLDER_BITS_MAX)
                : 0;
}

int estc_csrattrs_can_say(const struct estc_csrattrs *attrs, enum estc_csrattrs_form form,
                          struct estc_error *err) {
    char oid[80] = "";
    if (form != ESTC_CSRATTRS_PLAIN && attrs->signature)
        return estc_error_set(err, ESTC_E_CONFIG,
                              "a template has no words for the algorithm of the signature, and who "
                              "reads it reads nothing else");
    for (size_t i = 0; form == ESTC_CSRATTRS_PLAIN && i < attrs->extension_count; i++) {
        if (!estc_extension_wish_is_open(&attrs->extensions[i]))
            continue;
        OBJ_obj2txt(oid, sizeof(oid), attrs->extensions[i].oid, 0);
        return estc_error_set(err, ESTC_E_CONFIG,
                              "the plain form has no words for an extension left open: %s", oid);
    }
    return 0;
}
