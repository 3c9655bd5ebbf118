/* SPDX-License-Identifier: BSD-2-Clause */
/* ChangeSubjectName (RFC 6402 section 2.8), as the registrar takes it. */
#pragma once

#include <openssl/x509.h>

#include <estc/error.h>

/* The request with the names that it asks for in the place of those that it has, and no attributes
 * but its extensions; NULL when it asks for no others. Its signature does not hold any more: it has
 * to be checked before. ESTC_E_MALFORMED. Free with X509_REQ_free(). */
int rename_apply(const X509_REQ *csr, X509_REQ **out, struct estc_error *err);
