/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * est-registrar.conf through its table, then what a table cannot say: an address that is one, rules
 * that name a client CA that exists, key types and usages that are on the list.
 */
#include "config.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <estc/key.h>
#include <estc/op.h>
#include <estc/url.h>

#include "attributes.h"
#include "base/cleanup.h"
#include "base/text.h"
#include "config_upstream.h"
#include "pattern.h"

const struct config_rule *config_rule_at(const struct config *config, size_t i) {
    return (const struct config_rule *)config->rules.items + i;
}

const struct config_client_ca *config_client_ca_at(const struct config *config, size_t i) {
    return (const struct config_client_ca *)config->client_cas.items + i;
}

const struct config_rule *config_rule_find(const struct config *config, const char *name) {
    for (size_t i = 0; i < config->rules.n; i++)
        if (strcmp(config_rule_at(config, i)->name, name) == 0)
            return config_rule_at(config, i);
    return NULL;
}

bool config_rule_takes(const struct config_rule *rule, enum estc_key_type type) {
    for (char *const *name = rule->key_types; name && *name; name++)
        if (strcmp(*name, estc_key_type_name(type)) == 0)
            return true;
    return !rule->key_types;
}

bool config_needs_approval(const struct config *config) {
    for (size_t i = 0; i < config->rules.n; i++)
        if (config_rule_at(config, i)->approval != CONFIG_APPROVAL_AUTOMATIC)
            return true;
    return false;
}

static bool has_client_ca(const struct config *config, const char *name) {
    for (size_t i = 0; i < config->client_cas.n; i++)
        if (config_client_ca_at(config, i)->name &&
            strcmp(config_client_ca_at(config, i)->name, name) == 0)
            return true;
    return false;
}

/* --- what the table cannot say --- */

static void judge_usages(struct config_rule *rule, struct conf_errors *errors) {
    static const struct {
        const char *name;
        unsigned bit;
    } known[] = {{"serverAuth", CONFIG_EKU_SERVER}, {"clientAuth", CONFIG_EKU_CLIENT}};
    for (char *const *usage = rule->extended_key_usage; usage && *usage; usage++) {
        unsigned bit = 0;
        for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
            bit |= strcmp(*usage, known[i].name) == 0 ? known[i].bit : 0;
        if (!bit)
            conf_error(errors, &rule->origin,
                       "extended_key_usage: '%s' is never issued: there are serverAuth and "
                       "clientAuth",
                       *usage);
        rule->eku |= bit;
    }
    if (!rule->extended_key_usage)
        rule->eku = CONFIG_EKU_SERVER | CONFIG_EKU_CLIENT;
}

/* Without a signature a device could not even renew. */
static void judge_key_usage(const struct config_rule *rule, struct conf_errors *errors) {
    static const char *const known[] = {"digitalSignature", "nonRepudiation", "keyEncipherment",
                                        "dataEncipherment", "keyAgreement"};
    bool signs = !rule->key_usage;
    for (char *const *usage = rule->key_usage; usage && *usage; usage++) {
        bool found = false;
        for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
            found = found || strcmp(*usage, known[i]) == 0;
        if (!found)
            conf_error(errors, &rule->origin,
                       "key_usage: '%s' is never issued: there are digitalSignature, "
                       "nonRepudiation, keyEncipherment, dataEncipherment and keyAgreement",
                       *usage);
        signs = signs || strcmp(*usage, known[0]) == 0;
    }
    if (!signs)
        conf_error(errors, &rule->origin,
                   "key_usage: without digitalSignature a device cannot authenticate: add it");
}

static void judge_patterns(const struct config_rule *rule, struct conf_errors *errors) {
#define LIST(key, member) \
    { key, offsetof(struct config_rule, member), pattern_check }
#define SUBJECT_LIST(key, member, object, what) LIST("subject." key, subject.member),
    static const struct {
        const char *key;
        size_t offset;
        int (*check)(const char *pattern, struct estc_error *err);
    } lists[] = {
        LIST("dns", dns),
        LIST("uri", uri),
        LIST("email", email),
        {"ip", offsetof(struct config_rule, ip), pattern_check_ip},
        CONFIG_SUBJECT_TABLE(SUBJECT_LIST) /* each with its comma */
    };
#undef SUBJECT_LIST
#undef LIST
    struct estc_error err = {0};
    for (size_t i = 0; i < sizeof(lists) / sizeof(lists[0]); i++) {
        char *const *pattern =
            *(char **const *)(const void *)((const char *)rule + lists[i].offset);
        for (; pattern && *pattern; pattern++)
            if (lists[i].check(*pattern, &err))
                conf_error(errors, &rule->origin, "%s: %s", lists[i].key, err.text);
    }
}

static void judge_attributes(const struct config_rule *rule, struct conf_errors *errors) {
    struct estc_error err = {0};
    _cleanup(estc_csrattrs_clear) struct estc_csrattrs attrs = {0};
    if (attributes_of(rule, &attrs, &err))
        conf_error(errors, &rule->origin, "%s", err.text);
}

static void judge_rule(const struct config *config, struct config_rule *rule,
                       struct conf_errors *errors) {
    struct estc_error err = {0};
    if (rule->client_ca && !has_client_ca(config, rule->client_ca))
        conf_error(errors, &rule->origin,
                   "client_ca: '%s' is not in client_cas: add it there, or name one that is",
                   rule->client_ca);
    if (estc_label_check(rule->label, &err))
        conf_error(errors, &rule->origin, "%s", err.text);
    for (char *const *type = rule->key_types; type && *type; type++) {
        enum estc_key_type parsed;
        if (estc_key_type_parse(*type, &parsed))
            conf_error(errors, &rule->origin,
                       "key_types: '%s' is none of p256, p384, rsa2048, rsa3072, rsa4096", *type);
    }
    judge_usages(rule, errors);
    judge_key_usage(rule, errors);
    if (rule->crl_url && strncmp(rule->crl_url, "http://", 7) != 0 &&
        strncmp(rule->crl_url, "ldap://", 7) != 0)
        conf_error(errors, &rule->origin,
                   "crl_url: '%s' is neither http:// nor ldap://, which readers of CRLs know",
                   rule->crl_url);
    judge_patterns(rule, errors);
    judge_attributes(rule, errors);
}

static void judge_names(const struct config *config, struct conf_errors *errors) {
    for (size_t i = 0; i < config->rules.n; i++)
        for (size_t k = 0; k < i; k++) {
            const struct config_rule *a = config_rule_at(config, i);
            const struct config_rule *b = config_rule_at(config, k);
            if (a->name && b->name && strcmp(a->name, b->name) == 0)
                conf_error(errors, &a->origin, "name: rule '%s' stands in line %u already", a->name,
                           b->origin.line);
        }
    for (size_t i = 0; i < config->client_cas.n; i++)
        for (size_t k = 0; k < i; k++) {
            const struct config_client_ca *a = config_client_ca_at(config, i);
            const struct config_client_ca *b = config_client_ca_at(config, k);
            if (a->name && b->name && strcmp(a->name, b->name) == 0)
                conf_error(errors, &a->origin, "name: client CA '%s' stands in line %u already",
                           a->name, b->origin.line);
        }
}

/* Root and host end up in URLs that others configure, so they have to be good in one. */
static void judge_url(const struct config *config, const struct conf_origin *where,
                      struct conf_errors *errors) {
    const char *root = config->root ? config->root : "";
    const char *host = config->discovery_host ? config->discovery_host : "localhost";
    const bool v6 = strchr(host, ':') != NULL;
    _cleanup(freep) char *url = text_format("coaps://h%s", root);
    _cleanup(freep) char *named = text_format("coaps://%s%s%s", v6 ? "[" : "", host, v6 ? "]" : "");
    _cleanup(estc_url_clear) struct estc_url parsed = {0}, other = {0};
    if (config->root && (!url || *root != '/' || estc_url_parse(url, &parsed, NULL) ||
                         strcmp(parsed.root, root) != 0))
        conf_error(errors, where,
                   "root: '%s' is no path: write \"/\" and a short name, like \"/est\"", root);
    if (config->discovery_host && (!named || estc_url_parse(named, &other, NULL) || other.has_root))
        conf_error(errors, where, "discovery.host: '%s' is no host name and no address", host);
}

static void judge(struct config *config, const char *path, struct conf_errors *errors) {
    const struct conf_origin where = {.file = (char *)(uintptr_t)path, .line = 1};
    unsigned char address[16];
    if (inet_pton(AF_INET, config->address, address) != 1 &&
        inet_pton(AF_INET6, config->address, address) != 1)
        conf_error(errors, &where,
                   "address: '%s' is no numeric address, like \"::\" or "
                   "\"192.0.2.1\"",
                   config->address);
    judge_url(config, &where, errors);
    config_upstream_judge(config, &where, errors);
    if (config->crl_file && config->crl_every >= config->crl_lifetime)
        conf_error(errors, &where,
                   "ca.crl: every has to be shorter than lifetime, or there is none in between");
    judge_names(config, errors);
    for (size_t i = 0; i < config->rules.n; i++)
        judge_rule(config, (struct config_rule *)config->rules.items + i, errors);
    if (config->rules.n == 0)
        conf_error(errors, &where, "rules: there is none, so nobody could enroll: add one");
}

struct config *config_free(struct config *config) {
    if (!config)
        return NULL;
    conf_clear(registrar_config_keys, config);
    free(config);
    return NULL;
}

CLEANUP_DEFINE(struct config *, config_freep, config_free);

int config_load(const char *path, struct config **out, struct conf_errors *errors) {
    _cleanup(config_freep) struct config *config = calloc(1, sizeof(*config));
    if (!config || conf_defaults(registrar_config_keys, config))
        return -ENOMEM;
    int rc = conf_read_file(path, registrar_config_keys, config, errors);
    if (rc)
        return rc;
    judge(config, path, errors);
    if (conf_errors_any(errors))
        return ESTC_E_CONFIG;
    *out = TAKE(config);
    return 0;
}
