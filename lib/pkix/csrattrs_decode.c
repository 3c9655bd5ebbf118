/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Reads a CsrAttrs: a template if there is one, and the plain elements of RFC 8951 otherwise. Never
 * recurses; what it does not know it counts, and what could be read in two ways it refuses.
 */
#include "pkix/csrattrs.h"

#include <errno.h>

#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/objects.h>

#include "base/cleanup_ossl.h"
#include "pkix/name.h"
#include "pkix/ossl.h"

int csrattrs_bad(struct estc_error *err, const char *what) {
    ossl_forget();
    return estc_error_set(err, ESTC_E_MALFORMED, "CSR attributes: %s", what);
}

int csrattrs_fail(struct estc_error *err, int rc) {
    if (rc == -E2BIG)
        return csrattrs_bad(err, "more wishes than anybody can have");
    if (rc == -EEXIST)
        return csrattrs_bad(err, "an extension is named twice");
    return rc ? estc_error_set(err, rc, "out of memory") : 0;
}

bool csrattrs_is(const ASN1_OBJECT *oid, const char *dotted) {
    ASN1_OBJECT *other = OBJ_txt2obj(dotted, 1);
    bool same = other && OBJ_cmp(oid, other) == 0;
    ASN1_OBJECT_free(other);
    return same;
}

void csrattrs_attribute_clear(struct csrattrs_attribute *attribute) {
    ASN1_OBJECT_free(attribute->type);
    attribute->type = NULL;
}

bool csrattrs_read_attribute(const struct der_item *item, struct csrattrs_attribute *out) {
    struct der in = item->content;
    struct der_item type, set;
    if (item->id != DER_SEQUENCE || !der_take(&in, DER_OID, &type) ||
        !der_take(&in, DER_SET, &set) || in.len > 0)
        return false;
    out->type = der_oid(&type);
    out->values = set.content;
    return out->type != NULL;
}

/* --- what the OIDs mean --- */

static bool is_key_algorithm(int nid) {
    static const int nids[] = {NID_X9_62_id_ecPublicKey,
                               NID_rsaEncryption,
                               NID_rsassaPss,
                               NID_ED25519,
                               NID_ED448,
                               NID_dsa};
    for (size_t i = 0; i < sizeof(nids) / sizeof(nids[0]); i++)
        if (nids[i] == nid)
            return true;
    return false;
}

static bool is_curve(int nid) {
    EC_builtin_curve curves[128];
    size_t n = EC_get_builtin_curves(curves, sizeof(curves) / sizeof(curves[0]));
    for (size_t i = 0; i < n && i < sizeof(curves) / sizeof(curves[0]); i++)
        if (curves[i].nid == nid)
            return true;
    return false;
}

/* An algorithm to sign with, or a digest alone as in RFC 7030 A.2. Ed25519 is its own key. */
static bool is_signature(int nid) {
    bool known = nid != NID_undef &&
                 (OBJ_find_sigid_algs(nid, NULL, NULL) || EVP_get_digestbynid(nid) != NULL);
    ossl_forget();
    return known;
}

/* Takes the oid. One key, or none: a client cannot make two. */
static int want_key(struct estc_csrattrs *attrs, ASN1_OBJECT **algorithm, struct estc_error *err) {
    if (attrs->key.algorithm)
        return csrattrs_bad(err, "two wishes for the key");
    attrs->key.algorithm = TAKE(*algorithm);
    return 0;
}

/* The older form, RFC 7030 A.2: the curve as an element of its own. */
static int want_curve(struct estc_csrattrs *attrs, ASN1_OBJECT **curve, struct estc_error *err) {
    if (attrs->key.curve ||
        (attrs->key.algorithm && OBJ_obj2nid(attrs->key.algorithm) != NID_X9_62_id_ecPublicKey))
        return csrattrs_bad(err, "two wishes for the key");
    if (!attrs->key.algorithm)
        attrs->key.algorithm = OBJ_nid2obj(NID_X9_62_id_ecPublicKey);
    attrs->key.curve = TAKE(*curve);
    return 0;
}

/* Several may be offered, one for each kind of key; the first counts. */
static int want_signature(struct estc_csrattrs *attrs, ASN1_OBJECT **oid, struct estc_error *err) {
    if (attrs->signature)
        return csrattrs_add_other(attrs, *oid, err);
    attrs->signature = TAKE(*oid);
    return 0;
}

/* --- plain elements --- */

static int read_oid(struct estc_csrattrs *attrs, const struct der_item *item,
                    struct estc_error *err) {
    _cleanup(object_freep) ASN1_OBJECT *oid = der_oid(item);
    if (!oid)
        return csrattrs_bad(err, "a broken OID");
    int nid = OBJ_obj2nid(oid);
    if (nid == NID_pkcs9_challengePassword) {
        attrs->challenge = true;
        return 0;
    }
    if (is_key_algorithm(nid))
        return want_key(attrs, &oid, err);
    if (is_curve(nid))
        return want_curve(attrs, &oid, err);
    if (is_signature(nid))
        return want_signature(attrs, &oid, err);
    if (name_is_type(oid))
        return csrattrs_fail(err, estc_csrattrs_add_name(attrs, oid, NULL, false));
    return csrattrs_add_other(attrs, oid, err);
}

/* RFC 9908 section 3.2: typed by the key's algorithm; a curve's OID, a number of bits, or nothing
 * in an empty SET, whatever its ASN.1 says about one at least. */
static int read_key(struct estc_csrattrs *attrs, struct csrattrs_attribute *attribute,
                    struct estc_error *err) {
    struct der values = attribute->values;
    struct der_item item = {0};
    bool ec = OBJ_obj2nid(attribute->type) == NID_X9_62_id_ecPublicKey;
    int rc = want_key(attrs, &attribute->type, err);
    if (rc || values.len == 0)
        return rc;
    if (!der_next(&values, &item) || values.len > 0)
        return csrattrs_bad(err, "a wish for a key with several parameters");
    if (ec)
        attrs->key.curve = der_oid(&item);
    if (ec ? attrs->key.curve != NULL
           : (item.id == DER_NULL || der_unsigned(&item, &attrs->key.bits)))
        return 0;
    return csrattrs_bad(err, "a wish for a key that is neither a curve nor a size");
}

ASN1_STRING *csrattrs_string(const struct der_item *item) {
    static const int types[] = {
        V_ASN1_UTF8STRING, V_ASN1_PRINTABLESTRING, V_ASN1_IA5STRING,       V_ASN1_T61STRING,
        V_ASN1_BMPSTRING,  V_ASN1_NUMERICSTRING,   V_ASN1_UNIVERSALSTRING, V_ASN1_VISIBLESTRING};
    for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
        if ((unsigned)types[i] != item->id)
            continue;
        ASN1_STRING *string = ASN1_STRING_type_new(types[i]);
        if (string && ASN1_STRING_set(string, item->content.at, (int)item->content.len))
            return string;
        ASN1_STRING_free(string);
    }
    return NULL;
}

static int read_name(struct estc_csrattrs *attrs, const struct csrattrs_attribute *attribute,
                     struct estc_error *err) {
    struct der values = attribute->values;
    struct der_item item;
    _cleanup(asn1_string_freep) ASN1_STRING *value = NULL;
    if (values.len > 0) {
        value = der_next(&values, &item) && values.len == 0 ? csrattrs_string(&item) : NULL;
        if (!value)
            return csrattrs_add_other(attrs, attribute->type, err);
    }
    return csrattrs_fail(err, estc_csrattrs_add_name(attrs, attribute->type, value, false));
}

static int read_attribute(struct estc_csrattrs *attrs, struct csrattrs_attribute *attribute,
                          struct estc_error *err) {
    int nid = OBJ_obj2nid(attribute->type);
    if (nid == NID_pkcs9_challengePassword) {
        attrs->challenge = true;
        return 0;
    }
    if (nid == NID_ext_req)
        return csrattrs_read_extensions(attrs, attribute, false, err);
    if (is_key_algorithm(nid))
        return read_key(attrs, attribute, err);
    if (is_signature(nid))
        return want_signature(attrs, &attribute->type, err);
    if (name_is_type(attribute->type))
        return read_name(attrs, attribute, err);
    return csrattrs_add_other(attrs, attribute->type, err);
}

static int read_plain(struct estc_csrattrs *attrs, struct der in, struct estc_error *err) {
    int rc = 0;
    struct der_item item;
    while (!rc && der_next(&in, &item)) {
        _cleanup(csrattrs_attribute_clear) struct csrattrs_attribute attribute = {0};
        rc = item.id == DER_OID                           ? read_oid(attrs, &item, err)
             : csrattrs_read_attribute(&item, &attribute) ? read_attribute(attrs, &attribute, err)
                                                          : csrattrs_bad(err, "an element is "
                                                                              "neither an OID nor "
                                                                              "an attribute");
    }
    return rc;
}

/* --- the whole --- */

/* Walks all elements, so that nothing broken hides behind a template. *values is that of the
 * template, at NULL when there is none. */
static int find_template(struct der in, struct der *values, struct estc_error *err) {
    struct der_item item;
    *values = (struct der){0};
    while (in.len > 0) {
        if (!der_next(&in, &item))
            return csrattrs_bad(err, "broken DER");
        _cleanup(csrattrs_attribute_clear) struct csrattrs_attribute attribute = {0};
        if (!csrattrs_read_attribute(&item, &attribute) ||
            !csrattrs_is(attribute.type, CSRATTRS_TEMPLATE_OID))
            continue;
        if (values->at)
            return csrattrs_bad(err, "two templates");
        *values = attribute.values;
    }
    return 0;
}

int estc_csrattrs_decode(const void *der, size_t len, struct estc_csrattrs *out,
                         struct estc_error *err) {
    struct der in = {der, len}, template;
    struct der_item sequence;
    if (len > ESTC_CSRATTRS_BYTES_MAX)
        return csrattrs_bad(err, "too large");
    if (!der_take(&in, DER_SEQUENCE, &sequence))
        return csrattrs_bad(err, len ? "not a SEQUENCE in DER" : "empty");
    if (in.len > 0)
        return csrattrs_bad(err, "bytes left over behind them");
    int rc = find_template(sequence.content, &template, err);
    if (rc)
        return rc;
    _cleanup(estc_csrattrs_clear) struct estc_csrattrs attrs = {.from_template =
                                                                    template.at != NULL};
    rc = template.at ? csrattrs_read_template(&attrs, template, err)
                     : read_plain(&attrs, sequence.content, err);
    if (rc)
        return rc;
    *out = attrs;
    attrs = (struct estc_csrattrs){0};
    return 0;
}
