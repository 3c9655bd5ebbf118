/* SPDX-License-Identifier: BSD-2-Clause */
/* The keys of a rule's group "attributes" in est-registrar.conf. */
#include <stddef.h>

#include <estc/csrattrs.h>

#include "config.h"

static const char *const form_names[] = {[ESTC_CSRATTRS_PLAIN] = "plain",
                                         [ESTC_CSRATTRS_TEMPLATE] = "template",
                                         [ESTC_CSRATTRS_BOTH] = "both",
                                         NULL};
static const char *const signature_names[] = {[CONFIG_SIGNATURE_ANY] = "any",
                                              [CONFIG_SIGNATURE_SHA256] = "sha256",
                                              [CONFIG_SIGNATURE_SHA384] = "sha384",
                                              [CONFIG_SIGNATURE_SHA512] = "sha512",
                                              NULL};

#define AT(member) offsetof(struct config_rule, attributes.member)
const struct conf_key config_attributes_keys[] = {
    {.name = "form",
     .type = CONF_CHOICE,
     .offset = AT(form),
     .choices = form_names,
     .fallback = "plain",
     .help = "plain elements, a template, or both"},
    {.name = "signature",
     .type = CONF_CHOICE,
     .offset = AT(signature),
     .choices = signature_names,
     .fallback = "any",
     .help = "digest to sign requests with"},
    {.name = "subject",
     .type = CONF_STRINGS,
     .offset = AT(subject),
     .min = 1,
     .max = 256,
     .help = "parts of the subject, TYPE=VALUE or TYPE"},
    {.name = "extensions",
     .type = CONF_STRINGS,
     .offset = AT(extensions),
     .min = 1,
     .max = 256,
     .help = "extensions, NAME=VALUE or NAME"},
    {.name = "demand",
     .type = CONF_BOOL,
     .offset = AT(demand),
     .fallback = "false",
     .help = "refuse requests that lack what is said here"},
    {.name = NULL},
};
#undef AT
