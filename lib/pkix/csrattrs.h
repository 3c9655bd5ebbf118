/* SPDX-License-Identifier: BSD-2-Clause */
/* Between the files that read and write CSR attributes. */
#pragma once

#include <estc/csrattrs.h>

#include "pkix/der.h"

/* RFC 9908 appendix A, id-aa 61 and 62; OpenSSL 3.0 has no numbers for them. */
#define CSRATTRS_TEMPLATE_OID "1.2.840.113549.1.9.16.2.61"
#define CSRATTRS_EXTENSIONS_OID "1.2.840.113549.1.9.16.2.62"

/* One Attribute: its type, owned, and what stands in its SET. */
struct csrattrs_attribute {
    ASN1_OBJECT *type;
    struct der values;
};

int csrattrs_bad(struct estc_error *err, const char *what);   /* ESTC_E_MALFORMED */
int csrattrs_fail(struct estc_error *err, int rc);            /* what an adder returned */
bool csrattrs_is(const ASN1_OBJECT *oid, const char *dotted); /* for those without a number */
bool csrattrs_read_attribute(const struct der_item *item, struct csrattrs_attribute *out);
void csrattrs_attribute_clear(struct csrattrs_attribute *attribute);

/* Notes something that is not understood. */
int csrattrs_add_other(struct estc_csrattrs *attrs, const ASN1_OBJECT *oid, struct estc_error *err);

/* The value of a name's part as a string, to be freed; NULL for what is none. */
ASN1_STRING *csrattrs_string(const struct der_item *item);

/* The one list of extensions of an extensionRequest, or of an extensionReqTemplate (open ones are
 * allowed then). */
int csrattrs_read_extensions(struct estc_csrattrs *attrs,
                             const struct csrattrs_attribute *attribute, bool open_allowed,
                             struct estc_error *err);

/* The values of a certificationRequestInfoTemplate attribute. */
int csrattrs_read_template(struct estc_csrattrs *attrs, struct der values, struct estc_error *err);
