/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What is to be done with a new certificate besides keeping it: files to install elsewhere, units
 * to reload, programs to run. estcd only knows whether there is anything; estcd-deploy does it, as
 * root, and reads it from nowhere else.
 */
#pragma once

#include <stdbool.h>
#include <sys/types.h>

#include "common/conf.h"

/* X(name, label, secret): what a file may hold; the last needs a key and certificates at once. */
#define CONFIG_CONTENTS(X)                          \
    X(CONFIG_CONTENT_CERT, "cert", false)           \
    X(CONFIG_CONTENT_KEY, "key", true)              \
    X(CONFIG_CONTENT_CHAIN, "chain", false)         \
    X(CONFIG_CONTENT_FULLCHAIN, "fullchain", false) \
    X(CONFIG_CONTENT_CACERTS, "cacerts", false)     \
    X(CONFIG_CONTENT_COMBINED, "combined", true)    \
    X(CONFIG_CONTENT_PKCS12, "pkcs12", true)

#define CONFIG_CONTENT_ENUM(name, label, secret) name,
enum config_content { CONFIG_CONTENTS(CONFIG_CONTENT_ENUM) CONFIG_CONTENT_MAX_ };
#undef CONFIG_CONTENT_ENUM
extern const char *const config_content_names[]; /* NULL-ended */

enum config_format { CONFIG_FORMAT_PEM, CONFIG_FORMAT_DER };

struct config_install {
    struct conf_origin origin; /* first: see conf_list */
    char *file;                /* absolute */
    int content;               /* enum config_content */
    int format;                /* enum config_format */
    char *owner, *group;       /* name or number; NULL: root's */
    char *mode;                /* as written, or NULL; mode_bits is what holds */
    mode_t mode_bits;
    char *password; /* path of a file with the passphrase of a PKCS#12 file; NULL: an empty one */
};

struct config_exec {
    struct conf_origin origin; /* first: see conf_list */
    char **command;            /* NULL-ended; the first is an absolute path */
    int64_t timeout;           /* seconds */
};

struct config_deploy {
    struct conf_list install; /* struct config_install */
    struct conf_list exec;    /* struct config_exec */
    char **reload, **restart; /* systemd units; NULL-ended, or NULL */
    char *digest;             /* of all this; NULL: nothing is to be done */
};

extern const struct conf_key config_install_keys[], config_exec_keys[];

static inline const struct config_install *config_install_at(const struct config_deploy *deploy,
                                                             size_t i) {
    return (const struct config_install *)deploy->install.items + i;
}

static inline const struct config_exec *config_exec_at(const struct config_deploy *deploy,
                                                       size_t i) {
    return (const struct config_exec *)deploy->exec.items + i;
}

/* Whether a file of this content holds a private key. */
bool config_content_secret(enum config_content content);

/* What the tables cannot say; id and origin are for the messages. Completes modes. */
void config_deploy_judge(struct config_deploy *deploy, const char *id,
                         const struct conf_origin *origin, struct conf_errors *errors);
/* Makes the digest: 0 or -ENOMEM. */
int config_deploy_complete(struct config_deploy *deploy);
/* Frees what no table owns. */
void config_deploy_clear(struct config_deploy *deploy);
