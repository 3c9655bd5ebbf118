/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Drains OpenSSL's error queue; nothing else in this room touches it. A queue that is not drained
 * makes a later, innocent SSL_get_error() report somebody else's failure.
 */
#include "pkix/ossl.h"

#include <errno.h>
#include <stdint.h>
#include <stdio.h>

#include <openssl/crypto.h>
#include <openssl/err.h>

int ossl_error(struct estc_error *err, int code, const char *fmt, ...) {
    unsigned long first = ERR_peek_error(); /* the innermost: later entries are its callers */
    ERR_clear_error();
    if (first && ERR_GET_REASON(first) == ERR_R_MALLOC_FAILURE)
        return estc_error_set(err, -ENOMEM, "out of memory");
    char text[ESTC_ERROR_TEXT_MAX];
    va_list args;
    va_start(args, fmt);
    vsnprintf(text, sizeof(text), fmt, args);
    va_end(args);
    const char *reason = first ? ERR_reason_error_string(first) : NULL;
    if (!reason)
        return estc_error_set(err, code, "%s", text);
    return estc_error_set(err, code, "%s (OpenSSL: %s)", text, reason);
}

void ossl_forget(void) {
    ERR_clear_error();
}

int ossl_append(BIO *mem, struct estc_buf *out, struct estc_error *err) {
    char *data = NULL;
    long len = BIO_get_mem_data(mem, &data);
    if (len > 0 && estc_buf_append(out, data, (size_t)len))
        return estc_error_set(err, -ENOMEM, "out of memory");
    return 0;
}

void ossl_wipe(ASN1_STRING *string) {
    int len = string ? ASN1_STRING_length(string) : 0;
    if (len > 0)
        OPENSSL_cleanse((void *)(uintptr_t)ASN1_STRING_get0_data(string), (size_t)len);
}
