/* SPDX-License-Identifier: BSD-2-Clause */
/* Who issues what has been granted: the CA that is here, or EST servers upstream. */
#pragma once

#include <stdint.h>

#include <openssl/x509.h>

#include <estc/buf.h>
#include <estc/error.h>

struct registrar;
struct request;

struct issuer_ops {
    /* Makes or gets the certificate, and the key where r->generated, and records it before anybody
     * sees it. -EINPROGRESS: comes later, see estc_server_ops.enroll. */
    int (*issue)(struct request *r, X509 **issued, int64_t *retry_after, struct estc_error *err);
    /* The same for a request that was left under way; -ENOENT when there is none. NULL: none ever
     * is. */
    int (*collect)(struct request *r, X509 **issued, int64_t *retry_after, struct estc_error *err);
    /* What /crts answers. */
    int (*cacerts)(struct registrar *registrar, const char *label, STACK_OF(X509) * *out,
                   struct estc_error *err);
    /* Appends what the issuer wishes to see in requests, if it wishes. NULL: it has no wishes. */
    int (*csrattrs)(struct registrar *registrar, const char *label, struct estc_buf *der,
                    struct estc_error *err);
};

extern const struct issuer_ops issuer_local, issuer_upstream;
