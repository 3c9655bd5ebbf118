/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Reads lists of extensions, and the template of RFC 9908 section 3.4: a CertificationRequestInfo
 * in which the subject, the key and values may be absent. OpenSSL's decoders refuse a name without
 * a value, so it is taken apart here.
 */
#include "pkix/csrattrs.h"

#include <errno.h>
#include <string.h>

#include <openssl/objects.h>

#include "base/cleanup_ossl.h"

/* --- extensions --- */

static int read_extension(struct estc_csrattrs *attrs, const struct der_item *item,
                          bool open_allowed, struct estc_error *err) {
    struct der in = item->content;
    struct der_item type, flag = {0}, octets;
    if (item->id != DER_SEQUENCE || !der_take(&in, DER_OID, &type))
        return csrattrs_bad(err, "an extension without an OID");
    _cleanup(object_freep) ASN1_OBJECT *oid = der_oid(&type);
    bool flagged = der_take(&in, DER_BOOLEAN, &flag);
    bool given = der_take(&in, DER_OCTET_STRING, &octets);
    if (!oid || in.len > 0 || (flagged && flag.content.len != 1) || (!given && !open_allowed))
        return csrattrs_bad(err, "a broken extension");
    _cleanup(asn1_string_freep) ASN1_OCTET_STRING *value = given ? ASN1_OCTET_STRING_new() : NULL;
    if (given &&
        (!value || !ASN1_OCTET_STRING_set(value, octets.content.at, (int)octets.content.len)))
        return csrattrs_fail(err, -ENOMEM);
    return csrattrs_fail(
        err, estc_csrattrs_add_extension(attrs, oid, flagged && flag.content.at[0] != 0, value));
}

int csrattrs_read_extensions(struct estc_csrattrs *attrs,
                             const struct csrattrs_attribute *attribute, bool open_allowed,
                             struct estc_error *err) {
    struct der values = attribute->values, list;
    struct der_item item;
    if (!der_next(&values, &item))
        return csrattrs_bad(err, "a request for extensions without any");
    /* RFC 7030's own example puts an OID here, which means nothing (RFC 9908 section 5.2). */
    if (item.id == DER_OID && !open_allowed)
        return csrattrs_add_other(attrs, attribute->type, err);
    if (attrs->extension_count > 0 || values.len > 0)
        return csrattrs_bad(err, "two lists of extensions");
    if (item.id != DER_SEQUENCE || item.content.len == 0)
        return csrattrs_bad(err, "a list of extensions that is none");
    list = item.content;
    /* The text of RFC 9908 section 3.4 asks for one ExtensionTemplate in the SET, its ASN.1 for a
     * list of them: both are read. */
    if (open_allowed && list.at[0] == DER_OID)
        return read_extension(attrs, &item, true, err);
    int rc = 0;
    while (!rc && list.len > 0)
        rc = der_next(&list, &item) ? read_extension(attrs, &item, open_allowed, err)
                                    : csrattrs_bad(err, "a broken list of extensions");
    return rc;
}

/* --- the parts of a template --- */

static int read_part(struct estc_csrattrs *attrs, const struct der_item *part, bool joined,
                     struct estc_error *err) {
    struct der in = part->content;
    struct der_item type, item;
    if (part->id != DER_SEQUENCE || !der_take(&in, DER_OID, &type))
        return csrattrs_bad(err, "template: a part of the subject without a type");
    _cleanup(object_freep) ASN1_OBJECT *oid = der_oid(&type);
    _cleanup(asn1_string_freep) ASN1_STRING *value = NULL;
    if (!oid)
        return csrattrs_bad(err, "template: a broken OID");
    if (in.len > 0) {
        if (!der_next(&in, &item) || in.len > 0)
            return csrattrs_bad(err, "template: a broken part of the subject");
        value = csrattrs_string(&item);
        if (!value)
            return csrattrs_add_other(attrs, oid, err);
    }
    return csrattrs_fail(err, estc_csrattrs_add_name(attrs, oid, value, joined));
}

static int read_subject(struct estc_csrattrs *attrs, struct der in, struct estc_error *err) {
    struct der_item rdn, part;
    int rc = 0;
    while (!rc && in.len > 0) {
        if (!der_take(&in, DER_SET, &rdn) || rdn.content.len == 0)
            return csrattrs_bad(err, "template: a broken subject");
        bool joined = false;
        while (!rc && rdn.content.len > 0) {
            size_t before = attrs->name_count;
            rc = der_next(&rdn.content, &part) ? read_part(attrs, &part, joined, err)
                                               : csrattrs_bad(err, "template: a broken subject");
            joined = joined || attrs->name_count > before;
        }
    }
    return rc;
}

/* The size of an RSA key is that of a placeholder. */
static bool read_placeholder(const struct der_item *bit_string, unsigned *bits) {
    struct der in = bit_string->content;
    struct der_item key, modulus;
    size_t n = 0;
    if (in.len == 0 || in.at[0] != 0) /* unused bits */
        return false;
    in.at++;
    in.len--;
    if (!der_take(&in, DER_SEQUENCE, &key) || in.len > 0 ||
        !der_take(&key.content, DER_INTEGER, &modulus) || !der_bits(&modulus, &n) || n == 0)
        return false;
    *bits = (unsigned)n;
    return true;
}

static int read_key(struct estc_csrattrs *attrs, struct der in, struct estc_error *err) {
    struct der_item algorithm, type, parameter = {0}, key;
    if (!der_take(&in, DER_SEQUENCE, &algorithm) || !der_take(&algorithm.content, DER_OID, &type))
        return csrattrs_bad(err, "template: a key without an algorithm");
    attrs->key.algorithm = der_oid(&type);
    if (!attrs->key.algorithm)
        return csrattrs_bad(err, "template: a broken OID");
    bool ec = OBJ_obj2nid(attrs->key.algorithm) == NID_X9_62_id_ecPublicKey;
    bool rsa = OBJ_obj2nid(attrs->key.algorithm) == NID_rsaEncryption;
    if (algorithm.content.len > 0 &&
        (!der_next(&algorithm.content, &parameter) || algorithm.content.len > 0))
        return csrattrs_bad(err, "template: broken parameters of the key");
    if (ec && parameter.id) {
        attrs->key.curve = der_oid(&parameter);
        if (!attrs->key.curve)
            return csrattrs_bad(err, "template: a curve that is not named by an OID");
    }
    if (der_take(&in, DER_BIT_STRING, &key) && rsa && !read_placeholder(&key, &attrs->key.bits))
        return csrattrs_bad(err, "template: the placeholder for the RSA key is none");
    return in.len == 0 ? 0 : csrattrs_bad(err, "template: a broken key");
}

/* The channel binding has no place of its own; the attribute in an empty form asks for it. */
static int read_attributes(struct estc_csrattrs *attrs, struct der in, struct estc_error *err) {
    bool listed = false;
    while (in.len > 0) {
        struct der_item item;
        _cleanup(csrattrs_attribute_clear) struct csrattrs_attribute attribute = {0};
        if (!der_next(&in, &item) || !csrattrs_read_attribute(&item, &attribute))
            return csrattrs_bad(err, "template: a broken attribute");
        int rc = 0;
        bool open = csrattrs_is(attribute.type, CSRATTRS_EXTENSIONS_OID);
        if (open || OBJ_obj2nid(attribute.type) == NID_ext_req) {
            if (listed)
                return csrattrs_bad(err, "two lists of extensions");
            listed = true;
            rc = csrattrs_read_extensions(attrs, &attribute, open, err);
        } else if (OBJ_obj2nid(attribute.type) == NID_pkcs9_challengePassword) {
            attrs->challenge = true;
        } else {
            rc = csrattrs_add_other(attrs, attribute.type, err);
        }
        if (rc)
            return rc;
    }
    return 0;
}

int csrattrs_read_template(struct estc_csrattrs *attrs, struct der values, struct estc_error *err) {
    struct der_item info, version, item;
    unsigned number = 0;
    if (!der_take(&values, DER_SEQUENCE, &info) || values.len > 0)
        return csrattrs_bad(err, "template: not one SEQUENCE");
    struct der in = info.content;
    if (!der_take(&in, DER_INTEGER, &version) || !der_unsigned(&version, &number) || number != 0)
        return csrattrs_bad(err, "template: not of version 1");
    int rc = 0;
    if (der_take(&in, DER_SEQUENCE, &item))
        rc = read_subject(attrs, item.content, err);
    if (!rc && der_take(&in, DER_CONTEXT_0, &item))
        rc = read_key(attrs, item.content, err);
    if (rc)
        return rc;
    if (!der_take(&in, DER_CONTEXT_1, &item) || in.len > 0)
        return csrattrs_bad(err, "template: without attributes, or with more behind them");
    return read_attributes(attrs, item.content, err);
}
