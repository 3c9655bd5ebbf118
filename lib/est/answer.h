/* SPDX-License-Identifier: BSD-2-Clause */
/* What the answering side's files share: one request on its way to a response. */
#pragma once

#include <stdbool.h>

#include <estc/server.h>

/* Everything about one request, for the functions below. */
struct answer {
    const struct estc_server *server;
    const struct estc_peer *peer;
    const struct estc_request *request;
    struct estc_response *response;
    enum estc_op op;
    char *label; /* owned */
};

/* A response without content but a diagnostic (RFC 7252 section 5.5.2). Text that finds no memory
 * stays away; the code does not. */
void answer_error(struct estc_response *response, unsigned code, const char *text);

/* What the program said, as server.h lists it; retry_after in seconds, 0: not said. Where the
 * answer may come later, -EINPROGRESS leaves the response open. */
void answer_failure(const struct answer *a, int rc, int64_t retry_after,
                    const struct estc_error *err);

/* The success with a body, which is taken over. */
void answer_body(const struct answer *a, int content_format, struct estc_buf *body);

/* The success as certs-only message or, if that was wished for, as the one certificate alone. */
void answer_certs(const struct answer *a, const STACK_OF(X509) * certs);

/* Whether this server has an operation at all. */
bool server_offers(const struct estc_server *server, enum estc_op op);

/* /.well-known/core. */
void answer_core(const struct estc_server *server, const struct estc_request *request,
                 struct estc_response *response);

/* Appends one certificate alone, as application/pkix-cert. */
int answer_cert(X509 *cert, struct estc_buf *out, struct estc_error *err);

/* What the program is asked about a certification request that has been decoded: with what it
 * proves (answer_pop(), whose errors these are). Borrows from both. */
int answer_ask(const struct answer *a, X509_REQ *csr, struct estc_enroll_request *out,
               struct estc_error *err);

/* /sen and /sren. */
void answer_enroll(const struct answer *a);

/* /skg and /skc. */
void answer_generate(const struct answer *a);

/*
 * What the request proves about its connection (RFC 7030 section 3.5). ESTC_E_REJECTED when it has
 * a challengePassword that is not the connection's channel binding, or the connection has none,
 * except from an RA; ESTC_E_MALFORMED when the attribute is no single DirectoryString.
 */
int answer_pop(const struct answer *a, const X509_REQ *csr, enum estc_pop *out,
               struct estc_error *err);
