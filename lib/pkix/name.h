/* SPDX-License-Identifier: BSD-2-Clause */
/* Shared by name.c, san.c, facts.c and trust_error.c. */
#pragma once

#include <stdbool.h>

#include <openssl/x509.h>
#include <openssl/x509v3.h>

/* The longest text that is made of one name of a certificate, "..." included. */
#define NAME_TEXT_MAX 1024

/* "DNS:gw.example" of one entry of a subjectAltName, cleaned and bounded; malloc'd, NULL when out
 * of memory. */
char *san_text(const GENERAL_NAME *name);

/* The content of a BIO as clean, bounded text. */
char *name_clean_bio(BIO *mem);

/* Whether they are the same text, whatever string types it is written in. */
bool name_same_text(const ASN1_STRING *a, const ASN1_STRING *b);

/* Whether the name is one of names, which may be NULL. */
bool san_has(const GENERAL_NAMES *names, const GENERAL_NAME *name);

/* Whether parts of a subject are of this type: X.520's (2.5.4), and what estc_subject_parse()
 * knows. */
bool name_is_type(const ASN1_OBJECT *type);
