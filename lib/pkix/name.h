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

/* Whether parts of a subject are of this type: X.520's (2.5.4), and what estc_subject_parse()
 * knows. */
bool name_is_type(const ASN1_OBJECT *type);
