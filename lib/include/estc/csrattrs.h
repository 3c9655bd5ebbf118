/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * CSR attributes: what a server wishes a certification request to be like (RFC 8951 section 4,
 * RFC 9908). Only wishes: whoever builds the request decides which of them to follow.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include <openssl/asn1.h>

#include <estc/buf.h>
#include <estc/error.h>
#include <estc/key.h>

#define ESTC_CSRATTRS_MAX 64          /* of each kind of wish */
#define ESTC_CSRATTRS_BYTES_MAX 65536 /* of one encoding */

/* The key to make. All NULL and 0: no wish. */
struct estc_key_wish {
    ASN1_OBJECT *algorithm; /* id-ecPublicKey, rsaEncryption, ... */
    ASN1_OBJECT *curve;     /* NULL: any */
    unsigned bits;          /* of an RSA modulus; 0: any */
};

/* One part of the subject. */
struct estc_name_wish {
    ASN1_OBJECT *type;
    ASN1_STRING *value; /* any string type; NULL: left open, for the client to fill in */
    bool joined;        /* in one RDN with the wish before it */
};

struct estc_extension_wish {
    ASN1_OBJECT *oid;
    bool critical;
    ASN1_OCTET_STRING *value; /* DER; NULL: left open */
};

/* Starts as {0}; clear it with estc_csrattrs_clear(). It owns everything that it points at. */
struct estc_csrattrs {
    bool from_template;     /* decoded from a certificationRequestInfoTemplate, and only from it */
    bool challenge;         /* a channel binding as challengePassword (RFC 7030 section 3.5) */
    ASN1_OBJECT *signature; /* algorithm to sign the request with, or its digest alone; or NULL */
    struct estc_key_wish key;
    struct estc_name_wish *names; /* most significant part first, as in DER */
    size_t name_count;
    struct estc_extension_wish *extensions; /* none twice */
    size_t extension_count;
    ASN1_OBJECT **others; /* what was said and is not understood; no obstacle to anything */
    size_t other_count;
};

void estc_csrattrs_clear(struct estc_csrattrs *attrs);

/*
 * Decodes a CsrAttrs. With a template in it nothing else counts (RFC 9908 section 4); without one
 * the plain elements do. Unknown elements, and an extensionRequest that holds an OID (the flawed
 * example of RFC 7030 section 4.5.2), are counted among the others. An empty SEQUENCE is no wish
 * at all. ESTC_E_MALFORMED for what cannot be decoded, for two wishes for the key, for an
 * extension named twice, for two lists of extensions, and for more than ESTC_CSRATTRS_MAX of
 * anything.
 */
int estc_csrattrs_decode(const void *der, size_t len, struct estc_csrattrs *out,
                         struct estc_error *err);

enum estc_csrattrs_form {
    ESTC_CSRATTRS_PLAIN,    /* the elements of RFC 8951: for every client */
    ESTC_CSRATTRS_TEMPLATE, /* the template of RFC 9908 alone */
    ESTC_CSRATTRS_BOTH,     /* both; who knows templates reads the template only */
};

/*
 * Appends the DER of a CsrAttrs; 30 00 when there is no wish. Each form leaves out what it has no
 * words for: the plain one extensions that are open, the template the signature's algorithm, both
 * the others. See estc_csrattrs_can_say().
 */
int estc_csrattrs_encode(const struct estc_csrattrs *attrs, enum estc_csrattrs_form form,
                         struct estc_buf *out, struct estc_error *err);

/* Whether there is any wish; the others do not count. */
bool estc_csrattrs_any(const struct estc_csrattrs *attrs);

/* Whether the form loses no wish; ESTC_E_CONFIG with the wish in the text when it does. */
int estc_csrattrs_can_say(const struct estc_csrattrs *attrs, enum estc_csrattrs_form form,
                          struct estc_error *err);

/* Copies what they are given. 0, -ENOMEM, -E2BIG (ESTC_CSRATTRS_MAX) or -EEXIST (the extension is
 * there). value NULL: left open. */
int estc_csrattrs_add_name(struct estc_csrattrs *attrs, const ASN1_OBJECT *type,
                           const ASN1_STRING *value, bool joined);
int estc_csrattrs_add_extension(struct estc_csrattrs *attrs, const ASN1_OBJECT *oid, bool critical,
                                const ASN1_OCTET_STRING *value);
/* Replaces the wish for a key. 0, or -EINVAL for no type. */
int estc_csrattrs_set_key(struct estc_csrattrs *attrs, enum estc_key_type type);

/* Whether a key of this type is what is wished for; true without a wish. */
bool estc_key_wish_fits(const struct estc_key_wish *wish, enum estc_key_type type);

/* Whether something is left to fill in: no value, or a subjectAltName with an empty directoryName
 * or an iPAddress without bytes in it (RFC 9908 section 3.4). */
bool estc_extension_wish_is_open(const struct estc_extension_wish *wish);

/* The digest that a signature wish names: NID_sha384 for ecdsa-with-SHA384. NID_undef without a
 * wish, or when the algorithm has none of its own (Ed25519). */
int estc_csrattrs_digest(const struct estc_csrattrs *attrs);
