/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The decision, and the reason for a refusal. Names of kinds that a rule has no patterns for are
 * refused: what nobody thought of is not granted. Opens nothing, remembers nothing.
 */
#include "policy.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>

#include <openssl/x509v3.h>

#include <estc/key.h>

#include "base/cleanup_ossl.h"
#include "base/text.h"
#include "pattern.h"

static void extensions_freep(STACK_OF(X509_EXTENSION) * *list) {
    sk_X509_EXTENSION_pop_free(*list, X509_EXTENSION_free);
}

#define SHOWN_MAX 128

/* --- what a request asks for --- */

int policy_san(const X509_REQ *csr, ASN1_OCTET_STRING **out, struct estc_error *err) {
    _cleanup(extensions_freep) STACK_OF(X509_EXTENSION) *asked =
        X509_REQ_get_extensions((X509_REQ *)(uintptr_t)csr);
    int at = X509v3_get_ext_by_NID(asked, NID_subject_alt_name, -1);
    if (at >= 0 && X509v3_get_ext_by_NID(asked, NID_subject_alt_name, at) >= 0)
        return estc_error_set(err, ESTC_E_MALFORMED, "subjectAltName stands twice in the request");
    ASN1_OCTET_STRING *san = NULL;
    if (at >= 0) {
        san = ASN1_OCTET_STRING_dup(X509_EXTENSION_get_data(X509v3_get_ext(asked, at)));
        if (!san)
            return estc_error_set(err, -ENOMEM, "out of memory");
    }
    *out = san;
    return 0;
}

/* --- the subject --- */

static const struct {
    int nid;
    size_t offset;
} subject_kinds[] = {
    {NID_commonName, offsetof(struct config_names, cn)},
    {NID_organizationName, offsetof(struct config_names, o)},
    {NID_organizationalUnitName, offsetof(struct config_names, ou)},
    {NID_countryName, offsetof(struct config_names, c)},
    {NID_stateOrProvinceName, offsetof(struct config_names, st)},
    {NID_localityName, offsetof(struct config_names, l)},
    {NID_serialNumber, offsetof(struct config_names, serial_number)},
    {NID_domainComponent, offsetof(struct config_names, dc)},
    {NID_userId, offsetof(struct config_names, uid)},
};

static char *const *subject_patterns(const struct config_rule *rule, int nid) {
    for (size_t i = 0; i < sizeof(subject_kinds) / sizeof(subject_kinds[0]); i++)
        if (subject_kinds[i].nid == nid)
            return *(char **const *)(const void *)((const char *)&rule->subject +
                                                   subject_kinds[i].offset);
    return NULL;
}

static bool any_matches(char *const *patterns, const char *text, size_t len, const X509 *birth) {
    for (; patterns && *patterns; patterns++)
        if (pattern_matches(*patterns, text, len, birth))
            return true;
    return false;
}

static int refuse(const struct config_rule *rule, const char *kind, const void *text, size_t len,
                  struct estc_error *err) {
    _cleanup(freep) char *shown = text_clean(text, len, SHOWN_MAX);
    return estc_error_set(err, ESTC_E_REJECTED, "%s '%s' matches no pattern of rule '%s'", kind,
                          shown ? shown : "?", rule->name);
}

static int judge_subject(const struct config_rule *rule, const X509 *birth, const X509_REQ *csr,
                         struct estc_error *err) {
    const X509_NAME *subject = X509_REQ_get_subject_name(csr);
    for (int i = 0; i < X509_NAME_entry_count(subject); i++) {
        const X509_NAME_ENTRY *entry = X509_NAME_get_entry(subject, i);
        char kind[80] = "";
        OBJ_obj2txt(kind, sizeof(kind), X509_NAME_ENTRY_get_object(entry), 0);
        int nid = OBJ_obj2nid(X509_NAME_ENTRY_get_object(entry));
        unsigned char *text = NULL;
        int len = ASN1_STRING_to_UTF8(&text, X509_NAME_ENTRY_get_data(entry));
        bool good = len > 0 && any_matches(subject_patterns(rule, nid), (const char *)text,
                                           (size_t)len, birth);
        int rc = good ? 0
                      : refuse(rule, kind, text ? (const void *)text : "",
                               len > 0 ? (size_t)len : 0, err);
        OPENSSL_free(text);
        if (rc)
            return rc;
    }
    return 0;
}

/* --- subjectAltName --- */

static int judge_text(const struct config_rule *rule, const char *kind, char *const *patterns,
                      const ASN1_STRING *value, const X509 *birth, struct estc_error *err) {
    const char *text = (const char *)ASN1_STRING_get0_data(value);
    size_t len = (size_t)ASN1_STRING_length(value);
    return any_matches(patterns, text, len, birth) ? 0 : refuse(rule, kind, text, len, err);
}

static int judge_ip(const struct config_rule *rule, const ASN1_STRING *value,
                    struct estc_error *err) {
    const unsigned char *address = ASN1_STRING_get0_data(value);
    size_t len = (size_t)ASN1_STRING_length(value);
    for (char *const *pattern = rule->ip; pattern && *pattern; pattern++)
        if (pattern_matches_ip(*pattern, address, len))
            return 0;
    _cleanup(freep) char *hex = text_hex(address, len > 16 ? 16 : len);
    return refuse(rule, "IP address", hex ? hex : "", hex ? strlen(hex) : 0, err);
}

static int judge_name(const struct config_rule *rule, const GENERAL_NAME *name, const X509 *birth,
                      struct estc_error *err) {
    int type = 0;
    const void *value = GENERAL_NAME_get0_value(name, &type);
    switch (type) {
    case GEN_DNS:
        return judge_text(rule, "DNS name", rule->dns, value, birth, err);
    case GEN_URI:
        return judge_text(rule, "URI", rule->uri, value, birth, err);
    case GEN_EMAIL:
        return judge_text(rule, "email address", rule->email, value, birth, err);
    case GEN_IPADD:
        return judge_ip(rule, value, err);
    default:
        return estc_error_set(err, ESTC_E_REJECTED,
                              "a subjectAltName is of a kind that rule '%s' does not grant",
                              rule->name);
    }
}

static int judge_san(const struct config_rule *rule, const X509 *birth, const X509_REQ *csr,
                     struct estc_error *err) {
    ASN1_OCTET_STRING *der = NULL;
    int rc = policy_san(csr, &der, err);
    if (rc || !der)
        return rc;
    const unsigned char *p = ASN1_STRING_get0_data(der);
    const unsigned char *end = p + ASN1_STRING_length(der);
    _cleanup(general_names_freep) GENERAL_NAMES *names =
        d2i_GENERAL_NAMES(NULL, &p, ASN1_STRING_length(der));
    if (!names || p != end)
        rc = estc_error_set(err, ESTC_E_MALFORMED, "subjectAltName cannot be decoded");
    for (int i = 0; !rc && i < sk_GENERAL_NAME_num(names); i++)
        rc = judge_name(rule, sk_GENERAL_NAME_value(names, i), birth, err);
    ASN1_OCTET_STRING_free(der);
    return rc;
}

/* --- the whole --- */

int policy_judge_key(const struct config_rule *rule, const X509_REQ *csr, struct estc_error *err) {
    enum estc_key_type type;
    if (estc_key_type_of(X509_REQ_get0_pubkey((X509_REQ *)(uintptr_t)csr), &type))
        return estc_error_set(err, ESTC_E_REJECTED, "keys of this kind are not taken");
    for (char *const *name = rule->key_types; name && *name; name++)
        if (strcmp(*name, estc_key_type_name(type)) == 0)
            return 0;
    return rule->key_types
               ? estc_error_set(err, ESTC_E_REJECTED, "rule '%s' does not take keys of kind %s",
                                rule->name, estc_key_type_name(type))
               : 0;
}

/* A certificate has to be about somebody. */
static int judge_presence(const X509_REQ *csr, struct estc_error *err) {
    ASN1_OCTET_STRING *san = NULL;
    int rc = policy_san(csr, &san, err);
    if (!rc && !san && X509_NAME_entry_count(X509_REQ_get_subject_name(csr)) == 0)
        rc = estc_error_set(err, ESTC_E_REJECTED, "the request has no name at all");
    ASN1_OCTET_STRING_free(san);
    return rc;
}

static bool has_label(const struct config_rule *rule, const char *label) {
    return strcmp(rule->label ? rule->label : "", label) == 0;
}

int policy_label(const struct config *config, const char *label, struct estc_error *err) {
    for (size_t i = 0; i < config->rules.n; i++)
        if (!*label || has_label(config_rule_at(config, i), label))
            return 0;
    return estc_error_set(err, ESTC_E_NOT_FOUND, "there is no label '%s' here", label);
}

int policy_judge(const struct config *config, const char *client_ca, const X509 *birth,
                 const char *label, const X509_REQ *csr, const struct config_rule **rule,
                 struct estc_error *err) {
    int rc = policy_label(config, label, err);
    if (!rc)
        rc = judge_presence(csr, err);
    if (rc)
        return rc;
    rc = estc_error_set(err, ESTC_E_REJECTED,
                        "no rule is for certificates of '%s' and the label '%s'", client_ca, label);
    for (size_t i = 0; i < config->rules.n; i++) {
        const struct config_rule *r = config_rule_at(config, i);
        if (strcmp(r->client_ca, client_ca) != 0 || !has_label(r, label))
            continue;
        rc = judge_subject(r, birth, csr, err);
        if (!rc)
            rc = judge_san(r, birth, csr, err);
        if (!rc)
            rc = policy_judge_key(r, csr, err);
        if (!rc) {
            *rule = r;
            return 0;
        }
        if (rc != ESTC_E_REJECTED)
            return rc;
    }
    return rc;
}
