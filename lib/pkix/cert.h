/* SPDX-License-Identifier: BSD-2-Clause */
/* Shared by cert.c, facts.c and trust_error.c. */
#pragma once

#include <stdint.h>

#include <openssl/x509.h>

/* Seconds since 1970 of a date in a certificate; 0 or -EINVAL. */
int cert_time(const ASN1_TIME *time, int64_t *out);
