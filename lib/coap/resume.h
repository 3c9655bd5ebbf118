/* SPDX-License-Identifier: BSD-2-Clause */
/* A server's memory of DTLS sessions that their clients may come back to (RFC 5246 appendix F.1.4).
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include <openssl/ssl.h>

#include "base/cleanup.h"

#define RESUME_SESSIONS_MAX 256
#define RESUME_LIFE_S 3600

struct resume;

/* May the holder of this certificate come back? Asked each time; no means a full handshake. */
typedef int (*resume_ask_fn)(void *arg, X509 *cert);

/* Has ctx keep its sessions here; the memory must outlive ctx. ask may be NULL: all may whose
 * certificate is still valid. NULL without memory. */
struct resume *resume_new(SSL_CTX *ctx, resume_ask_fn ask, void *arg);
struct resume *resume_free(struct resume *resume); /* takes NULL, returns NULL */

/* How many sessions are kept. */
unsigned resume_count(const struct resume *resume);

CLEANUP_DEFINE(struct resume *, resume_freep, resume_free);
