/* SPDX-License-Identifier: BSD-2-Clause */
/* What else a decoded request can be asked. */
#pragma once

#include <stdbool.h>

#include <openssl/x509.h>

#include <estc/error.h>

/* estc_csr_parse() less key and signature, which may be anything: for a request whose key is of no
 * account (RFC 7030 section 4.4.1). */
int csr_read(const void *der, size_t len, X509_REQ **out, struct estc_error *err);

/*
 * The one value of an attribute; NULL when the request does not have it. -EINVAL when it is there
 * twice, or not with exactly one value: two readers could then see two requests.
 */
int csr_attribute(const X509_REQ *req, const ASN1_OBJECT *type, const ASN1_TYPE **out);

/* The extensions asked for; an empty list when there are none. ESTC_E_MALFORMED when they are
 * broken, asked for in several places, or one twice: two readers could then see two requests. */
int csr_extensions(const X509_REQ *req, STACK_OF(X509_EXTENSION) * *out, struct estc_error *err);

/* Whether there is a challengePassword, well-formed or not. */
bool csr_has_challenge(const X509_REQ *req);
