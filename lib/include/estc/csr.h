/* SPDX-License-Identifier: BSD-2-Clause */
/* PKCS#10 certification requests (RFC 2986), made and read. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include <openssl/evp.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include <estc/buf.h>
#include <estc/error.h>
#include <estc/keypackage.h>

/*
 * Names as text. A subject is RFC 4514 ("CN=gw-0815,O=Example": the first part is the most specific
 * one and stands last in DER; "\" escapes). Types: CN, O, OU, C, ST, L, serialNumber, DC, UID,
 * emailAddress, and dotted OIDs. A subjectAltName is "DNS:", "IP:", "URI:" or "email:" and a value.
 * Both give ESTC_E_CONFIG with the offending part in the text. An empty subject is legal.
 */
int estc_subject_parse(const char *text, X509_NAME **out, struct estc_error *err);
int estc_san_parse(const char *text, GENERAL_NAME **out, struct estc_error *err);

struct estc_csr_spec {
    const char *subject;     /* RFC 4514, or NULL for an empty one */
    const X509_NAME *name;   /* the subject ready-made, instead of the text; or NULL */
    const char *const *sans; /* NULL-ended list, or NULL */
    const X509 *renew;       /* when set, subject and subjectAltName are copied from it, DER for
                                DER (RFC 7030 section 4.2.2), and the three above are ignored ... */
    bool rename;             /* ... or, with this, asked for beside them by ChangeSubjectName (RFC
                                6402 section 2.8): no subject there asks for an empty one, no
                                subjectAltName for none, neither is ESTC_E_CONFIG */
    const char *challenge;   /* challengePassword: a channel binding, printable (RFC 7030 section
                                3.5), at most 255 bytes; or NULL */
    const EVP_MD *digest;    /* NULL: SHA-256, SHA-384 for P-384 */
    const STACK_OF(X509_EXTENSION) * extensions; /* more to ask for; a subjectAltName only
                                                    in the place of sans; or NULL */
    const STACK_OF(X509_ATTRIBUTE) * attributes; /* more attributes, none of the above; or NULL */
    const struct estc_seal *seal; /* for /skg and /skc: how the new key has to be sealed (RFC 7030
                                     section 4.4.1); NULL: not asked for */
};

/* Appends DER to out; attributes [0] always present. */
int estc_csr_build(EVP_PKEY *key, const struct estc_csr_spec *spec, struct estc_buf *out,
                   struct estc_error *err);

/* DER of one request and nothing behind it, with a self-signature that holds; ESTC_E_MALFORMED
 * otherwise. Free with X509_REQ_free(). */
int estc_csr_parse(const void *der, size_t len, X509_REQ **out, struct estc_error *err);

/*
 * The new names that a request asks for by ChangeSubjectName. *subject is NULL when it asks for
 * none; else it is there, and empty when none is named, and *sans is NULL when none is named: that
 * is how the certificate would have to be (RFC 6402 section 2.8). Free both. ESTC_E_MALFORMED when
 * the attribute is broken, there twice, or names nothing at all.
 */
int estc_csr_new_names(const X509_REQ *req, X509_NAME **subject, GENERAL_NAMES **sans,
                       struct estc_error *err);
