/* SPDX-License-Identifier: BSD-2-Clause */
/* The one door between OpenSSL's error queue and struct estc_error. */
#pragma once

#include <openssl/asn1.h>
#include <openssl/bio.h>

#include <estc/buf.h>
#include <estc/error.h>

/* Fills err like estc_error_set(), adds OpenSSL's innermost reason if it has one, and leaves its
 * queue empty. Returns code, or -ENOMEM when that was the reason. */
int ossl_error(struct estc_error *err, int code, const char *fmt, ...) ESTC_PRINTF(3, 4);

/* Empties the queue of what a question answered with "no" has left there. */
void ossl_forget(void);

/* Appends what was written to a memory BIO. 0 or -ENOMEM. */
int ossl_append(BIO *mem, struct estc_buf *out, struct estc_error *err);

/* Overwrites what a string holds, before it is freed; takes NULL. */
void ossl_wipe(ASN1_STRING *string);
