/* SPDX-License-Identifier: BSD-2-Clause */
/* Between the files of the client. */
#pragma once

#include <estc/client.h>

#define RESPONSE_NONE \
    { .content_format = ESTC_FORMAT_NONE, .max_age = -1 }

/* A certification request, as it is sent and as it is read. */
struct client_csr {
    const void *der;
    size_t len;
    const X509_REQ *request;
};

/* Sends it, on the connection that it is bound to if it is, and judges the answer's code and
 * content format. Errors are those of estc_client_enroll(). */
int client_post(struct estc_client *client, const struct estc_op_info *op,
                const struct client_csr *csr, const struct estc_wait *wait,
                struct estc_response *response, int64_t *retry_after, struct estc_error *err);
