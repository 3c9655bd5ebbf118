/* SPDX-License-Identifier: BSD-2-Clause */
/* The keys of upstream in est-registrar.conf, and what the table cannot say of them. */
#include "config_upstream.h"

#include <stddef.h>
#include <string.h>

#include "base/text.h"

#define URL_MAX 1024

#define AT(member) offsetof(struct config, upstream.member)
const struct conf_key config_upstream_keys[] = {
    {.name = "urls",
     .type = CONF_STRINGS,
     .offset = AT(urls),
     .min = 1,
     .max = URL_MAX,
     .help = "EST servers that issue, https; the next where one is not there"},
    {.name = "trust",
     .type = CONF_FILE,
     .offset = AT(trust),
     .min = 1,
     .help = "PEM file: who vouches for these servers"},
    {.name = "certificate",
     .type = CONF_FILE,
     .offset = AT(certificate),
     .min = 1,
     .help = "PEM file: the registrar's certificate there, then its intermediates"},
    {.name = "key",
     .type = CONF_FILE,
     .offset = AT(key),
     .min = 1,
     .help = "PEM file: its private key"},
    {.name = "issuers",
     .type = CONF_FILE,
     .offset = AT(issuers),
     .min = 1,
     .help = "PEM file: the CA certificates that they issue with"},
    {.name = "connect_timeout",
     .type = CONF_DURATION,
     .offset = AT(connect_timeout),
     .min = 1,
     .max = 60,
     .fallback = "5s",
     .help = "until a connection stands, TLS included"},
    {.name = "timeout",
     .type = CONF_DURATION,
     .offset = AT(timeout),
     .min = 1,
     .max = 120,
     .fallback = "30s",
     .help = "until the answer is there"},
    {.name = "max_body",
     .type = CONF_SIZE,
     .offset = AT(max_body),
     .min = 1024,
     .max = 4194304,
     .fallback = "256K",
     .help = "largest answer taken"},
    {.name = "refresh",
     .type = CONF_DURATION,
     .offset = AT(refresh),
     .min = 1,
     .max = 7 * 86400,
     .fallback = "1h",
     .help = "how often CA certificates and attributes are asked for"},
    {.name = "keep",
     .type = CONF_DURATION,
     .offset = AT(keep),
     .min = 1,
     .max = 90 * 86400,
     .fallback = "7d",
     .help = "how long they are served while nobody answers"},
    {.name = "repeat_unknown",
     .type = CONF_BOOL,
     .offset = AT(repeat_unknown),
     .fallback = "false",
     .help = "forward a request once more whose first outcome is not known"},
    {.name = NULL},
};
#undef AT

static void judge_urls(const struct config_upstream *u, const struct conf_origin *where,
                       struct conf_errors *errors) {
    for (char **url = u->urls; *url; url++) {
        size_t len = strlen(*url);
        if (strncmp(*url, "https://", 8) != 0 || !strchr(*url + 8, '/') ||
            strpbrk(*url, "@?# \t\\"))
            conf_error(errors, where,
                       "upstream.urls: '%s' is no \"https://HOST[:PORT]/.well-known/est\"", *url);
        if (len > 0 && (*url)[len - 1] == '/')
            (*url)[len - 1] = '\0';
    }
}

static void judge_needed(const struct config *config, const struct conf_origin *where,
                         struct conf_errors *errors) {
    const struct {
        const char *name, *value;
        bool upstream;
    } needed[] = {
        {"ca.certificate", config->ca_certificate, false},
        {"ca.key", config->ca_key, false},
        {"upstream.trust", config->upstream.trust, true},
        {"upstream.certificate", config->upstream.certificate, true},
        {"upstream.key", config->upstream.key, true},
        {"upstream.issuers", config->upstream.issuers, true},
    };
    for (size_t i = 0; i < sizeof(needed) / sizeof(needed[0]); i++)
        if (needed[i].upstream == config_has_upstream(config) && !needed[i].value)
            conf_error(errors, where, "'%s' is missing: add it", needed[i].name);
}

void config_upstream_judge(const struct config *config, const struct conf_origin *where,
                           struct conf_errors *errors) {
    const struct config_upstream *u = &config->upstream;
    if (!config_has_upstream(config) && (u->trust || u->certificate || u->key || u->issuers)) {
        conf_error(errors, where, "'upstream.urls' is missing: add it");
        return;
    }
    if (!config_has_upstream(config) && !config->ca_certificate && !config->ca_key) {
        conf_error(errors, where, "'ca' is missing: add it, or 'upstream', where others issue");
        return;
    }
    judge_needed(config, where, errors);
    if (!config_has_upstream(config))
        return;
    judge_urls(u, where, errors);
    if (config->ca_certificate || config->ca_key || config->ca_chain || config->ca_previous ||
        config->crl_file)
        conf_error(errors, where,
                   "ca: there is upstream as well, and one of them issues: remove one");
    if (config->seal_secrets || config->seal_certificates)
        conf_error(errors, where,
                   "seal_secrets, seal_certificates: keys are made upstream and pass as they are: "
                   "remove them");
}
