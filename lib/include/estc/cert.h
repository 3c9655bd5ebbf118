/* SPDX-License-Identifier: BSD-2-Clause */
/* Certificates: PEM, and the facts that people and schedulers want to know of one. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <openssl/evp.h>
#include <openssl/x509.h>

#include <estc/buf.h>
#include <estc/error.h>

/* All certificates of a PEM text, in order; ESTC_E_CREDENTIAL when there is none or one is broken.
 * At most ESTC_CERT_LIST_MAX. The caller frees with sk_X509_pop_free(x, X509_free). */
#define ESTC_CERT_LIST_MAX 64
int estc_certs_from_pem(const void *pem, size_t len, STACK_OF(X509) * *out, struct estc_error *err);

/* One certificate in DER, as application/pkix-cert has it, and nothing behind it; ESTC_E_MALFORMED.
 */
int estc_cert_decode(const void *der, size_t len, X509 **out, struct estc_error *err);

/* Appends PEM blocks to out. */
int estc_cert_to_pem(const X509 *cert, struct estc_buf *out, struct estc_error *err);
int estc_certs_to_pem(const STACK_OF(X509) * certs, struct estc_buf *out, struct estc_error *err);

struct estc_cert_facts {
    char *subject;        /* RFC 4514 text, escaped */
    char *issuer;         /* the same */
    char *serial;         /* hexadecimal, upper case, no separators */
    char **sans;          /* "DNS:...", "IP:...", "URI:...", "email:...", "dirName:...",
                             "RID:OID", "other:OID"; the first 128; NULL-ended */
    char *key_type;       /* estc_key_type_name(), or "other" */
    char *sha256;         /* of the DER, hexadecimal, upper case */
    char *key_sha256;     /* of the SubjectPublicKeyInfo, the same */
    int64_t not_before;   /* seconds since 1970, UTC */
    int64_t not_after;    /* the same; 99991231235959Z is 253402300799 */
    bool is_ca;           /* basicConstraints CA:TRUE */
    bool has_client_auth; /* fit for a DTLS client: no EKU, or clientAuth or anyEKU in it */
};

/* Every string is bounded and free of control characters. Clear with estc_cert_facts_clear(). */
int estc_cert_facts_get(X509 *cert, struct estc_cert_facts *out, struct estc_error *err);
void estc_cert_facts_clear(struct estc_cert_facts *facts);

/* RFC 4514 text of a name, escaped and bounded; malloc'd, NULL when out of memory. */
char *estc_name_text(const X509_NAME *name);

/* True if the public keys are the same. */
bool estc_cert_has_key(const X509 *cert, const EVP_PKEY *key);

/* True for a certificate whose issuer is its subject and whose signature its own key made. */
bool estc_cert_is_self_signed(X509 *cert);

/* True if the subjectAltName has this host name or numeric address, or a coaps URI of it and the
 * port (0: 5684): RFC 7030 section 3.6, RFC 7252 section 9.1.3.3. Wildcards and common names do not
 * count (RFC 7925 section 4.4.1). The scope of a link-local address is passed over. */
bool estc_cert_names_host(const X509 *cert, const char *host, uint16_t port);

/* True if its extendedKeyUsage has id-kp-cmcRA, the mark of a registration authority (RFC 6402
 * section 2.10). It means something under an anchor of the EST CA only (RFC 7030 section 3.6.1). */
bool estc_cert_is_ra(const X509 *cert);
