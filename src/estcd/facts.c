/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Facts of a certificate: out of the certificate (in a worker), to JSON, and back from JSON (in the
 * manager, which takes them as hostile). One table of members serves both directions, so that what
 * is written is what is read. Opens no file.
 */
#include "facts.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/x509v3.h>

#include <estc/cert.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/text.h"
#include "ctl/json.h"

#define FACTS_FORMAT 1
#define FACTS_TEXT_MAX 1024
#define FACTS_SANS_MAX 100
/* What of the names is written down, so that the whole stays readable (STORE_JSON_MAX), quotes
 * escaped and all. */
#define FACTS_SAN_WRITTEN 512
#define FACTS_SANS_WRITTEN 4000

static const struct {
    const char *name;
    size_t offset;
    bool newer; /* not in what earlier versions wrote: absent means empty */
} fact_texts[] = {
    {"subject", offsetof(struct facts, subject), false},
    {"issuer", offsetof(struct facts, issuer), false},
    {"serial", offsetof(struct facts, serial), false},
    {"sha256", offsetof(struct facts, sha256), false},
    {"key_type", offsetof(struct facts, key_type), false},
    {"request_digest", offsetof(struct facts, request_digest), false},
    {"rest_digest", offsetof(struct facts, rest_digest), true},
    {"unfit", offsetof(struct facts, unfit), true},
};

/* Dates are bounded so that whoever reckons with them need not think of overflows. */
static const struct {
    const char *name;
    size_t offset;
    int64_t min, max;
} fact_numbers[] = {
    {"not_before", offsetof(struct facts, not_before), -CLOCK_LAST, CLOCK_LAST},
    {"not_after", offsetof(struct facts, not_after), -CLOCK_LAST, CLOCK_LAST},
    {"issued_at", offsetof(struct facts, issued_at), 0, CLOCK_LAST},
    {"generation", offsetof(struct facts, generation), 1, INT64_MAX / 2},
};

#define N_OF(array) (sizeof(array) / sizeof((array)[0]))

static char **text_at(const struct facts *facts, size_t offset) {
    return (char **)(uintptr_t)((const char *)facts + offset);
}

static int64_t *number_at(const struct facts *facts, size_t offset) {
    return (int64_t *)(uintptr_t)((const char *)facts + offset);
}

void facts_trim(struct facts *facts) {
    free(facts->subject);
    free(facts->issuer);
    free(facts->key_type);
    free(facts->unfit);
    facts->subject = facts->issuer = facts->key_type = facts->unfit = NULL;
    text_list_free(facts->sans);
    facts->sans = NULL;
}

void facts_clear(struct facts *facts) {
    for (size_t i = 0; i < N_OF(fact_texts); i++)
        free(*text_at(facts, fact_texts[i].offset));
    text_list_free(facts->sans);
    *facts = (struct facts){0};
}

/* The names, as many as fit; "..." stands for those that do not. */
static int bound_sans(char *const *all, char ***out) {
    size_t used = 0;
    int rc = 0;
    for (size_t i = 0; !rc && all && all[i]; i++) {
        _cleanup(freep) char *text = text_clean(all[i], strlen(all[i]), FACTS_SAN_WRITTEN);
        used += text ? strlen(text) : 0;
        bool fits = used <= FACTS_SANS_WRITTEN && i + 1 < FACTS_SANS_MAX;
        rc = text ? text_list_add(out, fits ? text : "...") : -ENOMEM;
        if (!fits)
            break;
    }
    return rc;
}

const char *facts_usage_fault(X509 *cert) {
    uint32_t flags = X509_get_extension_flags(cert);
    if (flags & EXFLAG_XKUSAGE &&
        !(X509_get_extended_key_usage(cert) & (XKU_SSL_CLIENT | XKU_ANYEKU)))
        return "its extendedKeyUsage has no clientAuth";
    if (flags & EXFLAG_KUSAGE && !(X509_get_key_usage(cert) & KU_DIGITAL_SIGNATURE))
        return "its keyUsage has no digitalSignature";
    return NULL;
}

int facts_from_cert(X509 *cert, const char *request_digest, const char *rest_digest,
                    int64_t generation, int64_t now, struct facts *out, struct estc_error *err) {
    _cleanup(estc_cert_facts_clear) struct estc_cert_facts of_cert = {0};
    int rc = estc_cert_facts_get(cert, &of_cert, err);
    if (rc)
        return rc;
    _cleanup(freep) char *digest = strdup(request_digest);
    _cleanup(freep) char *rest = strdup(rest_digest);
    const char *fault = facts_usage_fault(cert);
    _cleanup(freep) char *unfit = strdup(fault ? fault : "");
    char **sans = NULL;
    if (!digest || !rest || !unfit || bound_sans(of_cert.sans, &sans)) {
        text_list_free(sans);
        return estc_error_set(err, -ENOMEM, "out of memory");
    }
    *out = (struct facts){
        .not_before = of_cert.not_before,
        .not_after = of_cert.not_after,
        .issued_at = now > 0 ? now : 0,
        .generation = generation,
        .subject = TAKE(of_cert.subject),
        .issuer = TAKE(of_cert.issuer),
        .serial = TAKE(of_cert.serial),
        .sha256 = TAKE(of_cert.sha256),
        .key_type = TAKE(of_cert.key_type),
        .request_digest = TAKE(digest),
        .rest_digest = TAKE(rest),
        .unfit = TAKE(unfit),
        .sans = sans,
    };
    return 0;
}

json_t *facts_to_json(const struct facts *facts) {
    _cleanup(json_freep) json_t *json = json_pack("{s:i}", "format", FACTS_FORMAT);
    json_t *sans = json_array();
    if (!json || json_object_set_new(json, "sans", sans) < 0)
        return NULL;
    for (size_t i = 0; i < text_list_len(facts->sans); i++)
        if (json_array_append_new(sans, json_string(facts->sans[i])) < 0)
            return NULL;
    for (size_t i = 0; i < N_OF(fact_texts); i++)
        if (json_object_set_new(json, fact_texts[i].name,
                                json_string(*text_at(facts, fact_texts[i].offset))) < 0)
            return NULL;
    for (size_t i = 0; i < N_OF(fact_numbers); i++)
        if (json_object_set_new(json, fact_numbers[i].name,
                                json_integer(*number_at(facts, fact_numbers[i].offset))) < 0)
            return NULL;
    return TAKE(json);
}

static int facts_bad(struct estc_error *err, const char *member) {
    return estc_error_set(err, ESTC_E_MALFORMED,
                          "facts: member '%s' is missing or not what it should be", member);
}

static int copy_text(const json_t *value, const char *member, char **out, struct estc_error *err) {
    if (!json_is_string(value) || json_string_length(value) > FACTS_TEXT_MAX)
        return facts_bad(err, member);
    *out = text_clean(json_string_value(value), json_string_length(value), FACTS_TEXT_MAX);
    return *out ? 0 : estc_error_set(err, -ENOMEM, "out of memory");
}

static int copy_sans(const json_t *list, char ***out, struct estc_error *err) {
    if (!json_is_array(list) || json_array_size(list) > FACTS_SANS_MAX)
        return facts_bad(err, "sans");
    for (size_t i = 0; i < json_array_size(list); i++) {
        _cleanup(freep) char *text = NULL;
        int rc = copy_text(json_array_get(list, i), "sans", &text, err);
        if (rc)
            return rc;
        if (text_list_add(out, text))
            return estc_error_set(err, -ENOMEM, "out of memory");
    }
    return 0;
}

int facts_from_json(const json_t *json, struct facts *out, struct estc_error *err) {
    _cleanup(facts_clear) struct facts facts = {0};
    const json_t *format = json_object_get(json, "format");
    if (!json_is_integer(format) || json_integer_value(format) != FACTS_FORMAT)
        return facts_bad(err, "format");
    for (size_t i = 0; i < N_OF(fact_texts); i++) {
        _cleanup(json_freep) json_t *none = fact_texts[i].newer ? json_string("") : NULL;
        const json_t *value = json_object_get(json, fact_texts[i].name);
        int rc = copy_text(value ? value : none, fact_texts[i].name,
                           text_at(&facts, fact_texts[i].offset), err);
        if (rc)
            return rc;
    }
    for (size_t i = 0; i < N_OF(fact_numbers); i++) {
        const json_t *value = json_object_get(json, fact_numbers[i].name);
        if (!json_is_integer(value) || json_integer_value(value) < fact_numbers[i].min ||
            json_integer_value(value) > fact_numbers[i].max)
            return facts_bad(err, fact_numbers[i].name);
        *number_at(&facts, fact_numbers[i].offset) = json_integer_value(value);
    }
    int rc = copy_sans(json_object_get(json, "sans"), &facts.sans, err);
    if (rc)
        return rc;
    *out = facts;
    facts = (struct facts){0};
    return 0;
}
