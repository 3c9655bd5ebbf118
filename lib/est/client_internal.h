/* SPDX-License-Identifier: BSD-2-Clause */
/* Between the files of the client. */
#pragma once

#include <estc/client.h>

#define RESPONSE_NONE \
    { .content_format = ESTC_FORMAT_NONE, .max_age = -1 }

/*
 * Reads a certification request, sends it, on the connection that it is bound to if it is, and
 * judges the answer's code and content format. *request is to be freed. Errors are those of
 * estc_client_enroll().
 */
int client_post(struct estc_client *client, const struct estc_op_info *op, const void *csr,
                size_t csr_len, const struct estc_wait *wait, X509_REQ **request,
                struct estc_response *response, int64_t *retry_after, struct estc_error *err);

/* The one certificate of a certs-only message: what was issued, and nothing else (RFC 7030 section
 * 4.2.3). */
int client_single(const struct estc_buf *message, X509 **out, struct estc_error *err);
