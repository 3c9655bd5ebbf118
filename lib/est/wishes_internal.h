/* SPDX-License-Identifier: BSD-2-Clause */
/* Between the files that follow wishes. */
#pragma once

#include "est/wishes.h"

/* Notes what became of a wish: why says how it was granted, or why not. 0 or -ENOMEM. */
int wishes_say(struct wishes_plan *plan, bool granted, const char *why, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));

/* "secp384r1", or dotted; malloc'd, NULL when out of memory. */
char *wishes_oid_text(const ASN1_OBJECT *oid);

bool wishes_obeyed(const struct wishes_input *in, enum wishes_kind kind);
/* "obey does not name KIND" */
const char *wishes_refusal(enum wishes_kind kind);

/* Each fills its part of the plan. 0, -ENOMEM, or what estc_subject_parse() says of the
 * configuration. The subject comes first. */
int wishes_follow_subject(const struct wishes_input *in, struct wishes_plan *plan,
                          struct estc_error *err);
int wishes_follow_sans(const struct wishes_input *in, const struct estc_extension_wish *wish,
                       struct wishes_plan *plan, struct estc_error *err);
/* Into plan->extensions; value borrowed. 0 or -ENOMEM. */
int wishes_add_extension(struct wishes_plan *plan, const ASN1_OBJECT *oid, bool critical,
                         ASN1_OCTET_STRING *value);
