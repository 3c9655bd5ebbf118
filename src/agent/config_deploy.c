/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The keys of estcd.conf about deploying: form and range by tables, the rest judged one by one.
 * Nothing is looked up: whether an owner or a program exists is for estcd-deploy to find out.
 */
#include "agent/config_deploy.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <estc/buf.h>

#include "agent/digest.h"
#include "base/cleanup.h"
#include "base/text.h"

#define WORD_MAX 1024
#define NAME_MAX_BYTES 255
#define TIMEOUT_MAX 3600

#define CONTENT_LABEL(name, label, secret) [name] = label,
const char *const config_content_names[] = {CONFIG_CONTENTS(CONTENT_LABEL) NULL};
#undef CONTENT_LABEL

static const char *const format_names[] = {
    [CONFIG_FORMAT_PEM] = "pem", [CONFIG_FORMAT_DER] = "der", NULL};

bool config_content_secret(enum config_content content) {
#define CONTENT_SECRET(name, label, secret) [name] = secret,
    static const bool secrets[] = {CONFIG_CONTENTS(CONTENT_SECRET)};
#undef CONTENT_SECRET
    return secrets[content];
}

#define AT(member) offsetof(struct config_install, member)
#define NAME(key, text)                                                                        \
    {                                                                                          \
        .name = #key, .type = CONF_STRING, .offset = AT(key), .min = 1, .max = NAME_MAX_BYTES, \
        .help = text                                                                           \
    }
const struct conf_key config_install_keys[] = {
    {.name = "file",
     .type = CONF_PATH,
     .offset = AT(file),
     .required = true,
     .min = 1,
     .max = WORD_MAX,
     .help = "where to put it"},
    {.name = "content",
     .type = CONF_CHOICE,
     .offset = AT(content),
     .required = true,
     .choices = config_content_names,
     .help = "what to put there"},
    {.name = "format",
     .type = CONF_CHOICE,
     .offset = AT(format),
     .choices = format_names,
     .fallback = "pem",
     .help = "how it is encoded"},
    NAME(owner, "user that the file belongs to"),
    NAME(group, "group that the file belongs to"),
    NAME(mode, "permissions, octal: \"0640\""),
    {.name = "password",
     .type = CONF_PATH,
     .offset = AT(password),
     .min = 1,
     .help = "file with the passphrase for PKCS#12"},
    {.name = NULL},
};
#undef NAME
#undef AT

#define AT(member) offsetof(struct config_exec, member)
const struct conf_key config_exec_keys[] = {
    {.name = "command",
     .type = CONF_STRINGS,
     .offset = AT(command),
     .required = true,
     .max = WORD_MAX,
     .help = "program and arguments; no shell is involved"},
    {.name = "timeout",
     .type = CONF_DURATION,
     .offset = AT(timeout),
     .fallback = "1m",
     .min = 1,
     .max = TIMEOUT_MAX,
     .help = "how long it may run"},
    {.name = NULL},
};
#undef AT

/* --- judging --- */

/* Without a mode a key is its owner's, and readable for the group that somebody named. */
static mode_t default_mode(const struct config_install *i) {
    bool secret = config_content_secret((enum config_content)i->content);
    return !secret ? 0644 : i->group ? 0640 : 0600;
}

static void judge_mode(struct config_install *i, const char *id, struct conf_errors *errors) {
    unsigned long mode = i->mode ? strtoul(i->mode, NULL, 8) : default_mode(i);
    if (i->mode && (i->mode[strspn(i->mode, "01234567")] || mode > 0777)) {
        conf_error(errors, &i->origin,
                   "%s: install: mode: '%s' is not an octal number from \"0\" to \"0777\"", id,
                   i->mode);
        return;
    }
    i->mode_bits = (mode_t)mode;
    if (config_content_secret((enum config_content)i->content) && (mode & 007))
        conf_error(errors, &i->origin,
                   "%s: install: mode: '%s' gives a private key to everybody: take away the last "
                   "digit's rights, or name a group",
                   id, i->mode);
}

static void judge_install(struct config_install *i, const char *id, struct conf_errors *errors) {
    bool single = i->content == CONFIG_CONTENT_CERT || i->content == CONFIG_CONTENT_KEY;
    if (i->file && i->file[strlen(i->file) - 1] == '/')
        conf_error(errors, &i->origin, "%s: install: file: '%s' names a folder", id, i->file);
    if (i->format == CONFIG_FORMAT_DER && !single && i->content != CONFIG_CONTENT_PKCS12)
        conf_error(errors, &i->origin,
                   "%s: install: format: only a single certificate or key is DER, not \"%s\"", id,
                   config_content_names[i->content]);
    if (i->password && i->content != CONFIG_CONTENT_PKCS12)
        conf_error(errors, &i->origin, "%s: install: password: only content = \"pkcs12\" has one",
                   id);
    judge_mode(i, id, errors);
}

/* What systemd takes for a unit's name; what looks like an option is none. */
static bool unit_valid(const char *name) {
    static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                  "0123456789:-_.\\@";
    size_t len = strlen(name);
    return len <= NAME_MAX_BYTES && name[0] != '-' && name[0] != '.' && strchr(name, '.') &&
           name[len - 1] != '.' && name[strspn(name, allowed)] == '\0';
}

static void judge_units(char *const *units, const char *key, const struct conf_origin *origin,
                        const char *id, struct conf_errors *errors) {
    for (; units && *units; units++)
        if (!unit_valid(*units))
            conf_error(errors, origin,
                       "%s: %s: '%.80s' is not the name of a unit, like \"nginx.service\"", id, key,
                       *units);
}

void config_deploy_judge(struct config_deploy *deploy, const char *id,
                         const struct conf_origin *origin, struct conf_errors *errors) {
    for (size_t n = 0; n < deploy->install.n; n++)
        judge_install((struct config_install *)deploy->install.items + n, id, errors);
    judge_units(deploy->reload, "reload", origin, id, errors);
    judge_units(deploy->restart, "restart", origin, id, errors);
    for (size_t n = 0; n < deploy->exec.n; n++) {
        const struct config_exec *exec = config_exec_at(deploy, n);
        if (!exec->command)
            conf_error(errors, &exec->origin, "%s: exec: command: names no program", id);
        else if (exec->command[0][0] != '/')
            conf_error(errors, &exec->origin,
                       "%s: exec: command: '%.80s' is not an absolute path: no search for programs "
                       "is made",
                       id, exec->command[0]);
    }
}

/* --- the whole as one number --- */

static int add_texts(struct estc_buf *all, char *const *texts) {
    int rc = 0;
    for (; !rc && texts && *texts; texts++)
        rc = digest_add(all, *texts);
    return rc ? rc : digest_add(all, NULL);
}

static int add_install(struct estc_buf *all, const struct config_install *i) {
    const char *const texts[] = {i->file, i->owner, i->group, i->password};
    const uint64_t numbers[] = {(uint64_t)i->content, (uint64_t)i->format, i->mode_bits};
    int rc = estc_buf_append(all, numbers, sizeof(numbers));
    for (size_t n = 0; !rc && n < sizeof(texts) / sizeof(texts[0]); n++)
        rc = digest_add(all, texts[n]);
    return rc;
}

int config_deploy_complete(struct config_deploy *deploy) {
    _cleanup(estc_buf_clear) struct estc_buf all = {0};
    int rc = 0;
    if (deploy->install.n == 0 && deploy->exec.n == 0 && !deploy->reload && !deploy->restart)
        return 0;
    for (size_t n = 0; !rc && n < deploy->install.n; n++)
        rc = add_install(&all, config_install_at(deploy, n));
    if (!rc)
        rc = add_texts(&all, deploy->reload);
    if (!rc)
        rc = add_texts(&all, deploy->restart);
    for (size_t n = 0; !rc && n < deploy->exec.n; n++)
        rc = add_texts(&all, config_exec_at(deploy, n)->command);
    if (rc)
        return -ENOMEM;
    deploy->digest = digest_text(&all);
    return deploy->digest ? 0 : -ENOMEM;
}

void config_deploy_clear(struct config_deploy *deploy) {
    free(deploy->digest);
    deploy->digest = NULL;
}
