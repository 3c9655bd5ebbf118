/* SPDX-License-Identifier: BSD-2-Clause */
/* est-registrar.conf: read once at start; text only, the files are opened by those who need them.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include <estc/error.h>
#include <estc/key.h>

#include "common/conf.h"

#define CONFIG_LIFETIME_MAX (INT64_C(30) * 31536000) /* of issued certificates, seconds */
#define CONFIG_DEFAULT_FILE ESTC_SYSCONFDIR "/est-registrar/est-registrar.conf"

/* Bits of what an issued certificate may be for. There is no bit for anything else, least of all
 * for id-kp-cmcRA, which would make a device a registrar. */
enum config_eku { CONFIG_EKU_SERVER = 1, CONFIG_EKU_CLIENT = 2 };

/* Whether a request has to prove that it was made for its connection (RFC 7030 section 3.5). */
enum config_pop { CONFIG_POP_OPTIONAL, CONFIG_POP_REQUIRED };

/* Which requests wait until somebody approves of them. */
enum config_approval {
    CONFIG_APPROVAL_AUTOMATIC, /* none */
    CONFIG_APPROVAL_MANUAL,    /* all but re-enrolments, which continue what was approved */
    CONFIG_APPROVAL_ALWAYS,    /* all */
};

/* Which digest requests have to be signed with. */
enum config_signature {
    CONFIG_SIGNATURE_ANY,
    CONFIG_SIGNATURE_SHA256,
    CONFIG_SIGNATURE_SHA384,
    CONFIG_SIGNATURE_SHA512,
};

/* What /att says to those whom a rule is for, besides what the rule demands anyhow. */
struct config_attributes {
    int form;          /* enum estc_csrattrs_form */
    int signature;     /* enum config_signature */
    char **subject;    /* "O=Example", or "serialNumber": left open */
    char **extensions; /* "keyUsage=digitalSignature", or "extendedKeyUsage": left open */
    int demand;        /* enum conf_bool: refuse requests that lack what is said here */
};

/* What a CRL that is out of date means for the certificates that it is about. */
enum config_crl_outdated { CONFIG_CRL_REFUSE, CONFIG_CRL_ACCEPT };

/* Who may authenticate a first enrolment. */
struct config_client_ca {
    struct conf_origin origin; /* first: see conf_list */
    char *name;
    char *certificate;  /* PEM path: one or more anchors */
    int accept_expired; /* enum conf_bool: its certificates count after their end, too */
    char *crl;          /* path of its CRL, PEM or DER; NULL: none is looked at */
    int crl_outdated;   /* enum config_crl_outdated */
};

/* The parts of a subject that a rule can have patterns for, and that "${...}" in a pattern can
 * name. X(key, member, object, what): its key, its member here, OpenSSL's name of it, what people
 * call it. */
#define CONFIG_SUBJECT_TABLE(X)                                         \
    X("CN", cn, commonName, "the common name")                          \
    X("O", o, organizationName, "the organization")                     \
    X("OU", ou, organizationalUnitName, "the organizational unit")      \
    X("C", c, countryName, "the country")                               \
    X("ST", st, stateOrProvinceName, "the state")                       \
    X("L", l, localityName, "the locality")                             \
    X("serialNumber", serial_number, serialNumber, "the serial number") \
    X("DC", dc, domainComponent, "domain components")                   \
    X("UID", uid, userId, "the user id")

/* The patterns for each of them: NULL-ended, or NULL: none allowed. */
#define CONFIG_SUBJECT_MEMBER(key, member, object, what) char **member;
struct config_names {
    CONFIG_SUBJECT_TABLE(CONFIG_SUBJECT_MEMBER)
};
#undef CONFIG_SUBJECT_MEMBER

/* One rule: who may have which names, and what the certificate is like. */
struct config_rule {
    struct conf_origin origin;
    char *name;
    char *client_ca; /* name of a config_client_ca */
    char *label;     /* NULL: requests without a label */
    struct config_names subject;
    char **dns, **ip, **uri, **email; /* patterns, NULL-ended, or NULL: none allowed */
    char **key_types;                 /* estc_key_type_name(); NULL: all */
    char **extended_key_usage;        /* "serverAuth", "clientAuth"; NULL: both */
    char **key_usage;                 /* OpenSSL's names; NULL: what the key is fit for */
    char *crl_url;                    /* NULL: certificates do not say */
    unsigned eku;                     /* the same as bits */
    int64_t lifetime;                 /* seconds; 0: the CA's */
    int pop;                          /* enum config_pop */
    int change_names;                 /* enum conf_bool: a renewal may ask for other names */
    struct config_attributes attributes;
    int approval;        /* enum config_approval */
    int64_t hold;        /* seconds that a request may wait with its connection open */
    int64_t retry_after; /* seconds after which a device asks again */
};

/* The EST servers that issue, instead of a CA here. */
struct config_upstream {
    char **urls; /* without "/" at their ends; NULL: none */
    char *trust, *certificate, *key, *issuers;
    int64_t connect_timeout, timeout; /* seconds */
    int64_t max_body;
    int64_t refresh, keep; /* seconds */
    int repeat_unknown;    /* enum conf_bool */
};

struct config {
    char *address; /* numeric, to listen on */
    int64_t port;
    char *root; /* a second one, "/est"; or NULL */
    /* Plain CoAP, without authentication: /.well-known/core alone. */
    int discovery_enabled;       /* enum conf_bool */
    char **discovery_interfaces; /* where multicast is answered, and nothing elsewhere; or NULL */
    int64_t discovery_port;
    char *discovery_host; /* that links name; NULL: the address that was asked */
    char *ledger;         /* path of the SQLite file */
    char *database;       /* connection string of PostgreSQL, instead; or NULL */
    char *audit_log;      /* NULL: none but the journal */
    char *control_socket;
    char *server_certificate, *server_key;
    char *ca_passphrase;             /* file with that of ca_key; NULL: it has none */
    char *crl_file;                  /* NULL: none is written */
    int64_t crl_every, crl_lifetime; /* seconds */
    char *ca_certificate, *ca_key, *ca_previous,
        *ca_chain;              /* ca_chain: intermediates and root, for /crts */
    int64_t lifetime, backdate; /* seconds */
    struct config_upstream upstream;
    int server_keys;                        /* enum conf_bool: /skg and /skc are there */
    char *seal_secrets, *seal_certificates; /* what keys are sealed with on their way, or NULL */
    int64_t repeat_window;                  /* seconds in which a request counts as repeated */
    int64_t max_body, max_bodies, max_sessions, max_handshakes, max_waiting;
    int64_t address_rate, certificate_rate; /* a minute; 0: no bound */
    int64_t idle_timeout, mtu, dtls_timeout;
    int log_level;               /* enum estc_log_level */
    struct conf_list client_cas; /* struct config_client_ca */
    struct conf_list rules;      /* struct config_rule */
};

/* The table behind the reader; the manual is tested against it. */
extern const struct conf_key registrar_config_keys[];
extern const struct conf_key config_ca_keys[]; /* parts of it */
extern const struct conf_key config_attributes_keys[];

/* 0, or ESTC_E_CONFIG with every error collected, or -ENOMEM. */
int config_load(const char *path, struct config **out, struct conf_errors *errors);
struct config *config_free(struct config *config);

/* Whether others issue, and no CA here. */
static inline bool config_has_upstream(const struct config *config) {
    return config->upstream.urls && *config->upstream.urls;
}

const struct config_rule *config_rule_at(const struct config *config, size_t i);
const struct config_rule *config_rule_find(const struct config *config, const char *name);
/* Whether a rule takes keys of that kind. */
bool config_rule_takes(const struct config_rule *rule, enum estc_key_type type);
/* Whether any rule has requests wait for approval. */
bool config_needs_approval(const struct config *config);
const struct config_client_ca *config_client_ca_at(const struct config *config, size_t i);
