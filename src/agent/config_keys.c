/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Every key of estcd.conf: one table for the reader, the defaults, the errors, and the test that
 * holds the manual against it. It says form and range; config.c judges the rest.
 */
#include <stddef.h>

#include "common/journal.h"
#include "config_request.h"

#define TEXT_MAX 1024

static const char *const implicit_names[] = {"bootstrap", "always", "never", NULL};
static const char *const key_type_names[] = {"p256", "p384", "rsa2048", "rsa3072", "rsa4096", NULL};

static const char *const pop_names[] = {
    [CONFIG_POP_AUTO] = "auto", [CONFIG_POP_ALWAYS] = "always", [CONFIG_POP_NEVER] = "never", NULL};

static const char *const prove_names[] = {[CONFIG_PROVE_AUTO] = "auto",
                                          [CONFIG_PROVE_ALWAYS] = "always",
                                          [CONFIG_PROVE_NEVER] = "never",
                                          NULL};

#define AT(member) offsetof(struct config_identity, member)

static const struct conf_key birth_keys[] = {
    {.name = "certificate",
     .type = CONF_FILE,
     .offset = AT(birth_certificate),
     .min = 1,
     .help = "PEM file: the factory certificate, then its intermediates"},
    {.name = "key",
     .type = CONF_FILE,
     .offset = AT(birth_key),
     .min = 1,
     .help = "PEM file: its private key, readable by its owner only"},
    {.name = NULL},
};

static const char *const origin_names[] = {[CONFIG_ORIGIN_DEVICE] = "device",
                                           [CONFIG_ORIGIN_SERVER] = "server",
                                           [CONFIG_ORIGIN_TPM] = "tpm",
                                           NULL};

#define KEY_KEYS(table, FALLBACK)                                                \
    static const struct conf_key table[] = {                                     \
        {.name = "origin",                                                       \
         .type = CONF_CHOICE,                                                    \
         .offset = AT(key_origin),                                               \
         FALLBACK("device"),                                                     \
         .min = 1,                                                               \
         .choices = origin_names,                                                \
         .help = "who makes the key"},                                           \
        {.name = "decrypt",                                                      \
         .type = CONF_FILE,                                                      \
         .offset = AT(key_decrypt),                                              \
         .min = 1,                                                               \
         .help = "file with what the server has to encrypt its key with or to"}, \
        {.name = NULL},                                                          \
    }

/*
 * What "defaults" and every identity may say; only an identity has an id. What is built in stands
 * in "defaults": in an identity an absent number is 0 and inherited (config.c).
 */
#define BUILT_IN(text) .fallback = (text)
#define INHERITED(text) .fallback = NULL
KEY_KEYS(default_key_keys, BUILT_IN);
KEY_KEYS(identity_key_keys, INHERITED);
#define IDENTITY_KEYS(FALLBACK, KEYS)                                                  \
    {.name = "url",                                                                    \
     .type = CONF_STRINGS,                                                             \
     .offset = AT(urls),                                                               \
     .min = 1,                                                                         \
     .max = TEXT_MAX,                                                                  \
     .help = "coaps://HOST[:PORT][/PATH] of the EST server, or several"},              \
        {.name = "label",                                                              \
         .type = CONF_STRING,                                                          \
         .offset = AT(label),                                                          \
         .min = 1,                                                                     \
         .max = 255,                                                                   \
         .help = "path segment that picks a CA or profile on the server"},             \
        {.name = "birth",                                                              \
         .type = CONF_GROUP,                                                           \
         .group = birth_keys,                                                          \
         .help = "the credential for the first enrolment"},                            \
        {.name = "trust",                                                              \
         .type = CONF_FILE,                                                            \
         .offset = AT(trust),                                                          \
         .min = 1,                                                                     \
         .help = "PEM file: anchors for the server's certificate"},                    \
        {.name = "fingerprint",                                                        \
         .type = CONF_STRING,                                                          \
         .offset = AT(fingerprint),                                                    \
         .min = 1,                                                                     \
         .max = 255,                                                                   \
         .help = "of the CA's root, instead of trust: \"SHA256:...\""},                \
        {.name = "implicit_trust",                                                     \
         .type = CONF_CHOICE,                                                          \
         .offset = AT(implicit_trust),                                                 \
         FALLBACK("bootstrap"),                                                        \
         .min = 1,                                                                     \
         .choices = implicit_names,                                                    \
         .help = "when the anchors of trust vouch for a server"},                      \
        {.name = "subject",                                                            \
         .type = CONF_STRING,                                                          \
         .offset = AT(subject),                                                        \
         .max = TEXT_MAX,                                                              \
         .help = "name to ask for, as in RFC 4514: \"CN=gw-0815,O=Example\""},         \
        {.name = "subject_alt_names",                                                  \
         .type = CONF_STRINGS,                                                         \
         .offset = AT(subject_alt_names),                                              \
         .min = 1,                                                                     \
         .max = TEXT_MAX,                                                              \
         .help = "\"DNS:...\", \"IP:...\", \"URI:...\", \"email:...\""},               \
        {.name = "key_type",                                                           \
         .type = CONF_CHOICE,                                                          \
         .offset = AT(key_type),                                                       \
         FALLBACK("p256"),                                                             \
         .min = 1,                                                                     \
         .choices = key_type_names,                                                    \
         .help = "kind of the new key"},                                               \
        {.name = "rekey",                                                              \
         .type = CONF_BOOL,                                                            \
         .offset = AT(rekey),                                                          \
         FALLBACK("true"),                                                             \
         .help = "whether a renewal brings a new key"},                                \
        {.name = "key",                                                                \
         .type = CONF_GROUP,                                                           \
         .group = KEYS,                                                                \
         .help = "where the new key comes from"},                                      \
        {.name = "obey",                                                               \
         .type = CONF_STRINGS,                                                         \
         .offset = AT(obey),                                                           \
         .min = 1,                                                                     \
         .max = TEXT_MAX,                                                              \
         .help = "which wishes of the server to follow"},                              \
        {.name = "renew_at",                                                           \
         .type = CONF_PERCENT,                                                         \
         .offset = AT(renew_at),                                                       \
         FALLBACK("66%"),                                                              \
         .min = 100,                                                                   \
         .max = 950,                                                                   \
         .help = "share of the issued lifetime after which to renew"},                 \
        {.name = "alert_at",                                                           \
         .type = CONF_PERCENT,                                                         \
         .offset = AT(alert_at),                                                       \
         FALLBACK("85%"),                                                              \
         .min = 500,                                                                   \
         .max = 1000,                                                                  \
         .help = "share of the lifetime without a renewal that is worth an alert"},    \
        {.name = "attempt_timeout",                                                    \
         .type = CONF_DURATION,                                                        \
         .offset = AT(attempt_timeout),                                                \
         FALLBACK("5m"),                                                               \
         .min = 10,                                                                    \
         .max = 3600,                                                                  \
         .help = "how long one attempt may take"},                                     \
        {.name = "pending_timeout",                                                    \
         .type = CONF_DURATION,                                                        \
         .offset = AT(pending_timeout),                                                \
         FALLBACK("30d"),                                                              \
         .min = 60,                                                                    \
         .max = 365 * 86400,                                                           \
         .help = "how long a CA may take to decide on a request"},                     \
        {.name = "pop",                                                                \
         .type = CONF_CHOICE,                                                          \
         .offset = AT(pop),                                                            \
         FALLBACK("auto"),                                                             \
         .min = 1,                                                                     \
         .choices = pop_names,                                                         \
         .help = "whether requests are bound to their connection"},                    \
        {.name = "prove",                                                              \
         .type = CONF_CHOICE,                                                          \
         .offset = AT(prove),                                                          \
         FALLBACK("auto"),                                                             \
         .min = 1,                                                                     \
         .choices = prove_names,                                                       \
         .help = "whether a new certificate is tried before it is used"},              \
        {.name = "block_size",                                                         \
         .type = CONF_INT,                                                             \
         .offset = AT(block_size),                                                     \
         FALLBACK("1024"),                                                             \
         .min = 16,                                                                    \
         .max = 1024,                                                                  \
         .help = "bytes of one block: 16, 32, 64, ... 1024"},                          \
        {.name = "max_body",                                                           \
         .type = CONF_SIZE,                                                            \
         .offset = AT(max_body),                                                       \
         FALLBACK("64K"),                                                              \
         .min = 1024,                                                                  \
         .max = 1048576,                                                               \
         .help = "largest answer taken"},                                              \
        {.name = "mtu",                                                                \
         .type = CONF_INT,                                                             \
         .offset = AT(mtu),                                                            \
         FALLBACK("1280"),                                                             \
         .min = 256,                                                                   \
         .max = 9000,                                                                  \
         .help = "largest IP packet that gets to the server"},                         \
        {.name = "dtls_timeout",                                                       \
         .type = CONF_DURATION,                                                        \
         .offset = AT(dtls_timeout),                                                   \
         FALLBACK("1s"),                                                               \
         .min = 1,                                                                     \
         .max = 60,                                                                    \
         .help = "when a handshake message is first sent again"},                      \
        {.name = "ack_timeout",                                                        \
         .type = CONF_DURATION,                                                        \
         .offset = AT(ack_timeout),                                                    \
         FALLBACK("2s"),                                                               \
         .min = 2,                                                                     \
         .max = 60,                                                                    \
         .help = "when a request is first sent again"},                                \
        {.name = "source",                                                             \
         .type = CONF_STRING,                                                          \
         .offset = AT(source),                                                         \
         .min = 1,                                                                     \
         .max = 64,                                                                    \
         .help = "local address to send from"},                                        \
        {.name = "interface",                                                          \
         .type = CONF_STRING,                                                          \
         .offset = AT(interface),                                                      \
         .min = 1,                                                                     \
         .max = 15,                                                                    \
         .help = "network interface to send through"},                                 \
    {                                                                                  \
        .name = "allow_rsa_server", .type = CONF_BOOL, .offset = AT(allow_rsa_server), \
        FALLBACK("false"), .help = "accept a server whose certificate has an RSA key"  \
    }

static const struct conf_key default_keys[] = {IDENTITY_KEYS(BUILT_IN, default_key_keys),
                                               {.name = NULL}};

const struct conf_key config_identity_keys[] = {
    {.name = "id",
     .type = CONF_STRING,
     .offset = AT(id),
     .required = true,
     .help = "name of the identity and of its folder"},
    IDENTITY_KEYS(INHERITED, identity_key_keys),
    {.name = "install",
     .type = CONF_LIST,
     .offset = AT(deploy.install),
     .group = config_install_keys,
     .item_size = sizeof(struct config_install),
     .help = "files that are written with each new certificate"},
    {.name = "reload",
     .type = CONF_STRINGS,
     .offset = AT(deploy.reload),
     .help = "units that are reloaded then"},
    {.name = "restart",
     .type = CONF_STRINGS,
     .offset = AT(deploy.restart),
     .help = "units that are restarted then"},
    {.name = "exec",
     .type = CONF_LIST,
     .offset = AT(deploy.exec),
     .group = config_exec_keys,
     .item_size = sizeof(struct config_exec),
     .help = "programs that are run then"},
    {.name = NULL},
};

const struct conf_key config_request_keys[] = {IDENTITY_KEYS(INHERITED, identity_key_keys),
                                               {.name = NULL}};

#undef AT
#define AT(member) offsetof(struct config, member)

const struct conf_key config_keys[] = {
    {.name = "state_directory",
     .type = CONF_PATH,
     .offset = AT(state_directory),
     .min = 1,
     .fallback = "/var/lib/estcd",
     .help = "where keys and certificates are kept"},
    {.name = "control_socket",
     .type = CONF_PATH,
     .offset = AT(control_socket),
     .min = 1,
     .max = 107,
     .fallback = "/run/estcd/control",
     .help = "where estc finds the daemon"},
    {.name = "log_level",
     .type = CONF_CHOICE,
     .offset = AT(log_level),
     .choices = journal_level_names,
     .fallback = "info",
     .help = "how much is logged"},
    {.name = "metrics_file",
     .type = CONF_PATH,
     .offset = AT(metrics_file),
     .min = 1,
     .help = "where to write metrics for node_exporter"},
    {.name = "on_alert",
     .type = CONF_STRINGS,
     .offset = AT(on_alert),
     .min = 1,
     .max = TEXT_MAX,
     .help = "program that is run when the alert of an identity changes, and its arguments"},
    {.name = "max_attempts",
     .type = CONF_INT,
     .offset = AT(max_attempts),
     .min = 1,
     .max = 64,
     .fallback = "4",
     .help = "how many attempts may run at once"},
    {.name = "start_spread",
     .type = CONF_DURATION,
     .offset = AT(start_spread),
     .min = 0,
     .max = 3600,
     .fallback = "30s",
     .help = "over how long machines that start together spread what is overdue"},
    {.name = "defaults",
     .type = CONF_GROUP,
     .offset = AT(defaults),
     .group = default_keys,
     .help = "what holds for every identity that does not say otherwise"},
    {.name = "identities",
     .type = CONF_LIST,
     .offset = AT(identities),
     .group = config_identity_keys,
     .item_size = sizeof(struct config_identity),
     .help = "the certificates to keep alive"},
    {.name = NULL},
};

#undef AT
