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

#include <estc/csr.h>
#include <estc/key.h>

#include "base/cleanup_ossl.h"
#include "base/text.h"
#include "pattern.h"
#include "pkix/csr.h"
#include "pkix/name.h"
#include "pkix/ossl.h"

#define SHOWN_MAX 128

/* --- what a request asks for --- */

/* Whether names is how we would write them, too. */
static bool is_der(const GENERAL_NAMES *names, const ASN1_OCTET_STRING *value) {
    unsigned char *der = NULL;
    int len = i2d_GENERAL_NAMES(names, &der);
    bool same = len > 0 && len == ASN1_STRING_length(value) &&
                memcmp(der, ASN1_STRING_get0_data(value), (size_t)len) == 0;
    OPENSSL_free(der);
    return same;
}

int policy_names(const X509_REQ *csr, GENERAL_NAMES **out, struct estc_error *err) {
    _cleanup(extensions_freep) STACK_OF(X509_EXTENSION) *asked = NULL;
    int rc = csr_extensions(csr, &asked, err); /* one of a kind at the most */
    if (rc)
        return rc;
    int at = X509v3_get_ext_by_NID(asked, NID_subject_alt_name, -1);
    if (at < 0) {
        *out = NULL;
        return 0;
    }
    const ASN1_OCTET_STRING *value = X509_EXTENSION_get_data(X509v3_get_ext(asked, at));
    const unsigned char *p = ASN1_STRING_get0_data(value);
    _cleanup(general_names_freep) GENERAL_NAMES *names =
        d2i_GENERAL_NAMES(NULL, &p, ASN1_STRING_length(value));
    ossl_forget();
    if (!names || !is_der(names, value))
        return estc_error_set(err, ESTC_E_MALFORMED, "subjectAltName cannot be decoded");
    if (sk_GENERAL_NAME_num(names) == 0) /* RFC 5280 section 4.2.1.6 */
        return estc_error_set(err, ESTC_E_MALFORMED, "subjectAltName is empty");
    *out = TAKE(names);
    return 0;
}

/* Who asks. */
struct claimant {
    const X509 *birth;    /* what "${...}" in patterns speaks of; NULL: it is not there */
    const X509_NAME *had; /* names that are granted already; NULL: none */
    const GENERAL_NAMES *had_sans;
};

/* --- the subject --- */

#define SUBJECT_KIND(key, member, object, what) \
    {NID_##object, offsetof(struct config_names, member)},
static const struct {
    int nid;
    size_t offset;
} subject_kinds[] = {CONFIG_SUBJECT_TABLE(SUBJECT_KIND)};
#undef SUBJECT_KIND

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

static bool had_part(const X509_NAME *had, const X509_NAME_ENTRY *wanted) {
    for (int i = 0; had && i < X509_NAME_entry_count(had); i++) {
        const X509_NAME_ENTRY *entry = X509_NAME_get_entry(had, i);
        if (OBJ_cmp(X509_NAME_ENTRY_get_object(entry), X509_NAME_ENTRY_get_object(wanted)) == 0 &&
            name_same_text(X509_NAME_ENTRY_get_data(entry), X509_NAME_ENTRY_get_data(wanted)))
            return true;
    }
    return false;
}

static int judge_subject(const struct config_rule *rule, const struct claimant *who,
                         const X509_REQ *csr, struct estc_error *err) {
    const X509_NAME *subject = X509_REQ_get_subject_name(csr);
    for (int i = 0; i < X509_NAME_entry_count(subject); i++) {
        const X509_NAME_ENTRY *entry = X509_NAME_get_entry(subject, i);
        const ASN1_OBJECT *type = X509_NAME_ENTRY_get_object(entry);
        if (had_part(who->had, entry))
            continue;
        unsigned char *text = NULL;
        int len = ASN1_STRING_to_UTF8(&text, X509_NAME_ENTRY_get_data(entry));
        int rc = 0;
        if (len <= 0 || !any_matches(subject_patterns(rule, OBJ_obj2nid(type)), (const char *)text,
                                     (size_t)len, who->birth)) {
            char kind[80] = "";
            OBJ_obj2txt(kind, sizeof(kind), type, 0);
            rc = refuse(rule, kind, text ? (const void *)text : "", len > 0 ? (size_t)len : 0, err);
        }
        OPENSSL_free(text);
        ossl_forget();
        if (rc)
            return rc;
    }
    return 0;
}

/* --- subjectAltName --- */

/* Whether it is a name that could be asked for in a configuration, too: a host name, an address, a
 * URI. What else fits into the string types is for no certificate. */
static int check_form(const GENERAL_NAME *name, struct estc_error *err) {
    _cleanup(freep) char *text = san_text(name);
    _cleanup(general_name_freep) GENERAL_NAME *same = NULL;
    struct estc_error why = {0};
    if (!text)
        return estc_error_set(err, -ENOMEM, "out of memory");
    if (estc_san_parse(text, &same, &why))
        return estc_error_set(err, ESTC_E_REJECTED, "%s", why.text);
    if (GENERAL_NAME_cmp((GENERAL_NAME *)(uintptr_t)name, same) != 0)
        return estc_error_set(err, ESTC_E_REJECTED, "subjectAltName '%s': not written like that",
                              text);
    return 0;
}

static bool address_matches(char *const *patterns, const ASN1_OCTET_STRING *address) {
    for (; patterns && *patterns; patterns++)
        if (pattern_matches_ip(*patterns, ASN1_STRING_get0_data(address),
                               (size_t)ASN1_STRING_length(address)))
            return true;
    return false;
}

static bool name_matches(const struct config_rule *rule, const GENERAL_NAME *name,
                         const X509 *birth) {
    int type = 0;
    const ASN1_STRING *value = GENERAL_NAME_get0_value(name, &type);
    if (type == GEN_IPADD)
        return address_matches(rule->ip, value);
    char *const *patterns = type == GEN_DNS     ? rule->dns
                            : type == GEN_URI   ? rule->uri
                            : type == GEN_EMAIL ? rule->email
                                                : NULL;
    return patterns && any_matches(patterns, (const char *)ASN1_STRING_get0_data(value),
                                   (size_t)ASN1_STRING_length(value), birth);
}

static int judge_names(const struct config_rule *rule, const struct claimant *who,
                       const GENERAL_NAMES *names, struct estc_error *err) {
    for (int i = 0; i < sk_GENERAL_NAME_num(names); i++) {
        const GENERAL_NAME *name = sk_GENERAL_NAME_value(names, i);
        if (san_has(who->had_sans, name))
            continue;
        int rc = check_form(name, err);
        if (rc)
            return rc;
        if (name_matches(rule, name, who->birth))
            continue;
        _cleanup(freep) char *text = san_text(name);
        return refuse(rule, "name", text ? text : "?", text ? strlen(text) : 1, err);
    }
    return 0;
}

/* --- the whole --- */

int policy_judge_key(const struct config_rule *rule, const X509_REQ *csr, struct estc_error *err) {
    enum estc_key_type type;
    if (estc_key_type_of(X509_REQ_get0_pubkey((X509_REQ *)(uintptr_t)csr), &type))
        return estc_error_set(err, ESTC_E_REJECTED, "keys of this kind are not taken");
    return config_rule_takes(rule, type)
               ? 0
               : estc_error_set(err, ESTC_E_REJECTED, "rule '%s' does not take keys of kind %s",
                                rule->name, estc_key_type_name(type));
}

int policy_judge_pop(const struct config_rule *rule, enum estc_pop pop, struct estc_error *err) {
    if (rule->pop == CONFIG_POP_OPTIONAL || pop != ESTC_POP_NONE)
        return 0;
    return estc_error_set(err, ESTC_E_REJECTED,
                          "POP linking is required by rule '%s': put the channel binding of the "
                          "connection into challengePassword (RFC 7030 section 3.5)",
                          rule->name);
}

static bool has_label(const struct config_rule *rule, const char *label) {
    return strcmp(rule->label ? rule->label : "", label) == 0;
}

bool policy_is_for(const struct config_rule *rule, const char *client_ca, const char *label) {
    return strcmp(rule->client_ca, client_ca) == 0 && has_label(rule, label);
}

int policy_label(const struct config *config, const char *label, struct estc_error *err) {
    for (size_t i = 0; i < config->rules.n; i++)
        if (!*label || has_label(config_rule_at(config, i), label))
            return 0;
    return estc_error_set(err, ESTC_E_NOT_FOUND, "there is no label '%s' here", label);
}

static int judge_rule(const struct config_rule *rule, const struct claimant *who,
                      const X509_REQ *csr, const GENERAL_NAMES *names, struct estc_error *err) {
    int rc = judge_subject(rule, who, csr, err);
    if (!rc)
        rc = judge_names(rule, who, names, err);
    return rc ? rc : policy_judge_key(rule, csr, err);
}

/* A certificate has to be about somebody. */
static int check_named(const X509_REQ *csr, const GENERAL_NAMES *names, struct estc_error *err) {
    return names || X509_NAME_entry_count(X509_REQ_get_subject_name(csr)) > 0
               ? 0
               : estc_error_set(err, ESTC_E_REJECTED, "the request has no name at all");
}

int policy_judge(const struct config *config, const char *client_ca, const X509 *birth,
                 const char *label, const X509_REQ *csr, const struct config_rule **rule,
                 struct estc_error *err) {
    _cleanup(general_names_freep) GENERAL_NAMES *names = NULL;
    int rc = policy_label(config, label, err);
    if (!rc)
        rc = policy_names(csr, &names, err);
    if (!rc)
        rc = check_named(csr, names, err);
    if (rc)
        return rc;
    const struct claimant who = {.birth = birth};
    rc = *label ? estc_error_set(err, ESTC_E_REJECTED,
                                 "no rule is for certificates of '%s' and the label '%s'",
                                 client_ca, label)
                : estc_error_set(err, ESTC_E_REJECTED,
                                 "no rule is for certificates of '%s' without a label", client_ca);
    for (size_t i = 0; i < config->rules.n; i++) {
        const struct config_rule *r = config_rule_at(config, i);
        if (!policy_is_for(r, client_ca, label))
            continue;
        rc = judge_rule(r, &who, csr, names, err);
        if (!rc)
            *rule = r;
        if (rc != ESTC_E_REJECTED)
            return rc;
    }
    return rc;
}

int policy_judge_change(const struct config_rule *rule, X509 *renewed, const X509_REQ *csr,
                        struct estc_error *err) {
    if (rule->change_names != CONF_TRUE)
        return estc_error_set(err, ESTC_E_REJECTED,
                              "a renewal changes no names (ChangeSubjectName) under rule '%s': "
                              "enroll with /sen, or have change_names = true set in the rule",
                              rule->name);
    _cleanup(general_names_freep) GENERAL_NAMES *names = NULL;
    _cleanup(general_names_freep) GENERAL_NAMES *had =
        X509_get_ext_d2i(renewed, NID_subject_alt_name, NULL, NULL);
    ossl_forget();
    const struct claimant who = {.had = X509_get_subject_name(renewed), .had_sans = had};
    int rc = policy_names(csr, &names, err);
    if (!rc)
        rc = check_named(csr, names, err);
    if (!rc)
        rc = judge_rule(rule, &who, csr, names, err);
    if (rc == ESTC_E_REJECTED)
        estc_error_prefix(err, "in a renewal, where \"${...}\" matches nothing new");
    return rc;
}
