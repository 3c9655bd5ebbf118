/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The certs-only message (application/pkcs7-mime;smime-type=certs-only, RFC 7030 section 4.1.3,
 * RFC 5272 section 4.1): what /crts, /sen and /sren answer with.
 */
#pragma once

#include <stddef.h>

#include <openssl/x509.h>

#include <estc/buf.h>
#include <estc/error.h>

/*
 * Takes DER or BER. ESTC_E_MALFORMED for anything but one SignedData without content and signers,
 * bytes left over included; no certificate in it gives an empty list, which is not an error here.
 * CRLs are passed over. At most ESTC_CERT_LIST_MAX certificates, in the order of the message.
 */
int estc_certs_decode(const void *der, size_t len, STACK_OF(X509) * *out, struct estc_error *err);

/* DER: version 1, no digest algorithms, id-data without content, no signers. */
int estc_certs_encode(const STACK_OF(X509) * certs, struct estc_buf *out, struct estc_error *err);
