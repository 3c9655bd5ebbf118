/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * est-registrar.conf through its table, then what a table cannot say: an address that is one, rules
 * that name a client CA that exists, key types and usages that are on the list.
 */
#include "config.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <estc/key.h>
#include <estc/op.h>

#include "base/cleanup.h"
#include "common/journal.h"

#define NAME_MAX_BYTES 64
#define PATTERN_MAX 256
#define YEAR INT64_C(31536000)

#define AT(member) offsetof(struct config_client_ca, member)
static const struct conf_key client_ca_keys[] = {
    {.name = "name",
     .type = CONF_STRING,
     .offset = AT(name),
     .required = true,
     .min = 1,
     .max = NAME_MAX_BYTES,
     .help = "what rules call it"},
    {.name = "certificate",
     .type = CONF_PATH,
     .offset = AT(certificate),
     .required = true,
     .min = 1,
     .help = "PEM file: the CA's certificate, one or more"},
    {.name = NULL},
};
#undef AT

#define AT(member) offsetof(struct config_names, member)
#define PATTERNS(key, member, text)                                                            \
    {                                                                                          \
        .name = key, .type = CONF_STRINGS, .offset = AT(member), .min = 1, .max = PATTERN_MAX, \
        .help = text                                                                           \
    }
static const struct conf_key subject_keys[] = {
    PATTERNS("CN", cn, "patterns for the common name"),
    PATTERNS("O", o, "patterns for the organization"),
    PATTERNS("OU", ou, "patterns for the organizational unit"),
    PATTERNS("C", c, "patterns for the country"),
    PATTERNS("ST", st, "patterns for the state"),
    PATTERNS("L", l, "patterns for the locality"),
    PATTERNS("serialNumber", serial_number, "patterns for the serial number"),
    PATTERNS("DC", dc, "patterns for domain components"),
    PATTERNS("UID", uid, "patterns for the user id"),
    {.name = NULL},
};
#undef AT

#define AT(member) offsetof(struct config_rule, member)
static const struct conf_key rule_keys[] = {
    {.name = "name",
     .type = CONF_STRING,
     .offset = AT(name),
     .required = true,
     .min = 1,
     .max = NAME_MAX_BYTES,
     .help = "what log and ledger call it"},
    {.name = "client_ca",
     .type = CONF_STRING,
     .offset = AT(client_ca),
     .required = true,
     .min = 1,
     .max = NAME_MAX_BYTES,
     .help = "whose certificates it is for"},
    {.name = "label",
     .type = CONF_STRING,
     .offset = AT(label),
     .min = 1,
     .max = 255,
     .help = "for requests with this label; without it, for requests without one"},
    {.name = "subject",
     .type = CONF_GROUP,
     .offset = AT(subject),
     .group = subject_keys,
     .help = "patterns for the parts of the subject"},
    PATTERNS("dns", dns, "patterns for dNSName"),
    PATTERNS("ip", ip, "addresses or prefixes (10.0.0.0/8) for iPAddress"),
    PATTERNS("uri", uri, "patterns for uniformResourceIdentifier"),
    PATTERNS("email", email, "patterns for rfc822Name"),
    PATTERNS("key_types", key_types, "kinds of keys that are taken"),
    PATTERNS("extended_key_usage", extended_key_usage, "serverAuth, clientAuth"),
    {.name = "lifetime",
     .type = CONF_DURATION,
     .offset = AT(lifetime),
     .min = 1,
     .max = 30 * YEAR,
     .help = "of the certificates that it grants"},
    {.name = NULL},
};
#undef AT

#define AT(member) offsetof(struct config, member)
static const struct conf_key server_keys[] = {
    {.name = "certificate",
     .type = CONF_PATH,
     .offset = AT(server_certificate),
     .required = true,
     .min = 1,
     .help = "PEM file: the server's certificate, then its intermediates"},
    {.name = "key",
     .type = CONF_PATH,
     .offset = AT(server_key),
     .required = true,
     .min = 1,
     .help = "PEM file: its private key"},
    {.name = NULL},
};
static const struct conf_key ca_keys[] = {
    {.name = "certificate",
     .type = CONF_PATH,
     .offset = AT(ca_certificate),
     .required = true,
     .min = 1,
     .help = "PEM file: the issuing CA's certificate"},
    {.name = "key",
     .type = CONF_PATH,
     .offset = AT(ca_key),
     .required = true,
     .min = 1,
     .help = "PEM file: its private key"},
    {.name = "chain",
     .type = CONF_PATH,
     .offset = AT(ca_chain),
     .min = 1,
     .help = "PEM file: what stands above it, the root included"},
    {.name = "lifetime",
     .type = CONF_DURATION,
     .offset = AT(lifetime),
     .min = 1,
     .max = 30 * YEAR,
     .fallback = "90d",
     .help = "of issued certificates"},
    {.name = "backdate",
     .type = CONF_DURATION,
     .offset = AT(backdate),
     .max = 86400,
     .fallback = "5m",
     .help = "how far notBefore lies back, at most a tenth of the lifetime"},
    {.name = NULL},
};
const struct conf_key registrar_config_keys[] = {
    {.name = "address",
     .type = CONF_STRING,
     .offset = AT(address),
     .min = 1,
     .max = 64,
     .fallback = "::",
     .help = "numeric address to listen on"},
    {.name = "port",
     .type = CONF_INT,
     .offset = AT(port),
     .min = 1,
     .max = 65535,
     .fallback = "5684",
     .help = "UDP port to listen on"},
    {.name = "ledger",
     .type = CONF_PATH,
     .offset = AT(ledger),
     .min = 1,
     .fallback = "/var/lib/est-registrar/ledger.sqlite",
     .help = "SQLite file of all that is issued"},
    {.name = "server",
     .type = CONF_GROUP,
     .group = server_keys,
     .required = true,
     .help = "who the registrar is"},
    {.name = "ca",
     .type = CONF_GROUP,
     .group = ca_keys,
     .required = true,
     .help = "what it issues with"},
    {.name = "client_cas",
     .type = CONF_LIST,
     .offset = AT(client_cas),
     .group = client_ca_keys,
     .item_size = sizeof(struct config_client_ca),
     .help = "whose certificates may enroll"},
    {.name = "rules",
     .type = CONF_LIST,
     .offset = AT(rules),
     .group = rule_keys,
     .item_size = sizeof(struct config_rule),
     .help = "who may have which names"},
    {.name = "repeat_window",
     .type = CONF_DURATION,
     .offset = AT(repeat_window),
     .min = 60,
     .max = 30 * 86400,
     .fallback = "1d",
     .help = "how long the same request gets the same certificate"},
    {.name = "max_body",
     .type = CONF_SIZE,
     .offset = AT(max_body),
     .min = 1024,
     .max = 1048576,
     .fallback = "16K",
     .help = "largest request taken"},
    {.name = "max_sessions",
     .type = CONF_INT,
     .offset = AT(max_sessions),
     .min = 1,
     .max = 65535,
     .fallback = "1024",
     .help = "DTLS sessions at once"},
    {.name = "idle_timeout",
     .type = CONF_DURATION,
     .offset = AT(idle_timeout),
     .min = 5,
     .max = 3600,
     .fallback = "60s",
     .help = "when a silent session is dropped"},
    {.name = "log_level",
     .type = CONF_CHOICE,
     .offset = AT(log_level),
     .choices = journal_level_names,
     .fallback = "info",
     .help = "how much is logged"},
    {.name = NULL},
};
#undef AT

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

static void judge(struct config *config, const char *path, struct conf_errors *errors) {
    const struct conf_origin where = {.file = (char *)(uintptr_t)path, .line = 1};
    unsigned char address[16];
    if (inet_pton(AF_INET, config->address, address) != 1 &&
        inet_pton(AF_INET6, config->address, address) != 1)
        conf_error(errors, &where,
                   "address: '%s' is no numeric address, like \"::\" or "
                   "\"192.0.2.1\"",
                   config->address);
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
