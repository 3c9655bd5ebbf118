/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Follows wishes for names: parts of the subject and subjectAltName, given or left open (RFC 9908
 * section 3.4). What is configured already fulfils a wish under any policy; what a server dictates
 * needs "names" in it; and a renewal keeps the names that it has (RFC 7030 section 4.2.2).
 */
#include "est/wishes_internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/x509v3.h>

#include <estc/csr.h>

#include "base/cleanup_ossl.h"
#include "base/text.h"
#include "pkix/name.h"
#include "pkix/ossl.h"

#define SHOWN_MAX 128
#define SAN_TEXT "subjectAltName"

/* --- parts of a subject --- */

static char *string_text(const ASN1_STRING *string) {
    unsigned char *utf8 = NULL;
    int len = ASN1_STRING_to_UTF8(&utf8, string);
    ossl_forget();
    char *text = len < 0 ? text_format("?") : text_clean(utf8, (size_t)len, SHOWN_MAX);
    OPENSSL_free(utf8);
    return text;
}

static char *part_text(const struct estc_name_wish *wish) {
    _cleanup(freep) char *type = wishes_oid_text(wish->type);
    _cleanup(freep) char *value = wish->value ? string_text(wish->value) : text_format("?");
    return type && value ? text_format("%s=%s", type, value) : NULL;
}

/* A subject whose parts are used up by wishes. */
struct stock {
    const X509_NAME *name;        /* NULL: empty */
    bool used[ESTC_CSRATTRS_MAX]; /* those beyond it are never taken */
};

/* The first unused part of the wish's type, and of its value when it has one; -1 without any. */
static int stock_find(const struct stock *stock, const struct estc_name_wish *wish) {
    int n = stock->name ? X509_NAME_entry_count(stock->name) : 0;
    for (int i = 0; i < n && i < ESTC_CSRATTRS_MAX; i++) {
        const X509_NAME_ENTRY *entry = X509_NAME_get_entry(stock->name, i);
        if (!stock->used[i] && OBJ_cmp(X509_NAME_ENTRY_get_object(entry), wish->type) == 0 &&
            (!wish->value || name_same_text(X509_NAME_ENTRY_get_data(entry), wish->value)))
            return i;
    }
    return -1;
}

static const ASN1_STRING *stock_take(struct stock *stock, int i) {
    stock->used[i] = true;
    return X509_NAME_ENTRY_get_data(X509_NAME_get_entry(stock->name, i));
}

/* What one wish came to: the value that stands for it, or NULL. */
struct outcome {
    const ASN1_STRING *value;
    bool ours; /* it was configured */
};

static int follow_part(const struct wishes_input *in, const struct estc_name_wish *wish,
                       struct stock *configured, struct stock *own, struct outcome *out,
                       struct wishes_plan *plan) {
    _cleanup(freep) char *what = part_text(wish);
    int at = stock_find(configured, wish);
    if (!what)
        return -ENOMEM;
    if (at >= 0) {
        *out = (struct outcome){stock_take(configured, at), true};
        return wishes_say(plan, true, "as it is", "subject %s", what);
    }
    if (in->renew)
        return wishes_say(plan, false, "a renewal keeps the names of its certificate", "subject %s",
                          what);
    if (!wishes_obeyed(in, WISHES_NAMES))
        return wishes_say(plan, false, wishes_refusal(WISHES_NAMES), "subject %s", what);
    if (wish->value) {
        out->value = wish->value;
        return wishes_say(plan, true, "", "subject %s", what);
    }
    at = stock_find(own, wish);
    if (at < 0)
        return wishes_say(plan, false, "neither the configuration nor the own certificate has one",
                          "subject %s", what);
    out->value = stock_take(own, at);
    return wishes_say(plan, true, "from the certificate that authenticates", "subject %s", what);
}

static bool append_part(X509_NAME *name, const ASN1_OBJECT *type, const ASN1_STRING *value,
                        bool joined) {
    return X509_NAME_add_entry_by_OBJ(name, type, ASN1_STRING_type(value),
                                      ASN1_STRING_get0_data(value), ASN1_STRING_length(value), -1,
                                      joined ? -1 : 0) == 1;
}

static bool append_wishes(X509_NAME *name, const struct estc_csrattrs *attrs,
                          const struct outcome *outcomes) {
    bool ok = true, joinable = false;
    for (size_t i = 0; ok && i < attrs->name_count; i++) {
        joinable = joinable && attrs->names[i].joined;
        if (!outcomes[i].value)
            continue;
        ok = append_part(name, attrs->names[i].type, outcomes[i].value, joinable);
        joinable = true;
    }
    return ok;
}

/* Whether the server has said a value for this type, so that ours has to go. */
static bool is_dictated(const struct estc_csrattrs *attrs, const struct outcome *outcomes,
                        const ASN1_OBJECT *type) {
    for (size_t i = 0; i < attrs->name_count; i++)
        if (outcomes[i].value && !outcomes[i].ours && OBJ_cmp(attrs->names[i].type, type) == 0)
            return true;
    return false;
}

static bool append_rest(X509_NAME *name, const struct wishes_input *in,
                        const struct outcome *outcomes, const struct stock *configured) {
    bool ok = true;
    int set = -1;
    for (int i = 0; ok && i < X509_NAME_entry_count(configured->name); i++) {
        const X509_NAME_ENTRY *entry = X509_NAME_get_entry(configured->name, i);
        const ASN1_OBJECT *type = X509_NAME_ENTRY_get_object(entry);
        bool used = i < ESTC_CSRATTRS_MAX && configured->used[i];
        if (used || is_dictated(in->attrs, outcomes, type))
            continue;
        ok = append_part(name, type, X509_NAME_ENTRY_get_data(entry),
                         X509_NAME_ENTRY_set(entry) == set);
        set = X509_NAME_ENTRY_set(entry);
    }
    return ok;
}

/* A template has an order, and what it does not name comes behind it; single wishes are added to
 * what is configured. */
static int build_subject(const struct wishes_input *in, const struct outcome *outcomes,
                         const struct stock *configured, struct wishes_plan *plan) {
    _cleanup(x509_name_freep) X509_NAME *name = X509_NAME_new();
    bool wishes_first = in->attrs->from_template;
    bool ok = name && (wishes_first || append_rest(name, in, outcomes, configured)) &&
              append_wishes(name, in->attrs, outcomes) &&
              (!wishes_first || append_rest(name, in, outcomes, configured));
    ossl_forget();
    if (!ok)
        return -ENOMEM;
    plan->subject = TAKE(name);
    return 0;
}

int wishes_follow_subject(const struct wishes_input *in, struct wishes_plan *plan,
                          struct estc_error *err) {
    const struct estc_csrattrs *attrs = in->attrs;
    _cleanup(x509_name_freep) X509_NAME *configured = NULL;
    struct outcome outcomes[ESTC_CSRATTRS_MAX] = {{0}};
    bool changed = false;
    int rc = in->renew || attrs->name_count == 0
                 ? 0
                 : estc_subject_parse(in->subject ? in->subject : "", &configured, err);
    struct stock ours = {.name = in->renew ? X509_get_subject_name(in->renew) : configured};
    struct stock own = {.name = in->own};
    for (size_t i = 0; !rc && i < attrs->name_count; i++) {
        rc = follow_part(in, &attrs->names[i], &ours, &own, &outcomes[i], plan);
        changed = changed || (outcomes[i].value && !outcomes[i].ours);
    }
    return rc || !changed ? rc : build_subject(in, outcomes, &ours, plan);
}

/* --- subjectAltName --- */

static bool is_open_address(const GENERAL_NAME *name) {
    return name->type == GEN_IPADD && ASN1_STRING_length(name->d.iPAddress) == 0;
}

static bool is_open_directory(const GENERAL_NAME *name) {
    return name->type == GEN_DIRNAME && X509_NAME_entry_count(name->d.directoryName) == 0;
}

/* A copy of the name, unless there is one. */
static int add_name(GENERAL_NAMES *names, const GENERAL_NAME *name) {
    if (san_has(names, name))
        return 0;
    _cleanup(general_name_freep) GENERAL_NAME *copy =
        GENERAL_NAME_dup((GENERAL_NAME *)(uintptr_t)name);
    if (!copy || !sk_GENERAL_NAME_push(names, copy))
        return -ENOMEM;
    copy = NULL;
    return 0;
}

static int configured_names(const struct wishes_input *in, GENERAL_NAMES **out,
                            struct estc_error *err) {
    _cleanup(general_names_freep) GENERAL_NAMES *names = GENERAL_NAMES_new();
    int rc = names ? 0 : -ENOMEM;
    for (size_t i = 0; !rc && in->sans && in->sans[i]; i++) {
        _cleanup(general_name_freep) GENERAL_NAME *name = NULL;
        rc = estc_san_parse(in->sans[i], &name, err);
        if (!rc)
            rc = add_name(names, name);
    }
    if (!rc)
        *out = TAKE(names);
    return rc;
}

/* Whether what is configured has everything that is wished for. */
static bool is_fulfilled(const GENERAL_NAMES *wished, const GENERAL_NAMES *ours) {
    for (int i = 0; i < sk_GENERAL_NAME_num(wished); i++) {
        const GENERAL_NAME *name = sk_GENERAL_NAME_value(wished, i);
        bool found = !is_open_address(name) && san_has(ours, name);
        for (int k = 0; is_open_address(name) && k < sk_GENERAL_NAME_num(ours); k++)
            found = found || sk_GENERAL_NAME_value(ours, k)->type == GEN_IPADD;
        if (!found)
            return false;
    }
    return true;
}

/* The subject as it will be, in an empty directoryName; nothing when that is empty, too. */
static int fill_directory(const struct wishes_input *in, const struct wishes_plan *plan,
                          GENERAL_NAMES *names, struct estc_error *err) {
    _cleanup(x509_name_freep) X509_NAME *subject = NULL;
    int rc = 0;
    if (plan->subject)
        subject = X509_NAME_dup(plan->subject);
    else
        rc = estc_subject_parse(in->subject ? in->subject : "", &subject, err);
    if (rc || !subject)
        return rc ? rc : -ENOMEM;
    if (X509_NAME_entry_count(subject) == 0)
        return 0;
    _cleanup(general_name_freep) GENERAL_NAME *name = GENERAL_NAME_new();
    if (!name)
        return -ENOMEM;
    GENERAL_NAME_set0_value(name, GEN_DIRNAME, TAKE(subject));
    return add_name(names, name);
}

/* What is wished for, completed, and behind it what is configured besides: that fills an address
 * left open, too. */
static int complete_names(const struct wishes_input *in, const struct wishes_plan *plan,
                          const GENERAL_NAMES *wished, const GENERAL_NAMES *ours,
                          GENERAL_NAMES *out, struct estc_error *err) {
    int rc = 0;
    for (int i = 0; !rc && i < sk_GENERAL_NAME_num(wished); i++) {
        const GENERAL_NAME *name = sk_GENERAL_NAME_value(wished, i);
        if (is_open_directory(name))
            rc = fill_directory(in, plan, out, err);
        else if (!is_open_address(name))
            rc = add_name(out, name);
    }
    for (int i = 0; !rc && i < sk_GENERAL_NAME_num(ours); i++)
        rc = add_name(out, sk_GENERAL_NAME_value(ours, i));
    return rc;
}

static int replace_names(struct wishes_plan *plan, const struct estc_extension_wish *wish,
                         const GENERAL_NAMES *names) {
    unsigned char *der = NULL;
    int len = i2d_GENERAL_NAMES(names, &der);
    _cleanup(asn1_string_freep) ASN1_OCTET_STRING *value = ASN1_OCTET_STRING_new();
    bool ok = len > 0 && value && ASN1_OCTET_STRING_set(value, der, len);
    OPENSSL_free(der);
    int rc = ok ? wishes_add_extension(plan, wish->oid, wish->critical, value) : -ENOMEM;
    plan->replaces_sans = rc == 0;
    return rc;
}

static GENERAL_NAMES *wished_names(const struct estc_extension_wish *wish) {
    const unsigned char *p = ASN1_STRING_get0_data(wish->value);
    long len = ASN1_STRING_length(wish->value);
    const unsigned char *end = p + len;
    GENERAL_NAMES *names = d2i_GENERAL_NAMES(NULL, &p, len);
    ossl_forget();
    if (names && p == end && sk_GENERAL_NAME_num(names) > 0)
        return names;
    GENERAL_NAMES_free(names);
    return NULL;
}

int wishes_follow_sans(const struct wishes_input *in, const struct estc_extension_wish *wish,
                       struct wishes_plan *plan, struct estc_error *err) {
    _cleanup(general_names_freep) GENERAL_NAMES *ours = NULL;
    _cleanup(general_names_freep) GENERAL_NAMES *wished = NULL;
    _cleanup(general_names_freep) GENERAL_NAMES *all = GENERAL_NAMES_new();
    if (in->renew)
        return wishes_say(plan, false, "a renewal keeps the names of its certificate", SAN_TEXT);
    int rc = all ? configured_names(in, &ours, err) : -ENOMEM;
    if (rc)
        return rc;
    bool any = sk_GENERAL_NAME_num(ours) > 0;
    if (!wish->value)
        return wishes_say(plan, any, any ? "as it is" : "none is configured", SAN_TEXT);
    wished = wished_names(wish);
    if (!wished)
        return wishes_say(plan, false, "it cannot be decoded", SAN_TEXT);
    if (is_fulfilled(wished, ours))
        return wishes_say(plan, true, "as it is", SAN_TEXT);
    if (!wishes_obeyed(in, WISHES_NAMES))
        return wishes_say(plan, false, wishes_refusal(WISHES_NAMES), SAN_TEXT);
    rc = complete_names(in, plan, wished, ours, all, err);
    if (rc)
        return rc;
    if (sk_GENERAL_NAME_num(all) == 0)
        return wishes_say(plan, false, "there is nothing to complete it with", SAN_TEXT);
    rc = replace_names(plan, wish, all);
    return rc ? rc : wishes_say(plan, true, "completed with what is configured", SAN_TEXT);
}
