/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * estcd.conf: an immutable Config. A reload reads a new one and swaps it in only when it has no
 * error. Only the text is judged here; the files that it names are judged by identity_check().
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <estc/error.h>
#include <estc/key.h>

#include "agent/config_deploy.h"
#include "common/conf.h"

#define CONFIG_DEFAULT_FILE ESTC_SYSCONFDIR "/estcd/estcd.conf"

#define CONFIG_URLS_MAX 8 /* of one identity */

/* Whether requests carry the channel binding of their connection (RFC 7030 section 3.5). */
enum config_pop {
    CONFIG_POP_AUTO,   /* when the server asks for it, and when little else tells who it is */
    CONFIG_POP_ALWAYS, /* or no request is made */
    CONFIG_POP_NEVER,
};

/* When the anchors of `trust` vouch for a server by its name. */
enum config_implicit {
    CONFIG_IMPLICIT_BOOTSTRAP, /* until the server has sent its CA certificates */
    CONFIG_IMPLICIT_ALWAYS,    /* besides those, for ever */
    CONFIG_IMPLICIT_NEVER,     /* never: they are explicit anchors themselves */
};

/* Who makes the key. */
enum config_origin {
    CONFIG_ORIGIN_DEVICE,
    CONFIG_ORIGIN_SERVER, /* /skg */
    CONFIG_ORIGIN_TPM,    /* this machine's TPM 2.0, which keeps it */
};

/* Whether a new certificate is tried in a handshake before it is put in force. */
enum config_prove {
    CONFIG_PROVE_AUTO,   /* it is; where nothing works, what fails is put in force all the same */
    CONFIG_PROVE_ALWAYS, /* and nothing else is ever put in force */
    CONFIG_PROVE_NEVER,
};

struct config_identity {
    struct conf_origin origin; /* first: see conf_list */
    char *id;                  /* a plain file name: [A-Za-z0-9._-], not starting with "." or "-",
                                  1 to 64 bytes */
    char **urls; /* 1 to CONFIG_URLS_MAX that estc_url_parse() takes, NULL-ended, to be asked in
                    this order */
    char *label; /* NULL: none */
    char *birth_certificate, *birth_key;  /* PEM paths */
    char *trust;                          /* PEM path; or NULL, and the next one: */
    char *fingerprint;                    /* of the CA's root, "SHA256:..." */
    int implicit_trust;                   /* enum config_implicit */
    char *subject;                        /* RFC 4514; NULL: empty */
    char **subject_alt_names;             /* NULL-ended, or NULL */
    int key_type;                         /* enum estc_key_type */
    int key_origin;                       /* enum config_origin */
    char *key_decrypt;                    /* path: what a server's key is sealed with, or NULL */
    char **obey;                          /* kinds of a server's wishes, NULL-ended; or NULL */
    unsigned obey_kinds;                  /* the same as WISHES_BIT()s */
    int rekey;                            /* enum conf_bool: a renewal brings a new key */
    int64_t renew_at;                     /* per mille of the issued lifetime, 100..950 */
    int64_t alert_at;                     /* per mille of its life, 500..1000 */
    int64_t attempt_timeout;              /* seconds one attempt may take */
    int64_t pending_timeout;              /* seconds a CA may take to decide */
    int pop;                              /* enum config_pop */
    int prove;                            /* enum config_prove */
    int64_t block_size;                   /* 16..1024 */
    int64_t max_body;                     /* bytes */
    int64_t mtu;                          /* bytes, 256..9000 */
    int64_t dtls_timeout, ack_timeout;    /* seconds, 1..60 and 2..60 */
    char *source, *interface;             /* of the datagrams to the server; NULL: any */
    int allow_rsa_server;                 /* enum conf_bool */
    struct config_deploy deploy;          /* an identity's own, never from defaults */
    const struct config_identity *shares; /* whose texts those are that are the same as its */
    /* SHA-256 over what is asked for (root of the first url, label, subject, sorted SANs, key type,
     * who makes the key), and over all of it but the names. When the first differs from the current
     * certificate's, another one is due: by /sren if the second does not, else by /sen. */
    char *request_digest, *rest_digest;
    bool rest_shared; /* rest_digest belongs to another one of the list */
};

struct config {
    char *state_directory;           /* /var/lib/estcd */
    char *control_socket;            /* /run/estcd/control */
    int log_level;                   /* enum estc_log_level */
    char *metrics_file;              /* NULL: none */
    char **on_alert;                 /* program and arguments, NULL-ended; NULL: none */
    int64_t max_attempts;            /* workers at once, 1..64 */
    int64_t start_spread;            /* seconds, 0..3600 */
    struct config_identity defaults; /* "defaults" group: url, birth, trust, ... for identities
                                        that do not say them */
    struct conf_list identities;     /* struct config_identity, sorted by id */
};

/* The table behind the reader; the manual is tested against it. And that of one identity in it. */
extern const struct conf_key config_keys[], config_identity_keys[];

/* Choices of an identity as its table has them, with 0 for what is not said: for who prints it. */
void config_identity_as_said(struct config_identity *copy);

/*
 * What an identity asks for is the last of it to be judged, together with the digests: by
 * config_names(), or, where OpenSSL is to stay asleep, by config_names_apart(), which has a child
 * process do it. All of them are worth one call. 0 or -ENOMEM, whatever there is in errors.
 */
struct config_named {
    struct config_identity *identity;
    struct conf_errors *errors;
};
typedef int (*config_names_fn)(const struct config_named *all, size_t n);
int config_names(const struct config_named *all, size_t n);
int config_names_apart(const struct config_named *all, size_t n);

/*
 * Reads path and, beside it, conf.d/ (the folder "conf.d" in the folder of path). On success *out
 * is complete; with errors ESTC_E_CONFIG and the lines in errors, all of them.
 */
int config_load(const char *path, struct config **out, struct conf_errors *errors);
/* The same with another config_names(). */
int config_load_by(const char *path, config_names_fn names, struct config **out,
                   struct conf_errors *errors);
struct config *config_free(struct config *config);

size_t config_count(const struct config *config);
const struct config_identity *config_at(const struct config *config, size_t i);
const struct config_identity *config_find(const struct config *config, const char *id);

/* True for a name that may be an identity's; and the same with an error, where it is none. */
bool config_id_valid(const char *id);
bool config_id_judge(const char *id, const struct conf_origin *where, struct conf_errors *errors);
