/* SPDX-License-Identifier: BSD-2-Clause */
/* The wishes as a value: kept, copied, asked. No encoding is known here. */
#include "pkix/csrattrs.h"

#include <errno.h>
#include <stdlib.h>

#include <openssl/evp.h>
#include <openssl/objects.h>
#include <openssl/x509v3.h>

#include "base/cleanup_ossl.h"
#include "pkix/key.h"
#include "pkix/ossl.h"

void estc_csrattrs_clear(struct estc_csrattrs *attrs) {
    for (size_t i = 0; i < attrs->name_count; i++) {
        ASN1_OBJECT_free(attrs->names[i].type);
        ASN1_STRING_free(attrs->names[i].value);
    }
    for (size_t i = 0; i < attrs->extension_count; i++) {
        ASN1_OBJECT_free(attrs->extensions[i].oid);
        ASN1_OCTET_STRING_free(attrs->extensions[i].value);
    }
    for (size_t i = 0; i < attrs->other_count; i++)
        ASN1_OBJECT_free(attrs->others[i]);
    free(attrs->names);
    free(attrs->extensions);
    free(attrs->others);
    ASN1_OBJECT_free(attrs->signature);
    ASN1_OBJECT_free(attrs->key.algorithm);
    ASN1_OBJECT_free(attrs->key.curve);
    *attrs = (struct estc_csrattrs){0};
}

/* Room for one more of count items; 0, -ENOMEM or -E2BIG. */
static int grow(void **items, size_t count, size_t size) {
    if (count >= ESTC_CSRATTRS_MAX)
        return -E2BIG;
    void *more = realloc(*items, (count + 1) * size);
    if (!more)
        return -ENOMEM;
    *items = more;
    return 0;
}

int estc_csrattrs_add_name(struct estc_csrattrs *attrs, const ASN1_OBJECT *type,
                           const ASN1_STRING *value, bool joined) {
    void *items = attrs->names;
    int rc = grow(&items, attrs->name_count, sizeof(*attrs->names));
    attrs->names = items;
    if (rc)
        return rc;
    _cleanup(object_freep) ASN1_OBJECT *copy = OBJ_dup(type);
    _cleanup(asn1_string_freep) ASN1_STRING *text = value ? ASN1_STRING_dup(value) : NULL;
    if (!copy || (value && !text))
        return -ENOMEM;
    attrs->names[attrs->name_count++] =
        (struct estc_name_wish){.type = TAKE(copy), .value = TAKE(text), .joined = joined};
    return 0;
}

int estc_csrattrs_add_extension(struct estc_csrattrs *attrs, const ASN1_OBJECT *oid, bool critical,
                                const ASN1_OCTET_STRING *value) {
    for (size_t i = 0; i < attrs->extension_count; i++)
        if (OBJ_cmp(attrs->extensions[i].oid, oid) == 0)
            return -EEXIST;
    void *items = attrs->extensions;
    int rc = grow(&items, attrs->extension_count, sizeof(*attrs->extensions));
    attrs->extensions = items;
    if (rc)
        return rc;
    _cleanup(object_freep) ASN1_OBJECT *copy = OBJ_dup(oid);
    _cleanup(asn1_string_freep) ASN1_OCTET_STRING *bytes =
        value ? ASN1_OCTET_STRING_dup(value) : NULL;
    if (!copy || (value && !bytes))
        return -ENOMEM;
    attrs->extensions[attrs->extension_count++] =
        (struct estc_extension_wish){.oid = TAKE(copy), .critical = critical, .value = TAKE(bytes)};
    return 0;
}

int csrattrs_add_other(struct estc_csrattrs *attrs, const ASN1_OBJECT *oid,
                       struct estc_error *err) {
    void *items = attrs->others;
    int rc = grow(&items, attrs->other_count, sizeof(ASN1_OBJECT *));
    attrs->others = items;
    ASN1_OBJECT *copy = rc ? NULL : OBJ_dup(oid);
    if (!copy)
        return csrattrs_fail(err, rc ? rc : -ENOMEM);
    attrs->others[attrs->other_count++] = copy;
    return 0;
}

/* --- keys --- */

int estc_csrattrs_set_key(struct estc_csrattrs *attrs, enum estc_key_type type) {
    if ((unsigned)type >= ESTC_KEY_TYPE_MAX_)
        return -EINVAL;
    int curve = key_type_curve(type);
    ASN1_OBJECT_free(attrs->key.algorithm);
    ASN1_OBJECT_free(attrs->key.curve);
    attrs->key = (struct estc_key_wish){
        .algorithm = OBJ_nid2obj(curve ? NID_X9_62_id_ecPublicKey : NID_rsaEncryption),
        .curve = curve ? OBJ_nid2obj(curve) : NULL,
        .bits = curve ? 0 : key_type_bits(type),
    };
    return 0;
}

bool estc_key_wish_fits(const struct estc_key_wish *wish, enum estc_key_type type) {
    if ((unsigned)type >= ESTC_KEY_TYPE_MAX_)
        return false;
    if (!wish->algorithm)
        return true;
    int curve = key_type_curve(type);
    if (OBJ_obj2nid(wish->algorithm) != (curve ? NID_X9_62_id_ecPublicKey : NID_rsaEncryption))
        return false;
    return curve ? !wish->curve || OBJ_obj2nid(wish->curve) == curve
                 : wish->bits == 0 || wish->bits == key_type_bits(type);
}

int estc_csrattrs_digest(const struct estc_csrattrs *attrs) {
    int nid = attrs->signature ? OBJ_obj2nid(attrs->signature) : NID_undef;
    int digest = NID_undef;
    return OBJ_find_sigid_algs(nid, &digest, NULL) ? digest : nid;
}

/* --- extensions --- */

static bool is_open_name(const GENERAL_NAME *name) {
    return (name->type == GEN_IPADD && ASN1_STRING_length(name->d.iPAddress) == 0) ||
           (name->type == GEN_DIRNAME && X509_NAME_entry_count(name->d.directoryName) == 0);
}

bool estc_extension_wish_is_open(const struct estc_extension_wish *wish) {
    if (!wish->value)
        return true;
    if (OBJ_obj2nid(wish->oid) != NID_subject_alt_name)
        return false;
    const unsigned char *p = ASN1_STRING_get0_data(wish->value);
    _cleanup(general_names_freep) GENERAL_NAMES *names =
        d2i_GENERAL_NAMES(NULL, &p, ASN1_STRING_length(wish->value));
    ossl_forget();
    bool open = false;
    for (int i = 0; i < sk_GENERAL_NAME_num(names); i++)
        open = open || is_open_name(sk_GENERAL_NAME_value(names, i));
    return open;
}
