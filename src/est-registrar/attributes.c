/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * From a rule's settings to CSR attributes, and from those to a judgement. Pure: it reads no file
 * and remembers nothing, so what is announced and what is demanded come from the same place.
 */
#include "attributes.h"

#include <errno.h>
#include <string.h>

#include <openssl/x509v3.h>

#include <estc/csr.h>
#include <estc/key.h>

#include "base/cleanup_ossl.h"
#include "base/text.h"
#include "pkix/csr.h"
#include "pkix/csrattrs.h"
#include "pkix/name.h"
#include "pkix/ossl.h"

static int bad(struct estc_error *err, const char *key, const char *text, const char *why) {
    return estc_error_set(err, ESTC_E_CONFIG, "attributes.%s: '%s': %s", key, text, why);
}

/* --- from settings to wishes --- */

static bool says_the_same(const struct config_rule *rule, const struct estc_key_wish *wish) {
    for (int type = 0; type < ESTC_KEY_TYPE_MAX_; type++)
        if (config_rule_takes(rule, (enum estc_key_type)type) !=
            estc_key_wish_fits(wish, (enum estc_key_type)type))
            return false;
    return true;
}

/* There is one wish for a key (RFC 9908 section 3.2): all of a family when the rule takes those, or
 * else the first that it names. */
static int add_key(const struct config_rule *rule, struct estc_csrattrs *attrs) {
    static const int families[] = {NID_X9_62_id_ecPublicKey, NID_rsaEncryption};
    enum estc_key_type type;
    if (!rule->key_types || !*rule->key_types)
        return 0;
    for (size_t i = 0; i < sizeof(families) / sizeof(families[0]); i++) {
        const struct estc_key_wish family = {.algorithm = OBJ_nid2obj(families[i])};
        if (!says_the_same(rule, &family))
            continue;
        attrs->key = family;
        return 0;
    }
    /* A type that is none has been complained of by the reader. */
    return estc_key_type_parse(*rule->key_types, &type) ? 0 : estc_csrattrs_set_key(attrs, type);
}

static const int digests[] = {
    [CONFIG_SIGNATURE_SHA256] = NID_sha256,
    [CONFIG_SIGNATURE_SHA384] = NID_sha384,
    [CONFIG_SIGNATURE_SHA512] = NID_sha512,
};

/* With the kind of key the name of the algorithm; else that of the digest, which goes with all. */
static void add_signature(const struct config_rule *rule, struct estc_csrattrs *attrs) {
    if (rule->attributes.signature == CONFIG_SIGNATURE_ANY)
        return;
    int digest = digests[rule->attributes.signature], signature = NID_undef;
    int key = attrs->key.algorithm ? OBJ_obj2nid(attrs->key.algorithm) : NID_undef;
    if (key == NID_undef || !OBJ_find_sigid_by_algs(&signature, digest, key))
        signature = digest;
    attrs->signature = OBJ_nid2obj(signature);
}

/* "O=Example", or "serialNumber" for a part that the client fills in. */
static int add_part(const char *text, struct estc_csrattrs *attrs, struct estc_error *err) {
    static const char key[] = "subject";
    bool open = strchr(text, '=') == NULL;
    _cleanup(freep) char *whole = text_format("%s%s", text, open ? "=xx" : "");
    _cleanup(x509_name_freep) X509_NAME *name = NULL;
    if (!whole)
        return estc_error_set(err, -ENOMEM, "out of memory");
    if (estc_subject_parse(whole, &name, NULL) || X509_NAME_entry_count(name) != 1)
        return bad(err, key, text,
                   "neither TYPE=VALUE nor a TYPE alone (CN, O, serialNumber, ...)");
    const X509_NAME_ENTRY *entry = X509_NAME_get_entry(name, 0);
    int rc = estc_csrattrs_add_name(attrs, X509_NAME_ENTRY_get_object(entry),
                                    open ? NULL : X509_NAME_ENTRY_get_data(entry), false);
    return rc ? bad(err, key, text, "one too many") : 0;
}

/* "keyUsage=critical,digitalSignature" as in OpenSSL's configuration, or "extendedKeyUsage" for
 * one that the client fills in. */
static int add_extension(const char *text, struct estc_csrattrs *attrs, struct estc_error *err) {
    static const char key[] = "extensions";
    const char *value = strchr(text, '=');
    _cleanup(freep) char *name =
        text_format("%.*s", value ? (int)(value - text) : (int)strlen(text), text);
    if (!name)
        return estc_error_set(err, -ENOMEM, "out of memory");
    int nid = OBJ_sn2nid(name);
    X509V3_CTX context;
    X509V3_set_ctx(&context, NULL, NULL, NULL, NULL, 0);
    X509V3_set_ctx_nodb(&context);
    _cleanup(extension_freep) X509_EXTENSION *made =
        nid && value ? X509V3_EXT_nconf_nid(NULL, &context, nid, value + 1) : NULL;
    ossl_forget();
    if (nid == NID_undef || !X509V3_EXT_get_nid(nid))
        return bad(err, key, text, "no extension that is known, like keyUsage");
    if (value && !made)
        return bad(err, key, text, "the value is none for that extension");
    int rc = estc_csrattrs_add_extension(attrs, OBJ_nid2obj(nid),
                                         made && X509_EXTENSION_get_critical(made),
                                         made ? X509_EXTENSION_get_data(made) : NULL);
    return rc ? bad(err, key, text, rc == -EEXIST ? "named twice" : "one too many") : 0;
}

static int fill(const struct config_rule *rule, struct estc_csrattrs *attrs,
                struct estc_error *err) {
    attrs->challenge = rule->pop == CONFIG_POP_REQUIRED;
    int rc = add_key(rule, attrs);
    add_signature(rule, attrs);
    for (char *const *part = rule->attributes.subject; !rc && part && *part; part++)
        rc = add_part(*part, attrs, err);
    for (char *const *text = rule->attributes.extensions; !rc && text && *text; text++)
        rc = add_extension(*text, attrs, err);
    if (!rc && estc_csrattrs_can_say(attrs, (enum estc_csrattrs_form)rule->attributes.form, err))
        rc = estc_error_prefix(err, "attributes.form");
    return rc;
}

int attributes_of(const struct config_rule *rule, struct estc_csrattrs *out,
                  struct estc_error *err) {
    _cleanup(estc_csrattrs_clear) struct estc_csrattrs attrs = {0};
    int rc = fill(rule, &attrs, err);
    if (rc)
        return rc;
    *out = attrs;
    attrs = (struct estc_csrattrs){0};
    return 0;
}

/* --- from wishes to a judgement --- */

/* OpenSSL's short name of an OID of ours. */
static const char *spoken(const ASN1_OBJECT *oid) {
    return OBJ_nid2sn(OBJ_obj2nid(oid));
}

static int missing(struct estc_error *err, const char *kind, const char *what) {
    return estc_error_set(err, ESTC_E_REJECTED, "the request lacks what /att asks for: %s %s", kind,
                          what);
}

static int judge_signature(const struct estc_csrattrs *attrs, const X509_REQ *csr,
                           struct estc_error *err) {
    int digest = NID_undef, wanted = estc_csrattrs_digest(attrs);
    if (wanted == NID_undef ||
        (OBJ_find_sigid_algs(X509_REQ_get_signature_nid(csr), &digest, NULL) && digest == wanted))
        return 0;
    return missing(err, "a signature with", OBJ_nid2sn(wanted));
}

static bool has_part(const X509_NAME *subject, const struct estc_name_wish *wish) {
    for (int i = 0; i < X509_NAME_entry_count(subject); i++) {
        const X509_NAME_ENTRY *entry = X509_NAME_get_entry(subject, i);
        if (OBJ_cmp(X509_NAME_ENTRY_get_object(entry), wish->type) == 0 &&
            (!wish->value || name_same_text(X509_NAME_ENTRY_get_data(entry), wish->value)))
            return true;
    }
    return false;
}

static GENERAL_NAMES *names_in(const ASN1_OCTET_STRING *value) {
    const unsigned char *p = ASN1_STRING_get0_data(value);
    GENERAL_NAMES *names = d2i_GENERAL_NAMES(NULL, &p, ASN1_STRING_length(value));
    ossl_forget();
    return names;
}

/* A device may have more names than those that are given. */
static bool has_names(const ASN1_OCTET_STRING *value, const ASN1_OCTET_STRING *wished) {
    _cleanup(general_names_freep) GENERAL_NAMES *have = names_in(value);
    _cleanup(general_names_freep) GENERAL_NAMES *want = names_in(wished);
    for (int i = 0; i < sk_GENERAL_NAME_num(want); i++)
        if (!san_has(have, sk_GENERAL_NAME_value(want, i)))
            return false;
    return true;
}

static bool has_extension(const STACK_OF(X509_EXTENSION) * asked,
                          const struct estc_extension_wish *wish) {
    int at = X509v3_get_ext_by_OBJ(asked, wish->oid, -1);
    if (at < 0 || !wish->value)
        return at >= 0;
    const ASN1_OCTET_STRING *value = X509_EXTENSION_get_data(X509v3_get_ext(asked, at));
    return OBJ_obj2nid(wish->oid) == NID_subject_alt_name
               ? has_names(value, wish->value)
               : ASN1_STRING_cmp(value, wish->value) == 0;
}

static int judge_extensions(const struct estc_csrattrs *attrs, bool renewal, const X509_REQ *csr,
                            struct estc_error *err) {
    _cleanup(extensions_freep) STACK_OF(X509_EXTENSION) *asked = NULL;
    int rc = csr_extensions(csr, &asked, err);
    for (size_t i = 0; !rc && i < attrs->extension_count; i++) {
        const struct estc_extension_wish *wish = &attrs->extensions[i];
        bool kept = renewal && OBJ_obj2nid(wish->oid) == NID_subject_alt_name;
        if (!kept && !has_extension(asked, wish))
            rc = missing(err, "extension", spoken(wish->oid));
    }
    return rc;
}

int attributes_judge(const struct config_rule *rule, enum estc_op op, bool renewal,
                     const X509_REQ *csr, struct estc_error *err) {
    if (rule->attributes.demand != CONF_TRUE)
        return 0;
    _cleanup(estc_csrattrs_clear) struct estc_csrattrs attrs = {0};
    bool own_key = op == ESTC_OP_SEN || op == ESTC_OP_SREN; /* else the signature means nothing */
    int rc = attributes_of(rule, &attrs, err);
    if (!rc && own_key)
        rc = judge_signature(&attrs, csr, err);
    const X509_NAME *subject = X509_REQ_get_subject_name(csr);
    for (size_t i = 0; !rc && !renewal && i < attrs.name_count; i++)
        if (!has_part(subject, &attrs.names[i]))
            rc = missing(err, "in the subject,", spoken(attrs.names[i].type));
    return rc ? rc : judge_extensions(&attrs, renewal, csr, err);
}
