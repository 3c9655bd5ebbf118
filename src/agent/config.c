/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * estcd.conf, from the table of config_keys.c to an immutable Config. What a table cannot say
 * (identities that are complete and stand once) is judged here, all of it in one run; names and
 * digests are config_names.c's, so that nothing here wakes OpenSSL. No file that the configuration
 * names is looked at.
 */
#include <errno.h>
#include <netdb.h>
#include <stdlib.h>
#include <string.h>

#include <estc/op.h>
#include <estc/trust.h>
#include <estc/url.h>

#include "agent/config_internal.h"
#include "base/cleanup.h"
#include "base/text.h"
#include "est/wishes.h"

#define ID_MAX 64

/* --- what an identity inherits --- */

/* Texts and lists are not copied but shared with "defaults", whose they stay: with thousands of
 * identities they are the same few thousands of times. */
static const size_t inherited[] = {
    offsetof(struct config_identity, urls),
    offsetof(struct config_identity, label),
    offsetof(struct config_identity, birth_certificate),
    offsetof(struct config_identity, birth_key),
    offsetof(struct config_identity, trust),
    offsetof(struct config_identity, fingerprint),
    offsetof(struct config_identity, subject),
    offsetof(struct config_identity, subject_alt_names),
    offsetof(struct config_identity, key_decrypt),
    offsetof(struct config_identity, obey),
    offsetof(struct config_identity, source),
    offsetof(struct config_identity, interface),
};
#define N_INHERITED (sizeof(inherited) / sizeof(inherited[0]))

static void **pointer_at(const struct config_identity *i, size_t offset) {
    return (void **)(uintptr_t)((const char *)i + offset);
}

static void share_texts(struct config_identity *i, const struct config_identity *d) {
    bool has_trust = i->trust, has_fingerprint = i->fingerprint;
    for (size_t n = 0; n < N_INHERITED; n++)
        if (!*pointer_at(i, inherited[n]))
            *pointer_at(i, inherited[n]) = *pointer_at(d, inherited[n]);
    if (has_trust && !has_fingerprint) /* one of them is said, and the other is not meant */
        i->fingerprint = NULL;
    if (has_fingerprint && !has_trust)
        i->trust = NULL;
    i->shares = d;
}

static void give_back(struct config_identity *i) {
    for (size_t n = 0; i->shares && n < N_INHERITED; n++)
        if (*pointer_at(i, inherited[n]) == *pointer_at(i->shares, inherited[n]))
            *pointer_at(i, inherited[n]) = NULL;
    i->shares = NULL;
}

static void inherit_number(int64_t *own, int64_t from) {
    if (*own == 0)
        *own = from;
}

/* From "defaults", which holds what is built in where the file says nothing. */
static void inherit(struct config_identity *i, const struct config_identity *d) {
    share_texts(i, d);
    inherit_number(&i->renew_at, d->renew_at);
    inherit_number(&i->alert_at, d->alert_at);
    inherit_number(&i->attempt_timeout, d->attempt_timeout);
    inherit_number(&i->pending_timeout, d->pending_timeout);
    inherit_number(&i->block_size, d->block_size);
    inherit_number(&i->max_body, d->max_body);
    inherit_number(&i->mtu, d->mtu);
    inherit_number(&i->dtls_timeout, d->dtls_timeout);
    inherit_number(&i->ack_timeout, d->ack_timeout);
    if (i->allow_rsa_server == CONF_UNSAID)
        i->allow_rsa_server = d->allow_rsa_server;
    if (i->rekey == CONF_UNSAID)
        i->rekey = d->rekey;
    if (i->key_type == 0)
        i->key_type = d->key_type;
    if (i->pop == 0)
        i->pop = d->pop;
    if (i->prove == 0)
        i->prove = d->prove;
    if (i->implicit_trust == 0)
        i->implicit_trust = d->implicit_trust;
    if (i->key_origin == 0)
        i->key_origin = d->key_origin;
}

/* --- what an identity is judged by --- */

bool config_id_valid(const char *id) {
    static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                  "0123456789._-";
    size_t len = strlen(id);
    return len > 0 && len <= ID_MAX && id[0] != '.' && id[0] != '-' && id[strspn(id, allowed)] == 0;
}

bool config_id_judge(const char *id, const struct conf_origin *where, struct conf_errors *errors) {
    if (config_id_valid(id))
        return true;
    conf_error(errors, where,
               "id: '%.80s' cannot name a folder: use 1 to %d ASCII letters, digits, '.', '_' and "
               "'-', not beginning with '.' or '-'",
               id, ID_MAX);
    return false;
}

static void judge_urls(const struct config_identity *i, struct conf_errors *errors) {
    const char *id = config_spoken_id(i);
    size_t n = text_list_len(i->urls);
    if (n == 0)
        conf_error(errors, &i->origin, "%s: no server named: add url = \"coaps://HOST\"", id);
    if (n > CONFIG_URLS_MAX)
        conf_error(errors, &i->origin, "%s: url: %zu servers are named: at most %d are asked", id,
                   n, CONFIG_URLS_MAX);
    for (size_t k = 0; k < n; k++) {
        _cleanup(estc_url_clear) struct estc_url parts = {0};
        struct estc_error err = {0};
        if (estc_url_parse(i->urls[k], &parts, &err))
            conf_error(errors, &i->origin, "%s: url: %s", id, err.text);
    }
}

static void judge_server(const struct config_identity *i, struct conf_errors *errors) {
    const char *id = config_spoken_id(i);
    struct estc_error err = {0};
    judge_urls(i, errors);
    if (estc_label_check(i->label, &err))
        conf_error(errors, &i->origin, "%s: %s", id, err.text);
    if (i->block_size & (i->block_size - 1))
        conf_error(errors, &i->origin,
                   "%s: block_size: %lld is not one of 16, 32, 64, 128, 256, 512, 1024", id,
                   (long long)i->block_size);
}

static void judge_way(const struct config_identity *i, struct conf_errors *errors) {
    const struct addrinfo hints = {.ai_flags = AI_NUMERICHOST};
    struct addrinfo *found = NULL;
    if (i->source && getaddrinfo(i->source, NULL, &hints, &found))
        conf_error(errors, &i->origin, "%s: source: '%s' is not an IPv4 or IPv6 address",
                   config_spoken_id(i), i->source);
    if (found)
        freeaddrinfo(found);
    if (i->interface && strpbrk(i->interface, "/ \t"))
        conf_error(errors, &i->origin, "%s: interface: '%s' cannot name an interface",
                   config_spoken_id(i), i->interface);
}

/* "none" stands alone: there is a difference between nothing and not said. */
static void judge_obey(struct config_identity *i, struct conf_errors *errors) {
    i->obey_kinds = i->obey ? 0 : WISHES_DEFAULT;
    for (char *const *word = i->obey; word && *word; word++) {
        unsigned bit = 0;
        for (int kind = 0; kind < WISHES_KIND_MAX_; kind++)
            bit |= strcmp(*word, wishes_kind_names[kind]) == 0 ? WISHES_BIT(kind) : 0;
        i->obey_kinds |= bit;
        if (!bit && (strcmp(*word, "none") != 0 || text_list_len(i->obey) != 1))
            conf_error(errors, &i->origin,
                       "%s: obey: '%s' is none of key, signature, pop, names, extensions, or "
                       "none alone",
                       config_spoken_id(i), *word);
    }
}

static void judge_trust(const struct config_identity *i, struct conf_errors *errors) {
    const char *id = config_spoken_id(i);
    struct estc_fingerprint fingerprint;
    struct estc_error err = {0};
    if (!i->trust && !i->fingerprint)
        conf_error(errors, &i->origin,
                   "%s: no trust named: add trust = \"FILE\" with the anchors for the server's "
                   "certificate, or the fingerprint of the CA's root",
                   id);
    if (i->trust && i->fingerprint)
        conf_error(errors, &i->origin, "%s: trust and fingerprint: name one of them", id);
    if (i->fingerprint && estc_fingerprint_parse(i->fingerprint, &fingerprint, &err))
        conf_error(errors, &i->origin, "%s: fingerprint: %s", id, err.text);
}

static void judge(struct config_identity *i, struct conf_errors *errors) {
    const char *id = config_spoken_id(i);
    judge_server(i, errors);
    judge_way(i, errors);
    judge_trust(i, errors);
    if (!i->birth_certificate || !i->birth_key)
        conf_error(errors, &i->origin,
                   "%s: no birth credential: add birth = { certificate = \"FILE\"; key = "
                   "\"FILE\"; }",
                   id);
    judge_obey(i, errors);
    config_deploy_judge(&i->deploy, id, &i->origin, errors);
}

/* By -1 from "said, and which" to the enums: estc_key_type, config_pop and so on. */
static void shift_choices(struct config_identity *i, int by) {
    int *const choices[] = {&i->key_type, &i->pop, &i->prove, &i->implicit_trust, &i->key_origin};
    for (size_t n = 0; n < sizeof(choices) / sizeof(choices[0]); n++)
        *choices[n] += by;
}

/* What can be said of the enums themselves. */
static void judge_key(const struct config_identity *i, struct conf_errors *errors) {
    if (i->key_origin == CONFIG_ORIGIN_TPM && i->key_type != ESTC_KEY_P256 &&
        i->key_type != ESTC_KEY_P384)
        conf_error(errors, &i->origin,
                   "%s: key_type: a key in the TPM is p256 or p384, and no %s: choose one of these",
                   config_spoken_id(i), estc_key_type_name((enum estc_key_type)i->key_type));
}

/* A key that is not here cannot be written in a form that holds it. */
static void judge_key_files(const struct config_identity *i, struct conf_errors *errors) {
    for (size_t n = 0; i->key_origin == CONFIG_ORIGIN_TPM && n < i->deploy.install.n; n++) {
        const struct config_install *install = config_install_at(&i->deploy, n);
        bool der = install->content == CONFIG_CONTENT_KEY && install->format == CONFIG_FORMAT_DER;
        if (der || install->content == CONFIG_CONTENT_PKCS12)
            conf_error(errors, &i->origin,
                       "%s: install: a key in the TPM cannot be put into %s: take it as PEM",
                       config_spoken_id(i), der ? "DER" : "PKCS#12");
    }
}

void config_identity_complete(struct config_identity *i, const struct config_identity *defaults,
                              struct conf_errors *errors) {
    inherit(i, defaults);
    judge(i, errors);
    shift_choices(i, -1);
    judge_key(i, errors);
    judge_key_files(i, errors);
}

void config_identity_as_said(struct config_identity *copy) {
    shift_choices(copy, 1);
}

void config_identity_clear(struct config_identity *i) {
    give_back(i);
    free(i->request_digest);
    if (!i->rest_shared)
        free(i->rest_digest);
    config_deploy_clear(&i->deploy);
}

/* --- the whole --- */

static struct config_identity *item(const struct config *config, size_t n) {
    return (struct config_identity *)config->identities.items + n;
}

static int compare_identities(const void *a, const void *b) {
    const struct config_identity *x = a, *y = b;
    int order = strcmp(x->id ? x->id : "", y->id ? y->id : "");
    return order != 0 ? order
                      : (x->origin.line > y->origin.line) - (x->origin.line < y->origin.line);
}

/* The names first: nothing else can be said of an identity without one. */
static void judge_ids(struct config *config, struct conf_errors *errors) {
    for (size_t n = 0; n < config_count(config); n++) {
        const struct config_identity *i = item(config, n);
        if (!i->id)
            continue; /* the table has said so */
        config_id_judge(i->id, &i->origin, errors);
        if (n > 0 && item(config, n - 1)->id && strcmp(item(config, n - 1)->id, i->id) == 0)
            conf_error(errors, &i->origin,
                       "id: '%.80s' stands at %s:%u already: identities need names of their own",
                       i->id, item(config, n - 1)->origin.file, item(config, n - 1)->origin.line);
    }
}

static void judge_on_alert(const struct config *config, const char *path,
                           struct conf_errors *errors) {
    const struct conf_origin where = {.file = (char *)(uintptr_t)path, .line = 1}; /* or conf.d */
    if (config->on_alert && config->on_alert[0][0] != '/')
        conf_error(errors, &where,
                   "on_alert: '%.80s' is not an absolute path: no search for programs is made",
                   config->on_alert[0]);
}

static void complete(struct config *config, const char *path, struct conf_errors *errors) {
    struct conf_list *list = &config->identities;
    judge_on_alert(config, path, errors);
    if (list->n > 0)
        qsort(list->items, list->n, sizeof(struct config_identity), compare_identities);
    judge_ids(config, errors);
    for (size_t n = 0; n < list->n; n++)
        config_identity_complete(item(config, n), &config->defaults, errors);
}

struct config *config_free(struct config *config) {
    if (!config)
        return NULL;
    for (size_t n = 0; n < config_count(config); n++)
        config_identity_clear(item(config, n));
    conf_clear(config_keys, config);
    free(config);
    return NULL;
}

CLEANUP_DEFINE(struct config *, config_freep, config_free);

/* All but the names is the same for most: neighbours share it. */
static void share_rest(const struct config *config) {
    for (size_t n = 1; n < config_count(config); n++) {
        struct config_identity *i = item(config, n);
        const struct config_identity *before = item(config, n - 1);
        if (!i->rest_digest || !before->rest_digest ||
            strcmp(i->rest_digest, before->rest_digest) != 0)
            continue;
        free(i->rest_digest);
        i->rest_digest = before->rest_digest;
        i->rest_shared = true;
    }
}

/* What the identities ask for; errors that are found before are no reason to find none here. */
static int complete_names(const struct config *config, config_names_fn names,
                          struct conf_errors *errors) {
    size_t n = config_count(config);
    _cleanup(freep) struct config_named *all = calloc(n + 1, sizeof(*all));
    for (size_t i = 0; all && i < n; i++)
        all[i] = (struct config_named){item(config, i), errors};
    int rc = all ? names(all, n) : -ENOMEM;
    share_rest(config);
    return rc;
}

int config_load_by(const char *path, config_names_fn names, struct config **out,
                   struct conf_errors *errors) {
    _cleanup(config_freep) struct config *config = calloc(1, sizeof(*config));
    const char *slash = strrchr(path, '/');
    _cleanup(freep) char *dir =
        text_format("%.*sconf.d", slash ? (int)(slash - path) + 1 : 0, path);
    if (!config || !dir || conf_defaults(config_keys, config))
        return -ENOMEM;
    int rc = conf_read_file(path, config_keys, config, errors);
    if (!rc)
        rc = conf_read_dir(dir, config_keys, config, errors);
    if (rc)
        return rc;
    complete(config, path, errors);
    rc = complete_names(config, names, errors);
    if (rc)
        return rc;
    if (conf_errors_any(errors))
        return ESTC_E_CONFIG;
    *out = TAKE(config);
    return 0;
}

int config_load(const char *path, struct config **out, struct conf_errors *errors) {
    return config_load_by(path, config_names, out, errors);
}

size_t config_count(const struct config *config) {
    return config->identities.n;
}

const struct config_identity *config_at(const struct config *config, size_t i) {
    return item(config, i);
}

static int compare_id(const void *id, const void *identity) {
    return strcmp(id, ((const struct config_identity *)identity)->id);
}

const struct config_identity *config_find(const struct config *config, const char *id) {
    if (config_count(config) == 0)
        return NULL;
    return bsearch(id, config->identities.items, config_count(config),
                   sizeof(struct config_identity), compare_id);
}
