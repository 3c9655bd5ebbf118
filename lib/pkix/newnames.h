/* SPDX-License-Identifier: BSD-2-Clause */
/* The writing half of ChangeSubjectName; the reading half is estc_csr_new_names(). */
#pragma once

#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include <estc/error.h>

/* Adds the attribute. An empty subject and an empty list are left out, which asks for certificates
 * without them (RFC 6402 section 2.8); ESTC_E_CONFIG when that leaves nothing. */
int newnames_add(X509_REQ *req, const X509_NAME *subject, const GENERAL_NAMES *sans,
                 struct estc_error *err);
